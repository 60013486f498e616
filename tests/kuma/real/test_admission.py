"""What Serinus writes is taken by the real webhooks, and kept as in the lab; what the lab says is
refused, is refused in the same words."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuma.real import lab
from kuma.real.peer import RealKuma, Refused
from kuma.test_golden import GOLDEN
from lab.mesh.mesh_objects import (
    by_tag,
    cookie_patch,
    form_a,
    form_b,
    form_c,
    meshhttproute,
    rule,
    trafficroute,
)
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE

pytestmark = pytest.mark.realkuma

Object = dict[str, Any]

DIALECTS = {"1.8.1": ("trafficroute",), "2.7.20": ("service-tag-system", "trafficroute")}
"""What Serinus may write for each: a 2.7 that was upgraded may go on with TrafficRoutes."""

WRITTEN = [
    pytest.param(release, file, id=f"{release}-{file.parent.name}/{file.stem}")
    for release, dialects in DIALECTS.items()
    for dialect in dialects
    for file in sorted(GOLDEN.glob(f"{dialect}/*"))
]
ROUTES_OF_THE_GATEWAY_API = sorted(GOLDEN.glob("gatewayapi/*"))
BY_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
APEX = {"kind": "MeshService", "name": "podinfo_test_svc_9898"}


def without_servers_part(item: Object) -> Object:
    """An object without what the API server itself notes of each."""
    kept = deepcopy(item)
    for field in BY_SERVER:
        kept["metadata"].pop(field, None)
    return kept


@pytest.mark.parametrize(("kuma", "file"), WRITTEN, indirect=["kuma"])
def test_what_is_written_is_taken_and_kept_as_in_the_lab(kuma: RealKuma, file: Path) -> None:
    uid = kuma.plane.get("mesh", "default")["metadata"]["uid"]
    for item in yaml.safe_load_all(file.read_text()):
        made = kuma.create(item)
        try:
            assert without_servers_part(made) == lab.kept(kuma.lab, item, uid)
        finally:
            kuma.delete(item)


@pytest.mark.parametrize("kuma", ["2.7.20"], indirect=True)
@pytest.mark.parametrize("file", ROUTES_OF_THE_GATEWAY_API, ids=lambda file: file.stem)
def test_a_route_of_the_gateway_api_is_kept_as_it_is(kuma: RealKuma, file: Path) -> None:
    if not kuma.plane.get("namespace", "test"):
        kuma.plane.kubectl("create", "namespace", "test")
    item = yaml.safe_load(file.read_text())
    made = kuma.create(item)
    kuma.delete(item)
    assert made["spec"] == item["spec"]
    for part in ("labels", "annotations"):
        assert made["metadata"].get(part) == item["metadata"].get(part)


def policy(kind: str, made: Object, namespace: str = SYSTEM_NAMESPACE) -> Object:
    whole = {"apiVersion": "kuma.io/v1alpha1", "kind": kind, **deepcopy(made)}
    whole["metadata"]["namespace"] = namespace
    return whole


def route(made: Object, namespace: str = SYSTEM_NAMESPACE) -> Object:
    return policy("MeshHTTPRoute", made, namespace)


def traffic(conf: Object | None = None, **spec: Any) -> Object:
    made = trafficroute("podinfo", "podinfo_test_svc_9898", [("podinfo-canary_test_svc_9898", 1)])
    del made["metadata"]["creationTimestamp"]
    if conf is not None:
        made["spec"]["conf"] = conf
    made["spec"] |= spec
    return {"apiVersion": "kuma.io/v1alpha1", "kind": "TrafficRoute", **made}


def split(*weights: int) -> list[Object]:
    destination = {"kuma.io/service": "podinfo-canary_test_svc_9898"}
    return [{"weight": weight, "destination": destination} for weight in weights]


def at_path(kind: str, value: str) -> Object:
    rules = [rule(by_tag("podinfo-primary"), path={"type": kind, "value": value})]
    return route(meshhttproute(rules, APEX))


def patch(value: str = "name: x", **target: Any) -> Object:
    made = cookie_patch("podinfo", "a=b")
    made["spec"]["targetRef"] = target or {"kind": "MeshSubset", "tags": {"app": "podinfo"}}
    made["spec"]["default"]["appendModifications"][0]["virtualHost"]["value"] = value
    return policy("MeshProxyPatch", made)


TO_CANARY = {"kuma.io/service": "podinfo-canary_test_svc_9898"}
ELSEWHERE = route(form_a(95, 5))
ELSEWHERE["metadata"]["labels"]["kuma.io/mesh"] = "other"

POLICIES_REFUSED = {
    "a route in an application's namespace": route(form_a(95, 5), "test"),
    "references by name": route(form_b(95, 5)),
    "references by labels": route(form_c(95, 5)),
    "a mesh that is not there": ELSEWHERE,
    "a path that is not absolute": at_path("Exact", "api"),
    "a prefix with a slash at its end": at_path("PathPrefix", "/api/"),
    "a destination without a name": route(
        meshhttproute([rule(by_tag("podinfo-primary"))], {"kind": "MeshService"})
    ),
    "a patch for labels": patch(kind="Dataplane", labels={"app": "podinfo"}),
    "a patch in an application's namespace": {
        **patch(),
        "metadata": {**patch()["metadata"], "namespace": "test"},
    },
    "a patch that is no YAML": patch("{"),
    "a patch with a field that Envoy lacks": patch("responseHeadersToAdmire: []"),
}
ROUTES_REFUSED = {
    "nothing with weight": traffic({"split": split(0, 0)}),
    "no conf": {**traffic(), "spec": {**traffic()["spec"], "conf": None}},
    "an empty conf": traffic({}),
    "split and destination": traffic({"split": split(1), "destination": TO_CANARY}),
    "a destination without a service": traffic({"destination": {"version": "1"}}),
    "a part of a split without a service": traffic(
        {"split": [{"weight": 1, "destination": {"version": "1"}}]}
    ),
    "no sources": traffic(sources=[]),
    "a source without a service": traffic(sources=[{"match": {"app": "x"}}]),
    "a destination by two tags": traffic(
        destinations=[{"match": {"kuma.io/service": "a", "version": "1"}}]
    ),
    "a rule without a match": traffic(
        {"http": [{"destination": TO_CANARY}], "destination": TO_CANARY}
    ),
}


KNOWN = {
    "a patch that is no YAML": "Kuma's own words, and then those of the parser that each has",
    "a patch with a field that Envoy lacks": "Kuma overlooks it; the lab says that it is wrong",
}
"""Where the lab knowingly answers otherwise."""

CASES = [
    pytest.param(release, item, name in KNOWN, id=f"{release}-{name}")
    for release, found in (
        ("1.8.1", ROUTES_REFUSED),
        ("2.7.20", POLICIES_REFUSED | ROUTES_REFUSED),
    )
    for name, item in found.items()
]


@pytest.mark.parametrize(("kuma", "item", "known"), CASES, indirect=["kuma"])
def test_what_is_refused_is_refused_in_the_labs_words(
    kuma: RealKuma, item: Object, known: bool
) -> None:
    if not kuma.plane.get("namespace", "test"):
        kuma.plane.kubectl("create", "namespace", "test")
    try:
        kuma.create(item)
        said = None
        kuma.delete(item)
    except Refused as refused:
        words = re.sub(r'^admission webhook "[^"]+" denied the request: ', "", str(refused))
        said = refused.reason, words
    assert (said == lab.refused(kuma.lab, item)) is not known
