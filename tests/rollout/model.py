"""A cluster small enough to hold in the head, for driving `advance` without any I/O.

It performs effects as the real world would, and refuses (`Broken`) the ones that must never
happen. What an effect does here is written from the invariants of the design, not from the
operator's code.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from serinus.analysis.verdict import NoData, Unavailable, Value
from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import effects as e
from serinus.rollout.effects import Traffic
from serinus.rollout.revision import origin_of
from serinus.rollout.tick import Tick
from serinus.rollout.world import Readiness, Workload, World

INTERVAL = 30.0


class BrokenInvariantError(AssertionError):
    """Something happened that must never happen."""


def canary(step: int = 20, maximum: int = 50, threshold: int = 3) -> Canary:
    """A Canary like the guide's."""
    return msgspec.convert(
        {
            "metadata": {"name": "podinfo", "namespace": "test", "generation": 1},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
                "service": {"port": 9898},
                "analysis": {
                    "interval": "30s",
                    "threshold": threshold,
                    "maxWeight": maximum,
                    "stepWeight": step,
                    "metrics": [
                        {"name": "request-success-rate", "threshold": 99},
                        {"name": "request-duration", "threshold": 500},
                    ],
                    "webhooks": [
                        {"name": "acceptance", "type": "pre-rollout", "url": "http://x/"},
                        {"name": "load", "type": "rollout", "url": "http://x/"},
                    ],
                },
            },
        },
        Canary,
        strict=False,
    )


@dataclass
class Pods:
    """A Deployment: what it asks for and how far its pods are."""

    revision: str
    generation: int
    replicas: int
    available: int
    current: bool
    """All pods run `revision` and are available."""
    hopeless: bool = False
    origin: str | None = None


@dataclass
class Cluster:
    """The whole world of one Canary."""

    spec: Canary
    status: CanaryStatus = field(default_factory=CanaryStatus)
    now: datetime = datetime(2026, 11, 24, tzinfo=UTC)
    stepped: datetime | None = None
    target: Pods = field(default_factory=lambda: Pods("v1:a", 1, 1, 1, True))
    primary: Pods | None = None
    apex: str = "target"
    services: bool = False
    autoscaler: bool = False
    route: Traffic | None = None
    route_settled: bool = True
    hooks_pass: bool = True
    success_rate: float | None = 100.0
    metrics_up: bool = True
    events: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    passed_max: str | None = None
    """The revision whose checks passed at the highest weight."""

    # -- what happens around the rollout ---------------------------------------------------

    def edit_target(self, revision: str) -> None:
        self.target.revision = revision
        self.target.generation += 1
        self.target.hopeless = False
        if self.target.replicas:
            self.target.current = False

    def settle_pods(self) -> None:
        for pods in (self.target, self.primary):
            if pods is not None and not pods.hopeless:
                pods.available = pods.replicas
                pods.current = True

    def snapshot(self, *, due: bool | None = None) -> tuple[Canary, World]:
        elapsed = self.stepped is None or self.now - self.stepped >= timedelta(seconds=INTERVAL)
        world = World(
            now=self.now,
            due=elapsed if due is None else due,
            target=self._workload(self.target),
            primary=None if self.primary is None else self._workload(self.primary),
            in_primary=self.primary is not None
            and self.primary.revision == f"{self.target.revision}-primary",
        )
        return msgspec.structs.replace(self.spec, status=self.status), world

    @staticmethod
    def _workload(pods: Pods) -> Workload:
        readiness = Readiness(
            ready=pods.current,
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
        )

    # -- effects ---------------------------------------------------------------------------

    def run(
        self, *, stop_after: int | None = None, fail_at: int | None = None, due: bool | None = None
    ) -> list[e.Effect]:
        """One tick, which may be cut off after some effect or have one effect fail."""
        canary, world = self.snapshot(due=due)
        from serinus.rollout.advance import advance

        tick: Tick = advance(canary, world)
        done: list[e.Effect] = []
        outcome: e.Outcome | None = None
        while True:
            try:
                effect = next(tick) if outcome is None else tick.send(outcome)
            except StopIteration:
                return done
            if fail_at == len(done) and not isinstance(effect, e.Record):
                outcome = e.Failed("the API server is away")
            else:
                outcome = self.perform(effect)
            self.check()
            done.append(effect)
            if stop_after is not None and len(done) > stop_after:
                tick.close()
                return done

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
                if self.primary is None or self.primary.available == 0:
                    raise BrokenInvariantError("the apex was given to a primary without pods")
                self.apex = "primary"
            case e.ScaleTargetUp():
                if self.target.replicas == 0:
                    self.target.replicas, self.target.current = 1, False
                    self.target.generation += 1
            case e.ScaleTargetToZero():
                self._scale_to_zero()
            case e.SetTraffic(traffic):
                self._route(traffic)
            case e.AwaitRoute():
                self.route_settled = True
            case e.Promote(revision, _):
                return self._promote(revision)
            case e.RunHook():
                return e.Done() if self.hooks_pass else e.Failed("500 no")
            case e.Measure(metric):
                return self._measure(metric.name)
            case e.SaveStatus(status):
                self._save(status)
            case e.Record(_, message):
                self.events.append(message)
        return e.Done()

    def _scale_to_zero(self) -> None:
        if self.target.replicas == 0:
            return
        if self.apex != "primary" or (self.route and self.route.reaches_canary):
            raise BrokenInvariantError("the target lost its pods while traffic goes to them")
        if not self.route_settled:
            raise BrokenInvariantError("the target lost its pods before callers knew")
        self.target.replicas = self.target.available = 0
        self.target.current = True
        self.target.generation += 1

    def _route(self, traffic: Traffic) -> None:
        if traffic.reaches_canary and self.target.available == 0:
            raise BrokenInvariantError("traffic was given to a canary without pods")
        analysis = self.spec.spec.analysis
        overshoot = analysis.max_weight_or_default + (analysis.step_weight or 0)
        if traffic.weights.canary >= overshoot:
            raise BrokenInvariantError(f"weight {traffic.weights.canary} passes maxWeight by a step")
        if self.route != traffic:
            self.route_settled = self.route_settled and self.route is None
        self.route = traffic

    def _promote(self, revision: str) -> e.Outcome:
        if revision != self.target.revision:
            return e.Failed("the target holds another revision by now")
        if revision != self.passed_max:
            raise BrokenInvariantError(f"{revision} was promoted without passing its analysis")
        assert self.primary is not None
        if self.primary.origin != origin_of(revision):
            self._copy(self.primary.available)
        return e.Done()

    def _copy(self, available: int) -> None:
        self.primary = Pods(
            f"{self.target.revision}-primary",
            1,
            1,
            0 if self.primary is None else available,
            current=False,
            origin=origin_of(self.target.revision),
        )

    def _measure(self, name: str) -> e.Outcome:
        if not self.metrics_up:
            return Unavailable("connection refused")
        if self.success_rate is None:
            return NoData("no requests")
        return Value(self.success_rate if name == "request-success-rate" else 20.0)

    def _save(self, status: CanaryStatus) -> None:
        old, self.status = self.status, status
        self.stepped = self.now
        if old.phase != status.phase:
            self.history.append(status.phase.value)
        maximum = self.spec.spec.analysis.max_weight_or_default
        if status.phase is Phase.PROGRESSING and status.canary_weight >= maximum:
            self.passed_max = status.last_applied_spec
        if status.phase is Phase.FAILED and self.route and self.route.reaches_canary:
            raise BrokenInvariantError("a rollback ended with traffic on the canary")

    def check(self) -> None:
        """What holds after every effect."""
        if self.target.replicas == 0 and self.apex == "target":
            raise BrokenInvariantError("the apex selects a target without pods")
