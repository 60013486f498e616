"""Canaries over the whole schema, worlds over all behaviours: one whole life from one number.

`play(seed)` makes a canary, lets everything happen to it that a cluster and its users can do,
with ticks cut off and effects that fail at any place, then leaves it alone in a healthy world and
asserts how it ends. The same seed is the same life, so a failure is shown by playing it again.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import msgspec

from rollout.model import INTERVAL, BrokenInvariantError, Cluster, made
from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import status as statuses
from serinus.rollout.conditions import Stalled, condition, stalled_for
from serinus.rollout.effects import Effect, SaveStatus, SetTraffic
from serinus.rollout.strategy import strategy_of

LEFT_ALONE = 150
"""Ticks after which a life that nothing disturbs any more must have come to rest."""

HOOKS = (
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "post-rollout",
    "rollback",
)
GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")
METRICS: tuple[dict[str, Any], ...] = (
    {"name": "request-success-rate", "threshold": 99},
    {"name": "request-duration", "thresholdRange": {"max": 500}},
)


class StuckError(AssertionError):
    """A life that was left alone did not come to the end it should have."""


@dataclass
class Life:
    """What came of one seed."""

    seed: int
    strategy: str
    phase: str = ""
    ticks: int = 0
    counts: Counter[str] = field(default_factory=Counter)


# -- canaries ----------------------------------------------------------------------------------


def generated_canary(rng: Random, *, splits: bool) -> Canary:
    """A canary that the validation and its router accept."""
    analysis: dict[str, Any] = {
        "threshold": rng.choice((0, 1, 2, 3, 5)),
        "metrics": METRICS[: rng.randint(0, 2)],
        "webhooks": _hooks(rng),
        **_strategy(rng, splits=splits),
    }
    return made(
        analysis,
        skipAnalysis=rng.random() < 0.08,
        revertOnDeletion=rng.random() < 0.3,
        suspend=rng.random() < 0.03,
    )


def _strategy(rng: Random, *, splits: bool) -> dict[str, Any]:
    kind = rng.choice(("step", "steps", "blue/green", "a/b" if splits else "blue/green"))
    wanted: dict[str, Any] = {}
    match kind:
        case "step":
            wanted["stepWeight"] = rng.choice((5, 10, 20, 30, 50, 100))
            wanted["maxWeight"] = rng.choice((0, 10, 50, 60, 100))
        case "steps":
            wanted["stepWeights"] = sorted(rng.sample(range(1, 101), rng.randint(1, 5)))
        case _:
            wanted["iterations"] = rng.randint(1, 4)
    if kind == "a/b":
        wanted["match"] = [{"headers": {"x-canary": {"exact": "insider"}}}]
        return wanted
    if rng.random() < 0.3:
        wanted["stepWeightPromotion"] = rng.choice((10, 25, 50, 100))
    if splits and rng.random() < 0.25:
        wanted |= {"mirror": True, "mirrorWeight": rng.choice((10, 100))}
    if splits and rng.random() < 0.25:
        wanted["sessionAffinity"] = {
            "cookieName": "flagger-cookie",
            "primaryCookieName": rng.choice(("", "flagger-primary")),
        }
    return wanted


def _hooks(rng: Random) -> list[dict[str, str]]:
    kinds = rng.choices(HOOKS, k=rng.choice((0, 0, 1, 2, 4, 6)))
    return [
        {"name": f"{kind}-{n}", "type": kind, "url": "http://x/"} for n, kind in enumerate(kinds)
    ]


# -- what happens to them ----------------------------------------------------------------------


@dataclass
class Fate:
    """One life under way; the methods named in `HAPPENINGS` are what can happen to it."""

    rng: Random
    cluster: Cluster
    names: int = 0

    def new_name(self) -> str:
        """A revision that nobody has seen yet; some never get ready, in one role or the other."""
        self.names += 1
        name = f"v1:{self.names}."
        draw = self.rng.random()
        if draw < 0.08:
            self.cluster.stubborn.add(name)
        elif draw < 0.16:
            self.cluster.stubborn.add(f"{name}-primary")
        return name

    def edit(self) -> None:
        if not self.cluster.gone:
            self.cluster.edit_target(self.new_name())

    def edit_back(self) -> None:
        primary = self.cluster.primary
        if primary is not None and not self.cluster.gone:
            self.cluster.edit_target(primary.revision.removesuffix("-primary"))

    def edit_to_an_old_one(self) -> None:
        if not self.cluster.gone:
            tried = self.cluster.passed | self.cluster.failed
            names = {name for name, _ in tried if name and not name.endswith("-primary")}
            names -= set(self.cluster.retired)
            if names:
                self.cluster.edit_target(self.rng.choice(sorted(names)))

    def touch(self) -> None:
        """A change of the target beside its pod template, such as a label."""
        self.cluster.target.generation += 1

    def edit_config(self) -> None:
        self.cluster.edit_config(self.rng.choice("xyz"))

    def edit_config_back(self) -> None:
        if self.cluster.primary is not None:
            if self.cluster.target.configs != self.cluster.primary.configs:
                self.cluster.failed.clear()
            self.cluster.target.configs = self.cluster.primary.configs

    def upgrade(self) -> None:
        if not self.cluster.gone:
            self.names += 1
            self.cluster.describe_anew(f"v1:{self.names}~")

    def target_crashes(self) -> None:
        target = self.cluster.target
        if target.replicas:
            target.available, target.current = 0, False

    def target_is_unready(self) -> None:
        if self.cluster.target.replicas:
            self.cluster.target.current = False

    def primary_crashes(self) -> None:
        primary = self.cluster.primary
        if primary is not None:
            primary.available, primary.current = 0, False

    def target_is_hopeless(self) -> None:
        target = self.cluster.target
        if target.replicas and not target.current:
            target.hopeless = True

    def primary_is_hopeless(self) -> None:
        primary = self.cluster.primary
        if primary is not None and not primary.current:
            primary.hopeless = True

    def pods_recover(self) -> None:
        for pods in (self.cluster.target, self.cluster.primary):
            if pods is not None:
                pods.hopeless = False
        self.cluster.settle_pods()

    def target_goes(self) -> None:
        if self.cluster.apex == "primary" and not self.cluster.gone and not self.cluster.deleted:
            self.cluster.remove_target()

    def target_comes(self) -> None:
        if self.cluster.gone:
            self.cluster.create_target(self.new_name())

    def metrics_change(self) -> None:
        self.cluster.success_rate = self.rng.choice((100.0, 100.0, 99.0, 50.0, None))

    def prometheus_comes_or_goes(self) -> None:
        self.cluster.metrics_up = not self.cluster.metrics_up

    def hook_changes(self) -> None:
        hooks = self.cluster.spec.spec.analysis.webhooks
        if hooks:
            self.cluster.closed ^= {self.rng.choice(hooks).name}

    def gates_close_or_open(self) -> None:
        self.cluster.closed ^= set(GATES)

    def rollback_is_wanted_or_not(self) -> None:
        self.cluster.rollback_wanted = not self.cluster.rollback_wanted

    def request(self) -> None:
        verb = self.rng.choice(("pause", "resume", "promote", "promote", "abort", "retry"))
        self.names += 1
        force = " --force" if verb == "promote" and self.rng.random() < 0.5 else ""
        self.cluster.request(verb, f"jane at {self.names}{force}")

    def respecify(self) -> None:
        """The owner changes the canary itself."""
        spec = self.cluster.spec.spec
        name = self.rng.choice(("skip_analysis", "revert_on_deletion", "suspend"))
        self.specify(**{name: not getattr(spec, name)})

    def specify(self, **fields: object) -> None:
        spec = msgspec.structs.replace(self.cluster.spec.spec, **fields)
        self.cluster.spec = msgspec.structs.replace(self.cluster.spec, spec=spec)

    def change_provider(self) -> None:
        """From a mesh to plain Kubernetes or back; what only a mesh can do stays with it."""
        analysis = self.cluster.spec.spec.analysis
        if not (analysis.match or analysis.mirror or analysis.session_affinity):
            self.cluster.splits = not self.cluster.splits

    def mesh_loses_or_finds_services(self) -> None:
        self.cluster.unprepared = not self.cluster.unprepared

    def delete(self) -> None:
        if self.rng.random() < 0.3 and not self.cluster.gone:
            self.cluster.delete()


HAPPENINGS: tuple[Callable[[Fate], None], ...] = (
    Fate.edit,
    Fate.edit,
    Fate.edit,
    Fate.edit_back,
    Fate.edit_to_an_old_one,
    Fate.touch,
    Fate.edit_config,
    Fate.edit_config_back,
    Fate.upgrade,
    Fate.target_crashes,
    Fate.target_is_unready,
    Fate.primary_crashes,
    Fate.target_is_hopeless,
    Fate.primary_is_hopeless,
    Fate.pods_recover,
    Fate.target_goes,
    Fate.target_comes,
    Fate.target_comes,
    Fate.metrics_change,
    Fate.metrics_change,
    Fate.prometheus_comes_or_goes,
    Fate.hook_changes,
    Fate.gates_close_or_open,
    Fate.rollback_is_wanted_or_not,
    Fate.request,
    Fate.request,
    Fate.respecify,
    Fate.change_provider,
    Fate.mesh_loses_or_finds_services,
    Fate.delete,
)


# -- one life ----------------------------------------------------------------------------------


def play(seed: int, tell: Callable[[str], None] | None = None) -> Life:
    """Live one life and assert its end; ``tell`` hears what happens, tick by tick.

    Raises:
        BrokenInvariantError: something happened that must never happen.
        StuckError: it did not come to the end it should have.
    """
    rng = Random(seed)
    splits = rng.random() < 0.85
    cluster = Cluster(generated_canary(rng, splits=splits), splits=splits)
    strategy = strategy_of(cluster.spec, splits=splits).value
    life = Life(seed, f"{strategy}{'' if splits else ' (no splits)'}")
    fate = Fate(rng, cluster)
    if tell is not None:
        tell(f"{life.strategy}: {cluster.spec.spec}")
    mood, faults = rng.choice((0.0, 0.1, 0.3, 0.7)), rng.choice((0.0, 0.1, 0.4))
    happenings = rng.sample(HAPPENINGS, rng.choice((3, 8, len(HAPPENINGS))))
    for tick in range(rng.choice((12, 25, 40))):
        if tick == 4:
            fate.edit()
        while rng.random() < mood:
            happening = rng.choice(happenings)
            happening(fate)
            if tell is not None:
                tell(f"    {happening.__name__}")
        _one_tick(cluster, rng, faults, tell)
        life.ticks += 1
    _leave_alone(fate, life, tell)
    _count(cluster, life)
    return life


def _one_tick(
    cluster: Cluster, rng: Random, faults: float, tell: Callable[[str], None] | None
) -> None:
    if rng.random() < 0.8:
        cluster.settle_pods()
    due = None if rng.random() < 0.8 else rng.random() < 0.5
    cluster.now += timedelta(seconds=INTERVAL if rng.random() < 0.9 else 1)
    stop = fail = lost = None
    if rng.random() < faults:
        place = rng.randint(0, 16)
        match rng.randint(0, 2):
            case 0:
                stop = place
            case 1:
                fail = place
            case _:
                lost = place
    done = cluster.run(stop_after=stop, fail_at=fail, lost_at=lost, due=due)
    obeyed = (stop, fail, lost) == (None,) * 3 and not cluster.spec.spec.suspend
    if obeyed and cluster.gone and cluster.route is not None and cluster.route.reaches_canary:
        raise BrokenInvariantError("traffic was left with a target that is gone")
    if tell is not None:
        fault = f" stop={stop} fail={fail} lost={lost}" if (stop, fail, lost) != (None,) * 3 else ""
        tell(_told(cluster, done, fault))


def _leave_alone(fate: Fate, life: Life, tell: Callable[[str], None] | None) -> None:
    """A healthy world, in which nobody asks for anything but to go on."""
    cluster = fate.cluster
    cluster.success_rate, cluster.metrics_up, cluster.rollback_wanted = 100.0, True, False
    cluster.closed.clear()
    cluster.unprepared = False
    fate.target_comes()
    fate.specify(suspend=False)
    if cluster.deleted or fate.rng.random() < 0.7:
        # The rest of them keep the primaries that never get ready.
        cluster.stubborn.clear()
    if tell is not None:
        tell("    left alone")
    resumed = False
    quiet = 0
    for _ in range(LEFT_ALONE):
        before = cluster.status, len(cluster.events)
        _heal(cluster)
        cluster.now += timedelta(seconds=INTERVAL)
        done = cluster.run()
        life.ticks += 1
        if tell is not None:
            tell(_told(cluster, done, ""))
        if not resumed and condition(cluster.status, "Paused") is not None:
            resumed = True
            cluster.request("resume", "jane at last")
        quiet = quiet + 1 if (cluster.status, len(cluster.events)) == before else 0
        if cluster.released or (quiet == 2 and cluster.status.phase is not Phase.NONE):
            break
    _assert_end(cluster)


def _heal(cluster: Cluster) -> None:
    for pods in (cluster.target, cluster.primary):
        if pods is not None:
            pods.hopeless = pods.revision in cluster.stubborn and pods.replicas > 0
    cluster.settle_pods()


def _assert_end(cluster: Cluster) -> None:
    status = cluster.status
    if cluster.deleted:
        _must(cluster.released, "its deletion never came to an end")
        return
    _must(_ready(status), "it is not ready")
    for verb in cluster.spec.metadata.annotations:
        answer = status.acknowledged.get(verb.removeprefix("serinus.dev/"))
        wanted = cluster.spec.metadata.annotations[verb]
        _must(answer is not None and answer.request == wanted, f"{verb} was never answered")
    primary = cluster.primary
    if primary is not None and primary.hopeless:
        # The primary's revision never gets ready: the canary serves, or nothing has begun.
        waits = cluster.tried != cluster.held or statuses.is_standing_in(status)
        told = stalled_for(status, Stalled.PRIMARY_NOT_READY)
        _must(told or not waits, "nobody says what it waits for")
        serves = status.phase is Phase.FAILED and cluster.target.available > 0
        if serves and cluster.splits and status.canary_weight:
            route = cluster.route
            _must(route is not None and route.weights.canary == 100, "nobody serves")
        return
    _must(stalled_for(status, Stalled.NOT), "it says that it is stalled")
    _must(
        status.phase in (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED), "it is still under way"
    )
    _must(condition(status, "RollingBack") is None, "its rollback never ended")
    _must(status.canary_weight == 0, "it still has weight")
    route = cluster.route
    _must(route is not None and not route.reaches_canary, "traffic reaches the canary")
    _must(cluster.apex == "primary", "the apex does not lead to the primary")
    _must(cluster.target.replicas == 0 or cluster.recreated, "the target kept its pods")
    _must(cluster.tried == cluster.held, "a revision was lost")
    _must(status.last_applied_spec == cluster.target.revision, "a new name was not noted")
    assert primary is not None
    if status.phase is Phase.FAILED:
        returned = primary.revision == f"{cluster.target.revision}-primary"
        _must(
            cluster.held in cluster.ever_failed or returned, "it failed without having been tried"
        )
        return
    _must(primary.revision == f"{cluster.target.revision}-primary", "it was not promoted")
    _must(primary.configs == cluster.target.configs, "its configs were not promoted")
    _must(status.last_promoted_spec == cluster.target.revision, "its promotion was not noted")


def _ready(status: CanaryStatus) -> bool:
    ready = condition(status, "Ready")
    return ready is not None and ready.status == "True"


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise StuckError(what)


def _count(cluster: Cluster, life: Life) -> None:
    life.phase = "deleted" if cluster.released else cluster.status.phase.value
    history = cluster.history
    life.counts.update(
        revisions=history.count("Progressing"),
        promotions=history.count("Promoting"),
        rollbacks=history.count("Failed"),
        cuts=cluster.cuts,
        failures=cluster.failures,
        ticks=life.ticks,
    )


# -- showing what went wrong -------------------------------------------------------------------


def _told(cluster: Cluster, done: list[Effect], fault: str) -> str:
    status = cluster.status
    names = " ".join(_name(effect) for effect in done)
    stalled = condition(status, "Stalled")
    return (
        f"[{status.phase.value or '-'} w={status.canary_weight} i={status.iterations}"
        f" f={status.failed_checks} {stalled.reason if stalled else ''}] target="
        f"{cluster.target.revision}g{cluster.target.generation}x{cluster.target.available}"
        f"/{cluster.target.replicas}{'' if cluster.target.current else '!'}"
        f" primary={_pods(cluster)}{fault}: {names}"
    )


def _pods(cluster: Cluster) -> str:
    primary = cluster.primary
    if primary is None:
        return "-"
    return f"{primary.revision}x{primary.available}{'' if primary.current else '!'}"


def _name(effect: Effect) -> str:
    match effect:
        case SaveStatus(status):
            return f"SaveStatus({status.phase.value})"
        case SetTraffic(traffic):
            return f"SetTraffic({traffic.weights.canary})"
        case _:
            return type(effect).__name__


def story_of(seed: int, last: int = 12) -> str:
    """What happened in a life that went wrong: how it began, and its last ticks."""
    lines: list[str] = []
    try:
        play(seed, lines.append)
    except (AssertionError, BrokenInvariantError) as error:
        lines.append(f"{type(error).__name__}: {error}")
    return "\n".join((f"seed {seed}", lines[0], "...", *lines[-last:]))
