"""Plays the kubelet over the API: pods are bound to one Node and become what is asked of them.

What a pod does is chosen by its image's tag (`Play`), or by a function of the test's.
"""

import asyncio
import enum
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound, Unreachable
from serinus.cluster.kinds import NODES, PODS

Object = dict[str, Any]

NODE = "lab"
WORKERS = 8
_AGAIN_SECONDS = 0.5


class Play(enum.Enum):
    """What a pod does; the value is the image's tag that asks for it."""

    READY = "ready"
    UNREADY = "unready"
    LATE = "late"
    CRASHES = "crashes"
    SUCCEEDS = "succeeds"
    FAILS = "fails"
    PENDING = "pending"


def by_tag(pod: Object) -> Play:
    """Any tag that is no `Play` means READY."""
    tag = pod["spec"]["containers"][0]["image"].rpartition(":")[2]
    try:
        return Play(tag)
    except ValueError:
        return Play.READY


class Kubelet:
    """``plays`` may be changed at any time, then `again` has the pods look at it anew.

    ``late`` is after how many seconds a LATE pod is ready.
    """

    def __init__(self, client: Client, late: float = 2.0) -> None:
        self.plays: Callable[[Object], Play] = by_tag
        self.late = late
        self._client = client
        self._pods: Cache[Object] = Cache(client, PODS, msgspec.json.decode)
        # A pod has one worker: two at once would report it twice, the second time too late.
        self._due: list[asyncio.Queue[tuple[str, str]]] = [asyncio.Queue() for _ in range(WORKERS)]
        self._played: dict[str, Play] = {}
        self._last_ip = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pods.subscribe(self._changed)

    def _look_at(self, key: tuple[str, str]) -> None:
        self._due[hash(key) % WORKERS].put_nowait(key)

    def _changed(self, change: Change[Object]) -> None:
        if change.new is not None:
            self._look_at(change.key)
        elif change.old is not None:
            self._played.pop(change.old["metadata"]["uid"], None)

    def again(self) -> None:
        """Ask ``plays`` anew about every pod; from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ask_all)

    def _ask_all(self) -> None:
        for key in list(self._pods.keys()):
            self._look_at(key)

    async def run(self) -> None:
        """Until cancelled. An API server that goes away is waited for."""
        self._loop = asyncio.get_running_loop()
        await self._register()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pods.run())
            for due in self._due:
                group.create_task(self._work(group, due))

    async def _register(self) -> None:
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "capacity": {"cpu": "1000", "memory": "1Ti", "pods": "100000"},
            "allocatable": {"cpu": "1000", "memory": "1Ti", "pods": "100000"},
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "lastHeartbeatTime": _now(),
                    "lastTransitionTime": _now(),
                }
            ],
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        try:
            await self._client.create(NODES, None, node)
        except AlreadyExists:
            return
        await self._client.patch(NODES, None, NODE, {"status": status}, subresource="status")
        # The API server taints a new Node, and nobody here takes that back once it is ready.
        await self._client.patch(NODES, None, NODE, {"spec": {"taints": None}})

    async def _work(self, group: asyncio.TaskGroup, due: "asyncio.Queue[tuple[str, str]]") -> None:
        while True:
            key = await due.get()
            pod = self._pods.get(*key)
            if pod is None:
                continue
            try:
                await self._play(group, pod)
            except (NotFound, Conflict):
                continue
            except (ApiError, Unreachable):
                group.create_task(self._later(key, _AGAIN_SECONDS))

    async def _later(self, key: tuple[str, str], seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._look_at(key)

    async def _play(self, group: asyncio.TaskGroup, pod: Object) -> None:
        metadata = pod["metadata"]
        namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
        if metadata.get("deletionTimestamp"):
            await self._client.delete(PODS, namespace, name, grace_period_seconds=0, uid=uid)
            return
        play = self.plays(pod)
        if play is Play.PENDING or self._played.get(uid) is play:
            return
        if not pod["spec"].get("nodeName"):
            await self._bind(namespace, name, uid)
        if play is Play.LATE:
            group.create_task(self._ready_late(namespace, name, uid))
        await self._report(pod, play)

    async def _bind(self, namespace: str, name: str, uid: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        await self._client.create(PODS, namespace, binding, name=name, subresource="binding")

    async def _ready_late(self, namespace: str, name: str, uid: str) -> None:
        await asyncio.sleep(self.late)
        pod = self._pods.get(namespace, name)
        if pod is not None and pod["metadata"]["uid"] == uid:
            try:
                await self._report(pod, Play.READY, remembered=Play.LATE)
            except (NotFound, Conflict):
                return

    async def _report(self, pod: Object, play: Play, remembered: Play | None = None) -> None:
        metadata = pod["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": self._status(pod, play)}
        self._played[metadata["uid"]] = remembered or play
        try:
            await self._client.patch(
                PODS, metadata["namespace"], metadata["name"], body, subresource="status"
            )
        except (ApiError, Unreachable):
            self._played.pop(metadata["uid"], None)
            raise

    def _status(self, pod: Object, play: Play) -> Object:
        now = _now()
        status = pod.get("status") or {}
        ip = status.get("podIP") or self._address()
        ready = str(play is Play.READY)
        phase = {Play.SUCCEEDS: "Succeeded", Play.FAILS: "Failed"}.get(play, "Running")
        return {
            "phase": phase,
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "127.0.0.1",
            "startTime": status.get("startTime") or now,
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": now}
                for kind, value in (
                    ("PodScheduled", "True"),
                    ("Initialized", "True"),
                    ("ContainersReady", ready),
                    ("Ready", ready),
                )
            ],
            "containerStatuses": [
                _container(container, play, now) for container in pod["spec"]["containers"]
            ],
        }

    def _address(self) -> str:
        self._last_ip += 1
        high, low = divmod(self._last_ip, 250)
        return f"10.244.{high % 250 + 1}.{low + 1}"


def _container(container: Object, play: Play, now: str) -> Object:
    state: Object = {"running": {"startedAt": now}}
    if play is Play.CRASHES:
        state = {
            "waiting": {
                "reason": "CrashLoopBackOff",
                "message": f"back-off 10s restarting failed container={container['name']}",
            }
        }
    elif play in (Play.SUCCEEDS, Play.FAILS):
        code, reason = (0, "Completed") if play is Play.SUCCEEDS else (1, "Error")
        state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": now,
                "finishedAt": now,
            }
        }
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": play is Play.READY,
        "started": play is not Play.CRASHES,
        "restartCount": 3 if play is Play.CRASHES else 0,
        "state": state,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
