"""How soon callers go by a new weight: from the write of the route to the first answer by it.

    python bench/weights.py [--kuma 3.0] [--changes 60]

Makes a lab of its own with one caller, one primary and one canary, each with a real Envoy, and
takes it away again. The caller asks podinfo all the time, over a connection that it keeps; the
route leads now all requests to the one side, now all to the other. A change is counted from before
the write is sent to the API server until the caller has the first answer of the other side; both
read one clock. Prints median, 99th percentile and maximum, and as its last line JSON.
"""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from serinus.cluster.client import Client, PatchKind
from serinus.cluster.kinds import MESHHTTPROUTES, TRAFFICROUTES
from serinus.cluster.kubeconfig import from_kubeconfig
from serinus.cluster.resource import Resource
from serinus.lab import world
from serinus.lab.choices import DEFAULT_KUMA
from serinus.lab.demo.kubectl import Kubectl
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, KumaVersion, played

Json = dict[str, Any]

NAME = "bench-weights"
GOAL_MS = 100.0
PATIENCE = 30.0
REST = (0.2, 0.5)
"""Seconds between two changes, from which one is drawn: they are not to fall in step with anything
that happens at regular times."""

SIDES = ("primary", "canary")

CALLER = """
import http.client, json, time
side = ""
connection = http.client.HTTPConnection("podinfo.test.svc.cluster.local", 9898, timeout=5)
while True:
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
        seen = json.loads(body)["message"] if answer.status == 200 else str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        seen = type(error).__name__
    if seen != side:
        side = seen
        print(time.monotonic_ns(), side, flush=True)
    time.sleep(0.001)
"""


def workload(app: str, container: Json) -> Json:
    """A Deployment of one pod."""
    labels = {"app": app}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": "test"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def podinfo(side: str) -> Json:
    """Of one side: it answers with the side's name."""
    return {
        "name": "podinfod",
        "image": "ghcr.io/stefanprodan/podinfo:6.0.0",
        "env": [{"name": "PODINFO_UI_MESSAGE", "value": side}],
        "ports": [{"name": "http", "containerPort": 9898}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1},
    }


def objects() -> list[Json]:
    """All but the route."""
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": "test",
                "annotations": {"9898.service.kuma.io/protocol": "http"},
            },
            "spec": {
                "selector": {"app": app},
                "ports": [
                    {"name": "http", "port": 9898, "targetPort": 9898, "appProtocol": "http"}
                ],
            },
        }
        for name, app in (
            ("podinfo", "primary"),
            ("podinfo-primary", "primary"),
            ("podinfo-canary", "canary"),
        )
    ]
    meshed = {"kuma.io/sidecar-injection": "enabled"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "test", "labels": meshed, "annotations": meshed},
    }
    caller = {"name": "caller", "image": "bench/caller:1"}
    workloads = [workload(side, podinfo(side)) for side in SIDES]
    return [namespace, *services, *workloads, workload("caller", caller)]


class Route:
    """podinfo's route on one Kuma."""

    def __init__(self, version: KumaVersion) -> None:
        self._version = version
        self.resource: Resource = MESHHTTPROUTES if version.has_meshhttproute else TRAFFICROUTES
        self.namespace: str | None = None
        if version.has_meshhttproute:
            self.namespace = "test" if version.policies_in_app_namespaces else SYSTEM_NAMESPACE

    def spec(self, canary: int) -> Json:
        """With the canary's weight in per cent."""
        weights = {"podinfo-primary": 100 - canary, "podinfo-canary": canary}
        if not self._version.has_meshhttproute:
            split = [
                {"weight": weight, "destination": {"kuma.io/service": f"{name}_test_svc_9898"}}
                for name, weight in weights.items()
            ]
            return {
                "sources": [{"match": {"kuma.io/service": "*"}}],
                "destinations": [{"match": {"kuma.io/service": "podinfo_test_svc_9898"}}],
                "conf": {"split": split},
            }
        refs = [{**self._backend(name), "weight": weight} for name, weight in weights.items()]
        bare = {"path": {"type": "PathPrefix", "value": "/"}}
        rule = {"matches": [bare], "default": {"backendRefs": refs}}
        return {
            "targetRef": {"kind": "Mesh"},
            "to": [{"targetRef": self._ref("podinfo"), "rules": [rule]}],
        }

    def object(self, canary: int) -> Json:
        """As it is first written."""
        mesh = {"labels": {"kuma.io/mesh": "default"}} if self.namespace else {}
        top = {} if self.namespace else {"mesh": "default"}
        meta = {"name": "podinfo", "namespace": self.namespace, **mesh}
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            **top,
            "metadata": {key: value for key, value in meta.items() if value},
            "spec": self.spec(canary),
        }

    def _ref(self, service: str) -> Json:
        version = self._version
        if not version.targets_by_name:
            labels = {"kuma.io/display-name": service, "k8s.kuma.io/namespace": "test"}
            return {"kind": "MeshService", "labels": labels}
        name = service if version.mesh_services == "Exclusive" else f"{service}_test_svc_9898"
        return {"kind": "MeshService", "name": name}

    def _backend(self, service: str) -> Json:
        port = {"port": 9898} if self._version.mesh_services == "Exclusive" else {}
        return {**self._ref(service), **port}


class Answers:
    """What the caller prints: whenever another side answers, the moment and the side."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, str]] = []
        self._told = asyncio.Event()

    async def read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            at, _, side = line.decode().strip().partition(" ")
            self.turns.append((int(at), side))
            self._told.set()

    async def by(self, side: str, since: int) -> int:
        """The moment of the first answer by ``side`` after ``since``, both in nanoseconds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for at, seen in self.turns:
                        if at > since and seen == side:
                            return at
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            words = f"no answer by {side} in {PATIENCE:g} s; the last: {self.turns[-3:]}"
            raise TimeoutError(words) from None


async def measure(version: KumaVersion, changes: int, images: Path) -> Json:
    """Make the lab and change the weights; milliseconds."""
    command = [sys.executable, "-c", "from serinus.cli.main import main; main()"]
    up = [*command, "lab", "up", "--name", NAME, "--kuma", version.name, "--images", str(images)]
    await asyncio.to_thread(subprocess.run, up, check=True, stdout=subprocess.DEVNULL)
    info = world.status(NAME)
    assert info is not None
    kubectl = Kubectl(info.paths.kubeconfig)
    listed = {"apiVersion": "v1", "kind": "List", "items": objects()}
    await kubectl.run("apply", "-f", "-", stdin=json.dumps(listed))
    for name in (*SIDES, "caller"):
        await kubectl.run("-n", "test", "rollout", "status", f"deployment/{name}", "--timeout=60s")
    route = Route(version)
    connection = await from_kubeconfig(str(info.paths.kubeconfig))
    async with Client(connection) as client, followed(kubectl) as answers:
        await client.create(route.resource, route.namespace, route.object(0))
        took, written = [], []
        canary = 0
        start = await answers.by("primary", 0)
        for _ in range(changes):
            await asyncio.sleep(random.uniform(*REST))
            canary = 100 - canary
            began = time.monotonic_ns()
            await client.patch(
                route.resource,
                route.namespace,
                "podinfo",
                {"spec": route.spec(canary)},
                PatchKind.MERGE,
            )
            written.append((time.monotonic_ns() - began) / 1e6)
            turned = await answers.by(SIDES[canary // 100], began)
            took.append((turned - began) / 1e6)
        seen = {side for at, side in answers.turns if at > start}
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {
        "kuma": version.name,
        "changes": changes,
        "median_ms": round(statistics.median(took), 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(max(took), 1),
        "written_median_ms": round(statistics.median(written), 1),
        "other_answers": sorted(seen - {*SIDES}),
    }


@asynccontextmanager
async def followed(kubectl: Kubectl) -> AsyncIterator[Answers]:
    """The caller's answers, as they come."""
    answers = Answers()
    logs = ("-n", "test", "logs", "-f", "deployment/caller", "-c", "caller")
    async with kubectl.stream(*logs) as lines:
        reading = asyncio.create_task(answers.read(lines))
        try:
            yield answers
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading


def show(figures: Json) -> None:
    mark = "" if figures["median_ms"] < GOAL_MS else "  MISSED"
    print(f"Kuma {figures['kuma']}: {figures['changes']} changes of a weight")
    print(f"  median {figures['median_ms']:8.1f} ms   goal < {GOAL_MS:g} ms{mark}")
    print(f"  p99    {figures['p99_ms']:8.1f} ms")
    print(f"  max    {figures['max_ms']:8.1f} ms")
    print(f"  of it the write itself, median {figures['written_median_ms']:.1f} ms")
    print(json.dumps(figures))


def main() -> None:
    """Measure, print, clean up."""
    parser = argparse.ArgumentParser(description="How soon callers go by a new weight.")
    parser.add_argument("--kuma", default=DEFAULT_KUMA, help="version of Kuma to play")
    parser.add_argument("--changes", type=int, default=60, help="how often to change the weight")
    options = parser.parse_args()
    entry = {"image": "bench/caller", "command": [sys.executable, "-c", CALLER]}
    with tempfile.TemporaryDirectory() as directory:
        images = Path(directory) / "images.yaml"
        images.write_text(json.dumps([entry]))
        world.down(NAME)
        try:
            show(asyncio.run(measure(played(options.kuma), max(50, options.changes), images)))
        finally:
            world.down(NAME)


if __name__ == "__main__":
    main()
