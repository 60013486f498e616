"""The lab's Kuma control plane: from watches to what every sidecar is told.

Two paths start at each change. The short one goes from the caches straight to the sidecars'
files, within milliseconds, with no request to the API server. The other writes the objects that
Kuma's controllers make; nothing waits for it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any

import msgspec
import structlog

from serinus.cluster import kinds
from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, Unreachable
from serinus.cluster.events import EventRecorder, ObjectRef
from serinus.cluster.resource import Resource
from serinus.lab import addresses
from serinus.lab.mesh import crds, defaults, injection, objects, prometheus, webhooks
from serinus.lab.mesh.applying import create_once, ensure, remove, resource_of
from serinus.lab.mesh.crds.gateway import gateway_definitions
from serinus.lab.mesh.gamma_controller import GammaController
from serinus.lab.mesh.model import World, observe
from serinus.lab.mesh.opening import Openings
from serinus.lab.mesh.proxy import resources
from serinus.lab.mesh.routes_meshhttproute import CannotBuild
from serinus.lab.mesh.versions import KumaVersion
from serinus.lab.mesh.xds import Delivery, prune
from serinus.lab.paths import LabPaths
from serinus.lab.pki import Pki

Json = dict[str, Any]

SETTLE = 0.005
"""Seconds in which several changes become one delivery."""

OBJECTS_SETTLE = 0.1
RELOAD_SETTLE = 2.0
RETRY = 1.0
SYNC = 30.0

log = structlog.get_logger(__name__)


async def run_mesh(
    client: Client,
    paths: LabPaths,
    version: KumaVersion,
    ready: asyncio.Event | None = None,
    *,
    host: str = str(addresses.NODE_IP),
    port: int = addresses.KUMA_WEBHOOK_PORT,
) -> None:
    """Play Kuma until cancelled. ``ready`` is set once its kinds, webhooks, default objects and
    Prometheus are in place. ``host`` and ``port`` are where the API server finds the webhooks."""
    plane = ControlPlane(client, paths, version)
    async with plane.webhooks(host, port) as url:
        await plane.install(url)
        async with asyncio.TaskGroup() as group:
            for task in plane.tasks():
                group.create_task(task)
            await plane.set_up()
            if ready is not None:
                ready.set()


class ControlPlane:
    """One control plane: its caches, and what it told whom."""

    def __init__(self, client: Client, paths: LabPaths, version: KumaVersion) -> None:
        self._client = client
        self._paths = paths
        self._version = version
        self._definitions = crds.definitions(version)
        self._events = EventRecorder(client, "kuma-control-plane")
        self._prometheus = prometheus.Files(paths.prometheus)
        self._reload_due = asyncio.Event()
        self._openings = Openings()
        self._deliveries: dict[str, Delivery] = {}
        self._failures: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._objects_due = asyncio.Event()
        self._warned: set[str] = set()

        def cache(resource: Resource) -> Cache[Json]:
            found: Cache[Json] = Cache(client, resource, msgspec.json.decode)
            found.subscribe(lambda _: self._changed.set())
            return found

        self._namespaces = cache(kinds.NAMESPACES)
        self._namespaces.subscribe(self._look_for_annotation)
        self._services = cache(kinds.SERVICES)
        self._pods = cache(kinds.PODS)
        self._meshes = cache(kinds.MESHES)
        self._sources = [self._namespaces, self._services, self._pods, self._meshes]
        self._traffic_routes = cache(kinds.TRAFFICROUTES) if version.has_trafficroute else None
        self._http_routes = cache(kinds.MESHHTTPROUTES) if version.has_meshhttproute else None
        self._tcp_routes = cache(kinds.MESHTCPROUTES) if version.has_meshhttproute else None
        self._proxy_patches = cache(kinds.MESHPROXYPATCHES) if version.has_meshhttproute else None
        self._timeouts = cache(kinds.MESHTIMEOUTS) if version.has_meshhttproute else None
        self._retries = cache(kinds.MESHRETRIES) if version.has_meshhttproute else None
        self._metrics = cache(kinds.MESHMETRICS) if version.has_meshhttproute else None
        policies = (
            *(self._traffic_routes, self._http_routes, self._tcp_routes, self._proxy_patches),
            *(self._timeouts, self._retries, self._metrics),
        )
        self._sources += [c for c in policies if c is not None]
        self._made = [Cache[Json](client, kinds.DATAPLANES, msgspec.json.decode)]
        if version.has_meshservice:
            self._made.append(Cache(client, kinds.MESHSERVICES, msgspec.json.decode))
        for made in self._made:
            made.subscribe(lambda _: self._objects_due.set())
        self._gamma: list[GammaController] = []
        if version.translates_http_routes and self._http_routes is not None:
            gamma = GammaController(
                client,
                version,
                mesh_routes=self._http_routes,
                services=self._services,
                namespaces=self._namespaces,
            )
            self._gamma.append(gamma)
        self._written: dict[tuple[str, str, str], Json] = {}

    @asynccontextmanager
    async def webhooks(self, host: str, port: int) -> AsyncIterator[str]:
        """The admission server, running; yields its URL."""
        pair = Pki(self._paths.pki).webhook
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        answers = webhooks.Webhooks(
            self._version, self._paths.xds, namespace=self._namespace, meshes=self._known_meshes
        )
        runner = await webhooks.serve(answers, context, host, port)
        try:
            bound = runner.addresses[0]
            yield f"https://{bound[0]}:{bound[1]}"
        finally:
            await runner.cleanup()

    async def install(self, url: str) -> None:
        """Kuma's kinds and no others of its group, the Gateway API's where Kuma reads them, the
        webhooks at ``url``, and namespaces."""
        self._paths.xds.mkdir(parents=True, exist_ok=True)
        self._prometheus.write_config()
        ca = Pki(self._paths.pki).ca.cert.read_bytes()
        wanted = [
            *self._definitions,
            *(gateway_definitions() if self._gamma else ()),
            *defaults.namespaces(),
            *webhooks.configurations(self._version, ca, url),
        ]
        for obj in wanted:
            await ensure(self._client, resource_of(obj, ()), obj)
        installed = msgspec.json.decode(await self._client.list(kinds.CRDS))["items"]
        for name in crds.foreign(self._definitions, installed):
            # Its objects go with it, as people are told to see to before they upgrade.
            await remove(self._client, kinds.CRDS, None, name)

    def tasks(self) -> list[Any]:
        """What has to run all the time."""
        return [
            *(cache.run() for cache in [*self._sources, *self._made]),
            self._events.run(),
            self._deliver_for_ever(),
            self._write_objects_for_ever(),
            self._reload_for_ever(),
            *(task for gamma in self._gamma for task in gamma.tasks()),
        ]

    async def set_up(self) -> None:
        """The default Mesh, its policies, Prometheus, and pods with sidecars of this version."""
        mesh = await create_once(self._client, kinds.MESHES, defaults.mesh(self._version))
        if mesh:
            await self._meshes.reached(None, mesh.name, mesh.resource_version, SYNC)
        try:
            async with asyncio.timeout(SYNC):
                for cache in self._sources:
                    await cache.synced.wait()
        except TimeoutError:
            raise Unreachable(f"the mesh could not read the cluster within {SYNC:g} s") from None
        for obj in [
            *defaults.policies(self._version),
            *prometheus.manifests(self._paths.prometheus),
        ]:
            await create_once(self._client, resource_of(obj, self._definitions), obj)
        for pod in self._pods.values():
            if injection.is_of_another(self._version, pod):
                meta = pod["metadata"]
                await remove(
                    self._client, kinds.PODS, meta["namespace"], meta["name"], at_once=True
                )

    async def _namespace(self, name: str) -> Json:
        """A namespace as it is now: who labels it and at once makes a pod expects a sidecar."""
        found: Json = msgspec.json.decode(await self._client.get(kinds.NAMESPACES, None, name))
        return found

    def _known_meshes(self) -> Mapping[str, Json]:
        return {mesh["metadata"]["name"]: mesh for mesh in self._meshes.values()}

    def _look_for_annotation(self, change: Change[Json]) -> None:
        namespace = change.new
        if namespace is None or self._version.annotation_injects:
            return
        meta = namespace["metadata"]
        if not injection.by_annotation_only(namespace):
            self._warned.discard(meta["uid"])
        elif meta["uid"] not in self._warned:
            self._warned.add(meta["uid"])
            self._events.record(
                ObjectRef("v1", "Namespace", "", meta["name"], meta["uid"]),
                "Warning",
                "InjectionByAnnotation",
                injection.IGNORED_ANNOTATION.format(name=meta["name"]),
            )

    def world(self) -> World:
        """What the caches show now."""
        return observe(
            self._version,
            namespaces=self._namespaces.values(),
            services=self._services.values(),
            pods=self._pods.values(),
            meshes=self._meshes.values(),
            traffic_routes=self._traffic_routes.values() if self._traffic_routes else (),
            http_routes=self._http_routes.values() if self._http_routes else (),
            proxy_patches=self._proxy_patches.values() if self._proxy_patches else (),
            timeouts=self._timeouts.values() if self._timeouts else (),
            retries=self._retries.values() if self._retries else (),
            metrics=self._metrics.values() if self._metrics else (),
            tcp_routes=self._tcp_routes.values() if self._tcp_routes else (),
        )

    async def _deliver_for_ever(self) -> None:
        for cache in self._sources:
            await cache.synced.wait()
        prune(self._paths.xds, {pod["metadata"]["uid"] for pod in self._pods.values()})
        self._changed.set()
        with closing(self._openings):
            await self._deliver_changes()

    async def _deliver_changes(self) -> None:
        async with asyncio.TaskGroup() as settling:
            while True:
                await self._changed.wait()
                await asyncio.sleep(SETTLE)
                self._changed.clear()
                for held in self._deliver(self.world()):
                    settling.create_task(held.settle())
                self._objects_due.set()

    def _deliver(self, world: World) -> list[Delivery]:
        """Tell every sidecar; returns those for whom something is held back from now on."""
        held = []
        for proxy in world.proxies:
            if proxy.mesh not in world.modes:
                self._failed(proxy.uid, f"its mesh {proxy.mesh} does not exist")
                continue
            try:
                config = resources(world, proxy)
            except CannotBuild as error:
                self._failed(proxy.uid, str(error))
                continue
            self._failures.pop(proxy.uid, None)
            if proxy.uid not in self._deliveries:
                self._deliveries[proxy.uid] = Delivery(self._paths.xds / proxy.uid, self._openings)
            delivery = self._deliveries[proxy.uid]
            waited = delivery.held
            delivery.deliver(proxy, config)
            if delivery.held and not waited:
                held.append(delivery)
        self._prometheus.write_targets(prometheus.targets(world))
        if self._prometheus.write_config(prometheus.exposures(world)):
            self._reload_due.set()
        for uid in self._deliveries.keys() - {p["metadata"]["uid"] for p in self._pods.values()}:
            self._deliveries.pop(uid).remove()
            self._failures.pop(uid, None)
        return held

    def _failed(self, uid: str, reason: str) -> None:
        if self._failures.get(uid) != reason:
            self._failures[uid] = reason
            log.warning("a sidecar keeps its old configuration", pod_uid=uid, reason=reason)

    async def _reload_for_ever(self) -> None:
        while True:
            await self._reload_due.wait()
            # One that reads its configuration and fewer targets at once keeps those that are gone.
            await asyncio.sleep(RELOAD_SETTLE)
            self._reload_due.clear()
            try:
                await prometheus.reload(self._pods.values())
            except OSError as error:
                log.warning("the mesh's Prometheus keeps its old configuration", error=str(error))

    async def _write_objects_for_ever(self) -> None:
        for cache in [*self._sources, *self._made]:
            await cache.synced.wait()
        while True:
            await self._objects_due.wait()
            await asyncio.sleep(OBJECTS_SETTLE)
            self._objects_due.clear()
            if not await self._write_objects(self.world()):
                await asyncio.sleep(RETRY)
                self._objects_due.set()

    async def _write_objects(self, world: World) -> bool:
        """Whether everything was written."""
        meshes = self._known_meshes()
        wanted = {
            kinds.MESHSERVICES.kind: objects.mesh_services(world),
            kinds.DATAPLANES.kind: [
                objects.dataplane(world, proxy, meshes[proxy.mesh]["metadata"]["uid"])
                for proxy in world.proxies
                if proxy.mesh in meshes
            ],
        }
        done = True
        for cache in self._made:
            done &= await self._settle(cache, wanted[cache.resource.kind])
        return done

    async def _settle(self, cache: Cache[Json], wanted: list[Json]) -> bool:
        """Make the objects of one kind what they should be; whether that worked."""
        resource, done = cache.resource, True
        named = {(o["metadata"]["namespace"], o["metadata"]["name"]): o for o in wanted}
        stale = [key for key in cache.keys() if key not in named and _is_ours(cache.get(*key))]  # noqa: SIM118
        for namespace, name in [*named, *stale]:
            key = (resource.kind, namespace, name)
            obj = named.get((namespace, name))
            if obj and cache.get(namespace, name) and self._written.get(key) == obj:
                continue
            try:
                if obj:
                    await ensure(self._client, resource, obj)
                    self._written[key] = obj
                else:
                    self._written.pop(key, None)
                    await remove(self._client, resource, namespace, name)
            except (ApiError, Unreachable) as error:
                done = False
                log.warning(
                    "the mesh could not write an object",
                    kind=resource.kind,
                    namespace=namespace,
                    name=name,
                    error=str(error),
                )
        return done


def _is_ours(obj: Json | None) -> bool:
    """Whether Kuma's controllers made it, and not a person."""
    if obj is None:
        return False
    labels = obj["metadata"].get("labels") or {}
    return obj["kind"] == "Dataplane" or labels.get("kuma.io/managed-by") == "k8s-controller"
