"""What containers use: processor time and memory, from /proc, for ``/stats/summary``."""

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serinus.lab.addresses import NODE_NAME
from serinus.lab.kubelet.pod import PodWorker
from serinus.lab.kubelet.sandbox import children

SHORTEST = 1.0
"""Seconds; two readings closer than this give no rate, so the last rate is told again."""

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """Nanoseconds of processor time since the start, and bytes of memory of its own."""

    cpu: int
    memory: int


def tree_usage(pid: int) -> Usage:
    """What a process and all below it use; what ended children used is in it too."""
    cpu = memory = 0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            _, resident, shared, *_ = Path(f"/proc/{one}/statm").read_text().split()
        except OSError:
            continue
        # Fields 14 to 17 of proc(5): utime, stime, cutime, cstime.
        cpu += sum(int(ticks) for ticks in stat[11:15]) * _TICK_NS
        memory += (int(resident) - int(shared)) * _PAGE
        waiting.extend(children(one))
    return Usage(cpu, memory)


@dataclass(slots=True)
class _Reading:
    at: float
    cpu: int
    rate: int


@dataclass(slots=True)
class Meter:
    """Remembers the last reading of each container, for the rates."""

    _last: dict[str, _Reading] = field(default_factory=dict)

    def summary(self, workers: list[PodWorker]) -> dict[str, Any]:
        """The answer to ``GET /stats/summary``."""
        seen: set[str] = set()
        pods = [self._pod(worker, seen) for worker in workers]
        self._last = {key: reading for key, reading in self._last.items() if key in seen}
        return {"node": {"nodeName": NODE_NAME}, "pods": pods}

    def _pod(self, worker: PodWorker, seen: set[str]) -> dict[str, Any]:
        meta = worker.pod.metadata
        containers = []
        for container in worker.containers.values():
            if container.running is not None:
                seen.add(container.id)
                usage = tree_usage(container.running.pid)
                figures = self._figures(container.id, usage, container.started_at)
                containers.append({"name": container.spec.name, **figures})
        reference = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
        return {"podRef": reference, "containers": containers}

    def _figures(self, key: str, usage: Usage, started_at: float) -> dict[str, Any]:
        now = time.monotonic()
        last = self._last.get(key) or _Reading(started_at, 0, 0)
        if now - last.at >= SHORTEST:
            rate = int(max(usage.cpu - last.cpu, 0) / (now - last.at))
            last = self._last[key] = _Reading(now, usage.cpu, rate)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "cpu": {
                "time": stamp,
                "usageNanoCores": last.rate,
                "usageCoreNanoSeconds": usage.cpu,
            },
            "memory": {
                "time": stamp,
                "workingSetBytes": usage.memory,
                "rssBytes": usage.memory,
            },
        }
