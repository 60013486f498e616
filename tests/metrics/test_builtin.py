"""The built-in checks on a real Prometheus, which scrapes a sidecar that the test plays."""

import asyncio
import socket
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from metrics.scraped import INBOUND, Server, in_pod, tagged, until
from serinus.analysis.verdict import NoData, Unavailable, Value
from serinus.metrics.batch import Batch
from serinus.metrics.builtin import BuiltinQuery, Name, measure
from serinus.metrics.counting import Scope
from serinus.metrics.prometheus import Answer, Prometheus, Series
from serinus.metrics.signals import Service, World

# One Prometheus for all tests: it takes 5 s until it looks at its first target.
pytestmark = pytest.mark.asyncio(loop_scope="module")


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
