"""One pod: its network, its volumes, its containers in their order, its status, its end."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, Conflict, NotFound, Unreachable
from serinus.cluster.events import EventRecorder, ObjectRef
from serinus.cluster.kinds import PODS
from serinus.lab.addresses import CLUSTER_DOMAIN, NODE_IP, NODE_NAME
from serinus.lab.images.table import ImageTable
from serinus.lab.kubelet import network
from serinus.lab.kubelet.container import ContainerWorker
from serinus.lab.kubelet.environment import Objects, PodFacts
from serinus.lab.kubelet.manifest import Pod
from serinus.lab.kubelet.network import AddressPool, PodNetwork
from serinus.lab.kubelet.process import CommandFailed
from serinus.lab.kubelet.rootfs import Mount
from serinus.lab.kubelet.state import now_stamp
from serinus.lab.kubelet.status import PodView, pod_status
from serinus.lab.kubelet.volumes import PodVolumes, TokenSource, VolumeError
from serinus.lab.paths import LabPaths

SIDECAR_SECONDS = 2.0
"""What native sidecars have at least to end, after the other containers."""

log = structlog.get_logger(__name__)


class Redirections(Protocol):
    """Keeps the pods' iptables (`serinus.lab.kubelet.proxy`)."""

    async def add(self, pod: Pod, where: PodNetwork) -> None: ...

    def remove(self, where: PodNetwork) -> None: ...


@dataclass(slots=True)
class Node:
    """What all pods of the node share."""

    client: Client
    paths: LabPaths
    images: ImageTable
    objects: Objects
    tokens: TokenSource
    addresses: AddressPool
    services: Redirections
    events: EventRecorder


class PodWorker:
    """Runs one pod. ``pod`` is its newest manifest."""

    def __init__(self, node: Node, pod: Pod) -> None:
        meta = pod.metadata
        self.pod = pod
        self.node = node
        self.images, self.objects = node.images, node.objects
        self.hostname = pod.spec.hostname or meta.name[:63]
        self.directory = node.paths.pods / meta.uid
        self.files: list[Mount] = []
        self.network: PodNetwork
        self.address = node.addresses.take()
        self.facts = PodFacts(pod, str(self.address), str(NODE_IP), NODE_NAME)
        self.volumes = PodVolumes(
            self.directory / "volumes", node.paths, self.facts, node.objects, node.tokens
        )
        init = [
            ContainerWorker(self, spec, "sidecar" if spec.restart_policy == "Always" else "init")
            for spec in pod.spec.init_containers
        ]
        main = [ContainerWorker(self, spec, "main") for spec in pod.spec.containers]
        self.containers = {worker.spec.name: worker for worker in [*init, *main]}
        self.ending: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()
        """Set when nothing of the pod is left on this node."""
        self._inits, self._mains = init, main
        self._networked = False
        self._start_time = pod.status.start_time or now_stamp()
        self._ref = ObjectRef(
            "v1", "Pod", meta.namespace, meta.name, meta.uid, meta.resource_version
        )
        self._dirty = asyncio.Event()
        self._poke = asyncio.Event()
        self._sent: dict[str, Any] = {}
        self._conditions: Sequence[dict[str, Any]] = pod.status.conditions
        self._tasks = [
            asyncio.create_task(self._live(), name=f"pod {pod.key}"),
            asyncio.create_task(self._report(), name=f"status {pod.key}"),
        ]
        self.changed()

    # What the containers need.

    def changed(self) -> None:
        """Have the status looked at again."""
        self._dirty.set()

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """An event on the pod."""
        self.node.events.record(self._ref, kind, reason, message)

    # What the kubelet does with a pod.

    def observe(self, pod: Pod) -> None:
        """The pod's manifest has changed (labels and annotations: the rest of a pod is fixed)."""
        self.pod = pod
        self.facts = PodFacts(pod, str(self.address), str(NODE_IP), NODE_NAME)
        self.volumes.facts = self.facts
        self.poke()

    def poke(self) -> None:
        """Something that the volumes show may have changed."""
        self._poke.set()

    def end(self, grace: float, *, delete: bool = True) -> None:
        """Begin to end the pod; ``delete`` also takes its object away at the end."""
        if self.ending is None:
            self.ending = asyncio.create_task(self._end(grace, delete))

    # The life of a pod.

    async def _live(self) -> None:
        try:
            await self._set_up()
            await self._run_containers()
        except (CommandFailed, OSError) as error:
            log.warning("pod failed", pod=self.pod.key, error=str(error))
            self.tell("Warning", "FailedCreatePodSandBox", str(error))
        finally:
            self.changed()

    async def _set_up(self) -> None:
        self.network = await network.create(self.pod.metadata.uid, self.address)
        self._networked = True
        self.files = self._etc()
        await self.node.services.add(self.pod, self.network)
        self.changed()
        told = ""
        while True:
            self._poke.clear()
            try:
                await self.volumes.refresh()
                break
            except (VolumeError, ApiError, Unreachable) as error:
                if told != str(error):
                    told = str(error)
                    self.tell("Warning", "FailedMount", told)
            await self._poked(1.0)
        self._tasks.append(asyncio.create_task(self._keep_volumes()))

    async def _poked(self, timeout: float | None) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._poke.wait()
        except TimeoutError:
            return

    async def _keep_volumes(self) -> None:
        while True:
            await self._poked(self.volumes.next_refresh())
            self._poke.clear()
            try:
                await self.volumes.refresh()
            except (VolumeError, ApiError, Unreachable) as error:
                log.warning("volumes not refreshed", pod=self.pod.key, error=str(error))
                await asyncio.sleep(1.0)

    async def _run_containers(self) -> None:
        for worker in self._inits:
            task = worker.begin()
            if worker.role == "sidecar":
                await worker.up.wait()
            elif await task != 0:
                return
        if self.ending is not None:
            return
        await asyncio.gather(*(worker.begin() for worker in self._mains))
        for worker in reversed([w for w in self._inits if w.role == "sidecar"]):
            await worker.stop(SIDECAR_SECONDS)

    def _etc(self) -> list[Mount]:
        """The files of /etc that are the pod's own."""
        spec, namespace = self.pod.spec, self.pod.metadata.namespace
        hosts = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
        hosts.append(f"{self.address} {self.hostname}")
        hosts.extend(f"{alias.ip} {' '.join(alias.hostnames)}" for alias in spec.host_aliases)
        search = f"{namespace}.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}"
        texts = {
            "hosts": "\n".join(hosts),
            "hostname": self.hostname,
            "resolv.conf": f"search {search}\nnameserver {NODE_IP}\noptions ndots:5",
        }
        directory = self.directory / "etc"
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text + "\n")
        return [Mount(directory / name, f"/etc/{name}") for name in texts]

    async def _end(self, grace: float, delete: bool) -> None:
        self.changed()
        self._tasks[0].cancel()
        deadline = time.monotonic() + grace
        await asyncio.gather(*(w.stop(grace) for w in [*self._mains, *self._plain_inits()]))
        for worker in reversed([w for w in self._inits if w.role == "sidecar"]):
            least = min(SIDECAR_SECONDS, grace) if delete else 0.0
            rest = max(deadline - time.monotonic(), least)
            await worker.stop(rest)
        await asyncio.gather(*self._tasks[:1], return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        if delete:
            await self._report_once()
        await self._clean_up()
        if delete:
            await self._delete()
        self.gone.set()

    def _plain_inits(self) -> list[ContainerWorker]:
        return [worker for worker in self._inits if worker.role == "init"]

    async def _clean_up(self) -> None:
        if self._networked:
            self.node.services.remove(self.network)
            try:
                await network.delete(self.network)
            except CommandFailed as error:
                log.warning("network not deleted", pod=self.pod.key, error=str(error))
        self.node.addresses.give_back(self.address)
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(self.node.paths.xds / self.pod.metadata.uid, ignore_errors=True)

    async def _delete(self) -> None:
        meta = self.pod.metadata
        for wait in (0.2, 1.0, 5.0):
            try:
                await self.node.client.delete(
                    PODS, meta.namespace, meta.name, uid=meta.uid, grace_period_seconds=0
                )
                return
            except (NotFound, Conflict):
                return
            except (ApiError, Unreachable) as error:
                log.warning("pod not deleted", pod=self.pod.key, error=str(error))
                await asyncio.sleep(wait)

    # The status.

    async def _report(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            if not await self._report_once():
                await asyncio.sleep(0.5)
                self._dirty.set()

    async def _report_once(self) -> bool:
        """Write what has changed of the status; False when that should be tried again."""
        view = PodView(
            pod=self.pod,
            ip=str(self.address) if self._networked else "",
            host_ip=str(NODE_IP),
            start_time=self._start_time,
            networked=self._networked,
            terminating=self.ending is not None,
            containers=list(self.containers.values()),
        )
        status = pod_status(view, self._conditions, now_stamp())
        changes = {key: value for key, value in status.items() if self._sent.get(key) != value}
        if not changes:
            return True
        meta = self.pod.metadata
        body = {"metadata": {"uid": meta.uid}, "status": changes}
        try:
            await self.node.client.patch(
                PODS, meta.namespace, meta.name, body, subresource="status"
            )
        except (NotFound, Conflict):
            return True
        except (ApiError, Unreachable) as error:
            log.warning("status not written", pod=self.pod.key, error=str(error))
            return False
        self._sent = status
        self._conditions = status["conditions"]
        return True
