"""Keeping the board current: the canary and its events from the API server, the traffic pod's
counts from its log, success rate and latency from Prometheus."""

import asyncio
import math
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.kinds import CANARIES, DEPLOYMENTS, EVENTS
from serinus.lab.demo.board import Board, Figures
from serinus.lab.demo.kubectl import Kubectl

NAMESPACE = "test"
NAME = "podinfo"
AGAIN = 0.5
"""Seconds until a broken stream is opened anew."""

OBSERVABILITY = "mesh-observability"
PROMETHEUS = "deploy/prometheus-server"
QUERY_SECONDS = 1
WINDOW = "5s"
LONGEST = 3600
"""Queries after which the loop in Prometheus' pod ends by itself, should nobody end it."""


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    message: str = ""


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    canary_weight: int = 0
    failed_checks: int = 0
    conditions: list[_Condition] = []


class _Canary(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str = ""
    message: str = ""
    count: int | None = None


class _Container(msgspec.Struct):
    image: str = ""


class _PodSpec(msgspec.Struct):
    containers: list[_Container] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _DeploymentSpec(msgspec.Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class _Deployment(msgspec.Struct):
    spec: _DeploymentSpec = msgspec.field(default_factory=_DeploymentSpec)

    @property
    def version(self) -> str:
        """The tag of the first container's image."""
        containers = self.spec.template.spec.containers
        return containers[0].image.rpartition(":")[2] if containers else ""


class _Result(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Result]


class _Answer(msgspec.Struct):
    data: _Data


@asynccontextmanager
async def watching(board: Board, client: Client, kubectl: Kubectl) -> AsyncIterator[None]:
    """Keep the board current while the context lasts."""
    canaries: Cache[_Canary] = Cache(
        client, CANARIES, msgspec.json.Decoder(_Canary).decode, namespace=NAMESPACE
    )
    events: Cache[_Event] = Cache(
        client,
        EVENTS,
        msgspec.json.Decoder(_Event).decode,
        namespace=NAMESPACE,
        field_selector=f"involvedObject.kind=Canary,involvedObject.name={NAME}",
    )
    deployments: Cache[_Deployment] = Cache(
        client, DEPLOYMENTS, msgspec.json.Decoder(_Deployment).decode, namespace=NAMESPACE
    )
    deployments.subscribe(lambda change: _deployment_changed(board, change))
    canaries.subscribe(lambda change: _canary_changed(board, change))
    events.subscribe(lambda change: _event_told(board, change))
    parts: list[Awaitable[None]] = [
        canaries.run(),
        events.run(),
        deployments.run(),
        _again(lambda: _read_traffic(board, kubectl)),
        _again(lambda: _read_prometheus(board, kubectl)),
    ]
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _canary_changed(board: Board, change: Change[_Canary]) -> None:
    if change.key != (NAMESPACE, NAME) or change.new is None:
        return
    status = change.new.status
    refusals = (
        condition.message
        for condition in status.conditions
        if condition.type == "Ready" and condition.status == "False"
    )
    board.enter(status.phase, status.canary_weight, status.failed_checks, next(refusals, ""))


def _deployment_changed(board: Board, change: Change[_Deployment]) -> None:
    if change.new is None:
        return
    if change.key == (NAMESPACE, NAME):
        board.ask(change.new.version)
    elif change.key == (NAMESPACE, f"{NAME}-primary"):
        board.stable = change.new.version
        board.changed()


def _event_told(board: Board, change: Change[_Event]) -> None:
    if change.new is not None and (change.old is None or change.old.count != change.new.count):
        board.tell(change.new.type, change.new.message)


async def _again(part: Callable[[], Awaitable[None]]) -> None:
    """Read a stream for ever: a pod that is not there yet, or not any more, ends it."""
    while True:
        await part()
        await asyncio.sleep(AGAIN)


async def _read_traffic(board: Board, kubectl: Kubectl) -> None:
    log = ("-n", NAMESPACE, "logs", "-f", "deploy/traffic", "-c", "traffic")
    async with kubectl.stream(*log) as lines:
        async for line in lines:
            if board.counts.add(line):
                board.changed()


def _selector(metric: str, matcher: str = "") -> str:
    pods = f"{NAME}-(primary|canary)_{NAMESPACE}_svc_.*"
    inbound = "localhost_.*|self_inbound_dp_.*"
    return f'{metric}{{kuma_io_service=~"{pods}",envoy_cluster_name=~"{inbound}"{matcher}}}'


def _queries() -> tuple[str, str, str]:
    """Requests a second, the part of them that was answered well, the 99th percentile in ms."""
    requests = "envoy_cluster_upstream_rq"
    every = f"sum by (kuma_io_service) (rate({_selector(requests)}[{WINDOW}]))"
    good = _selector(requests, ',envoy_response_code!~"5.."')
    buckets = _selector("envoy_cluster_upstream_rq_time_bucket")
    return (
        every,
        f"sum by (kuma_io_service) (rate({good}[{WINDOW}])) / {every}",
        f"histogram_quantile(0.99, sum by (le, kuma_io_service) (rate({buckets}[{WINDOW}])))",
    )


async def _read_prometheus(board: Board, kubectl: Kubectl) -> None:
    """Ask Prometheus from inside its own pod: its address is not one of this machine's."""
    curl = "curl -s -m 2 http://127.0.0.1:9090/api/v1/query --data-urlencode"
    asks = "; ".join(f"{curl} {shlex.quote(f'query={query}')}; echo" for query in _queries())
    loop = f"for i in $(seq {LONGEST}); do {asks}; sleep {QUERY_SECONDS}; done"
    exec_ = ("-n", OBSERVABILITY, "exec", PROMETHEUS, "--", "sh", "-c", loop)
    async with kubectl.stream(*exec_) as lines:
        while True:
            answers = [await lines.readline() for _ in _queries()]
            if not answers[-1]:
                return
            rates, good, p99 = (_by_service(answer) for answer in answers)
            board.primary = _figures(f"{NAME}-primary", rates, good, p99)
            board.canary = _figures(f"{NAME}-canary", rates, good, p99)
            board.changed()


def _by_service(answer: bytes) -> dict[str, float]:
    try:
        results = msgspec.json.decode(answer, type=_Answer).data.result
    except msgspec.DecodeError:
        return {}
    values = {
        result.metric.get("kuma_io_service", ""): float(result.value[1]) for result in results
    }
    return {service: value for service, value in values.items() if math.isfinite(value)}


def _figures(service: str, *answers: dict[str, float]) -> Figures:
    rate, good, p99 = (
        next((value for tag, value in answer.items() if tag.startswith(f"{service}_")), None)
        for answer in answers
    )
    if not rate:
        return Figures()
    return Figures(100.0 * (good or 0.0), p99, rate)
