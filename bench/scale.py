"""What an operator costs, and how punctual it is, with many canaries on a real control plane.

    python bench/scale.py N INTERVAL [--kuma 1.8] [--intervals 3] [--operator-cmd COMMAND]

INTERVAL is the canaries' analysis interval in seconds. Prints a table and, as its last line, JSON.
COMMAND drives another operator of the same API in the place of Serinus, such as
`PROGRAM -kubeconfig={kubeconfig} -metrics-server={prometheus} -mesh-provider=kuma`.
"""

import argparse
import asyncio
import contextlib
import copy
import itertools
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "bench")]

from played import Deployments, MeshServices, Peers, dataplane  # noqa: E402

from controlplane import ControlPlane  # noqa: E402
from serinus.cluster.cache import Cache, Change  # noqa: E402
from serinus.cluster.client import Client, PatchKind  # noqa: E402
from serinus.cluster.kinds import CANARIES, DATAPLANES, DEPLOYMENTS, EVENTS  # noqa: E402
from serinus.lab.mesh.crds import definitions  # noqa: E402
from serinus.lab.mesh.defaults import mesh, namespaces, policies  # noqa: E402
from serinus.lab.mesh.versions import PLAYED, SYSTEM_NAMESPACE, played  # noqa: E402

Object = dict[str, Any]

OPERATOR, WRITER, NAMESPACE = "operator", "writer", "bench"
SERINUS = (
    f"{sys.executable} -m serinus.operator -kubeconfig={{kubeconfig}}"
    " -metrics-server={prometheus} -listen=127.0.0.1 -port=0 -minimum-interval=1s"
    f" -kuma-system-namespace={SYSTEM_NAMESPACE}"
)
PROBES = 100
"""How many revisions are changed one by one, with a pause between them, before all the others."""

PROBE_PAUSE = 0.05
IMAGE = "/spec/template/spec/containers/0/image"
SETTLE = 5.0
PATIENCE = 900.0
HERTZ = os.sysconf("SC_CLK_TCK")


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    canary_weight: int = 0


class Canary(msgspec.Struct):
    status: _Status = _Status()


class _Event(msgspec.Struct, rename="camel"):
    message: str = ""
    involved_object: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU in seconds since a process began; resident memory in MB, now."""

    cpu: float
    rss: float


def usage(pid: int) -> Usage:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return Usage(sum(map(int, stat[11:13])) / HERTZ, rss / 1024)


class Seen:
    """What a watch of the canaries shows: when each came into its phase, and its steps."""

    def __init__(self, client: Client) -> None:
        decoder = msgspec.json.Decoder(Canary)
        self.cache: Cache[Canary] = Cache(client, CANARIES, decoder.decode, namespace=NAMESPACE)
        self.entered: dict[tuple[str, str], float] = {}
        """The last time that a canary, by name, came into a phase."""
        self.steps: dict[str, list[float]] = defaultdict(list)
        self.cache.subscribe(self._changed)

    def _changed(self, change: Change[Canary]) -> None:
        if change.new is None:
            return
        now, name = time.monotonic(), change.key[1]
        old, new = change.old.status if change.old else _Status(), change.new.status
        if old.phase != new.phase:
            self.entered[name, new.phase] = now
        if new.canary_weight > old.canary_weight:
            self.steps[name].append(now)

    def count(self, phase: str) -> int:
        return sum(canary.status.phase == phase for canary in self.cache.values())


class News:
    """When the event `New revision detected` was seen about each canary."""

    def __init__(self, client: Client) -> None:
        decoder = msgspec.json.Decoder(_Event)
        self.cache: Cache[_Event] = Cache(client, EVENTS, decoder.decode, namespace=NAMESPACE)
        self.at: dict[str, float] = {}
        self.cache.subscribe(self._changed)

    def _changed(self, change: Change[_Event]) -> None:
        if change.new is not None and change.new.message.startswith("New revision detected"):
            self.at.setdefault(change.new.involved_object.get("name", ""), time.monotonic())


def deployment(name: str) -> Object:
    made: Object = yaml.safe_load(
        (REPOSITORY / "deploy/kustomize/podinfo/deployment.yaml").read_text()
    )
    made["metadata"].update(name=name, labels={"app": name})
    made["spec"]["selector"]["matchLabels"] = {"app": name}
    made["spec"]["template"]["metadata"]["labels"] = {"app": name}
    made["spec"]["replicas"] = 1
    return made


def canary(name: str, interval: int, hook: str) -> Object:
    """The guide's, without autoscaler and with a rollout hook as its only one."""
    made: Object = yaml.safe_load((REPOSITORY / "examples/guide/podinfo-canary.yaml").read_text())
    made["metadata"].update(name=name, namespace=NAMESPACE)
    spec = made["spec"]
    spec["targetRef"]["name"] = name
    spec.pop("autoscalerRef", None)
    analysis = spec["analysis"]
    analysis.update(interval=f"{interval}s", maxWeight=100, stepWeight=5)
    hooks = [one for one in analysis["webhooks"] if one.get("type") == "rollout"]
    analysis["webhooks"] = [{**copy.deepcopy(one), "url": hook} for one in hooks]
    return made


async def each(
    items: Iterable[str], act: Callable[[str], Awaitable[object]], workers: int = 16
) -> None:
    """Do it for all, some at a time."""
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await act(item)

    await asyncio.gather(*(work() for _ in range(workers)))


async def until(holds: Callable[[], bool], what: str, operator: "subprocess.Popen[bytes]") -> float:
    """Wait; the moment at which it held."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if operator.poll() is not None:
            raise RuntimeError(f"the operator ended with {operator.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:g} s in vain for {what}")
        await asyncio.sleep(0.05)
    return time.monotonic()


def share(values: list[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


class Bench:
    """One run: ``plane`` is up, and empty but for what `furnish` puts there."""

    def __init__(self, plane: ControlPlane, wanted: argparse.Namespace) -> None:
        self.plane = plane
        self.count: int = wanted.n
        self.interval: int = wanted.interval
        self.intervals: int = wanted.intervals
        self.command: str = wanted.operator_cmd or SERINUS
        self.kuma = played(wanted.kuma)
        self.profile: str = wanted.profile
        self.names = [f"app-{number:05}" for number in range(self.count)]
        self.figures: dict[str, float] = {}
        self.table: list[tuple[str, str]] = []

    def furnish(self) -> None:
        """CRDs, mesh, namespace, and who may do what."""
        for path in sorted((REPOSITORY / "deploy/crds").glob("*s.yaml")):
            self.plane.kubectl("apply", "--server-side", "-f", str(path))
        self.plane.apply(*definitions(self.kuma))
        self.plane.until(self._serves)
        routes = [one for one in policies(self.kuma) if one["kind"] == "TrafficRoute"]
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": OPERATOR},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [
                {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": OPERATOR}
            ],
        }
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.plane.apply(space, *namespaces(), mesh(self.kuma), *routes, binding)

    def _serves(self) -> bool:
        paths = ("flagger.app/v1beta1/canaries", "kuma.io/v1alpha1/meshes")
        return all(self.plane.request("GET", f"/apis/{path}").status == 200 for path in paths)

    def start_operator(self, prometheus: str) -> "subprocess.Popen[bytes]":
        kubeconfig = self.plane.write_kubeconfig(OPERATOR, f"{OPERATOR}-token")
        words = shlex.split(self.command.format(kubeconfig=kubeconfig, prometheus=prometheus))
        if self.profile and self.command is SERINUS:
            words[1:1] = ["-m", "cProfile", "-o", f"{self.profile}.operator"]
        log = (self.plane.root / "operator.log").open("ab")
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "POD_NAMESPACE": "default"},
        )

    async def run(self) -> None:
        async with (
            Peers() as peers,
            self.plane.client(WRITER) as client,
            asyncio.TaskGroup() as ran,
        ):
            seen, news = Seen(client), News(client)
            works = [Deployments(client, NAMESPACE).run(), seen.cache.run()]
            if self.kuma.has_meshservice:
                works.append(MeshServices(client, NAMESPACE, self.kuma).run())
            tasks = [ran.create_task(work) for work in works]
            operator = self.start_operator(peers.address)
            try:
                await self._phases(client, peers, seen, news, operator)
            finally:
                operator.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(operator.wait, 10)
                operator.kill()
                for task in tasks:
                    task.cancel()

    async def _phases(
        self,
        client: Client,
        peers: Peers,
        seen: Seen,
        news: News,
        operator: "subprocess.Popen[bytes]",
    ) -> None:
        await each(self.names, lambda name: client.create(DEPLOYMENTS, NAMESPACE, deployment(name)))
        if self.kuma.has_meshhttproute and not self.kuma.has_meshservice:
            pods = (DATAPLANES, NAMESPACE)
            await each(self.names, lambda name: client.create(*pods, dataplane(name, NAMESPACE)))
        await asyncio.sleep(SETTLE)
        sys.stderr.write("canaries are made\n")
        began = time.monotonic()
        hook = f"{peers.address}/hook"
        await each(
            self.names,
            lambda name: client.create(CANARIES, NAMESPACE, canary(name, self.interval, hook)),
        )
        created = time.monotonic()
        ended = await until(
            lambda: seen.count("Initialized") == self.count, "Initialized", operator
        )
        self.figures["init_s"] = ended - began
        self.table.append(
            ("initialised", f"{ended - began:.1f} s (creating them took {created - began:.1f} s)")
        )
        await asyncio.sleep(SETTLE)
        await self._measured("idle", 2, peers, operator)
        listening = asyncio.create_task(news.cache.run())
        await news.cache.synced.wait()
        changed: dict[str, float] = {}

        async def change(name: str) -> None:
            changed[name] = time.monotonic()
            patch = [
                {"op": "replace", "path": IMAGE, "value": "ghcr.io/stefanprodan/podinfo:6.0.1"}
            ]
            await client.patch(DEPLOYMENTS, NAMESPACE, name, patch, PatchKind.JSON)

        probes = self.names[: min(PROBES, self.count)]
        for name in probes:
            await change(name)
            await asyncio.sleep(PROBE_PAUSE)
        await until(lambda: all(name in news.at for name in probes), "the news", operator)
        # From here on there are too many events to be watched by the way.
        listening.cancel()
        others, bulk = self.names[len(probes) :], time.monotonic()
        await each(others, change)
        spread = time.monotonic() - bulk
        begun = seen.entered
        await until(
            lambda: all((name, "Progressing") in begun for name in others), "Progressing", operator
        )
        self.figures["noticed_p99_s"] = share([news.at[one] - changed[one] for one in probes], 99)
        rest = [begun[one, "Progressing"] - changed[one] for one in others]
        self.table += [
            ("new revision noticed, one by one", f"p99 {self.figures['noticed_p99_s']:.3f} s"),
            (
                "new revision noticed, all the others at once",
                f"p99 {share(rest, 99):.3f} s (changing them took {spread:.1f} s)",
            ),
        ]
        await asyncio.sleep(1.3 * self.interval)
        begin = time.monotonic()
        await self._measured("progressing", self.intervals, peers, operator)
        # The first step asks neither hook nor Prometheus, so it is quicker than those after it.
        gaps = [
            after - before
            for steps in seen.steps.values()
            for before, after in itertools.pairwise(steps[1:])
            if after >= begin
        ]
        self.figures["step_median_s"] = statistics.median(gaps) if gaps else 0.0
        self.figures["step_p99_s"] = share(gaps, 99)
        self.table.append(
            (
                "weight step, nominal -> seen",
                f"{self.interval} s -> median {self.figures['step_median_s']:.3f}, "
                f"p99 {self.figures['step_p99_s']:.3f}, max {max(gaps, default=0):.3f}, "
                f"min {min(gaps, default=0):.3f} ({len(gaps)} steps)",
            )
        )

    async def _profile_server(self, seconds: int) -> None:
        path = f"/debug/pprof/profile?seconds={min(seconds, 30)}"
        answer = await asyncio.to_thread(self.plane.request, "GET", path)
        await asyncio.to_thread(Path(f"{self.profile}.apiserver").write_bytes, answer.body)

    async def _measured(
        self, what: str, intervals: int, peers: Peers, operator: "subprocess.Popen[bytes]"
    ) -> None:
        """Count and weigh everything for some intervals."""
        sys.stderr.write(f"{what}: measured for {intervals} intervals\n")
        assert self.plane.api_server is not None
        server = self.plane.api_server.pid
        audit, asked = self.plane.audit_size, peers.counted.copy()
        before, before_server = usage(operator.pid), usage(server)
        began, seconds, rss = time.monotonic(), intervals * self.interval, 0.0
        if self.profile and what == "progressing":
            profiled = asyncio.create_task(self._profile_server(seconds))
        while time.monotonic() - began < seconds:
            await asyncio.sleep(min(1.0, max(0.0, began + seconds - time.monotonic())))
            rss = max(rss, usage(operator.pid).rss)
        after, after_server = usage(operator.pid), usage(server)
        if self.profile and what == "progressing":
            await profiled
        ticks = self.count * intervals
        cpu, cpu_server = after.cpu - before.cpu, after_server.cpu - before_server.cpu
        counted = await asyncio.to_thread(self.plane.counted, OPERATOR, audit)
        requests = sum(n for (verb, _), n in counted.items() if verb != "watch") / ticks
        queries = (peers.counted["queries"] - asked["queries"]) / intervals
        hooks = (peers.counted["hooks"] - asked["hooks"]) / ticks
        listed = ", ".join(
            f"{n / ticks:.2f} {verb} {resource}"
            for (verb, resource), n in counted.most_common()
            if n / ticks >= 0.005 and verb != "watch"
        )
        self.table += [
            (f"{what}: requests per canary and interval", f"{requests:.2f} ({listed or '-'})"),
            (
                f"{what}: operator CPU",
                f"{cpu / seconds:.3f} cores, {1000 * cpu / ticks:.2f} ms/tick",
            ),
            (
                f"{what}: API server CPU",
                f"{cpu_server / seconds:.3f} cores, {1000 * cpu_server / ticks:.2f} ms/tick",
            ),
            (f"{what}: operator RSS", f"{rss:.0f} MB"),
        ]
        if what == "idle":
            self.figures["idle_requests"] = requests
            return
        self.table.append(
            (f"{what}: queries per interval, hooks per canary", f"{queries:.1f}, {hooks:.2f}")
        )
        self.figures |= {
            "progressing_requests": requests,
            "queries_per_interval": queries,
            "operator_ms_per_tick": 1000 * cpu / ticks,
            "apiserver_ms_per_tick": 1000 * cpu_server / ticks,
            "rss_mb": rss,
        }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, help="number of canaries")
    parser.add_argument("interval", type=int, help="their analysis interval in seconds")
    parser.add_argument("--kuma", default="1.8", choices=PLAYED, help="whose routes there are")
    parser.add_argument("--intervals", type=int, default=3, help="intervals to measure progressing")
    parser.add_argument("--operator-cmd", help="another operator; see above")
    parser.add_argument(
        "--profile",
        default="",
        help="write profiles to NAME.operator (cProfile) and NAME.apiserver (pprof)",
        metavar="NAME",
    )
    return parser.parse_args()


def main() -> None:
    wanted = parsed()
    with (
        tempfile.TemporaryDirectory(prefix="serinus-scale-") as root,
        # With the programs' own garbage collection: this is about CPU.
        ControlPlane(
            Path(root) / "plane",
            audit=True,
            controllers=(),
            kubelet=False,
            frugal=False,
            api_server_flags=("--profiling=true",) if wanted.profile else (),
            # As kubeadm has it. Else nobody who watches a kind in which nothing happens hears that
            # the API server is there, and each has to list it anew every minute or so.
            etcd_flags=("--watch-progress-notify-interval=5s",),
            users={OPERATOR: (), WRITER: ("system:masters",)},
        ) as plane,
    ):
        bench = Bench(plane, wanted)
        bench.furnish()
        load = os.getloadavg()[0]
        try:
            asyncio.run(bench.run())
        except BaseException:
            sys.stderr.write((plane.root / "operator.log").read_text()[-4000:])
            raise
    print(f"{wanted.n} canaries at {wanted.interval} s, Kuma {wanted.kuma};", end=" ")
    print(f"load average of the machine before: {load:.1f}, after: {os.getloadavg()[0]:.1f}")
    for what, value in bench.table:
        print(f"  {what:48} {value}")
    print(json.dumps({name: round(value, 4) for name, value in bench.figures.items()}))


if __name__ == "__main__":
    main()
