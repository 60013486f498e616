"""MeshProxyPatches that hand cookies out."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml

from routing.api_server import merge
from serinus.lab.images.builtin import envoy_binary
from serinus.routing.kuma.addressing import app_home
from serinus.routing.kuma.proxypatch import by_label, desired_patch, names, patch_change, patch_spec
from serinus.routing.kuma.views import MeshProxyPatchView, decode_mesh_proxy_patch
from serinus.routing.kuma.writing import paths
from workload.guide import Json, canary

GOLDEN = Path(__file__).parent / "golden" / "meshproxypatch.yaml"
CANARY = canary(analysis__sessionAffinity={"cookieName": "side", "maxAge": 60, "path": "/a%20b"})
HOME = app_home(CANARY, names(CANARY)[0])
AFFINITY = CANARY.spec.analysis.session_affinity
assert AFFINITY is not None
SPEC = patch_spec(by_label({"app": "podinfo"}), "side=c4n4ry", AFFINITY)


def view(patch: Json) -> MeshProxyPatchView:
    return decode_mesh_proxy_patch(msgspec.json.encode(patch))


def patch() -> Json:
    return desired_patch(CANARY, HOME, SPEC)


def test_golden() -> None:
    assert patch() == yaml.safe_load(GOLDEN.read_text())


def test_a_percent_sign_is_none_of_envoys_variables() -> None:
    virtual_host = SPEC["default"]["appendModifications"][0]["virtualHost"]
    (added,) = yaml.safe_load(virtual_host["value"])["responseHeadersToAdd"]
    assert added["header"]["value"] == "side=c4n4ry; Max-Age=60; Path=/a%%20b"


@pytest.mark.parametrize(
    ("edit", "repaired"),
    [
        ({}, ()),
        ({"metadata": {"labels": {"a": "b"}}}, ()),
        ({"spec": {"targetRef": {"defaulted": True}}}, ()),
        ({"spec": {"default": {"defaulted": True}}}, ()),
        ({"spec": {"targetRef": {"kind": "Mesh"}}}, ("spec.targetRef.kind",)),
        (
            {"spec": {"targetRef": {"labels": {"app": None, "tier": "x"}}}},
            ("spec.targetRef.labels.tier",),
        ),
        ({"spec": {"targetRef": {"name": "pod-1"}}}, ("spec.targetRef.name",)),
        (
            {"spec": {"targetRef": {"kind": "MeshSubset", "tags": {"app": "x"}, "labels": None}}},
            ("spec.targetRef.kind", "spec.targetRef.tags", "spec.targetRef.labels.app"),
        ),
        (
            {"spec": {"default": {"appendModifications": []}}},
            ("spec.default.appendModifications",),
        ),
        ({"metadata": {"ownerReferences": None}}, ("metadata.ownerReferences",)),
        (
            {"metadata": {"labels": {"kuma.io/mesh": "other"}}},
            ("metadata.labels[kuma.io/mesh]",),
        ),
    ],
)
def test_what_is_put_right(edit: Any, repaired: tuple[str, ...]) -> None:
    found = merge(patch(), edit)
    change = patch_change(CANARY, HOME, view(found), SPEC)
    assert set(repaired) <= set(paths(change))
    assert bool(change) == bool(repaired)
    assert patch_change(CANARY, HOME, view(merge(found, change)), SPEC) == {}


def envoy_config(virtual_host: Json) -> Json:
    """An Envoy that answers everything itself, on addresses that the kernel chooses."""
    anywhere = {"socketAddress": {"address": "127.0.0.1", "portValue": 0}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "statPrefix": "inbound",
        "routeConfig": {"virtualHosts": [virtual_host]},
        "httpFilters": [
            {
                "name": "router",
                "typedConfig": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    chain = {"filters": [{"name": "http", "typedConfig": manager}]}
    listener = {"name": "in", "address": anywhere, "filterChains": [chain]}
    return {"admin": {"address": anywhere}, "staticResources": {"listeners": [listener]}}


async def test_envoy_adds_the_cookie_to_those_of_the_application(tmp_path: Path) -> None:
    patched = SPEC["default"]["appendModifications"][0]["virtualHost"]["value"]
    own = {"header": {"key": "set-cookie", "value": "own=1"}}
    route = {
        "match": {"prefix": "/"},
        "directResponse": {"status": 200, "body": {"inlineString": "hello"}},
        "responseHeadersToAdd": [own],
    }
    host = {"name": "app", "domains": ["*"], "routes": [route], **yaml.safe_load(patched)}
    config, admin = tmp_path / "envoy.json", tmp_path / "admin"
    config.write_bytes(msgspec.json.encode(envoy_config(host)))
    envoy = await asyncio.create_subprocess_exec(
        envoy_binary(),
        *("-c", str(config), "--admin-address-path", str(admin)),
        *("--disable-hot-restart", "--concurrency", "1", "-l", "warning"),
    )
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while not (admin.exists() and admin.read_text()):
                assert envoy.returncode is None
                await asyncio.sleep(0.02)
            status = f"http://{admin.read_text().strip()}"
            while True:
                async with session.get(f"{status}/listeners?format=json") as answer:
                    listeners = (await answer.json(content_type=None)).get("listener_statuses")
                async with session.get(f"{status}/ready") as answer:
                    if answer.status == 200 and listeners:
                        break
            port = listeners[0]["local_address"]["socket_address"]["port_value"]
            async with session.get(f"http://127.0.0.1:{port}/") as answer:
                assert answer.headers.getall("set-cookie") == [
                    "own=1",
                    "side=c4n4ry; Max-Age=60; Path=/a%20b",
                ]
    finally:
        envoy.terminate()
        await envoy.wait()
