"""MeshProxyPatches that hand cookies out."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from routing.api_server import merge
from serinus.routing.kuma.proxypatch import desired_patch, names, patch_change, patch_spec
from serinus.routing.kuma.views import MeshProxyPatchView, decode_mesh_proxy_patch
from serinus.routing.kuma.writing import paths
from workload.guide import Json, canary

GOLDEN = Path(__file__).parent / "golden" / "meshproxypatch.yaml"
CANARY = canary(analysis__sessionAffinity={"cookieName": "side", "maxAge": 60, "path": "/a%20b"})
AFFINITY = CANARY.spec.analysis.session_affinity
assert AFFINITY is not None
SPEC = patch_spec({"app": "podinfo"}, "side=c4n4ry", AFFINITY)


def view(patch: Json) -> MeshProxyPatchView:
    return decode_mesh_proxy_patch(msgspec.json.encode(patch))


def patch() -> Json:
    return desired_patch(CANARY, names(CANARY)[0], SPEC)


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
    change = patch_change(CANARY, view(found), SPEC)
    assert set(repaired) <= set(paths(change))
    assert bool(change) == bool(repaired)
    assert patch_change(CANARY, view(merge(found, change)), SPEC) == {}
