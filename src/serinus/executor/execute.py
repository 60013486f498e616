"""From an effect to the call that brings it about: the one place where a tick meets the world."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
import structlog

from serinus.alerts.alerts import Alerts
from serinus.analysis.verdict import Measurement, Value
from serinus.api.canary import Canary, CanaryStatus, Metric, Webhook
from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, Conflict, Unreachable
from serinus.cluster.events import EventRecorder, EventType, ObjectRef
from serinus.cluster.kinds import CANARIES
from serinus.cluster.written import Written, written
from serinus.executor.observe import Observer
from serinus.metrics.batch import Batch
from serinus.metrics.builtin import builtin_query
from serinus.metrics.custom import CustomMetrics, is_custom
from serinus.metrics.signals import World as MetricsWorld
from serinus.rollout import effects as e
from serinus.rollout.advance import advance
from serinus.rollout.revision import origin_of
from serinus.rollout.termination import FINALIZER
from serinus.routing.kuma.dialect import Dialect
from serinus.routing.providers import Routers
from serinus.routing.router import RoutingError
from serinus.webhooks.call import Payload, call
from serinus.webhooks.events import EventHooks
from serinus.workload import reconcile
from serinus.workload.caches import WorkloadCaches
from serinus.workload.errors import WorkloadError
from serinus.workload.labels import LabelRules

log = structlog.get_logger(__name__)

REPEATED = 10.0
"""Seconds after which a state that lasts is told again."""


class Said:
    """What people were last told of each canary's lasting state."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def is_news(self, canary: Canary, message: str) -> bool:
        """Whether to tell it now; if so, it counts as told."""
        now = time.monotonic()
        words, at = self._last.get(canary.metadata.uid, ("", 0.0))
        if words == message and now - at < REPEATED:
            return False
        self._last[canary.metadata.uid] = (message, now)
        return True

    def forget(self, canary: Canary) -> None:
        """Drop a canary that is gone."""
        self._last.pop(canary.metadata.uid, None)


class FencedError(Exception):
    """The tick is void: the Canary has changed since its decision, or another operator leads."""


@dataclass(slots=True)
class TickReport:
    """What one tick did.

    ``stepped`` tells that a status was saved, or may have been; ``fenced`` that the tick was cut
    off because the Canary had changed or the lease was lost; ``failed`` why an effect did not hold
    (None when all did).
    """

    written: list[Written] = field(default_factory=list)
    stepped: bool = False
    fenced: bool = False
    failed: str | None = None
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hands:
    """Everything that an effect may need. ``route_propagation`` is in seconds; ``leads`` is asked
    before each effect: hooks and queries, too, are the leader's alone."""

    client: Client
    caches: WorkloadCaches
    routers: Routers
    rules: LabelRules
    events: EventRecorder
    session: aiohttp.ClientSession
    metrics: Batch
    custom: CustomMetrics
    alerts: Alerts
    event_hooks: EventHooks
    metrics_server: str
    route_propagation: float
    leads: Callable[[], bool] = lambda: True


class Executor:
    """Runs ticks: one generator, driven against the real world."""

    def __init__(self, hands: Hands, observer: Observer) -> None:
        self._hands = hands
        self._observer = observer
        self._said = Said()

    async def leave(self, canary: Canary) -> None:
        """Clean up after a canary that is gone: what no owner reference collects.

        A TrafficRoute is cluster-scoped, and Kuma makes the Mesh a second owner of a
        MeshHTTPRoute; so neither goes with its Canary by itself.
        """
        self._said.forget(canary)
        self._observer.forget(canary)
        try:
            await self._hands.routers.finalize(canary)
        except (ApiError, Unreachable, RoutingError) as error:
            log.warning(
                "route not removed",
                canary=f"{canary.name}.{canary.namespace}",
                error=str(error),
            )

    def uses(self, canary: Canary, kind: str, name: str) -> bool:
        """Whether the canary's target, or its primary's copies, are made of this ConfigMap or
        Secret."""
        deployments = self._hands.caches.deployments
        for workload in (canary.target_name, canary.primary_name):
            view = deployments.get(canary.namespace, workload)
            if view is not None and (kind, name) in view.config_names:
                return True
        return False

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """As `leave`, for the canaries that went while no operator ran; ``exists`` is asked by
        namespace and name."""
        try:
            await self._hands.routers.collect(exists)
        except (ApiError, Unreachable) as error:
            log.warning("routes of deleted canaries not removed", error=str(error))

    async def tick(self, canary: Canary, now: datetime, *, due: bool) -> TickReport:
        """Look at the canary's world once and do what it needs.

        Failures of single effects end the tick and are told by it; only bugs are raised.
        """
        run = _Run(self._hands, self._said, canary)
        tick = advance(canary, self._observer.world(canary, now, due=due))
        outcome: e.Outcome | None = None
        try:
            while True:
                effect = next(tick) if outcome is None else tick.send(outcome)
                outcome = await run.perform(effect)
        except StopIteration:
            pass
        except FencedError:
            run.report.fenced = True
        finally:
            tick.close()
        return run.report


class _Run:
    """One tick under way; ``version`` is the Canary's resourceVersion that it decides on."""

    def __init__(self, hands: Hands, said: Said, canary: Canary) -> None:
        self._hands = hands
        self._said = said
        self._canary = canary
        self._version = canary.metadata.resource_version
        self._status = canary.status
        self.report = TickReport()

    async def perform(self, effect: e.Effect) -> e.Outcome:
        """Bring the effect about; `Failed` says in words why that was not possible."""
        if not self._hands.leads():
            raise FencedError
        try:
            return await self._perform(effect)
        except (ApiError, Unreachable, WorkloadError, RoutingError) as error:
            self.report.failed = f"{type(effect).__name__}: {error}"
            log.warning(
                "effect failed",
                canary=f"{self._canary.name}.{self._canary.namespace}",
                effect=type(effect).__name__,
                error=str(error),
            )
            return e.Failed(str(error))

    async def _perform(self, effect: e.Effect) -> e.Outcome:  # noqa: PLR0912 (one case an effect)
        hands, canary = self._hands, self._canary
        client, caches, rules = hands.client, hands.caches, hands.rules
        match effect:
            case e.ReconcileServices():
                self._wrote(await reconcile.reconcile_services(client, caches, canary, rules))
            case e.ReconcilePrimary():
                self._wrote(await reconcile.reconcile_primary(client, caches, canary, rules))
            case e.ReconcileAutoscaler(follow):
                self._wrote(await reconcile.reconcile_autoscaler(client, caches, canary, follow))
            case e.ReconcileApex():
                self._wrote(await reconcile.reconcile_apex(client, caches, canary, rules))
            case e.ScaleTargetUp():
                self._wrote(await reconcile.scale_target_up(client, caches, canary))
            case e.ScaleTargetToZero():
                self._wrote(await reconcile.scale_target_to_zero(client, caches, canary))
            case e.SetTraffic(traffic):
                self._tell_drift()
                self._wrote(await hands.routers.reconcile(canary, traffic))
            case e.RemoveRoute():
                await hands.routers.finalize(canary)
            case e.AwaitRoute():
                await asyncio.sleep(hands.route_propagation)
            case e.Promote(revision, configs):
                self._wrote(
                    await reconcile.promote(client, caches, canary, revision, configs, rules)
                )
            case e.GiveBack():
                self._wrote(await reconcile.give_back(client, caches, canary, rules))
            case e.HoldDeletion():
                await self._set_finalizers((*canary.metadata.finalizers, FINALIZER))
            case e.ReleaseDeletion():
                others = (name for name in canary.metadata.finalizers if name != FINALIZER)
                await self._set_finalizers(tuple(others))
            case e.RunHook(hook, phase):
                return await self._call(hook, phase)
            case e.Measure(metric):
                return await self._measure(metric)
            case e.CheckProviders():
                # Asking is a step, as with hooks: the next time is an interval later.
                self.report.stepped = True
                why = await self._obstacle()
                return e.Done() if why is None else e.Failed(why)
            case e.Alert(severity, message, described):
                hands.alerts.send(canary, severity, message, described)
            case e.SaveStatus(status):
                await self._save(status)
            case e.Record(kind, message, lasting):
                if not lasting or self._said.is_news(canary, message):
                    self._record(kind, message)
        return e.Done()

    def _wrote(self, objects: list[Written]) -> None:
        self.report.written += objects

    def _tell_drift(self) -> None:
        drifted = self._hands.routers.drift(self._canary)
        if drifted:
            fields = ", ".join(drifted)
            self._record(
                "Warning",
                f"Repairing the route of {self._canary.apex_name}.{self._canary.namespace}: "
                f"somebody changed {fields}",
            )

    async def _set_finalizers(self, finalizers: tuple[str, ...]) -> None:
        canary = self._canary
        body = {"metadata": {"resourceVersion": self._version, "finalizers": finalizers}}
        try:
            answer = await self._hands.client.patch(CANARIES, canary.namespace, canary.name, body)
        except Conflict as conflict:
            raise FencedError from conflict
        saved = written(CANARIES, answer)
        self._version = saved.resource_version
        self.report.written.append(saved)

    async def _save(self, status: CanaryStatus) -> None:
        canary = self._canary
        # Of what a PUT of the status lacks, the server keeps all but the status as it is, and it
        # has less work with it than with a patch (docs/benchmarks.md).
        body = {
            "apiVersion": canary.api_version,
            "kind": canary.kind,
            "metadata": {
                "name": canary.name,
                "namespace": canary.namespace,
                "resourceVersion": self._version,
            },
            "status": _stored(status),
        }
        stepped = _progress(self._status) != _progress(status)
        try:
            answer = await self._hands.client.replace(
                CANARIES, canary.namespace, canary.name, body, subresource="status"
            )
        except Conflict as conflict:
            raise FencedError from conflict
        except (ApiError, Unreachable) as error:
            # Obeyed or not: nobody knows until the watch tells. The next step is an interval away
            # in both cases, else one whose answer was lost would last no time at all.
            doubtful = isinstance(error, Unreachable) or error.status >= 500
            self.report.stepped |= stepped and doubtful
            raise
        saved = written(CANARIES, answer)
        self._version = saved.resource_version
        self._status = status
        self.report.written.append(saved)
        self.report.stepped |= stepped

    def _record(self, kind: EventType, message: str) -> None:
        canary = self._canary
        log.info(message, canary=f"{canary.name}.{canary.namespace}")
        ref = ObjectRef(
            canary.api_version,
            canary.kind,
            canary.namespace,
            canary.name,
            canary.metadata.uid,
            canary.metadata.resource_version,
        )
        self._hands.events.record(ref, kind, "Synced", message)
        self._hands.event_hooks.tell(canary, kind, message)

    async def _call(self, hook: Webhook, phase: str) -> e.Done | e.Failed:
        canary, status = self._canary, self._status
        sent = Payload(
            canary.name,
            canary.namespace,
            phase,
            origin_of(status.last_applied_spec, status.tracked_configs),
            hook.metadata,
        )
        # Asking is a step too: what nobody answers is asked again an interval later.
        self.report.stepped = True
        return await call(self._hands.session, hook, sent)

    @property
    def _metrics_server(self) -> str:
        return self._canary.spec.metrics_server or self._hands.metrics_server

    async def _measure(self, metric: Metric) -> Measurement:
        measurement = await self._ask(metric)
        if isinstance(measurement, Value):
            self.report.measured[metric.name] = measurement.value
        return measurement

    async def _ask(self, metric: Metric) -> Measurement:
        canary = self._canary
        if is_custom(metric):
            return await self._hands.custom.measure(canary, metric, self._metrics_server)
        query = builtin_query(canary, metric, self._metrics_world())
        return await self._hands.metrics.measure(self._metrics_server, query)

    async def _obstacle(self) -> str | None:
        """Why some metric of the analysis cannot be had, whatever requests there will be."""
        hands, canary, server = self._hands, self._canary, self._metrics_server
        why = await hands.custom.check(canary, server)
        if why is not None or all(map(is_custom, canary.spec.analysis.metrics)):
            return why
        return await hands.metrics.check(server, self._metrics_world(), canary.mesh)

    def _metrics_world(self) -> MetricsWorld:
        """By which labels the canary's requests are first looked for."""
        routers = self._hands.routers
        if not routers.splits(self._canary):
            return "kubernetes"
        # With a provider that is not Kuma's own, sidecars count also where Serinus would not write
        # for Kuma.
        return "kuma-3" if routers.kuma.dialect(self._canary) is Dialect.LABELS else "kuma-2"


def _progress(status: CanaryStatus) -> tuple[object, ...]:
    """What makes a save a step of the rollout, which the next one has to keep its distance from."""
    return (
        status.phase,
        status.canary_weight,
        status.iterations,
        status.failed_checks,
        status.last_applied_spec,
        status.tracked_configs,
        status.last_transition_time,
    )


def _stored(status: CanaryStatus) -> dict[str, Any]:
    """The status as it is stored: what it does not say is not there, since the schema has no
    nulls."""
    fields: dict[str, Any] = msgspec.to_builtins(status)
    return {name: value for name, value in fields.items() if value is not None}
