"""The control plane beside the lab's real API server, each of them over HTTPS."""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import (
    Obj,
    cookie_patch,
    form_a,
    form_b,
    form_c,
    pod,
    service,
    trafficroute,
)
from serinus.cluster import kinds
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import ApiError, Forbidden, Invalid, NotFound, Unreachable
from serinus.lab import pki
from serinus.lab.apiserver.access.tokens import write_tokens
from serinus.lab.mesh.control_plane import run_mesh
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_7, V2_14, V3_0, KumaVersion
from serinus.lab.paths import LabPaths

STRICT = {"fieldValidation": "Strict"}


@contextlib.asynccontextmanager
async def api_server(paths: LabPaths) -> AsyncIterator[Client]:
    pki.ensure(paths.pki)
    write_tokens(paths.tokens, {"secret": ("admin", ["system:masters"])})
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "serinus.lab.apiserver", "--root", str(paths.root)),
        *("--fd", str(listener.fileno())),
        pass_fds=[listener.fileno()],
        stderr=(paths.root / "apiserver.log").open("wb"),
    )
    listener.close()
    token = Connection.with_token(url, "secret", ca_file=str(pki.Pki(paths.pki).ca.cert))
    try:
        async with Client(token) as client:
            async with asyncio.timeout(60):
                await until(lambda: client.request("GET", "/readyz"))
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def control_plane(directory: Path, version: KumaVersion) -> AsyncIterator[Any]:
    paths = LabPaths(directory)
    async with api_server(paths) as client:
        ready = asyncio.Event()
        mesh = asyncio.create_task(
            run_mesh(client, paths, version, ready, host="127.0.0.1", port=0)
        )
        set_up = asyncio.create_task(ready.wait())
        async with asyncio.timeout(60):
            await asyncio.wait({mesh, set_up}, return_when=asyncio.FIRST_COMPLETED)
        if mesh.done():
            mesh.result()
        try:
            yield client, paths
        finally:
            mesh.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await mesh


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What ``look`` answers, once it answers something."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(NotFound, Unreachable, FileNotFoundError):
                if found := await look():
                    return found
            await asyncio.sleep(0.02)


async def get(client: Client, resource: Any, namespace: str | None, name: str) -> Obj:
    found: Obj = json.loads(await client.get(resource, namespace, name))
    return found


async def make_podinfo(client: Client, note: Obj) -> dict[str, str]:
    """A namespace with client, primary and canary; their uids by name."""
    await client.create(kinds.NAMESPACES, None, {"metadata": {"name": "test", **note}})
    await client.create(kinds.SERVICEACCOUNTS, "test", {"metadata": {"name": "default"}})
    for name, ip, app in (
        ("podinfo", "10.96.0.10", "podinfo-primary"),
        ("podinfo-primary", "10.96.0.11", "podinfo-primary"),
        ("podinfo-canary", "10.96.0.12", "podinfo"),
    ):
        wanted = service(name, ip, app)
        del wanted["metadata"]["uid"], wanted["metadata"]["creationTimestamp"]
        await client.create(kinds.SERVICES, "test", wanted)
    uids = {}
    for name, ip, app in (
        ("client", "127.10.0.9", "client"),
        ("primary", "127.10.0.1", "podinfo-primary"),
        ("canary", "127.10.0.2", "podinfo"),
    ):
        example = pod(name, ip, app)
        wanted = {
            "metadata": {"name": name, "labels": {"app": app}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        }
        made = json.loads(await client.create(kinds.PODS, "test", wanted))
        uids[name] = made["metadata"]["uid"]
        await client.patch(
            kinds.PODS, "test", name, {"status": example["status"]}, subresource="status"
        )
    return uids


def weights(paths: LabPaths, uid: str, listener: str) -> Any:
    route = json.loads((paths.xds / uid / f"rds-{listener}.json").read_text())
    action = route["resources"][0]["virtualHosts"][0]["routes"][0]["route"]
    return [c["weight"] for c in action.get("weightedClusters", {}).get("clusters", ())]


async def test_kuma_2_14(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V2_14) as (client, paths):
        note = {"annotations": {"kuma.io/sidecar-injection": "enabled"}}
        uids = await make_podinfo(client, note)
        injected = await get(client, kinds.PODS, "test", "canary")
        assert injected["spec"]["initContainers"][0]["name"] == "kuma-sidecar"

        async def warned() -> bool:
            events = json.loads(await client.list(kinds.EVENTS, "default"))["items"]
            return any("kubectl label namespace test" in event["message"] for event in events)

        await until(warned)
        for name in uids:
            await until(lambda name=name: get(client, kinds.DATAPLANES, "test", name))
        listener = "kri_msvc_default_default_test_podinfo_http"

        async def split_is(*wanted: int) -> bool:
            return weights(paths, uids["client"], listener) == list(wanted)

        async def available() -> bool:
            found = await get(client, kinds.MESHSERVICES, "test", "podinfo-canary")
            return found["spec"]["state"] == "Available" and "vips" in found.get("status", {})

        await until(available)
        for form in (form_a, form_b, form_c):
            route = {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshHTTPRoute", **form(90, 10)}
            made = await client.create(kinds.MESHHTTPROUTES, "test", route, STRICT)
            role = "consumer" if form is form_c else "producer"
            labels = json.loads(made)["metadata"]["labels"]
            assert labels["kuma.io/policy-role"] == role
            await until(lambda: split_is(90, 10))
            await client.delete(kinds.MESHHTTPROUTES, "test", "podinfo")
            await until(split_is)
        typo = {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshHTTPRoute", **form_b(90, 10)}
        typo["spec"]["to"][0]["rules"][0]["default"]["backendRefs"][0]["wait"] = 90
        with pytest.raises(ApiError, match=r"unknown field .*backendRefs\[0\].wait"):
            await client.create(kinds.MESHHTTPROUTES, "test", typo, STRICT)
        ended = paths.xds / uids["canary"]
        await client.delete(kinds.PODS, "test", "canary", grace_period_seconds=0)

        async def gone() -> bool:
            return not ended.exists()

        await until(gone)
        await until(
            lambda: get(client, kinds.DEPLOYMENTS, "mesh-observability", "prometheus-server")
        )
        await until(lambda: get(client, kinds.MESHMETRICS, SYSTEM_NAMESPACE, "metrics-default"))


async def test_a_patch_reaches_the_pods_that_it_names(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V2_14) as (client, paths):
        uids = await make_podinfo(client, {"labels": {"kuma.io/sidecar-injection": "enabled"}})

        async def handed_out(cookie: str) -> list[str]:
            files = {name: (paths.xds / uid / "lds.json").read_text() for name, uid in uids.items()}
            return [name for name, text in files.items() if cookie in text]

        await until(lambda: handed_out("localhost:9898"))
        patch = cookie_patch("podinfo", "side=canary")
        made = json.loads(await client.create(kinds.MESHPROXYPATCHES, "test", patch, STRICT))
        assert made["metadata"]["labels"]["kuma.io/policy-role"] == "workload-owner"
        assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == ["Mesh"]
        assert made["spec"] == patch["spec"]
        assert await until(lambda: handed_out("side=canary")) == ["canary"]
        (change,) = patch["spec"]["default"]["appendModifications"]
        change["virtualHost"]["value"] = "responseHeadersToAd: []"
        with pytest.raises(Invalid, match="native Envoy resource is not valid: unknown field"):
            await client.patch(
                kinds.MESHPROXYPATCHES, "test", "podinfo-affinity", {"spec": patch["spec"]}
            )
        for value, words in (
            ({**change["virtualHost"], "operation": "Merge"}, "Unsupported value"),
            ({**change["virtualHost"], "yaml": ""}, "unknown field"),
            ({"operation": "Patch", "value": "{}"}, r"match: Required value"),
        ):
            patch["spec"]["default"]["appendModifications"] = [{"virtualHost": value}]
            with pytest.raises(ApiError, match=words):
                await client.create(kinds.MESHPROXYPATCHES, "test", patch, STRICT)
        await client.delete(kinds.MESHPROXYPATCHES, "test", "podinfo-affinity")

        async def taken_back() -> bool:
            return not await handed_out("side=canary")

        await until(taken_back)


async def test_kuma_2_7(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V2_7) as (client, paths):
        uids = await make_podinfo(client, {"labels": {"kuma.io/sidecar-injection": "enabled"}})
        injected = await get(client, kinds.PODS, "test", "canary")
        assert injected["spec"]["containers"][1]["name"] == "kuma-sidecar"
        kind = {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshHTTPRoute"}
        for form, error, words in (
            (form_a, Forbidden, f"only be created in the system namespace:{SYSTEM_NAMESPACE}"),
            (form_b, ApiError, r'strict decoding error: unknown field "spec.*sectionName"'),
            (form_c, ApiError, r'unknown field "spec.*backendRefs\[0\].labels"'),
        ):
            with pytest.raises(error, match=words):
                await client.create(kinds.MESHHTTPROUTES, "test", {**kind, **form(90, 10)}, STRICT)
        route = {**kind, **form_a(90, 10, name="podinfo-test", namespace=SYSTEM_NAMESPACE)}
        made = json.loads(
            await client.create(kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, route, STRICT)
        )
        assert made["metadata"]["labels"] == route["metadata"]["labels"]
        assert [owner["kind"] for owner in made["metadata"]["ownerReferences"]] == ["Mesh"]

        async def split() -> bool:
            return bool(
                weights(paths, uids["client"], "outbound:podinfo_test_svc_9898") == [90, 10]
            )

        await until(split)


async def test_kuma_3_0(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V3_0) as (client, paths):
        uids = await make_podinfo(client, {"labels": {"kuma.io/sidecar-injection": "enabled"}})
        kind = {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshHTTPRoute"}
        by_names = {**kind, **form_b(90, 10)}
        with pytest.raises(ApiError, match=r'unknown field "spec.*backendRefs\[0\].name"'):
            await client.create(kinds.MESHHTTPROUTES, "test", by_names, STRICT)
        # Whoever does not ask for strictness is told by the webhook.
        words = r"backendRefs\[0\]\.labels must be set when kind is MeshService"
        with pytest.raises(Invalid, match=words):
            await client.create(kinds.MESHHTTPROUTES, "test", by_names)
        made = await client.create(kinds.MESHHTTPROUTES, "test", {**kind, **form_c(90, 10)}, STRICT)
        assert json.loads(made)["metadata"]["labels"]["kuma.io/policy-role"] == "producer"

        async def split() -> bool:
            listener = "kri_msvc_default_default_test_podinfo_http"
            return bool(weights(paths, uids["client"], listener) == [90, 10])

        await until(split)
        service = await get(client, kinds.MESHSERVICES, "test", "podinfo")
        assert service["spec"]["selector"] == {
            "dataplaneLabels": {
                "matchLabels": {"app": "podinfo-primary", "k8s.kuma.io/namespace": "test"}
            }
        }
        with pytest.raises(NotFound):
            await client.list(kinds.TRAFFICROUTES)


async def test_kuma_1_8(tmp_path: Path) -> None:
    async with control_plane(tmp_path, V1_8) as (client, paths):
        note = {"annotations": {"kuma.io/sidecar-injection": "enabled"}}
        uids = await make_podinfo(client, note)
        for name in ("route-all-default",):
            assert await get(client, kinds.TRAFFICROUTES, None, name)
        assert await get(client, kinds.TRAFFICPERMISSIONS, None, "allow-all-default")
        injected = await get(client, kinds.PODS, "test", "canary")
        assert injected["spec"]["containers"][1]["name"] == "kuma-sidecar"
        route = trafficroute(
            "podinfo",
            "podinfo_test_svc_9898",
            [("podinfo-primary_test_svc_9898", 60), ("podinfo-canary_test_svc_9898", 40)],
        )
        route = {"apiVersion": "kuma.io/v1alpha1", "kind": "TrafficRoute", **route}
        await client.create(kinds.TRAFFICROUTES, None, route)

        async def split() -> bool:
            found = weights(paths, uids["client"], "outbound:podinfo_test_svc_9898")
            return bool(found == [60, 40])

        await until(split)
        zeros = {
            "spec": {"conf": {"split": [{"weight": 0, "destination": {"kuma.io/service": "a"}}]}}
        }
        with pytest.raises(Invalid, match="at least one split entry with weight above 0"):
            await client.patch(kinds.TRAFFICROUTES, None, "podinfo", zeros)
        targets = json.loads((paths.prometheus / "sidecars.json").read_text())
        services = {one["labels"]["service"] for one in targets}
        assert "podinfo-canary_test_svc_9898" in services
