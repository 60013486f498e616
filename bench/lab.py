"""What the lab costs: time to be ready, time to initialise a canary, memory and CPU at rest.

    python bench/lab.py [--kuma 2.14] [--rest 30]

Prints a table and, as its last line, JSON. It makes a lab of its own and takes it away again.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.kinds import CANARIES, DEPLOYMENTS, EVENTS, PODS
from serinus.cluster.kubeconfig import from_kubeconfig
from serinus.lab import world
from serinus.lab.choices import DEFAULT_KUMA
from serinus.lab.demo import manifests
from serinus.lab.demo.kubectl import Kubectl
from serinus.lab.demo.pace import shortened

NAME = "bench"
PATIENCE = 120.0
SETTLE = 10.0
"""Seconds between `Initialized` and the measurement at rest: what is going must be gone."""

REVISIONS = 5

GOALS = {
    "lab_ready_s": (6.0, "`serinus lab up` until all system pods are ready"),
    "initialized_s": (15.0, "Canary applied until Initialized"),
    "revision_noticed_s": (0.2, "image changed until `New revision detected`, median"),
    "pss_mb": (450.0, "PSS of all processes at rest, with the guide's objects"),
    "idle_cores": (0.1, "CPU of all processes at rest"),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Proportional memory in MB, CPU in seconds since the start, how many processes."""

    pss_mb: float
    cpu_s: float
    processes: int


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    yield pid
    for child in children:
        yield from tree(int(child))


def usage(root: int) -> Usage:
    """What a tree of processes uses. CPU includes what children that have ended used."""
    pss_kb = ticks = processes = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pss_kb += next(
                (int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")),
                0,
            )
            ticks += sum(int(field) for field in stat[11:15])
            processes += 1
    return Usage(pss_kb / 1000, ticks / os.sysconf("SC_CLK_TCK"), processes)


def by_program(root: int) -> dict[str, float]:
    """PSS in MB by what runs, for the table."""
    found: dict[str, float] = {}
    for pid in tree(root):
        with contextlib.suppress(OSError, StopIteration):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            name = next((word for word in words if word.startswith("serinus.")), "")
            name = name or Path(words[0]).name
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kb = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            found[name] = found.get(name, 0.0) + kb / 1000
    return dict(sorted(found.items(), key=lambda item: -item[1]))


async def until(holds: Callable[[], bool], what: str) -> float:
    """Wait; the moment at which it held."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g}s for {what}")
        await asyncio.sleep(0.005)
    return time.monotonic()


def ready(pod: dict[str, Any]) -> bool:
    """Whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Seen:
    """When the target last changed and when a new revision was last told, by watches."""

    def __init__(self) -> None:
        self.phase = ""
        self.images: list[tuple[str, float]] = []
        self.noticed: list[float] = []

    def canary(self, change: Change[Any]) -> None:
        if change.new is not None:
            self.phase = change.new.get("status", {}).get("phase", "")

    def deployment(self, change: Change[Any]) -> None:
        if change.new is None or change.key != ("test", "podinfo"):
            return
        image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
        if not self.images or self.images[-1][0] != image:
            self.images.append((image, time.monotonic()))

    def event(self, change: Change[Any]) -> None:
        new, old = change.new, change.old
        again = old is None or new is None or old["count"] != new["count"]
        if new is not None and again and new["message"].startswith("New revision detected!"):
            self.noticed.append(time.monotonic())


async def measure(kuma: str, rest_seconds: float) -> dict[str, float]:
    """The whole benchmark, in a running order that disturbs nothing."""
    command = [sys.executable, "-c", "from serinus.cli.main import main; main()"]
    began = time.monotonic()
    up = [*command, "lab", "up", "--name", NAME, "--kuma", kuma]
    await asyncio.to_thread(subprocess.run, up, check=True, stdout=subprocess.DEVNULL)
    info = world.status(NAME)
    assert info is not None
    connection = await from_kubeconfig(str(info.paths.kubeconfig))
    kubectl = Kubectl(info.paths.kubeconfig)
    async with Client(connection) as client:
        while True:
            pods = msgspec.json.decode(await client.list(PODS))["items"]
            if pods and all(ready(pod) for pod in pods):
                break
            await asyncio.sleep(0.02)
        figures = {"lab_ready_s": time.monotonic() - began}
        await set_up(kubectl)
        seen, tasks = Seen(), []
        for resource, callback in (
            (CANARIES, seen.canary), (DEPLOYMENTS, seen.deployment), (EVENTS, seen.event)
        ):  # fmt: skip
            cache: Cache[Any] = Cache(client, resource, msgspec.json.decode, namespace="test")
            cache.subscribe(callback)
            tasks.append(asyncio.create_task(cache.run()))
            await cache.synced.wait()
        began = time.monotonic()
        await kubectl.run("apply", "-f", "-", stdin=shortened(manifests.guide_canary().read_text()))
        at = await until(lambda: seen.phase == "Initialized", "Initialized")
        figures["initialized_s"] = at - began
        await asyncio.sleep(SETTLE)
        before, clock = usage(info.pid), time.monotonic()
        await asyncio.sleep(rest_seconds)
        after = usage(info.pid)
        figures["idle_cores"] = (after.cpu_s - before.cpu_s) / (time.monotonic() - clock)
        figures["pss_mb"] = after.pss_mb
        show_programs(by_program(info.pid), after.processes)
        figures["revision_noticed_s"] = await notice(kubectl, seen)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {name: round(figures[name], 3) for name in GOALS}


async def set_up(kubectl: Kubectl) -> None:
    """The guide's objects, all ready, the canary not yet applied."""
    await kubectl.run("apply", "-k", str(manifests.kustomization("kuma")))
    await kubectl.run("create", "ns", "test")
    await kubectl.run("annotate", "namespace", "test", "kuma.io/sidecar-injection=enabled")
    await kubectl.run("apply", "-k", str(manifests.kustomization("tester")))
    await kubectl.run("apply", "-k", str(manifests.kustomization("podinfo")))
    for namespace, name in (
        ("kong-mesh-system", "flagger"), ("test", "flagger-loadtester"), ("test", "podinfo")
    ):  # fmt: skip
        wait = ("rollout", "status", f"deployment/{name}", "--timeout=120s")
        await kubectl.run("-n", namespace, *wait)


async def notice(kubectl: Kubectl, seen: Seen) -> float:
    """Median seconds from a change of the image to the event that tells it, both as watched."""
    waited = []
    for number in range(1, REVISIONS + 1):
        told = len(seen.noticed)
        image = f"podinfod=ghcr.io/stefanprodan/podinfo:6.1.{number}"
        await kubectl.run("-n", "test", "set", "image", "deployment/podinfo", image)
        await until(lambda told=told: len(seen.noticed) > told, image)  # type: ignore[misc]
        waited.append(seen.noticed[-1] - seen.images[-1][1])
        await asyncio.sleep(2.0)
    return statistics.median(waited)


def show_programs(found: dict[str, float], processes: int) -> None:
    print(f"{processes} processes at rest; PSS in MB by program:")
    for name, mb in found.items():
        if mb >= 1:
            print(f"  {name:32} {mb:7.1f}")
    print()


def show(figures: dict[str, float]) -> None:
    print(f"{'':22}{'measured':>10}{'goal':>10}")
    for name, (goal, meaning) in GOALS.items():
        mark = "" if figures[name] < goal else "  MISSED"
        print(f"{name:22}{figures[name]:>10.3f}{f'< {goal:g}':>10}  {meaning}{mark}")
    print(json.dumps(figures))


def main() -> None:
    """Measure, print, clean up."""
    parser = argparse.ArgumentParser(description="What the lab costs.")
    parser.add_argument("--kuma", default=DEFAULT_KUMA, help="version of Kuma to play")
    parser.add_argument("--rest", type=float, default=30.0, help="seconds to measure rest for")
    options = parser.parse_args()
    world.down(NAME)
    try:
        show(asyncio.run(measure(options.kuma, max(20.0, options.rest))))
    finally:
        world.down(NAME)


if __name__ == "__main__":
    main()
