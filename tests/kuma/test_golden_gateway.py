"""What is written for a Canary whose provider is the Gateway API, and what Kuma makes of it.

The files are under `golden/gatewayapi`, and written anew as those of `test_golden`. Each is held to
the schema of HTTPRoute strictly, and must be what an API server keeps: with no default left out,
so that nothing looks like an edit. What each Kuma makes of it must be taken by that Kuma.
"""

from copy import deepcopy

import pytest
import yaml

from kuma.test_golden import CASES, GOLDEN, WRITE, Case, Readable, manifest, refused
from lab.mesh.mesh_objects import namespace, service
from serinus.api.canary import Canary
from serinus.lab.apiserver.schema.defaults import apply_defaults
from serinus.lab.apiserver.schema.prune import unknown_fields
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.schema.validation import validate
from serinus.lab.mesh.crds.gateway import GROUP, gateway_definitions
from serinus.lab.mesh.gamma import Cluster, translate
from serinus.lab.mesh.versions import V2_7, V2_14, V3_0
from serinus.routing.gateway.httproute import desired_route
from workload.guide import Json

FOLDER = GOLDEN / "gatewayapi"
PARENTS = 'gatewayRefs: [{group: "", kind: Service, name: podinfo}]'
ASKED = ("at-rest", "weights", "ab", "headers-rewrite-match")
SERVICES = {
    ("test", name): service(name, "10.96.0.10", name)
    for name in ("podinfo", "podinfo-primary", "podinfo-canary")
}


def asked(case: Case) -> Canary:
    own = yaml.safe_load(case.service) | yaml.safe_load(PARENTS)
    return manifest(Case(case.traffic, yaml.safe_dump(own), case.analysis))


@pytest.mark.parametrize("name", ASKED)
def test_what_is_written_is_as_it_was_and_is_taken(name: str) -> None:
    case = CASES[name]
    route = desired_route(asked(case), case.traffic)
    text = yaml.dump(route, Dumper=Readable, sort_keys=False, width=100)
    file = FOLDER / f"{name}.yaml"
    if WRITE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text
    assert not_kept(route) == []
    cluster = Cluster(SERVICES, {"test": namespace("test")})
    for version in (V2_7, V2_14, V3_0):
        (made,) = translate(version, route, cluster).routes
        assert refused(version, made) == []


def not_kept(route: Json) -> list[str]:
    """Why an API server would not keep the route just as it is."""
    registry = Registry()
    for crd in gateway_definitions():
        registry.add_crd(crd)
    kind = registry.by_kind(GROUP, "v1", route["kind"])
    assert kind is not None
    kept = deepcopy(route)
    apply_defaults(kind, kept)
    unknown = [f"unknown field {path}" for path in unknown_fields(kind.schema, route)]
    wrong = [str(error) for error in validate(kind, kept)]
    return unknown + wrong + ([] if kept == route else [f"would become {kept}"])


def test_every_file_is_of_a_case() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(ASKED)


def test_the_check_can_refuse() -> None:
    route = yaml.safe_load((FOLDER / "weights.yaml").read_text())
    ref = route["spec"]["rules"][0]["backendRefs"][0]
    for change in ({"wait": 1}, {"weight": -1}, {"kind": "not a kind"}, {"name": ""}):
        edited = deepcopy(route)
        edited["spec"]["rules"][0]["backendRefs"][0] = ref | change
        assert not_kept(edited)
    del ref["group"]
    assert "would become" in not_kept(route)[0]
