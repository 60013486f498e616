"""The node's agent: what the API server assigns to this node runs on it."""

import asyncio
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import structlog

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, NotFound, Unreachable
from serinus.cluster.events import EventRecorder
from serinus.cluster.kinds import (
    CONFIGMAPS,
    ENDPOINTSLICES,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
)
from serinus.cluster.resource import Resource
from serinus.lab.addresses import NODE_NAME
from serinus.lab.images.table import ImageTable
from serinus.lab.kubelet.dns import Zone
from serinus.lab.kubelet.environment import PodFacts
from serinus.lab.kubelet.manifest import (
    ConfigMap,
    EndpointSlice,
    Pod,
    Secret,
    Service,
    TokenProjection,
)
from serinus.lab.kubelet.network import AddressPool
from serinus.lab.kubelet.pod import Node, PodWorker
from serinus.lab.kubelet.proxy import ServiceProxy
from serinus.lab.kubelet.registration import keep_lease, register
from serinus.lab.kubelet.volumes import Token
from serinus.lab.paths import LabPaths

FORCED_GRACE = 2.0
"""Seconds that pods get when the node ends, or when their object is gone already."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Kubelet:
    """Runs pods, keeps their Services reachable, and knows the names for the DNS."""

    def __init__(self, client: Client, paths: LabPaths, images: ImageTable) -> None:
        self.client = client
        self.services = ServiceProxy()
        self.events = EventRecorder(client, "kubelet")
        self.workers: dict[str, PodWorker] = {}
        """By uid."""
        self.ready = asyncio.Event()
        """Set once the node is registered and all caches are filled."""
        self._pods = Cache(
            client,
            PODS,
            msgspec.json.Decoder(Pod).decode,
            field_selector=f"spec.nodeName={NODE_NAME}",
        )
        self._config_maps = self._cache(CONFIGMAPS, ConfigMap)
        self._secrets = self._cache(SECRETS, Secret)
        self._services = self._cache(SERVICES, Service)
        self._slices = self._cache(ENDPOINTSLICES, EndpointSlice)
        self._zone: Zone | None = None
        self._node = Node(
            client, paths, images, self, self.token, AddressPool(), self.services, self.events
        )
        self._goings: set[asyncio.Task[None]] = set()
        self._ending = False

    def _cache(self, resource: Resource, kind: type[T]) -> Cache[T]:
        return Cache(self.client, resource, msgspec.json.Decoder(kind).decode)

    # What pods ask for.

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """The ConfigMap, as the cache has it."""
        return self._config_maps.get(namespace, name)

    def secret(self, namespace: str, name: str) -> Secret | None:
        """The Secret, as the cache has it."""
        return self._secrets.get(namespace, name)

    async def token(self, facts: PodFacts, projection: TokenProjection) -> Token:
        """A token for a pod's ServiceAccount; raises `ApiError` or `Unreachable`."""
        meta = facts.pod.metadata
        bound = {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid}
        spec: dict[str, Any] = {
            "expirationSeconds": projection.expiration_seconds,
            "boundObjectRef": bound,
            "audiences": [projection.audience] if projection.audience else [],
        }
        answer = await self.client.create(
            SERVICEACCOUNTS,
            meta.namespace,
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
            name=facts.pod.spec.service_account_name,
            subresource="token",
        )
        status = msgspec.json.decode(answer)["status"]
        expires = datetime.fromisoformat(status["expirationTimestamp"])
        return Token(status["token"], expires.timestamp())

    def zone(self) -> Zone:
        """The names that the DNS answers for."""
        if self._zone is None:
            self._zone = Zone.of(list(self._services.values()), list(self._slices.values()))
        return self._zone

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The pod of that name that runs here."""
        for worker in self.workers.values():
            meta = worker.pod.metadata
            if meta.namespace == namespace and meta.name == name and not worker.gone.is_set():
                return worker
        return None

    # The node's life.

    async def run(self) -> None:
        """Run for ever; raises only what is a bug."""
        self._services.subscribe(lambda _: self._routes_changed())
        self._slices.subscribe(lambda _: self._routes_changed())
        self._config_maps.subscribe(lambda change: self._source_changed("ConfigMap", change))
        self._secrets.subscribe(lambda change: self._source_changed("Secret", change))
        async with asyncio.TaskGroup() as group:
            for cache in (self._config_maps, self._secrets, self._services, self._slices):
                group.create_task(cache.run())
            group.create_task(self.events.run())
            group.create_task(self.services.run())
            await self.services.add_node()
            await register(self.client)
            for cache in (self._config_maps, self._secrets, self._services, self._slices):
                await cache.synced.wait()
            # Pods come last: by then their volumes and Services are known.
            self._pods.subscribe(self._pod_changed)
            group.create_task(self._pods.run())
            await self._pods.synced.wait()
            self.ready.set()
            group.create_task(keep_lease(self.client))

    async def end_pods(self, grace: float = FORCED_GRACE) -> None:
        """End every pod on this node, leaving the pods' objects as they are."""
        self._ending = True
        for worker in self.workers.values():
            worker.end(grace, delete=False)
        await asyncio.gather(*(worker.gone.wait() for worker in list(self.workers.values())))

    def _routes_changed(self) -> None:
        self._zone = None
        self.services.update(list(self._services.values()), list(self._slices.values()))

    def _source_changed(self, kind: str, change: Change[Any]) -> None:
        namespace, name = change.key
        for worker in self.workers.values():
            if worker.pod.metadata.namespace == namespace and worker.volumes.refers_to(kind, name):
                worker.poke()

    def _pod_changed(self, change: Change[Pod]) -> None:
        old, new = change.old, change.new
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            worker = self.workers.get(old.metadata.uid)
            if worker is not None:
                worker.end(FORCED_GRACE, delete=False)
        if new is None or self._ending:
            return
        worker = self.workers.get(new.metadata.uid)
        if new.metadata.deletion_timestamp is not None:
            self._delete(new, worker)
        elif worker is not None:
            worker.observe(new)
        elif new.status.phase not in {"Succeeded", "Failed"}:
            self._begin(new)

    def _begin(self, pod: Pod) -> None:
        worker = PodWorker(self._node, pod)
        self.workers[pod.metadata.uid] = worker
        self._keep(asyncio.create_task(self._forget(worker)))

    async def _forget(self, worker: PodWorker) -> None:
        await worker.gone.wait()
        self.workers.pop(worker.pod.metadata.uid, None)

    def _delete(self, pod: Pod, worker: PodWorker | None) -> None:
        meta = pod.metadata
        if worker is not None:
            grace = meta.deletion_grace_period_seconds
            default = pod.spec.termination_grace_period_seconds
            worker.observe(pod)
            worker.end(float(default if grace is None else grace))
        else:
            self._keep(asyncio.create_task(self._remove(pod)))

    async def _remove(self, pod: Pod) -> None:
        """Take away a pod that is to be deleted and does not run (any more)."""
        meta = pod.metadata
        try:
            await self.client.delete(
                PODS, meta.namespace, meta.name, uid=meta.uid, grace_period_seconds=0
            )
        except NotFound:
            return
        except (ApiError, Unreachable) as error:
            log.warning("pod not deleted", pod=pod.key, error=str(error))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._goings.add(task)
        task.add_done_callback(self._goings.discard)
