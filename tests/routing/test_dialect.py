"""Which dialect a cluster's facts lead to."""

import pytest

from serinus.api.problem import Problem
from serinus.routing.kuma.dialect import (
    MESH_HTTP_ROUTES,
    MESH_SERVICES,
    MESHES,
    TRAFFIC_ROUTES,
    Dialect,
    MeshFacts,
    choose,
    recognise,
)

KUMA_1 = frozenset({MESHES, TRAFFIC_ROUTES})
KUMA_2_7 = KUMA_1 | {MESH_HTTP_ROUTES}
KUMA_2 = KUMA_2_7 | {MESH_SERVICES}
KUMA_3 = frozenset({MESHES, MESH_HTTP_ROUTES, MESH_SERVICES})
BLIND = frozenset({MESHES, TRAFFIC_ROUTES})
ROUTE_ALL = ("route-all-default",)


def facts(
    crds: frozenset[str],
    mode: str | None = "Disabled",
    traffic_routes: tuple[str, ...] = (),
    *,
    by_name: bool = True,
    unreadable: frozenset[str] = frozenset(),
) -> MeshFacts:
    return MeshFacts("default", crds, by_name, mode, traffic_routes, unreadable)


@pytest.mark.parametrize(
    ("seen", "dialect"),
    [
        (facts(KUMA_1, by_name=False), Dialect.TRAFFIC_ROUTE),
        (facts(KUMA_1, traffic_routes=ROUTE_ALL, by_name=False), Dialect.TRAFFIC_ROUTE),
        (facts(KUMA_2_7, traffic_routes=ROUTE_ALL), Dialect.TRAFFIC_ROUTE),
        (facts(KUMA_2, traffic_routes=ROUTE_ALL), Dialect.TRAFFIC_ROUTE),
        (facts(KUMA_2, "Exclusive"), Dialect.MESH_SERVICE_NAME),
        (facts(KUMA_2, "Exclusive", ROUTE_ALL), Dialect.MESH_SERVICE_NAME),
        (facts(KUMA_2, "Exclusive", unreadable=BLIND), Dialect.MESH_SERVICE_NAME),
        (facts(KUMA_2, "Everywhere"), Dialect.MESH_SERVICE_NAME),
        (facts(KUMA_2_7), Dialect.SERVICE_TAG),
        (facts(KUMA_2), Dialect.SERVICE_TAG),
        (facts(KUMA_2, "ReachableBackends"), Dialect.SERVICE_TAG),
        (facts(KUMA_3, by_name=False), Dialect.LABELS),
        (facts(KUMA_3, "Exclusive", by_name=False), Dialect.LABELS),
    ],
)
def test_what_is_recognised(seen: MeshFacts, dialect: Dialect) -> None:
    assert recognise(seen) is dialect


@pytest.mark.parametrize(
    ("seen", "path", "words"),
    [
        (facts(frozenset()), "spec.provider", "Kuma is not installed"),
        (facts(frozenset({MESHES})), "spec.provider", "neither the CRD"),
        (facts(KUMA_2, None), "metadata.annotations[kuma.io/mesh]", "mesh default does not exist"),
        (facts(KUMA_2), "metadata.annotations[kuma.io/mesh]", "set spec.meshServices.mode"),
        (facts(KUMA_3, by_name=False), "spec.provider", "Kuma 3"),
        (
            facts(KUMA_2, "Everywhere", ROUTE_ALL),
            "metadata.annotations[kuma.io/mesh]",
            "between two worlds",
        ),
        (facts(KUMA_2_7, "Exclusive"), "metadata.annotations[kuma.io/mesh]", "no CRD meshserv"),
        *(
            (facts(crds, mode, unreadable=BLIND), "metadata.annotations[kuma.io/mesh]", words)
            for crds, mode, words in [
                (KUMA_2, None, "may not read meshes.kuma.io"),
                (KUMA_1, "Disabled", "TrafficRoutes alone split traffic"),
                (KUMA_2, "Disabled", "mode Disabled it may live by TrafficRoutes"),
                (KUMA_2, "Everywhere", "may not read trafficroutes.kuma.io"),
            ]
        ),
    ],
)
def test_what_is_refused_is_refused_in_plain_words(seen: MeshFacts, path: str, words: str) -> None:
    problem = choose(seen)
    assert isinstance(problem, Problem)
    assert problem.path == path
    assert words in problem.message


@pytest.mark.parametrize("crds", [KUMA_2_7, KUMA_2, KUMA_3])
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("mode", ["Disabled", "Everywhere", "ReachableBackends", "Exclusive"])
def test_never_a_first_traffic_route_where_kuma_may_be_2_6_or_newer(
    crds: frozenset[str], by_name: bool, mode: str
) -> None:
    assert choose(facts(crds, mode, by_name=by_name)) is not Dialect.TRAFFIC_ROUTE
