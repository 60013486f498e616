"""The schemas of each Kuma: what is refused before any webhook is asked."""

from functools import cache
from typing import Any

import pytest

from lab.mesh.mesh_objects import (
    Obj,
    by_labels,
    by_name,
    cookie_patch,
    form_a,
    form_b,
    form_c,
    meshhttproute,
    rule,
)
from serinus.lab.apiserver.schema.prune import unknown_fields
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.schema.validation import validate
from serinus.lab.mesh.crds import definitions, foreign
from serinus.lab.mesh.defaults import policies
from serinus.lab.mesh.versions import PLAYED, V1_8, V2_7, V2_14, V3_0, KumaVersion

TO, BACKENDS = "spec.to[0].targetRef", "spec.to[0].rules[0].default.backendRefs"


@cache
def registry(version: KumaVersion) -> Registry:
    found = Registry()
    for definition in definitions(version):
        found.add_crd(definition)
    return found


def judged(version: KumaVersion, kind: str, obj: Obj) -> tuple[set[str], list[str]]:
    """Fields that the schema does not know, and what else it has against an object."""
    served = registry(version).by_kind("kuma.io", "v1alpha1", kind)
    assert served is not None, f"Kuma {version.name} has no {kind}"
    full = {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **obj}
    wrong = [str(error) for error in validate(served, full)]
    return set(unknown_fields(served.schema, full)), wrong


def elsewhere(kind: str, **fields: Any) -> Obj:
    """A route whose `to` is of some kind."""
    return meshhttproute([rule(by_labels("a"))], {"kind": kind, **fields})


@pytest.mark.parametrize(
    ("version", "route", "unknown"),
    [
        (V2_7, form_a(95, 5), set()),
        (V2_7, form_b(95, 5), {f"{TO}.sectionName"}),
        (
            V2_7,
            form_c(95, 5),
            {f"{TO}.sectionName", f"{TO}.labels", f"{BACKENDS}[0].labels", f"{BACKENDS}[1].labels"},
        ),
        (V2_14, form_a(95, 5), set()),
        (V2_14, form_b(95, 5), set()),
        (V2_14, form_c(95, 5), set()),
        (V3_0, form_a(95, 5), {f"{TO}.name", f"{BACKENDS}[0].name", f"{BACKENDS}[1].name"}),
        (V3_0, form_c(95, 5), set()),
        (
            V3_0,
            meshhttproute(
                [rule(by_name("a", tags={"a": "b"}, mesh="m", namespace="n"))],
                {"kind": "MeshService", "labels": {}, "proxyTypes": ["Sidecar"]},
            ),
            {f"{TO}.proxyTypes"}
            | {f"{BACKENDS}[0].{f}" for f in ("name", "tags", "mesh", "namespace")},
        ),
    ],
)
def test_what_a_reference_may_say(version: KumaVersion, route: Obj, unknown: set[str]) -> None:
    assert judged(version, "MeshHTTPRoute", route) == (unknown, [])


@pytest.mark.parametrize(
    ("version", "kind", "known"),
    [
        (V2_7, "MeshService", True),
        (V2_7, "MeshMultiZoneService", False),
        (V2_7, "MeshServiceSubset", True),
        (V2_14, "MeshMultiZoneService", True),
        (V2_14, "MeshServiceSubset", True),
        (V3_0, "MeshMultiZoneService", True),
        (V3_0, "MeshServiceSubset", False),
        (V3_0, "MeshGateway", False),
    ],
)
def test_what_a_reference_may_lead_to(version: KumaVersion, kind: str, known: bool) -> None:
    _, wrong = judged(version, "MeshHTTPRoute", elsewhere(kind))
    assert bool(wrong) is not known
    assert known or f"{TO}.kind" in wrong[0]


@pytest.mark.parametrize(
    ("version", "fields"), [(V2_7, {"from"}), (V2_14, {"from", "rules"}), (V3_0, {"rules"})]
)
def test_what_a_timeout_is_of(version: KumaVersion, fields: set[str]) -> None:
    policy = {"metadata": {"name": "a"}, "spec": {"to": [], "from": [], "rules": []}}
    unknown, _ = judged(version, "MeshTimeout", policy)
    assert unknown == {f"spec.{field}" for field in ({"from", "rules"} - fields)}


@pytest.mark.parametrize("version", [V2_14, V3_0], ids=lambda v: v.name)
def test_a_patch_may_be_for_labels(version: KumaVersion) -> None:
    assert judged(version, "MeshProxyPatch", cookie_patch("a", "b=c")) == (set(), [])
    unknown, wrong = judged(V2_7, "MeshProxyPatch", cookie_patch("a", "b=c"))
    assert unknown == {"spec.targetRef.labels"}
    assert "spec.targetRef.kind" in wrong[0]


@pytest.mark.parametrize("version", PLAYED.values(), ids=PLAYED)
def test_kumas_own_defaults_are_as_its_schemas_want_them(version: KumaVersion) -> None:
    for policy in policies(version):
        assert judged(version, policy["kind"], policy) == (set(), [])


@pytest.mark.parametrize(
    ("version", "there", "missing"),
    [
        (V1_8, {"trafficroutes"}, {"meshhttproutes", "meshservices"}),
        (
            V2_7,
            {"trafficroutes", "meshhttproutes", "meshtcproutes"},
            {"meshservices", "meshmultizoneservices"},
        ),
        (
            V2_14,
            {"trafficroutes", "meshhttproutes", "meshservices", "meshmultizoneservices"},
            set(),
        ),
        (
            V3_0,
            {"meshhttproutes", "meshservices", "meshmultizoneservices", "hostnamegenerators"},
            {"trafficroutes", "trafficpermissions", "retries"},
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_which_kinds_there_are(version: KumaVersion, there: set[str], missing: set[str]) -> None:
    """By them, and by `to[].targetRef.name`, an operator tells the version."""
    found = {one["metadata"]["name"] for one in definitions(version)}
    assert {f"{plural}.kuma.io" for plural in there} <= found
    assert not {f"{plural}.kuma.io" for plural in missing} & found


def test_what_an_upgrade_leaves_behind() -> None:
    others = [{"metadata": {"name": "canaries.flagger.app"}, "spec": {"group": "flagger.app"}}]
    gone = foreign(definitions(V3_0), [*definitions(V2_14), *others])
    assert "trafficroutes.kuma.io" in gone
    assert not any(name.startswith("mesh") for name in gone)
    assert "canaries.flagger.app" not in gone
    assert foreign(definitions(V2_14), definitions(V2_7)) == []
