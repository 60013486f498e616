"""A cluster small enough to hold in the head, for driving `advance` without any I/O.

It performs effects as the real world would, and refuses (`BrokenInvariantError`) the ones that
must never happen. What an effect does here is written from the invariants of the design, not from
the operator's code; docs/testing.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from serinus.analysis.verdict import NoData, Unavailable, Value
from serinus.api.canary import Canary, CanaryStatus, Phase, Webhook
from serinus.api.problem import Problem
from serinus.rollout import effects as e
from serinus.rollout.advance import advance
from serinus.rollout.conditions import condition
from serinus.rollout.effects import Traffic
from serinus.rollout.revision import origin_of
from serinus.rollout.strategy import Strategy, strategy_of
from serinus.rollout.termination import FINALIZER
from serinus.rollout.tick import Tick
from serinus.rollout.world import Readiness, Workload, World

INTERVAL = 30.0

NO_MESH_SERVICE = Problem("metadata.namespace", "there is no MeshService podinfo-canary.test")

METRICS = (
    {"name": "request-success-rate", "threshold": 99},
    {"name": "request-duration", "threshold": 500},
)
HOOKS = (
    {"name": "acceptance", "type": "pre-rollout", "url": "http://x/"},
    {"name": "load", "type": "rollout", "url": "http://x/"},
)


_RESTING = (Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.WAITING)

_ANSWERED = (e.SaveStatus, e.Promote, e.SetTraffic, e.ScaleTargetUp, e.ScaleTargetToZero)
"""Writes: performed, though the answer may get lost."""


class BrokenInvariantError(AssertionError):
    """Something happened that must never happen."""


def made(analysis: Mapping[str, Any], **spec: Any) -> Canary:
    """A Canary with this analysis, and what else its spec says."""
    return msgspec.convert(
        {
            "metadata": {"name": "podinfo", "namespace": "test", "generation": 1, "uid": "u"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
                "service": {"port": 9898},
                "analysis": {"interval": "30s", "metrics": METRICS, "webhooks": HOOKS, **analysis},
                **spec,
            },
        },
        Canary,
        strict=False,
    )


def canary(step: int = 20, maximum: int = 50, threshold: int = 3) -> Canary:
    """A Canary like the guide's."""
    return made({"threshold": threshold, "maxWeight": maximum, "stepWeight": step})


@dataclass
class Pods:
    """A workload: what it asks for and how far its pods are."""

    revision: str
    generation: int
    replicas: int
    available: int
    current: bool
    """All pods run `revision` and are available."""
    emptying: bool = False
    """They were taken away, and the status still tells of them."""
    hopeless: bool = False
    origin: str | None = None
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Cluster:
    """The whole world of one Canary."""

    spec: Canary
    splits: bool = True
    status: CanaryStatus = field(default_factory=CanaryStatus)
    now: datetime = datetime(2026, 11, 24, tzinfo=UTC)
    before: CanaryStatus = field(default_factory=CanaryStatus)
    """The status that was saved before the present one."""
    stepped: datetime | None = None
    target: Pods = field(default_factory=lambda: Pods("v1:a", 1, 1, 1, True))
    primary: Pods | None = None
    apex: str = "target"
    services: bool = False
    autoscaler: bool = False
    route: Traffic | None = None
    route_settled: bool = True
    apex_settled: bool = True
    closed: set[str] = field(default_factory=set)
    """Types and names of hooks that say no."""
    stubborn: set[str] = field(default_factory=set)
    """Revisions whose pods never get ready; as a primary's when they end in "-primary"."""
    retired: dict[str, str] = field(default_factory=dict)
    """Hashes that nothing has any more since an upgrade, and what took their place."""
    recreated: bool = False
    """The target is not the one that the canary began with."""
    unprepared: bool = False
    """The mesh would not give the canary its share."""
    gone: bool = False
    """Somebody has deleted the target."""
    rollback_wanted: bool = False
    success_rate: float | None = 100.0
    metrics_up: bool = True
    deleted: bool = False
    released: bool = False
    events: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    passed: set[tuple[str, str]] = field(default_factory=set)
    """Revisions that were tried as far as their analysis goes, with their configs."""
    failed: set[tuple[str, str]] = field(default_factory=set)
    """Revisions that were rolled back, and not edited or asked for since."""
    ever_failed: set[tuple[str, str]] = field(default_factory=set)
    """Revisions that were rolled back."""
    vetted: tuple[str, str] | None = None
    """The revision that the pre-rollout hooks have said yes to, in this analysis."""
    answers: dict[str, bool] = field(default_factory=dict)
    """What each hook said in this tick, by name: whether it said yes."""
    measured: dict[str, bool] = field(default_factory=dict)
    """What each metric was in this tick: whether it was good."""
    cookies: list[str] = field(default_factory=list)
    cuts: int = 0
    failures: int = 0

    # -- what happens around the rollout ---------------------------------------------------

    def edit_target(self, revision: str) -> None:
        if revision != self.target.revision:
            self.failed.clear()
        self.target.revision = revision
        self.target.generation += 1
        self._roll_target()

    def edit_config(self, checksum: str) -> None:
        """Change a ConfigMap that the target uses: its pods do not notice."""
        configs = {"configmap/settings": checksum}
        if configs != self.target.configs:
            self.failed.clear()
        self.target.configs = configs

    def _roll_target(self) -> None:
        self.target.hopeless = False
        if self.target.replicas:
            self.target.current = False

    def request(self, verb: str, text: str) -> None:
        """Ask by annotation."""
        metadata = self.spec.metadata
        annotations = {**metadata.annotations, f"serinus.dev/{verb}": text}
        metadata = msgspec.structs.replace(metadata, annotations=annotations)
        self.spec = msgspec.structs.replace(self.spec, metadata=metadata)

    def describe_anew(self, revision: str) -> None:
        """An upgrade that sees the same objects differently: another hash, nothing written."""
        old, self.target.revision = self.target.revision, revision
        self.retired[old] = revision
        if self.primary is not None and self.primary.revision == f"{old}-primary":
            self.primary.revision = f"{revision}-primary"
        for known in (self.passed, self.failed, self.ever_failed):
            known.update([(revision, configs) for name, configs in known if name == old])
        if self.vetted is not None and self.vetted[0] == old:
            self.vetted = (revision, self.vetted[1])
        self.stubborn.update(
            name.replace(old, revision) for name in set(self.stubborn) if name.startswith(old)
        )

    def remove_target(self) -> None:
        """Somebody deletes the target, with its pods."""
        self.gone = True
        self.target.replicas = self.target.available = 0
        self.target.current = False

    def create_target(self, revision: str) -> None:
        """The target is there again, as another object."""
        self.gone, self.recreated = False, True
        self.failed.clear()
        generation = self.target.generation + 100
        self.target = Pods(revision, generation, 1, 0, False, configs=self.target.configs)

    def delete(self) -> None:
        """Delete the Canary, as far as finalizers let it go."""
        self.deleted = True
        if FINALIZER not in self.spec.metadata.finalizers:
            self.released = True

    def settle_pods(self) -> None:
        self.target.emptying = False
        for pods in (self.target, self.primary):
            if pods is not None and not pods.hopeless and pods.revision not in self.stubborn:
                pods.available = pods.replicas
                pods.current = True

    def snapshot(self, *, due: bool | None = None) -> tuple[Canary, World]:
        elapsed = self.stepped is None or self.now - self.stepped >= timedelta(seconds=INTERVAL)
        primary = self.primary
        world = World(
            now=self.now,
            due=elapsed if due is None else due,
            target=None if self.gone else self._workload(self.target),
            primary=None if primary is None else self._workload(primary),
            in_primary=primary is not None
            and not self.gone
            and primary.revision == f"{self.target.revision}-primary"
            and primary.configs == self.target.configs,
            splits=self.splits,
            unprepared=(NO_MESH_SERVICE,) if self.unprepared and self.splits else (),
        )
        metadata = self.spec.metadata
        if self.deleted:
            metadata = msgspec.structs.replace(metadata, deletion_timestamp=self.now)
        return msgspec.structs.replace(self.spec, status=self.status, metadata=metadata), world

    @staticmethod
    def _workload(pods: Pods) -> Workload:
        readiness = Readiness(
            ready=pods.current and pods.replicas > 0,
            why="" if pods.current else f"rollout to finish: {pods.available} available",
            hopeless=pods.hopeless,
        )
        return Workload(
            pods.revision,
            pods.generation,
            pods.replicas,
            pods.available,
            readiness,
            pods.origin,
            pods.configs,
        )

    @property
    def tried(self) -> tuple[str, str]:
        """The revision that the status is about."""
        name = self.status.last_applied_spec
        while name in self.retired:
            name = self.retired[name]
        return name, repr(dict(self.status.tracked_configs or {}))

    @property
    def held(self) -> tuple[str, str]:
        """The revision that the target holds."""
        return self.target.revision, repr(dict(self.target.configs))

    # -- effects ---------------------------------------------------------------------------

    def run(
        self,
        *,
        stop_after: int | None = None,
        fail_at: int | None = None,
        lost_at: int | None = None,
        due: bool | None = None,
    ) -> list[e.Effect]:
        """One tick, which may be cut off after some effect, have one effect fail, or have one
        performed whose answer is lost."""
        if self.released:
            return []
        self.answers.clear()
        self.measured.clear()
        tick: Tick = advance(*self.snapshot(due=due))
        done: list[e.Effect] = []
        outcome: e.Outcome | None = None
        while True:
            try:
                effect = next(tick) if outcome is None else tick.send(outcome)
            except StopIteration:
                return done
            if fail_at == len(done) and not isinstance(effect, e.Record | e.Alert | e.Measure):
                outcome = e.Failed("the API server is away")
                self.failures += 1
            else:
                outcome = self.perform(effect)
                if lost_at == len(done) and isinstance(effect, _ANSWERED):
                    outcome = e.Failed("the connection was reset")
                    self.failures += 1
            if isinstance(effect, e.RunHook):
                self._note_answer(effect.hook, yes=isinstance(outcome, e.Done))
            self.check()
            done.append(effect)
            if stop_after is not None and len(done) > stop_after:
                tick.close()
                self.cuts += 1
                return done

    def _note_answer(self, hook: Webhook, *, yes: bool) -> None:
        self.answers[hook.name] = yes
        if hook.kind == "pre-rollout" and self._agreed("pre-rollout"):
            self.vetted = self.tried

    def _agreed(self, kind: str) -> bool:
        """Whether all hooks of a type have been asked in this tick and said yes."""
        hooks = [hook for hook in self.spec.spec.analysis.webhooks if hook.kind == kind]
        return all(self.answers.get(hook.name, False) for hook in hooks)

    def perform(self, effect: e.Effect) -> e.Outcome:  # noqa: PLR0912 (one branch an effect)
        match effect:
            case e.ReconcileServices():
                self.services = True
            case e.ReconcilePrimary():
                if self.primary is None:
                    self._copy(1)
            case e.ReconcileAutoscaler():
                self.autoscaler = True
            case e.ReconcileApex():
                self._lead_apex_to_primary()
            case e.ScaleTargetUp() | e.GiveBack() if self.gone:
                return e.Failed("the target is not there")
            case e.ScaleTargetUp():
                if self.target.replicas == 0 and not self.target.emptying:
                    self.target.replicas, self.target.current = 1, False
                    self.target.generation += 1
            case e.ScaleTargetToZero():
                self._scale_to_zero()
            case e.SetTraffic(traffic):
                self._route(traffic)
            case e.AwaitRoute():
                self.route_settled = self.apex_settled = True
            case e.Promote(revision, configs):
                return self._promote(revision, configs)
            case e.RunHook(hook, _):
                return self._call(hook)
            case e.Measure(metric):
                self.stepped = self.now
                return self._measure(metric.name)
            case e.SaveStatus(status):
                self._save(status)
            case e.Record(_, message):
                self.events.append(message)
            case e.Alert(severity, message, _):
                self.alerts.append(f"{severity}: {message}")
            case e.CheckProviders():
                return e.Done() if self.metrics_up else e.Failed("connection refused")
            case e.HoldDeletion():
                self._set_finalizers((FINALIZER,))
            case e.ReleaseDeletion():
                self._release()
            case e.GiveBack():
                self._give_back()
            case e.RemoveRoute():
                self._remove_route()
        return e.Done()

    def _lead_apex_to_primary(self) -> None:
        if self.apex == "primary":
            return
        if self.primary is None or self.primary.available == 0:
            raise BrokenInvariantError("the apex was given to a primary without pods")
        self.apex = "primary"

    def _scale_to_zero(self) -> None:
        if self.target.replicas == 0:
            return
        if self.route and self.route.reaches_canary:
            raise BrokenInvariantError("the target lost its pods while traffic goes to them")
        if not self.route_settled:
            raise BrokenInvariantError("the target lost its pods before callers knew")
        self.target.emptying = self.target.available > 0
        self.target.replicas = self.target.available = 0
        self.target.current = True
        self.target.generation += 1

    def _route(self, traffic: Traffic) -> None:
        self._may_take_from_canary(traffic)
        if traffic.reaches_canary:
            self._may_reach_canary(traffic)
        if self.route != traffic:
            self.route_settled = self.route_settled and self.route is None
        self.route = traffic

    def _may_take_from_canary(self, traffic: Traffic) -> None:
        """While nobody asks for a way back, callers stay with the side that serves them."""
        served = self.route is not None and self.route.weights.canary == 100
        dead = self.primary is None or self.primary.available == 0
        asked_back = condition(self.status, "RollingBack") is not None or self.deleted
        alive = self.target.available > 0 and self.target.current and self.held in self.passed
        if served and dead and alive and traffic.weights.primary and self.splits and not asked_back:
            raise BrokenInvariantError("traffic was taken from a canary that serves alone")

    def _may_reach_canary(self, traffic: Traffic) -> None:
        analysis = self.spec.spec.analysis
        analyzing = condition(self.status, "Analyzing")
        stands_in = analyzing is not None and analyzing.reason == "StandingIn"
        if self.status.phase is Phase.FAILED and not stands_in:
            raise BrokenInvariantError("a failed canary got traffic")
        if self.target.available == 0:
            raise BrokenInvariantError("traffic was given to a canary without pods")
        if not self.splits:
            raise BrokenInvariantError("traffic was shared out where that cannot be done")
        if self.unprepared:
            raise BrokenInvariantError("traffic was given to a canary that the mesh cannot reach")
        if traffic.mirrored and not analysis.mirror:
            raise BrokenInvariantError("requests were copied though nobody asked for it")
        if traffic.affinity and not analysis.session_affinity:
            raise BrokenInvariantError("callers were held though nobody asked for it")
        primary_serves = self.primary is not None and self.primary.available > 0
        if self.status.phase is Phase.PROMOTING and self.tried != self.held and primary_serves:
            raise BrokenInvariantError("a revision that nobody has judged got traffic")
        if stands_in:
            return
        match strategy_of(self.spec):
            case Strategy.AB_TESTING if traffic.weights.canary or not traffic.matched:
                raise BrokenInvariantError("an A/B test gave unmatched requests to the canary")
            case Strategy.BLUE_GREEN if traffic.matched or (
                traffic.weights.canary not in (0, 100)
                and not (analysis.step_weight_promotion and self.status.phase is Phase.PROMOTING)
            ):
                raise BrokenInvariantError("a blue/green canary got a share of the traffic")
            case Strategy.BLUE_GREEN if traffic.weights.canary and (
                self.status.phase is Phase.PROGRESSING
                and self.status.iterations <= (analysis.iterations or 0)
            ):
                raise BrokenInvariantError("a blue/green canary got traffic before its tests")
            case Strategy.WEIGHTED:
                self._within_maximum(traffic)

    def _within_maximum(self, traffic: Traffic) -> None:
        analysis = self.spec.spec.analysis
        maximum = analysis.max_weight_or_default
        overshoot = maximum if analysis.step_weights else maximum + (analysis.step_weight or 0) - 1
        grown = self.route is None or traffic.weights.canary > self.route.weights.canary
        if traffic.matched or (grown and traffic.weights.canary > overshoot):
            raise BrokenInvariantError(f"{traffic} passes maxWeight by a step")

    def _promote(self, revision: str, configs: Mapping[str, str]) -> e.Outcome:
        if self.gone or revision != self.target.revision or configs != self.target.configs:
            return e.Failed("the target holds another revision by now")
        if self.held not in self.passed:
            raise BrokenInvariantError(f"{revision} was promoted without passing its analysis")
        assert self.primary is not None
        if self.primary.origin != origin_of(revision, configs):
            self._copy(self.primary.available)
        return e.Done()

    def _copy(self, available: int) -> None:
        self.primary = Pods(
            f"{self.target.revision}-primary",
            1,
            1,
            0 if self.primary is None else available,
            current=False,
            origin=origin_of(self.target.revision, self.target.configs),
            configs=self.target.configs,
        )

    def _call(self, hook: Webhook) -> e.Outcome:
        self.stepped = self.now
        opened = hook.kind not in self.closed and hook.name not in self.closed
        if hook.kind == "rollback":
            opened = self.rollback_wanted
        return e.Done() if opened else e.Failed("403 no")

    def _measure(self, name: str) -> e.Outcome:
        rate = self.success_rate
        good = rate is not None and (rate >= 99 or name != "request-success-rate")
        self.measured[name] = self.metrics_up and good
        if not self.metrics_up:
            return Unavailable("connection refused")
        if self.success_rate is None:
            return NoData("no requests")
        return Value(self.success_rate if name == "request-success-rate" else 20.0)

    def _save(self, status: CanaryStatus) -> None:
        old, self.before, self.status = self.status, self.status, status
        if _progress(old) != _progress(status):
            self.stepped = self.now
        answers = (old.acknowledged.get("retry"), status.acknowledged.get("retry"))
        if answers[0] != answers[1] and answers[1] is not None and answers[1].outcome == "Accepted":
            self.failed.clear()
        if old.phase != status.phase:
            self.history.append(status.phase.value)
        self._entered(old, status)
        self._may_be_touched(old, status)
        self._may_step(old, status)
        self._note_passed(status)
        if status.canary_weight > old.canary_weight and status.phase is not Phase.FAILED:
            self._may_grow(status)

    def _entered(self, old: CanaryStatus, status: CanaryStatus) -> None:
        """What holds when a phase begins."""
        reaches = self.route is not None and self.route.reaches_canary
        if status.phase is Phase.FAILED and old.phase is not Phase.FAILED:
            if reaches and status.canary_weight == 0 and old.phase is not Phase.PROMOTING:
                raise BrokenInvariantError("a rollback ended with traffic on the canary")
            self.failed.add(self.tried)
            self.ever_failed.add(self.tried)
        if status.phase is Phase.PROGRESSING and old.phase in _RESTING:
            rolls_back = condition(status, "RollingBack") is not None
            if not rolls_back and condition(status, "Paused") is not None:
                raise BrokenInvariantError("a paused canary began a rollout")
            # Nobody can tell an upgrade from an edit when the generation has moved as well.
            moved = old.last_applied_generation != self.target.generation
            lookalike = moved and old.last_applied_spec in self.retired
            if self.tried in self.failed and not rolls_back and not lookalike:
                raise BrokenInvariantError("a failed revision was tried again by itself")
            if not rolls_back and self._primary_runs_target():
                raise BrokenInvariantError("a rollout was begun of what the primary runs already")
            if not rolls_back and not self._opened("confirm-rollout", status):
                raise BrokenInvariantError("a revision was let in through a closed gate")
            cookie = status.session_affinity_cookie
            if cookie is not None and not rolls_back:
                if cookie in self.cookies:
                    raise BrokenInvariantError("a new rollout holds the callers of an old one")
                self.cookies.append(cookie)
        if status.phase is Phase.PROMOTING and old.phase is not Phase.PROMOTING:
            skipped = self.spec.spec.skip_analysis
            paused = condition(status, "Paused") is not None
            if paused and not self._asked_to_promote(status):
                raise BrokenInvariantError("a paused canary was promoted")
            if not skipped and not self._opened("confirm-promotion", status):
                raise BrokenInvariantError("a revision was promoted through a closed gate")

    def _primary_runs_target(self) -> bool:
        primary, target = self.primary, self.target
        if primary is None:
            return False
        return (primary.revision, primary.configs) == (f"{target.revision}-primary", target.configs)

    def _may_be_touched(self, old: CanaryStatus, status: CanaryStatus) -> None:
        """The first step of an analysis needs the pre-rollout hooks' consent."""
        if status.phase is not Phase.PROGRESSING:
            return
        if _untouched(status):
            if not _untouched(old) or old.phase is not Phase.PROGRESSING:
                self.vetted = None
        elif _untouched(old) and self.vetted != self.tried and not self._agreed("pre-rollout"):
            raise BrokenInvariantError("a canary was begun with against its pre-rollout hooks")

    def _may_step(self, old: CanaryStatus, status: CanaryStatus) -> None:
        """While the mesh cannot reach a canary, it is neither led on nor blamed."""
        if not (self.unprepared and self.splits) or status.phase is not Phase.PROGRESSING:
            return
        if status.canary_weight > old.canary_weight or status.iterations > old.iterations:
            raise BrokenInvariantError("a canary was led on that the mesh cannot reach")
        if status.failed_checks > old.failed_checks and self.target.available > 0:
            raise BrokenInvariantError("a canary was blamed for what its mesh lacks")

    def _may_grow(self, status: CanaryStatus) -> None:
        analysis = self.spec.spec.analysis
        judged = status.canary_weight > 0 and self._judges_now(status)
        if judged and not self._agreed("rollout"):
            raise BrokenInvariantError("a canary got more traffic without its hooks' consent")
        if judged and not all(self.measured.get(m.name, False) for m in analysis.metrics):
            raise BrokenInvariantError("a canary got more traffic without good metrics")
        if condition(status, "Paused") is not None:
            raise BrokenInvariantError("a paused canary got more traffic")
        weighted = strategy_of(self.spec, splits=self.splits) is Strategy.WEIGHTED
        if weighted and not self._opened("confirm-traffic-increase", status):
            raise BrokenInvariantError("traffic was increased through a closed gate")

    def _opened(self, kind: str, status: CanaryStatus) -> bool:
        """Whether all hooks of a gate have been asked in this tick and said yes, or somebody has
        asked to pass over them with this very revision."""
        forced = "--force" in self._asked_to_promote(status) and kind != "confirm-traffic-increase"
        return forced or self._agreed(kind)

    @staticmethod
    def _asked_to_promote(status: CanaryStatus) -> str:
        """The words of a request to promote the revision of the status; empty if there is none."""
        answer = status.acknowledged.get("promote")
        if answer is None or answer.outcome != "Accepted":
            return ""
        return answer.request if answer.revision == status.last_applied_spec else ""

    def _note_passed(self, status: CanaryStatus) -> None:
        analysis = self.spec.spec.analysis
        ends = status.phase in (Phase.PROGRESSING, Phase.WAITING_PROMOTION)
        if strategy_of(self.spec, splits=self.splits) is Strategy.WEIGHTED:
            reached = status.canary_weight >= analysis.max_weight_or_default
        else:
            reached = status.iterations >= (analysis.iterations or 10)
        asked = bool(self._asked_to_promote(status))
        if (ends and reached) or self.spec.spec.skip_analysis or asked:
            self.passed.add(self.tried)

    def _judges_now(self, status: CanaryStatus) -> bool:
        """Whether this step comes after one that the canary has been judged by."""
        before = self.before
        touched = before.canary_weight > 0 or before.iterations > 0
        return touched and before.phase is Phase.PROGRESSING

    # -- the end of a canary ---------------------------------------------------------------

    def _set_finalizers(self, names: tuple[str, ...]) -> None:
        metadata = msgspec.structs.replace(self.spec.metadata, finalizers=names)
        self.spec = msgspec.structs.replace(self.spec, metadata=metadata)

    def _release(self) -> None:
        self._set_finalizers(())
        if self.deleted:
            served = self.apex == "target" and self.target.available > 0
            if not (served or self.gone) or self.route is not None:
                raise BrokenInvariantError("a canary went without giving back what it took")
            if not self.route_settled:
                raise BrokenInvariantError("a canary went before callers knew")
            self.released = True

    def _give_back(self) -> None:
        if self.apex == "target":
            return
        if self.target.available == 0:
            raise BrokenInvariantError("the apex was given to a target without pods")
        self.apex, self.apex_settled = "target", False

    def _remove_route(self) -> None:
        if self.route is not None:
            if not self.apex_settled:
                raise BrokenInvariantError("callers lost the route before the mesh knew the apex")
            self.route_settled = False
        self.route = None

    def check(self) -> None:
        """What holds after every effect."""
        if self.target.replicas == 0 and self.apex == "target" and not self.gone:
            raise BrokenInvariantError("the apex selects a target without pods")


def _untouched(status: CanaryStatus) -> bool:
    return status.canary_weight == 0 and status.iterations == 0


def _progress(status: CanaryStatus) -> tuple[object, ...]:
    return (
        status.phase,
        status.canary_weight,
        status.iterations,
        status.failed_checks,
        status.last_applied_spec,
        status.tracked_configs,
        status.last_transition_time,
    )
