"""Queries of users: on a real Prometheus, behind tokens and TLS, with Secrets of the lab's API."""

import asyncio
import base64
import contextlib
import json
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from cluster.lab_api import LabApi, lab_api
from serinus.analysis.threshold import OutOfBounds, Pass, judge
from serinus.analysis.verdict import Measurement, NoData, Unavailable, Value
from serinus.api.canary import Canary, Metric
from serinus.api.crd import crd_documents
from serinus.api.decode import Malformed, decode_canary, decode_metric_template
from serinus.cluster.cache import Cache
from serinus.cluster.credentials import Credentials
from serinus.cluster.kinds import CRDS, METRICTEMPLATES, SECRETS
from serinus.lab import pki
from serinus.metrics.custom import CustomMetrics
from serinus.metrics.templates import Templates

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]


def canary(*metrics: Json, namespace: str = "test", **spec: Any) -> Canary:
    body = {
        "metadata": {"name": "podinfo", "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
            "service": {"name": "front", "port": 80},
            "analysis": {"interval": "1s", "threshold": 1, "stepWeight": 5, "metrics": metrics},
            **spec,
        },
    }
    decoded = decode_canary(json.dumps(body).encode())
    assert isinstance(decoded, Canary)
    return decoded


def inline(query: str, **more: Any) -> Canary:
    return canary({"name": "mine", "query": query, **more})


def templated(name: str, namespace: str, **more: Any) -> Canary:
    reference = {"name": name, "namespace": namespace}
    return canary({"name": "mine", "templateRef": reference, **more})


class World:
    """What a CustomMetrics needs, with the lab's API server behind it."""

    def __init__(self, api: LabApi, session: aiohttp.ClientSession) -> None:
        self.api = api
        self.cache = Cache[Any](api.client, METRICTEMPLATES, decode_metric_template)
        self.credentials = Credentials(api.client)
        self.templates = Templates(self.cache)
        self.session = session
        self.custom = CustomMetrics(self.templates, self.credentials, session)

    async def template(self, namespace: str, name: str, query: str, **provider: Any) -> None:
        body = {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "MetricTemplate",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"provider": {"type": "prometheus", **provider}, "query": query},
        }
        made = json.loads(await self.api.client.create(METRICTEMPLATES, namespace, body))
        version = made["metadata"]["resourceVersion"]
        assert await self.cache.reached(namespace, name, version, 20)

    async def measure(self, which: Canary, default: str = "http://127.0.0.1:1") -> Measurement:
        return await self.custom.measure(which, which.spec.analysis.metrics[0], default)

    async def until(self, which: Canary, answers: bool) -> None:
        """Wait until the guarded server answers, or does not."""
        async with asyncio.timeout(60):
            while (await self.measure(which) == Value(7.0)) is not answers:  # noqa: ASYNC110 (it can only be asked)
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with (
        lab_api(tmp_path_factory.mktemp("lab")) as api,
        aiohttp.ClientSession() as session,
    ):
        for crd in crd_documents():
            await api.client.create(CRDS, None, crd)
        await api.namespace("test")
        await api.namespace("other")
        made = World(api, session)
        kept = asyncio.create_task(made.cache.run())
        try:
            async with asyncio.timeout(60):
                await made.cache.synced.wait()
            yield made
        finally:
            await made.credentials.close()
            kept.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await kept


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    home: Path = tmp_path_factory.mktemp("prometheus")
    (home / "prom.yml").write_text("global: {scrape_interval: 1s}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={home / 'prom.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    address = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{address}/-/ready") as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.1)
        yield address
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def guarded(
    right: dict[str, str], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server that answers 7 to whom it knows; ``right["header"]`` may change meanwhile."""
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        if request.headers.get("Authorization", "") != right["header"]:
            return web.Response(status=401, text="who are you?")
        data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}]}
        return web.json_response({"status": "success", "data": data})

    app = web.Application()
    app.router.add_get("/prom/api/v1/query", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    scheme = "http" if tls is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/prom", asked
    finally:
        await runner.cleanup()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("vector(3)", Value(3.0)),
        ("2 * 21", Value(42.0)),
        ("vector({{ variables.wanted }})", Value(0.5)),
        ('label_replace(vector(1), "a", "{{ target }}", "", "")', Value(1.0)),
        ("vector(\n  8\n)", Value(8.0)),
        ("vector(" + " " * 3000 + "9)", Value(9.0)),
        ("1 / vector(0)", Value(float("inf"))),
        ("nothing", NoData('{} has no value for the query "nothing"')),
        ("vector(0) / 0", NoData('the value of the query "vector(0) / 0" is not a number (NaN)')),
    ],
)
async def test_inline_queries_on_a_real_prometheus(
    world: World, prometheus: str, query: str, expected: Measurement
) -> None:
    asked = inline(query, templateVariables={"wanted": "0.5"})
    assert not world.custom.problems(asked)
    if isinstance(expected, NoData):
        expected = NoData(expected.why.format(f"Prometheus at {prometheus}"))
    assert await world.measure(asked, prometheus) == expected


async def test_what_is_no_number_or_no_query(world: World, prometheus: str) -> None:
    matrix = await world.measure(inline("prometheus_build_info[{{ interval }}]"), prometheus)
    assert isinstance(matrix, Unavailable)
    assert '"prometheus_build_info[1m]" gives a range of values (a matrix)' in matrix.why
    broken = await world.measure(inline("sum("), prometheus)
    assert isinstance(broken, Unavailable) and "HTTP 400" in broken.why


async def test_the_last_series_counts(world: World, prometheus: str) -> None:
    query = 'sort(label_replace(vector(2), "a", "b", "", "") or vector(1))'
    assert await world.measure(inline(query), prometheus) == Value(2.0)


async def test_the_canarys_own_server_is_asked(world: World, prometheus: str) -> None:
    asked = canary({"name": "a", "query": "vector(3)"}, metricsServer=prometheus)
    assert await world.measure(asked, "http://127.0.0.1:1") == Value(3.0)


async def test_a_template_and_the_servers_that_a_canary_needs(
    world: World, prometheus: str
) -> None:
    query = "vector({{ len service }}) + {{ variables.more }}"
    await world.template("other", "length", query, address=prometheus)
    asked = templated("length", "other", templateVariables={"more": "1"})
    assert not world.custom.problems(asked)
    assert await world.measure(asked) == Value(6.0)
    assert await world.custom.check(asked, "http://127.0.0.1:1") is None
    both = canary(
        {"name": "request-duration", "query": "vector(2)"},
        {
            "name": "mine",
            "templateRef": {"name": "length", "namespace": "other"},
            "templateVariables": {"more": "1"},
        },
    )
    assert await world.custom.check(both, prometheus) is None
    gone = await world.custom.check(both, "http://127.0.0.1:1")
    assert gone is not None and gone.startswith("prometheus not available: Prometheus at")
    await world.template("other", "away", "vector(1)", address="http://127.0.0.1:1/p")
    away = await world.custom.check(templated("away", "other"), prometheus)
    assert away is not None
    assert away.startswith("prometheus in metric template away.other not available: Prometheus at")


async def test_problems_name_the_field_and_what_would_be_right(world: World) -> None:
    here = "http://127.0.0.1:1"
    await world.template("test", "datadog", "x", type="datadog")
    await world.template("test", "nowhere", "x")
    await world.template("test", "garbled", "x", address="u:p@prometheus:9090")
    await world.template("test", "unknown", "a\n{{ foo }}", address=here)
    await world.template("test", "needs", "{{ variables.direction }}", address=here)
    await world.template("test", "empty", "{{/* nothing */}}", address=here)
    path = "spec.analysis.metrics[0].templateRef"
    for name, message in {
        "missing": "MetricTemplate missing.test does not exist",
        "datadog": "MetricTemplate datadog.test: provider datadog is not supported by this"
        " release; use prometheus",
        "nowhere": "MetricTemplate nowhere.test: provider prometheus has no address; write"
        " http://HOST or https://HOST",
        "garbled": 'MetricTemplate garbled.test: "prometheus:9090" is not an address; write'
        " http://HOST or https://HOST",
        "needs": 'MetricTemplate needs.test, spec.query: variable "direction" is not given at'
        " 1:13; given are none at all",
        "empty": "MetricTemplate empty.test, spec.query: the query is empty",
    }.items():
        (problem,) = world.custom.problems(templated(name, ""))
        assert (problem.path, problem.message) == (path, message)
        assert await world.measure(templated(name, "")) == Unavailable(message)
        assert await world.custom.check(templated(name, ""), here) == message
    (problem,) = world.custom.problems(templated("unknown", ""))
    assert problem.message.startswith(
        'MetricTemplate unknown.test, spec.query: function "foo" not defined at 2:4; known are'
    )
    (problem,) = world.custom.problems(inline("{{ target"))
    assert str(problem) == "spec.analysis.metrics[0].query: query: unclosed action at 1:1"
    reference = {"name": "needs"}
    twice = canary({"name": "mine", "query": "x", "templateRef": reference})
    (problem,) = world.custom.problems(twice)
    assert str(problem).startswith("spec.analysis.metrics[0].query: stands beside a templateRef")
    assert not world.custom.problems(canary({"name": "request-duration"}))


async def test_templates_of_other_namespaces_can_be_forbidden(world: World) -> None:
    await world.template("other", "theirs", "x", address="http://127.0.0.1:1")
    await world.template("test", "ours", "x", address="http://127.0.0.1:1")
    strict = CustomMetrics(world.templates, world.credentials, world.session, True)
    (problem,) = strict.problems(templated("theirs", "other"))
    assert str(problem) == (
        "spec.analysis.metrics[0].templateRef.namespace: can't access metric template"
        " theirs.other, cross-namespace references are blocked"
    )
    assert not strict.problems(templated("ours", "test"))
    assert not world.custom.problems(templated("theirs", "other"))


async def test_a_malformed_template_is_named_and_stops_no_other() -> None:
    raw = b'{"metadata":{"name":"bad","namespace":"test"},"spec":{"query":"x","provider":{}}}'
    found = decode_metric_template(raw)
    assert isinstance(found, Malformed)
    assert (found.name, str(found.problem)) == ("bad", "spec.provider.type: is required")


async def test_a_rotated_token_is_used_at_once(world: World) -> None:
    await world.api.secret("other", "token", token="one\n")
    right = {"header": "Bearer one"}
    async with guarded(right) as (address, asked):
        await world.template(
            "other",
            "token",
            "x",
            address=f"{address}/",
            secretRef={"name": "token"},
            headers={"X-Scope-OrgID": ["a", "b"], "authorization": ["Bearer old"]},
        )
        which = templated("token", "other")
        assert await world.measure(which) == Value(7.0)
        assert asked[-1].headers.getall("X-Scope-OrgID") == ["a", "b"]
        assert asked[-1].headers.getall("Authorization") == ["Bearer one"]
        assert asked[-1].query["query"] == "x"
        right["header"] = "Bearer two"
        refused = await world.measure(which)
        assert isinstance(refused, Unavailable)
        assert refused.why.endswith("answered HTTP 401: who are you?")
        await world.api.rotate("other", "token", token="two")
        await world.until(which, answers=True)


async def test_name_and_password_are_both_needed(world: World) -> None:
    await world.api.secret("other", "basic", username="me")
    async with guarded({"header": basic("me", "pässword")}) as (address, _):
        await world.template("other", "basic", "x", address=address, secretRef={"name": "basic"})
        which = templated("basic", "other")
        assert await world.measure(which) == Unavailable(
            "Secret basic.other has no password; give it a token, or a username and a password"
        )
        told = await world.custom.check(which, "")
        assert told is not None and "metric template basic.other not available: Secret" in told
        await world.api.rotate("other", "basic", password="pässword")
        await world.until(which, answers=True)
        await world.api.client.delete(SECRETS, "other", "basic")
        await world.until(which, answers=False)
        assert await world.measure(which) == Unavailable(
            'Secret "basic" in namespace "other" does not exist'
        )


async def test_a_certificate_of_ones_own(world: World, tmp_path: Path) -> None:
    keys = pki.ensure(tmp_path / "pki").api_server
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(keys.cert, keys.key)
    async with guarded({"header": ""}, tls) as (address, _):
        await world.template("test", "strict", "x", address=address)
        await world.template("test", "lax", "x", address=address, insecureSkipVerify=True)
        strict = await world.measure(templated("strict", "test"))
        assert isinstance(strict, Unavailable) and "certificate verify failed" in strict.why
        assert await world.measure(templated("lax", "test")) == Value(7.0)


async def test_no_message_shows_a_password(world: World) -> None:
    for address in ("http://me:s3cr3t@127.0.0.1:1", "http://me:s3cr3t@127.0.0.1:x"):
        told = await world.measure(canary({"name": "a", "query": "x"}, metricsServer=address))
        assert isinstance(told, Unavailable) and "s3cr3t" not in told.why
        assert "127.0.0.1" in told.why


async def test_bounds_of_a_custom_metric_are_flaggers() -> None:
    def verdict(value: float, **bounds: Any) -> type:
        metric = inline("x", **bounds).spec.analysis.metrics[0]
        assert isinstance(metric, Metric)
        return type(judge(metric, Value(value)))

    # The legacy threshold is a maximum; with neither, anything above zero fails.
    assert verdict(5, threshold=5) is Pass
    assert verdict(5.1, threshold=5) is OutOfBounds
    assert verdict(0) is Pass and verdict(-1) is Pass
    assert verdict(0.001) is OutOfBounds
    assert verdict(5, thresholdRange={"min": 5, "max": 5}) is Pass
    assert verdict(4.9, thresholdRange={"min": 5}) is OutOfBounds
    assert verdict(9, threshold=5, thresholdRange={"min": 5}) is Pass
    assert verdict(9, thresholdRange={}) is Pass
