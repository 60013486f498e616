"""Whose series count: by tags, by pods, or by what callers saw."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from metrics.scraped import INBOUND, INBOUND_3, Server, in_pod, of, tagged, until
from serinus.analysis.verdict import NoData, Value
from serinus.api.canary import Canary
from serinus.api.decode import decode_canary
from serinus.metrics.builtin import CALLERS_VIEW, measure
from serinus.metrics.counting import Scope
from serinus.metrics.query import rendered

# One Prometheus for all tests: it takes 5 s until it looks at its first target.
pytestmark = pytest.mark.asyncio(loop_scope="module")


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
