"""Whose route takes the place of a canary's: Kuma's order, rule by rule."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from routing.api_server import ApiServer
from routing.cluster import FULL, SELECTORS, Cluster
from serinus.api.meta import ObjectMeta
from serinus.api.problem import Problem
from serinus.cluster.kinds import MESHHTTPROUTES, MESHSERVICES
from serinus.routing.kuma.addressing import ByLabels, ByName, ByTag
from serinus.routing.kuma.matches import EVERY_REQUEST
from serinus.routing.kuma.overriding import Ours, overriding, split_matches
from workload.guide import Json, canary

BY_NAME: Json = {"kind": "MeshService", "name": "podinfo"}
BY_TAG: Json = {"kind": "MeshService", "name": "podinfo_test_svc_9898"}
BY_LABELS: Json = {
    "kind": "MeshService",
    "labels": {"kuma.io/display-name": "podinfo", "k8s.kuma.io/namespace": "test"},
}
PINNED: Json = {"backendRefs": [{"kind": "MeshService", "name": "podinfo-primary"}]}
REWRITTEN: Json = {"filters": [{"type": "RequestHeaderModifier"}]}
CANARY = canary()
APP = Ours(ByName().home(CANARY), split_matches(CANARY))
SYSTEM = Ours(ByTag("kuma-system").home(CANARY), split_matches(CANARY))


def rule(default: Json = PINNED, matches: Any = EVERY_REQUEST) -> Json:
    return {"matches": matches, "default": default}


def found(
    ref: Json,
    *rules: Json,
    ours: Ours = APP,
    name: str = "web",
    namespace: str = "test",
    top: Json | None = None,
    **labels: str,
) -> list[Problem]:
    known = {
        {"role": "kuma.io/policy-role", "origin": "kuma.io/origin", "mesh": "kuma.io/mesh"}[key]: to
        for key, to in labels.items()
    }
    meta = ObjectMeta(name=name, namespace=namespace, labels=known)
    spec: Json = {"to": [{"targetRef": ref, "rules": list(rules or (rule(),))}]}
    if top is not None:
        spec["targetRef"] = top
    return list(overriding(CANARY, ours, "MeshHTTPRoute", meta, spec))


@pytest.mark.parametrize(
    ("stronger", "given"),
    [
        pytest.param(True, {"role": "consumer", "namespace": "shop"}, id="consumer"),
        pytest.param(True, {"role": "producer", "name": "a"}, id="a name that comes before"),
        pytest.param(False, {"role": "producer", "name": "web"}, id="a name that comes after"),
        pytest.param(
            False, {"role": "system", "namespace": "kuma-system", "name": "a"}, id="system"
        ),
        pytest.param(
            False,
            {"role": "producer", "name": "a", "origin": "global"},
            id="from the global control plane",
        ),
        pytest.param(
            True,
            {"role": "system", "namespace": "kuma-system", "top": {"kind": "Dataplane"}},
            id="for some callers only",
        ),
        pytest.param(
            True,
            {"role": "system", "top": {"kind": "MeshSubset", "tags": {"a": "b"}}},
            id="for callers of some tags",
        ),
        pytest.param(
            False, {"role": "consumer", "top": {"kind": "MeshGateway", "name": "g"}}, id="a gateway"
        ),
        pytest.param(False, {"role": "consumer", "mesh": "other"}, id="another mesh"),
        pytest.param(True, {"name": "a"}, id="no webhook has seen it, it is a producer"),
        pytest.param(False, {"name": "web"}, id="no webhook has seen it, it is weaker"),
        pytest.param(False, {"namespace": "shop"}, id="no webhook has seen it, by tag elsewhere"),
    ],
)
def test_who_is_stronger(stronger: bool, given: dict[str, Any]) -> None:
    assert bool(found(BY_TAG, **given)) is stronger


def test_whoever_names_a_service_of_elsewhere_consumes_it() -> None:
    assert found({**BY_NAME, "namespace": "test"}, namespace="shop")


@pytest.mark.parametrize(
    ("name", "stronger"), [("aaa", True), ("zzz", False)], ids=["before", "after"]
)
def test_in_the_control_planes_namespace_names_decide(name: str, stronger: bool) -> None:
    assert SYSTEM.home.name == "podinfo-test"
    given = {"ours": SYSTEM, "namespace": "kuma-system", "name": name}
    assert bool(found(BY_TAG, **given, role="system")) is stronger
    assert bool(found(BY_TAG, **given)) is stronger, "whether or not a webhook has said its role"


@pytest.mark.parametrize(
    ("ref", "ours"),
    [
        (BY_NAME, True),
        (BY_TAG, True),
        (BY_LABELS, True),
        ({**BY_NAME, "namespace": "test"}, True),
        ({**BY_NAME, "sectionName": "http"}, True),
        ({**BY_NAME, "sectionName": "9898"}, True),
        ({"kind": "MeshService", "labels": {"k8s.kuma.io/service-name": "podinfo"}}, True),
        ({"kind": "MeshService", "labels": {"app": "podinfo"}}, False),
        ({**BY_NAME, "sectionName": "metrics"}, False),
        ({**BY_NAME, "name": "other"}, False),
        ({**BY_NAME, "name": "podinfo-canary"}, False),
        ({**BY_NAME, "namespace": "prod"}, False),
        ({**BY_TAG, "name": "podinfo_test_svc_9797"}, False),
        ({**BY_TAG, "name": "podinfo_prod_svc_9898"}, False),
        ({**BY_NAME, "kind": "MeshExternalService"}, False),
    ],
)
def test_which_routes_are_about_the_apex(ref: Json, ours: bool) -> None:
    assert bool(found(ref, name="a", role="producer")) is ours


def test_labels_lead_to_the_apex_that_has_them() -> None:
    ref = {"kind": "MeshService", "labels": {"team": "web"}}
    known = Ours(ByLabels().home(CANARY), split_matches(CANARY), apex_labels={"team": "web"})
    assert found(ref, ours=known, role="consumer", namespace="shop")
    assert not found(ref, role="consumer", namespace="shop")


def test_a_name_alone_is_that_of_the_service_beside_the_route() -> None:
    ref = {"kind": "MeshService", "labels": {"kuma.io/display-name": "podinfo"}}
    top = {"kind": "Dataplane", "labels": {"app": "x"}}
    assert not found(ref, namespace="shop", role="producer", top=top)
    assert found(ref, namespace="test", role="producer", top=top)
    assert found(ref, namespace="shop", role="consumer")
    assert not found(BY_NAME, namespace="shop", role="consumer")


def test_narrower_matches_take_nothing_away() -> None:
    narrower = [{"path": {"type": "PathPrefix", "value": "/admin"}}]
    insiders = [{"headers": [{"name": "x-team", "value": "web"}]}]
    for matches in (narrower, insiders, [*EVERY_REQUEST, *narrower]):
        assert not found(BY_NAME, rule(matches=matches), role="consumer")


def test_the_requests_of_an_a_b_test_can_be_taken_too() -> None:
    tested = canary(
        analysis__match=[{"headers": {"x-canary": {"exact": "insider"}}}], analysis__iterations=2
    )
    ours = Ours(ByName().home(tested), split_matches(tested))
    # Without a type, which is Exact to Kuma too.
    header = {"name": "x-canary", "value": "insider"}
    taken = rule(matches=[{**EVERY_REQUEST[0], "headers": [header]}])
    (problem,) = found(BY_NAME, rule(REWRITTEN), taken, role="consumer", ours=ours)
    assert "spec.to[0].rules[1]" in problem.message


def test_filters_matter_where_ours_has_some() -> None:
    assert not found(BY_NAME, rule(REWRITTEN), role="consumer")
    mirroring = Ours(APP.home, APP.matches, filters=True)
    (problem,) = found(BY_NAME, rule(REWRITTEN), role="consumer", ours=mirroring)
    assert "what is done with requests on the way" in problem.message


def test_it_is_told_who_takes_what_and_what_to_do() -> None:
    (problem,) = found(BY_LABELS, name="pin", namespace="shop", role="consumer")
    assert str(problem) == (
        "spec.service.name: MeshHTTPRoute pin.shop decides where requests go in the place of the "
        "canary's route: its spec.to[0].rules[0] is about the same requests to podinfo.test, and "
        "it is a consumer's, which is stronger than ours, a producer's; it holds for callers in "
        "namespace shop. Delete that rule, or give it other matches"
    )


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with ApiServer() as server:
        yield Cluster(server)


async def test_routes_that_come_and_go_are_noticed(cluster: Cluster) -> None:
    await cluster.kuma("2.14", mode="Exclusive")
    async with cluster.running():
        await cluster.mesh_services()
        for name in SELECTORS:
            stored = cluster.server.get(MESHSERVICES, "test", name)
            assert stored is not None
            await cluster.seen(MESHSERVICES, stored)
        await cluster.carry(FULL)
        assert cluster.router.preflight(CANARY) == (), "the canary's own route is no rival"
        for number in range(3):
            other = route(f"other-{number}", {**BY_NAME, "name": f"other-{number}"})
            await cluster.put(MESHHTTPROUTES, other)
        assert cluster.router.preflight(CANARY) == ()
        await cluster.put(MESHHTTPROUTES, route("pin", BY_TAG, namespace="shop"))
        (problem,) = cluster.router.preflight(CANARY)
        assert "MeshHTTPRoute pin.shop" in problem.message
        await cluster.put(MESHHTTPROUTES, route("pin", {**BY_TAG, "name": "x"}, namespace="shop"))
        assert cluster.router.preflight(CANARY) == ()
        await cluster.put(MESHHTTPROUTES, route("pin", BY_TAG, namespace="shop"))
        await cluster.server.client.delete(MESHHTTPROUTES, "shop", "pin")
        await cluster.gone(MESHHTTPROUTES, "shop", "pin")
        assert cluster.router.preflight(CANARY) == ()


def route(name: str, ref: Json, namespace: str = "test") -> Json:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kuma.io/mesh": "default", "kuma.io/policy-role": "consumer"},
        },
        "spec": {"to": [{"targetRef": ref, "rules": [rule()]}]},
    }
