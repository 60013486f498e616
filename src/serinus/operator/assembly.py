"""The parts of an operator, put together: caches, hands, and who tells people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import aiohttp

from serinus.alerts.alerts import Alerts
from serinus.alerts.providers import Providers
from serinus.api.decode import decode_alert_provider, decode_metric_template
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.credentials import Credentials
from serinus.cluster.events import EventRecorder
from serinus.cluster.kinds import (
    ALERTPROVIDERS,
    HTTPROUTES,
    METRICTEMPLATES,
)
from serinus.executor.claims import Claims
from serinus.executor.execute import Executor, Hands
from serinus.executor.observe import Observer
from serinus.metrics.batch import Batch
from serinus.metrics.custom import CustomMetrics
from serinus.metrics.prometheus import Prometheus
from serinus.metrics.templates import Templates
from serinus.operator.settings import Settings
from serinus.routing.gateway.httproute import HTTPRouteRouter
from serinus.routing.gateway.views import HTTPRouteView, decode_http_route
from serinus.routing.kuma.dialect import Override
from serinus.routing.kuma.discovery import KumaCaches, KumaKinds
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.kuma.views import MeshView
from serinus.routing.providers import Routers
from serinus.webhooks.events import EventHooks
from serinus.workload.caches import WorkloadCaches
from serinus.workload.labels import LabelRules
from serinus.workload.views import ServiceView


class Teller(Protocol):
    """Somebody who tells people, at his own pace, what a tick only hands over."""

    async def run(self) -> None: ...

    async def close(self, timeout: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """``watched`` and ``tellers`` have to be run, beside the executor's user."""

    watched: tuple[Cache[Any], ...]
    events: EventRecorder
    tellers: tuple[Teller, ...]
    credentials: Credentials
    executor: Executor
    observer: Observer
    routers: Routers
    meshes: Cache[MeshView] | None


def assemble(
    settings: Settings,
    client: Client,
    session: aiohttp.ClientSession,
    claims: Claims,
    kinds: KumaKinds,
    leads: Callable[[], bool],
    *,
    keda: bool = False,
    gateway_api: bool = False,
) -> Parts:
    """The parts of an operator for a cluster with these kinds of Kuma's, and with KEDA and the
    Gateway API or not."""
    namespace = settings.namespace or None
    caches = WorkloadCaches.of(client, namespace, configs=settings.config_tracking, keda=keda)
    templates = Cache(client, METRICTEMPLATES, decode_metric_template, namespace=namespace)
    providers = Cache(client, ALERTPROVIDERS, decode_alert_provider, namespace=namespace)
    kuma = KumaCaches.of(client, kinds, namespace)
    http_routes: list[Cache[HTTPRouteView]] = []
    if gateway_api:
        http_routes.append(Cache(client, HTTPROUTES, decode_http_route, namespace=namespace))
    said = settings.kuma_dialect
    override = Override(said, "-kuma-dialect") if said else None
    routers = Routers(
        KumaRouter(
            client,
            kinds,
            kuma,
            settings.mesh_services_mode,
            override,
            selector=partial(_selector, caches.services),
        ),
        settings.mesh_provider,
        HTTPRouteRouter(client, http_routes[0]) if http_routes else None,
    )
    credentials = Credentials(client)
    confined = settings.no_cross_namespace_refs
    custom = CustomMetrics(Templates(templates), credentials, session, confined)
    alerts = Alerts(
        Providers(providers, credentials, confined=confined),
        settings.alerts,
        cluster=settings.cluster_name,
    )
    event_hooks = EventHooks(settings.event_webhook)
    events = EventRecorder(client)
    rules = LabelRules(settings.selector_labels, settings.include_label_prefix)
    hands = Hands(
        client=client,
        caches=caches,
        routers=routers,
        rules=rules,
        events=events,
        session=session,
        metrics=Batch(lambda address: Prometheus(address, session)),
        custom=custom,
        alerts=alerts,
        event_hooks=event_hooks,
        metrics_server=settings.metrics_server,
        route_propagation=settings.route_propagation,
        leads=leads,
    )
    observer = Observer(claims, caches, routers, custom, alerts, rules)
    return Parts(
        watched=(*caches.all(), templates, providers, *kuma.all(), *http_routes),
        events=events,
        tellers=(events, alerts, event_hooks),
        credentials=credentials,
        executor=Executor(hands, observer),
        observer=observer,
        routers=routers,
        meshes=kuma.meshes,
    )


def _selector(services: Cache[ServiceView], namespace: str, name: str) -> Mapping[str, str] | None:
    """By which labels a Service selects its pods; None when there is no such Service."""
    service = services.get(namespace, name)
    return None if service is None else service.spec.selector
