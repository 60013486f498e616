"""Which metrics the lab's sidecars show, and under which labels, by MeshMetric and version."""

import asyncio
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from lab.mesh.mesh_objects import mesh, podinfo_world
from serinus.lab.mesh import defaults
from serinus.lab.mesh.metering import Exposure, exposure
from serinus.lab.mesh.model import Obj, World, observe
from serinus.lab.mesh.prometheus import Files, exposures, labels, targets
from serinus.lab.mesh.versions import V1_8, V2_7, V2_14, V3_0, KumaVersion
from serinus.metrics.prometheus import Prometheus

OBSERVED = Path(__file__).parent / "observed"


def meshmetric(
    name: str = "podinfo", *, target: Obj | None = None, backends: bool = True, **profiles: Any
) -> Obj:
    default: Obj = {"sidecar": {"profiles": profiles}}
    if backends:
        default["backends"] = [{"type": "Prometheus", "prometheus": {"port": 5670}}]
    return {
        "kind": "MeshMetric",
        "metadata": {
            "name": name,
            "namespace": "kong-mesh-system",
            "labels": {"kuma.io/mesh": "default"},
        },
        "spec": {"targetRef": target or {"kind": "Mesh"}, "default": default},
    }


def world(version: KumaVersion, *metrics: Obj) -> World:
    meshes = [mesh(version.mesh_services)]
    return observe(version, **podinfo_world(), meshes=meshes, metrics=metrics)


def shown(seen: World) -> dict[str, Exposure | None]:
    return {
        proxy.name: exposure(seen, proxy) for proxy in seen.proxies if proxy.namespace == "test"
    }


@pytest.mark.parametrize(
    ("version", "file"),
    [
        (V2_14, "2.14.3-exclusive-canary-metrics.txt"),
        (V2_14, "2.14.3-disabled-canary-metrics.txt"),
        (V3_0, "3.0-dev-canary-metrics.txt"),
    ],
)
def test_labels_as_a_real_sidecar_has_them(version: KumaVersion, file: str) -> None:
    """Left out: ``service`` and an empty schema URL. The observed pod had no ServiceAccount, which
    is when Kuma 2 names the service; pods of the lab have one, and a ``kuma_workload``. The pod and
    its namespace come from the scrape configuration."""
    text = (OBSERVED / file).read_text().splitlines()[-1]
    theirs = dict(re.findall(r'([a-z0-9_]+)="([^"]*)"', text))
    for name in ("service", "otel_scope_schema_url", "envoy_cluster_name"):
        theirs.pop(name, None)
    proxy = next(p for p in world(version).proxies if p.name == "podinfo-1")
    ours = labels(version, proxy)
    assert {name: ours.pop(name) for name in ("pod", "namespace", "kuma_workload")} == {
        "pod": "podinfo-1",
        "namespace": "test",
        "kuma_workload": "default",
    }
    assert ours == theirs


@pytest.mark.parametrize("version", [V1_8, V2_7])
def test_labels_of_an_old_scrape_configuration(version: KumaVersion) -> None:
    found = {p.name: labels(version, p) for p in world(version).proxies}
    assert found["podinfo-1"]["service"] == "podinfo-canary_test_svc_9898"
    primary = found["podinfo-primary-1"]
    assert primary["kuma_io_service"] == "podinfo-primary_test_svc_9898"
    assert primary["kuma_io_services"] == (",podinfo-primary_test_svc_9898,podinfo_test_svc_9898,")
    assert "otel_scope_version" not in primary


def test_a_fresh_lab_shows_everything() -> None:
    for version in (V1_8, V2_7, V2_14, V3_0):
        policies = [one for one in defaults.policies(version) if one["kind"] == "MeshMetric"]
        seen = observe(
            version, **podinfo_world(), meshes=[defaults.mesh(version)], metrics=policies
        )
        assert set(shown(seen).values()) == {Exposure()}, version.name
        assert not exposures(seen)
        assert len(targets(seen)) == len(seen.proxies)


def test_without_meshmetric_nothing_is_shown() -> None:
    for version in (V2_7, V2_14, V3_0):
        seen = world(version)
        assert set(shown(seen).values()) == {None}
        assert not targets(seen)
    other = meshmetric()
    other["metadata"]["labels"]["kuma.io/mesh"] = "another"
    assert set(shown(world(V2_14, other)).values()) == {None}
    assert set(shown(world(V2_14, meshmetric(backends=False))).values()) == {None}


def test_a_narrower_meshmetric_is_laid_over_the_meshs() -> None:
    everybody = meshmetric("all", exclude=[{"type": "Prefix", "match": "envoy_http"}])
    dropping = meshmetric(
        "podinfo",
        target={"kind": "Dataplane", "labels": {"app": "podinfo"}},
        backends=False,
        appendProfiles=[{"name": "None"}],
        include=[{"type": "Contains", "match": "cx.total"}],
    )
    found = shown(world(V3_0, dropping, everybody))
    assert found["client-1"] == Exposure("envoy_http.*")
    assert found["podinfo-1"] == Exposure(".*", r".*cx\.total.*")


def test_files_are_rewritten_only_when_they_change(tmp_path: Path) -> None:
    files = Files(tmp_path)
    seen = world(V2_14, meshmetric())
    assert files.write_targets(targets(seen))
    assert not files.write_targets(targets(seen))
    found = json.loads((tmp_path / "sidecars.json").read_text())
    assert ["127.10.0.2:5670"] in [one["targets"] for one in found]
    assert files.write_config()
    assert not files.write_config(exposures(seen))
    dropping = world(V2_14, meshmetric(appendProfiles=[{"name": "None"}]))
    assert files.write_config(exposures(dropping))


SERIES = """\
envoy_cluster_upstream_rq{envoy_cluster_name="localhost_9898"} 3
envoy_cluster_upstream_rq_time_count{envoy_cluster_name="localhost_9898"} 3
envoy_cluster_membership_total{envoy_cluster_name="localhost_9898"} 1
envoy_cluster_membership_total{envoy_cluster_name="kuma_envoy_admin"} 1
"""


@pytest_asyncio.fixture
async def sidecars() -> AsyncIterator[None]:
    """The metrics of all of podinfo's pods and its client."""

    async def serve(_: web.Request) -> web.Response:
        return web.Response(text=SERIES)

    app = web.Application()
    app.router.add_get("/metrics", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    for proxy in world(V2_14).proxies:
        await web.TCPSite(runner, proxy.address, 5670).start()
    yield
    await runner.cleanup()


@pytest.mark.asyncio
@pytest.mark.usefixtures("sidecars")
async def test_prometheus_gets_what_is_shown(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    for_podinfo = {"kind": "Dataplane", "labels": {"app": "podinfo"}}
    exclude = [{"type": "Regex", "match": "envoy_cluster_upstream_rq.*"}]
    include = [{"type": "Exact", "match": "envoy_cluster_upstream_rq_time_count"}]
    metrics = meshmetric(target=for_podinfo, exclude=exclude, include=include)
    seen = world(V2_14, meshmetric("all"), metrics)
    files = Files(tmp_path)
    files.write_config(exposures(seen))
    files.write_targets(targets(seen))
    config = tmp_path / "prometheus.yml"
    config.write_text(config.read_text().replace("/etc/prometheus", str(tmp_path)))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            server = Prometheus(f"http://127.0.0.1:{port}", session)

            async def names(pod: str) -> set[str]:
                answer = await server.instant(f'{{__name__=~"envoy_.+",pod="{pod}"}}')
                if not isinstance(answer, tuple):
                    return set()
                assert not any("lab_exposure" in one.labels for one in answer)
                assert all(one.labels["envoy_cluster_name"] == "localhost_9898" for one in answer)
                return {one.labels["__name__"] for one in answer}

            while not (await names("podinfo-1") and await names("client-1")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # Prometheus can only be polled
            every = {line.partition("{")[0] for line in SERIES.splitlines()}
            assert await names("client-1") == every
            assert await names("podinfo-1") == every - {"envoy_cluster_upstream_rq"}
    finally:
        process.terminate()
        await process.wait()
