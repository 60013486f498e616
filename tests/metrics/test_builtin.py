"""The built-in checks on a real Prometheus, which scrapes a sidecar that the test plays."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from serinus.analysis.verdict import NoData, Unavailable, Value
from serinus.api.canary import Canary
from serinus.api.decode import decode_canary
from serinus.metrics.batch import Batch
from serinus.metrics.builtin import CALLERS_VIEW, BuiltinQuery, Name, measure
from serinus.metrics.counting import Scope
from serinus.metrics.presence import nothing
from serinus.metrics.prometheus import Answer, Prometheus, Series
from serinus.metrics.query import rendered
from serinus.metrics.signals import Service, World

INBOUND = 'envoy_cluster_name="localhost_9898"'
CONFIG = """\
global: {scrape_interval: 1s}
scrape_configs:
- job_name: kuma-dataplanes
  static_configs: [{targets: ["TARGET"]}]
"""


class Sidecars:
    """What the exporter shows: lines of the text format."""

    def __init__(self) -> None:
        self.lines: dict[str, float] = {"alive": 0}
        self.scrapes = 0

    async def serve(self, request: web.Request) -> web.Response:
        self.scrapes += 1
        return web.Response(text="".join(f"{k} {v}\n" for k, v in self.lines.items()))

    def count(self, labels: str, code: str, requests: float, **durations: float) -> None:
        both = f"{INBOUND},{labels}" if "envoy_cluster_name" not in labels else labels
        self.lines[f'envoy_cluster_upstream_rq{{envoy_response_code="{code}",{both}}}'] = requests
        for bound, count in durations.items():
            le = bound.removeprefix("le_").replace("inf", "+Inf")
            self.lines[f'envoy_cluster_upstream_rq_time_bucket{{le="{le}",{both}}}'] = count


class Server:
    def __init__(self, prometheus: Prometheus, sidecars: Sidecars) -> None:
        self.prometheus = prometheus
        self.sidecars = sidecars

    async def sees(self, query: str) -> None:
        """Wait until the query has a result."""

        async def result() -> bool:
            answer = await self.prometheus.instant(query)
            return not isinstance(answer, Unavailable) and len(answer) > 0

        await until(result)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - Prometheus can only be polled
            await asyncio.sleep(0.1)


# One Prometheus for all tests: it takes 5 s until it looks at its first target.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, session: aiohttp.ClientSession
) -> AsyncIterator[Server]:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    tmp_path: Path = tmp_path_factory.mktemp("prometheus")
    sidecars = Sidecars()
    app = web.Application()
    app.router.add_get("/metrics", sidecars.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "prom.yml").write_text(
        CONFIG.replace("TARGET", f"127.0.0.1:{runner.addresses[0][1]}")
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={tmp_path / 'prom.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        server = Server(Prometheus(f"http://127.0.0.1:{port}", session), sidecars)
        await server.sees("alive")
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await runner.cleanup()


def ask(name: Name, window: float = 60) -> BuiltinQuery:
    return BuiltinQuery(
        name,
        Scope("kuma-2", "default", window),
        Service("podinfo-canary", "test", "podinfo"),
        Service("podinfo-primary", "test", "podinfo-primary"),
    )


async def test_the_builtin_checks(server: Server) -> None:
    prometheus, sidecars = server.prometheus, server.sidecars
    canary = 'kuma_io_service="podinfo-canary_test_svc_9898",mesh="default"'
    primary = 'kuma_io_service="podinfo-primary_test_svc_9898",mesh="default"'

    nothing = await measure(prometheus, ask("request-success-rate"))
    assert isinstance(nothing, NoData)
    assert nothing.why.startswith("Prometheus has no series of any sidecar of mesh default. A side")

    sidecars.lines[f"envoy_cluster_membership_total{{{INBOUND},{canary}}}"] = 1
    sidecars.count(primary, "200", 7)
    await server.sees(f"envoy_cluster_upstream_rq{{{primary}}}")
    waiting = await measure(prometheus, ask("request-success-rate"))
    assert waiting == NoData(
        "Prometheus has no series for podinfo-canary.test: no request has reached it yet"
        " (7 reached podinfo-primary.test)"
    )

    # The very first requests all fail: series that appear with their first counts.
    sidecars.count(canary, "503", 5)
    await server.sees(f"envoy_cluster_upstream_rq{{{canary}}}")
    assert await measure(prometheus, ask("request-success-rate")) == Value(0.0)
    assert await measure(prometheus, ask("request-duration")) == NoData(
        "5 requests reached podinfo-canary.test in the last 1m, but its sidecars have told no"
        " response times yet, nor has any other of mesh default: Envoy tells times up to 5s after"
        " the requests; if it never does, see that no MeshMetric excludes"
        " envoy_cluster_upstream_rq_time_bucket"
    )

    # Answers of the canary's dependencies are not its own; neither is another mesh's canary.
    sidecars.count(f'{canary},envoy_cluster_name="backend_test_svc_80"', "500", 1000)
    sidecars.count(canary.replace("default", "other"), "500", 1000)
    sidecars.count(canary, "200", 15, le_100=10, le_500=15, le_inf=15)
    await server.sees('envoy_cluster_upstream_rq_time_bucket{le="+Inf"} == 15')
    assert await measure(prometheus, ask("request-success-rate")) == Value(75.0)
    duration = await measure(prometheus, ask("request-duration"))
    assert isinstance(duration, Value)
    assert duration.value == pytest.approx(100 + 400 * (0.99 * 15 - 10) / 5)

    # A window in which nothing more came: once the samples with the last increments are out.
    async def quiet() -> bool:
        answer = await measure(prometheus, ask("request-success-rate", window=3))
        return isinstance(answer, NoData)

    await until(quiet)
    assert await measure(prometheus, ask("request-success-rate", window=3)) == NoData(
        "no requests reached podinfo-canary.test in the last 3s (0 reached podinfo-primary.test)"
    )

    # A window that begins after the first counts takes the difference alone.
    failed = 5

    async def half() -> bool:
        nonlocal failed
        failed += 10
        sidecars.count(canary, "200", 10 + failed)
        sidecars.count(canary, "503", failed)
        latest = f'envoy_cluster_upstream_rq{{envoy_response_code="503",{canary}}} == {failed}'
        await server.sees(latest)
        # None when this machine slept through the window.
        answer = await measure(prometheus, ask("request-success-rate", window=3))
        assert answer == Value(50.0) or isinstance(answer, NoData)
        return answer == Value(50.0)

    await until(half)

    # The pods are gone, and so are their samples.
    sidecars.lines = {"alive": 1}

    async def unknown() -> bool:
        answer = await measure(prometheus, ask("request-success-rate", window=2))
        return isinstance(answer, NoData) and "no new samples" in answer.why

    await until(unknown)


def of(world: World, name: str, mesh: str = "default") -> BuiltinQuery:
    return BuiltinQuery(
        "request-success-rate",
        Scope(world, mesh, 60),
        Service(f"{name}-canary", "test", name),
        Service(f"{name}-primary", "test", f"{name}-primary"),
    )


INBOUND_3 = 'envoy_cluster_name="self_inbound_dp_http",mesh="default"'


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("tagged", 'kuma_io_service="tagged-canary_test_svc_9898",mesh="default"'),
        ("old", 'service="old-canary_test_svc_9898"'),
        ("new", f'{INBOUND_3},namespace="test",pod="new-6d5f4b7c98-x2x4z"'),
        ("daemon", f'{INBOUND_3},namespace="test",pod="daemon-x2x4z"'),
        (
            "other",
            f'{INBOUND_3},kubernetes_namespace="test",kubernetes_pod_name="other-6d5f4b7c98-x2x4z"',
        ),
    ],
)
async def test_whatever_labels_the_sidecars_have(server: Server, name: str, labels: str) -> None:
    """Both worlds understand them: in an upgrade there are sidecars of both."""
    sidecars = server.sidecars
    if "envoy_cluster_name" not in labels:
        labels = f"{INBOUND},{labels}"
    sidecars.count(labels, "200", 3)
    sidecars.count(labels, "503", 1)
    # The same requests, told a second time, and as the callers saw them.
    sidecars.lines[f'envoy_cluster_external_upstream_rq{{envoy_response_code="503",{labels}}}'] = (
        100
    )
    caller = f'envoy_cluster_name="{name}-canary_test_svc_9898",mesh="default"'
    sidecars.count(caller, "200", 100)
    await server.sees(f"envoy_cluster_upstream_rq{{{caller}}}")
    for world in ("kuma-2", "kuma-3"):
        assert await measure(server.prometheus, of(world, name)) == Value(75.0)


async def test_an_upgrade_under_way(server: Server) -> None:
    """A pod has the old sidecar yet, the other the new one; the scrape configuration names both."""
    old = f'{INBOUND},kuma_io_service="both-canary_test_svc_9898",mesh="default"'
    server.sidecars.count(f'{old},namespace="test",pod="both-6d5f4b7c98-x2x4z"', "200", 30)
    new = f'{INBOUND_3},namespace="test",pod="both-6d5f4b7c98-z4z2x"'
    server.sidecars.count(new, "503", 10)
    await server.sees(f"envoy_cluster_upstream_rq{{{new}}}")
    assert await measure(server.prometheus, of("kuma-3", "both")) == Value(75.0)


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        ("by-tag", "by-tag-canary_test_svc_9898"),
        ("by-subset", "by-subset-canary_test_svc_9898-de1397ec09e96dfb"),
        ("by-name", "default_by-name-canary_test_default_msvc_9898"),
        ("by-port", "kri_msvc_default_default_test_by-port-canary_9898"),
        ("by-section", "kri_msvc_default_default_test_by-section-canary_http"),
    ],
)
async def test_what_callers_saw_where_the_pods_tell_nothing(
    server: Server, name: str, cluster: str
) -> None:
    """As when nothing can connect to them: their own sidecars count no request at all."""
    labels = f'envoy_cluster_name="{cluster}",mesh="default"'
    server.sidecars.count(labels, "503", 3)
    server.sidecars.count(labels, "200", 1)
    await server.sees(f'envoy_cluster_upstream_rq{{envoy_response_code="200",{labels}}}')
    for world in ("kuma-2", "kuma-3"):
        measured = await measure(server.prometheus, of(world, name))
        assert measured == Value(25.0, CALLERS_VIEW)
        of_another_mesh = await measure(server.prometheus, of(world, name, "third"))
        assert isinstance(of_another_mesh, NoData)


async def test_the_pods_own_count_stands_when_it_stops(server: Server) -> None:
    """Callers are not asked, where they may have counted requests that never came."""
    own = f'{INBOUND_3},namespace="test",pod="quiet-6d5f4b7c98-x2x4z"'
    server.sidecars.count(own, "200", 3)
    server.sidecars.count('envoy_cluster_name="quiet-canary_test_svc_80"', "503", 3)
    await server.sees('envoy_cluster_upstream_rq{envoy_cluster_name="quiet-canary_test_svc_80"}')
    query = of("kuma-3", "quiet")

    async def outside() -> bool:
        short = replace(query, scope=Scope("kuma-3", "default", 2))
        return await measure(server.prometheus, short) == NoData(
            "no requests reached quiet-canary.test in the last 2s (0 reached quiet-primary.test)"
        )

    await until(outside)


def sidecar(mesh: str, pod: str, cluster: str = "self_inbound_dp_http") -> str:
    return f'envoy_cluster_name="{cluster}",mesh="{mesh}",namespace="test",pod="{pod}"'


async def reason(server: Server, mesh: str, name: Name = "request-success-rate") -> str:
    query = replace(of("kuma-3", "cart", mesh), name=name)
    nothing = await measure(server.prometheus, query)
    assert isinstance(nothing, NoData)
    return nothing.why


async def test_reasons_why_there_is_nothing(server: Server) -> None:
    # Those of other tests count for every mesh where they name none.
    lines = server.sidecars.lines = {"alive": 0}
    await server.sees('absent({mesh="",__name__=~"envoy_.+"})')
    canary, primary = "cart-6d5f4b7c98-x2x4z", "cart-primary-6d5f4b7c98-x2x4z"

    async def shows(name: str, labels: str, value: float) -> None:
        lines[f"{name}{{{labels}}}"] = value
        await server.sees(f"{name}{{{labels}}} == {value}")

    found = await reason(server, "reasons")
    assert found.startswith("Prometheus has no series of any sidecar of mesh reasons. ")
    assert "a MeshMetric for it has a backend of type Prometheus" in found

    await shows("envoy_server_live", 'mesh="reasons",namespace="test",pod="loadtester-x2x4z"', 1)
    found = await reason(server, "reasons")
    assert "series of sidecars of mesh reasons, but none of cart-canary.test" in found
    assert "kuma.io/sidecar-injection: enabled" in found

    await shows("envoy_cluster_membership_total", sidecar("reasons", primary), 1)
    assert await reason(server, "reasons") == (
        "Prometheus has series of the sidecars of cart-primary.test, but none of those of"
        " cart-canary.test: do its pods have sidecars, and are they scraped?"
    )

    await shows("envoy_cluster_membership_total", sidecar("reasons", canary), 1)
    assert await reason(server, "reasons") == (
        "no sidecar of mesh reasons tells envoy_cluster_upstream_rq: there has been no request"
        " yet, or the profile or an exclude of a MeshMetric drops it"
    )

    await shows("envoy_cluster_upstream_cx_total", sidecar("reasons", canary), 4)
    found = await reason(server, "reasons")
    assert found.startswith("4 connections reached cart-canary.test, but none of its sidecars tel")
    assert "appProtocol: http" in found

    # Those of a caller's other connections say nothing of what reached the pods.
    lines.pop(f"envoy_cluster_upstream_cx_total{{{sidecar('reasons', canary)}}}")
    elsewhere = sidecar("reasons", canary, "backend_test_svc_80")
    await shows("envoy_cluster_upstream_cx_total", elsewhere, 9)
    counted = f'envoy_response_code="200",{sidecar("reasons", primary)}'
    await shows("envoy_cluster_upstream_rq", counted, 7)
    assert await reason(server, "reasons") == (
        "Prometheus has no series for cart-canary.test: no request has reached it yet"
        " (7 reached cart-primary.test)"
    )

    counted = f'envoy_response_code="200",{sidecar("reasons", canary)}'
    await shows("envoy_cluster_upstream_rq", counted, 5)
    found = await reason(server, "reasons", "request-duration")
    assert found.startswith("5 requests reached cart-canary.test in the last 1m, but its sidecars")
    assert "no MeshMetric excludes envoy_cluster_upstream_rq_time_bucket" in found
    await shows("envoy_cluster_upstream_rq_time_count", sidecar("reasons", primary), 7)
    found = await reason(server, "reasons", "request-duration")
    assert found.endswith("but its sidecars have told no response times yet")


async def test_before_an_analysis(server: Server, session: aiohttp.ClientSession) -> None:
    """A mesh in which nobody has sent a request yet is no obstacle; one without series is."""
    server.sidecars.lines = {"alive": 0}
    await server.sees('absent({mesh="",__name__=~"envoy_.+"})')
    asked: list[str] = []

    class Counting(Prometheus):
        async def instant(self, query: str, at: float | None = None) -> Answer:
            asked.append(query)
            return await super().instant(query, at)

    batch = Batch(lambda address: Counting(address, session), good_for=60)
    address = server.prometheus.address
    missing = nothing("newborn")
    answers = await asyncio.gather(*(batch.check(address, "kuma-3", "newborn") for _ in range(20)))
    assert answers == [missing] * 20
    assert len(asked) == 1
    labels = 'envoy_cluster_name="self_inbound_dp_80",mesh="newborn"'
    server.sidecars.lines[f"envoy_cluster_membership_total{{{labels}}}"] = 1
    await server.sees(f"envoy_cluster_membership_total{{{labels}}}")
    assert await batch.check(address, "kuma-3", "newborn") is None
    asked.clear()
    assert await batch.check(address, "kuma-3", "newborn") is None
    assert not asked
    assert await batch.check(address, "kubernetes", "") is None
    gone = await batch.check("http://127.0.0.1:1", "kubernetes", "")
    assert gone is not None and gone.startswith("prometheus not available: Prometheus at http://")
    gone = await batch.check("http://127.0.0.1:1", "kuma-2", "default")
    assert gone is not None and gone.startswith("prometheus not available: Prometheus at http://")


async def test_plain_kubernetes_counts_by_the_names_of_pods(server: Server) -> None:
    prometheus, sidecars = server.prometheus, server.sidecars

    def count(pod: str, status: str, requests: float, **buckets: float) -> str:
        labels = f'kubernetes_namespace="shop",kubernetes_pod_name="{pod}",status="{status}"'
        sidecars.lines[f"http_request_duration_seconds_count{{{labels}}}"] = requests
        for bound, value in buckets.items():
            le = {"fast": "0.1", "slow": "0.5", "all": "+Inf"}[bound]
            line = f'http_request_duration_seconds_bucket{{le="{le}",{labels}}}'
            sidecars.lines[line] = value
        return f"http_request_duration_seconds_count{{{labels}}}"

    def query(name: Name, workload: str) -> BuiltinQuery:
        scope = Scope("kubernetes", "", 60)
        return BuiltinQuery(
            name,
            scope,
            Service(workload, "shop", workload),
            Service(f"{workload}-primary", "shop", f"{workload}-primary"),
        )

    nothing = await measure(prometheus, query("request-success-rate", "cart"))
    assert isinstance(nothing, NoData)
    assert "their pods are not scraped (do they export http_request" in nothing.why
    count("cart-6d5f4b7c98-x2x4z", "200", 30, fast=20, slow=30, all=30)
    count("cart-6d5f4b7c98-x2x4z", "503", 10, fast=10, slow=10, all=10)
    # Neither the primary of this Deployment, nor that of a DaemonSet, nor a namesake's pods.
    count("cart-primary-7b9c5d8f6-bbbbb", "500", 1000)
    count("cart-primary-bbbbb", "500", 1000)
    last = count("cart-and-horse-6d5f4b7c98-zzzzz", "500", 1000)
    await server.sees(last)
    assert await measure(prometheus, query("request-success-rate", "cart")) == Value(75.0)
    duration = await measure(prometheus, query("request-duration", "cart"))
    assert isinstance(duration, Value)
    # Milliseconds, though the pods count seconds.
    assert duration.value == pytest.approx(100 + 400 * (0.99 * 40 - 30) / 10)
    primary = await measure(prometheus, query("request-success-rate", "cart-primary"))
    assert primary == Value(0.0)


def tagged(name: str) -> str:
    return f'{INBOUND},kuma_io_service="{name}-canary_test_svc_9898",mesh="default"'


def in_pod(name: str) -> str:
    return f'{INBOUND_3},namespace="test",pod="{name}-6d5f4b7c98-x2x4z"'


@pytest.mark.parametrize(("world", "labelled"), [("kuma-2", tagged), ("kuma-3", in_pod)])
async def test_many_at_once_get_the_answers_of_each_alone(
    server: Server, session: aiohttp.ClientSession, world: World, labelled: Callable[[str], str]
) -> None:
    prometheus, sidecars = server.prometheus, server.sidecars
    scope = Scope(world, "default", 60)
    many = f"many{world[-1]}"
    queries: list[BuiltinQuery] = []
    for number in range(40):
        name = f"{many}x{number}"
        tag = labelled(name)
        if number % 4:
            sidecars.count(tag, "200", 10 * number, le_100=9 * number, le_inf=10 * number)
        if number % 3 == 0:
            sidecars.count(tag, "503", number)
        for metric in ("request-success-rate", "request-duration"):
            canary = Service(f"{name}-canary", "test", name)
            primary = Service(f"{many}-primary", "test", f"{many}-primary")
            queries.append(BuiltinQuery(metric, scope, canary, primary))
    last = labelled(f"{many}x39")
    await server.sees(f"envoy_cluster_upstream_rq_time_bucket{{{last}}}")

    asked: list[str] = []

    class Counting(Prometheus):
        async def instant(self, query: str, at: float | None = None) -> Answer:
            asked.append(query)
            return await super().instant(query, at)

    batch = Batch(lambda address: Counting(address, session))
    together = await asyncio.gather(
        *(batch.measure(prometheus.address, query) for query in queries)
    )
    alone = [await measure(prometheus, query) for query in queries]
    assert together == alone
    assert {type(answer) for answer in alone} == {Value, NoData}
    # One question a metric. Those of whom there is nothing are looked for by other labels, too (4),
    # as are their primaries (5); then what there is of sidecars at all is asked (1 + 4).
    assert len(asked) == 2 * (1 + 4 + 5 + 5)
    asked.clear()
    heard = [
        query for query, answer in zip(queries, alone, strict=True) if isinstance(answer, Value)
    ]
    await asyncio.gather(*(batch.measure(prometheus.address, query) for query in heard))
    assert len(asked) == 2


@pytest.mark.parametrize(("name", "labelled"), [("mine-2", tagged), ("mine-3", in_pod)])
async def test_a_query_of_ones_own_for_every_version(
    server: Server, name: str, labelled: Callable[[str], str]
) -> None:
    """That of the example: it goes by pods, which scrape configurations for Kuma 2 name, too."""
    example = Path(__file__).parents[2] / "examples" / "custom-metric.yaml"
    template, canary = yaml.safe_load_all(example.read_text())
    canary["metadata"]["namespace"], canary["spec"]["targetRef"]["name"] = "test", name
    decoded = decode_canary(json.dumps(canary).encode())
    assert isinstance(decoded, Canary)
    (metric,) = decoded.spec.analysis.metrics
    query = rendered(template["spec"]["query"], decoded, metric)
    pod = f'namespace="test",pod="{name}-6d5f4b7c98-x2x4z"'
    labels = labelled(name) if "pod=" in labelled(name) else f"{labelled(name)},{pod}"
    others = labels.replace("-6d5f4b7c98", "-primary-6d5f4b7c98")
    for requests in (0, 30):
        server.sidecars.count(labels, "200", 3 * requests)
        server.sidecars.count(labels, "404", requests)
        server.sidecars.count(others, "404", 100 * requests)
        await server.sees(
            f'envoy_cluster_upstream_rq{{envoy_response_code="404",{labels}}} == {requests}'
        )

    async def told() -> bool:
        return await server.prometheus.value(query) == Value(25.0)

    await until(told)


async def test_scalars_and_refusals(server: Server) -> None:
    prometheus = server.prometheus
    answer = await prometheus.instant("time()")
    assert not isinstance(answer, Unavailable)
    assert isinstance(answer[0], Series) and answer[0].samples[0].value > 1e9
    refused = await prometheus.instant("sum(")
    assert isinstance(refused, Unavailable)
    assert "HTTP 400" in refused.why and "parse error" in refused.why


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (502, "<h1>Bad gateway</h1>", "answered HTTP 502: <h1>Bad gateway</h1>"),
        (200, "<h1>Welcome</h1>", "makes no sense"),
        (200, '{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}', "no"),
        (503, '{"status":"error","errorType":"timeout","error":"too slow"}', "HTTP 503: too slow"),
    ],
)
async def test_garbage(session: aiohttp.ClientSession, status: int, text: str, words: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_route("*", "/prefix/api/v1/query", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{runner.addresses[0][1]}/prefix/", session)
        answer = await measure(prometheus, ask("request-success-rate"))
        assert isinstance(answer, Unavailable)
        assert words in answer.why
    finally:
        await runner.cleanup()


async def test_nobody_there(session: aiohttp.ClientSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        slow = await Prometheus(address, session, timeout=0.2).instant("vector(1)")
        assert slow == Unavailable(f"Prometheus at {address} did not answer in 0.2s")
    gone = await Prometheus(address, session).instant("vector(1)")
    assert isinstance(gone, Unavailable) and "cannot be reached" in gone.why
