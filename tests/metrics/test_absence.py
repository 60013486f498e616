"""Why there is nothing to judge by: told by what else Prometheus has."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from metrics.scraped import Server, of
from serinus.analysis.verdict import NoData
from serinus.metrics.batch import Batch
from serinus.metrics.builtin import Name, measure
from serinus.metrics.presence import nothing
from serinus.metrics.prometheus import Answer, Prometheus

# One Prometheus for all tests: it takes 5 s until it looks at its first target.
pytestmark = pytest.mark.asyncio(loop_scope="module")


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
