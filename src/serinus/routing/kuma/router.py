"""The router for Kuma: each canary's mesh decides in which dialect its route is written."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import structlog

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic
from serinus.routing.kuma.addressing import Addressing, ByLabels, ByName, ByTag
from serinus.routing.kuma.dialect import (
    ANNOTATION,
    ANNOTATION_PATH,
    MESHES,
    Choice,
    Dialect,
    MeshFacts,
    Override,
    choose,
)
from serinus.routing.kuma.discovery import ForeignTrafficRoutes, KumaCaches, KumaKinds
from serinus.routing.kuma.edits import Edits
from serinus.routing.kuma.filters import service_filters
from serinus.routing.kuma.meshhttproute import MeshHTTPRouteRouter
from serinus.routing.kuma.meshservices import speaks_http
from serinus.routing.kuma.meshtcproute import MeshTCPRouteRouter
from serinus.routing.kuma.objects import Objects
from serinus.routing.kuma.overriding import Ours, Rivals, split_matches
from serinus.routing.kuma.proxypatch import CookiePatches, Selector, selects_nothing
from serinus.routing.kuma.servicepolicies import retries, timeouts
from serinus.routing.kuma.trafficroute import TrafficRouteRouter
from serinus.routing.kuma.views import (
    decode_mesh_http_route,
    decode_mesh_proxy_patch,
    decode_mesh_tcp_route,
    decode_policy,
)
from serinus.routing.kuma.writing import View
from serinus.routing.router import Ability, Router, RoutingError

log = structlog.get_logger(__name__)

CHOICES = 128
"""How many meshes' dialects are remembered."""


class KumaRouter:
    """A `Router` over all of Kuma's dialects that Serinus speaks.

    ``kinds`` are those of `discover`. When they change (Kuma was upgraded), make a new router
    with new caches. ``assumed_mode`` is the `spec.meshServices.mode` of meshes that this operator
    may not read; empty when nobody has told it. ``override`` is the dialect that was chosen for
    all canaries; a canary's own annotation goes before it. ``selector`` tells by which labels a
    Service selects its pods; one who only asks for problems need not know.
    """

    def __init__(
        self,
        client: Client,
        kinds: KumaKinds,
        caches: KumaCaches,
        assumed_mode: str = "",
        override: Override | None = None,
        *,
        selector: Selector = selects_nothing,
    ) -> None:
        self._kinds = kinds
        self._override = override
        self._assumed_mode = assumed_mode
        self._caches = caches
        self._foreign = ForeignTrafficRoutes(caches.traffic_routes)
        # Each look at a canary asks some eight times.
        self._chosen = lru_cache(CHOICES)(self._choose)
        self._edits = Edits(caches.written())
        self._told: dict[str, set[Choice]] = {}
        self._routers: dict[Dialect, Router] = {}
        if caches.traffic_routes is not None:
            self._routers[Dialect.TRAFFIC_ROUTE] = TrafficRouteRouter(client, caches.traffic_routes)
        self._addressings = _addressings(kinds, caches)
        self._rivals = None
        if caches.mesh_http_routes is not None:
            self._rivals = Rivals(caches.mesh_http_routes)
        self._tcp_routers = _mesh_tcp_route_routers(client, caches, self._addressings)
        self._tcp_rivals = None
        if caches.mesh_tcp_routes is not None:
            self._tcp_rivals = Rivals(caches.mesh_tcp_routes)
        self._routers |= _mesh_http_route_routers(
            client, kinds, caches, selector, self._addressings
        )
        routers: Iterable[Router] = (*self._routers.values(), *self._tcp_routers.values())
        self._families = tuple({type(one): one for one in routers}.values())
        """One router for each kind of route; it takes those of its kind away, whatever the
        dialect."""

    def dialect(self, canary: Canary) -> Dialect | Problem:
        """The dialect of the canary's mesh, or why none can be written in."""
        choice = self.choice(canary)
        return choice.dialect if isinstance(choice, Choice) else choice

    def choice(self, canary: Canary) -> Choice | Problem:
        """As `dialect`, with the reason."""
        mesh = self._caches.mesh(canary.mesh)
        return self._chosen(
            canary.mesh,
            self._assumed if mesh is None else mesh.mesh_services_mode,
            self._foreign.of(canary.mesh),
            canary.metadata.annotations.get(ANNOTATION),
        )

    def _choose(
        self, mesh: str, mode: str | None, traffic_routes: tuple[str, ...], word: str | None
    ) -> Choice | Problem:
        facts = MeshFacts(
            mesh=mesh,
            crds=self._kinds.crds,
            refs_by_name=self._kinds.refs_by_name,
            mesh_services=mode,
            traffic_routes=traffic_routes,
            unreadable=self._kinds.unreadable,
            no_path_prefix=self._kinds.no_path_prefix,
        )
        return choose(facts, self._override if word is None else Override(word, ANNOTATION_PATH))

    @property
    def _assumed(self) -> str | None:
        return (self._assumed_mode or None) if MESHES in self._kinds.unreadable else None

    def abilities(self, canary: Canary) -> frozenset[Ability]:
        router = self._router(canary)
        return frozenset() if isinstance(router, Problem) else router.abilities(canary)

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        router = self._router(canary)
        return (router,) if isinstance(router, Problem) else router.problems(canary)

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        dialect = self.dialect(canary)
        if isinstance(dialect, Problem):
            return ()
        router = self._written_in(dialect, canary)
        by_connection = isinstance(router, MeshTCPRouteRouter)
        rivals = self._tcp_rivals if by_connection else self._rivals
        way = self._addressings.get(dialect)
        if way is None or rivals is None or not rivals.about(canary):
            return router.preflight(canary)
        services = self._caches.mesh_services
        apex = None if services is None else services.get(canary.namespace, canary.apex_name)
        ours = Ours(
            home=way.home(canary),
            matches=[None] if by_connection else split_matches(canary),
            filters=canary.spec.analysis.mirror or bool(service_filters(canary)),
            apex_labels=None if apex is None else apex.metadata.labels,
        )
        return (*router.preflight(canary), *rivals.problems(canary, ours))

    def drift(self, canary: Canary) -> tuple[str, ...]:
        router = self._router(canary)
        if isinstance(router, Problem) or not self._edits.possible(canary):
            return ()
        found = router.drift(canary)
        if not found:
            self._edits.none(canary)
        return found

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        router = self._router(canary)
        if isinstance(router, Problem):
            raise RoutingError(str(router))
        self._tell_choice(canary)
        wrote = await router.reconcile(canary, traffic)
        for other in self._families:
            if type(other) is not type(router):
                # What the mesh lived by before. The new route holds already.
                await other.finalize(canary)
        return wrote

    async def finalize(self, canary: Canary) -> None:
        for router in self._families:
            await router.finalize(canary)

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        for router in self._families:
            await router.collect(exists)

    def _router(self, canary: Canary) -> Router | Problem:
        dialect = self.dialect(canary)
        return dialect if isinstance(dialect, Problem) else self._written_in(dialect, canary)

    def _written_in(self, dialect: Dialect, canary: Canary) -> Router:
        by_connection = self._tcp_routers.get(dialect)
        if by_connection is not None and not speaks_http(canary):
            return by_connection
        return self._routers[dialect]

    def _tell_choice(self, canary: Canary) -> None:
        """Log in which dialect the mesh's routes are written, when that is news."""
        choice = self.choice(canary)
        if isinstance(choice, Choice) and choice not in self._told.get(canary.mesh, ()):
            self._told.setdefault(canary.mesh, set()).add(choice)
            log.info("routes", mesh=canary.mesh, dialect=choice.dialect.value, why=choice.why)


def _addressings(kinds: KumaKinds, caches: KumaCaches) -> dict[Dialect, Addressing]:
    """The dialects of MeshHTTPRoutes that the cluster has the kinds for."""
    system = None if kinds.policies_in_app_namespaces else kinds.system_namespace
    ways: dict[Dialect, Addressing] = {Dialect.SERVICE_TAG: ByTag(system)}
    if caches.mesh_services is not None:
        ways |= {Dialect.MESH_SERVICE_NAME: ByName(), Dialect.LABELS: ByLabels()}
    return ways


def _mesh_tcp_route_routers(
    client: Client, caches: KumaCaches, ways: Mapping[Dialect, Addressing]
) -> dict[Dialect, MeshTCPRouteRouter]:
    """As those of MeshHTTPRoutes, for ports that speak no HTTP."""
    if caches.mesh_tcp_routes is None:
        return {}
    routes = Objects(client, caches.mesh_tcp_routes, decode_mesh_tcp_route)
    return {
        dialect: MeshTCPRouteRouter(
            client, way, routes, None if way.by_tag else caches.mesh_services
        )
        for dialect, way in ways.items()
    }


def _mesh_http_route_routers(
    client: Client,
    kinds: KumaKinds,
    caches: KumaCaches,
    selector: Selector,
    ways: Mapping[Dialect, Addressing],
) -> dict[Dialect, Router]:
    """One for each dialect that the cluster has the kinds for, all over the same objects."""

    def objects(cache: Cache[View] | None, decode: Callable[[bytes], View]) -> Objects[View] | None:
        return None if cache is None else Objects(client, cache, decode)

    routes = objects(caches.mesh_http_routes, decode_mesh_http_route)
    if routes is None:
        return {}
    patches = objects(caches.mesh_proxy_patches, decode_mesh_proxy_patch)
    for_timeouts = objects(caches.mesh_timeouts, decode_policy)
    for_retries = objects(caches.mesh_retries, decode_policy)
    system = kinds.system_namespace
    cookies = None
    if patches is not None:
        cookies = CookiePatches(patches, selector, None if kinds.patches_by_label else system)
    return {
        dialect: MeshHTTPRouteRouter(
            client,
            way,
            routes,
            None if way.by_tag else caches.mesh_services,
            cookies,
            None if for_timeouts is None else timeouts(for_timeouts, way),
            None if for_retries is None else retries(for_retries, way),
        )
        for dialect, way in ways.items()
    }
