"""Which dialect a cluster's facts lead to."""

import pytest

from serinus.api.problem import Problem
from serinus.routing.kuma.dialect import (
    ANNOTATION_PATH,
    MESH_HTTP_ROUTES,
    MESH_SERVICES,
    MESHES,
    TRAFFIC_ROUTES,
    WORDS,
    Choice,
    Dialect,
    MeshFacts,
    Override,
    choose,
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
    no_path_prefix: bool = False,
) -> MeshFacts:
    return MeshFacts("default", crds, by_name, mode, traffic_routes, unreadable, no_path_prefix)


def kuma_2_2(
    traffic_routes: tuple[str, ...] = (), *, unreadable: frozenset[str] = frozenset()
) -> MeshFacts:
    return facts(KUMA_2_7, "Disabled", traffic_routes, unreadable=unreadable, no_path_prefix=True)


MODES = ["Disabled", "Everywhere", "ReachableBackends", "Exclusive"]


def override(word: str) -> Override:
    return Override(word, ANNOTATION_PATH)


@pytest.mark.parametrize(
    ("seen", "dialect", "why"),
    [
        (facts(KUMA_1, by_name=False), Dialect.TRAFFIC_ROUTE, "Kuma before 2.1"),
        (
            facts(KUMA_1, traffic_routes=ROUTE_ALL, by_name=False),
            Dialect.TRAFFIC_ROUTE,
            "no CRD meshhttproutes.kuma.io",
        ),
        (
            facts(KUMA_2_7, traffic_routes=ROUTE_ALL),
            Dialect.TRAFFIC_ROUTE,
            "mesh default has spec.meshServices.mode Disabled, and lives by TrafficRoutes "
            "(route-all-default)",
        ),
        (facts(KUMA_2, traffic_routes=ROUTE_ALL), Dialect.TRAFFIC_ROUTE, "lives by TrafficRoutes"),
        (
            kuma_2_2(ROUTE_ALL),
            Dialect.TRAFFIC_ROUTE,
            "whose MeshHTTPRoutes are not written; mesh default lives by TrafficRoutes (route-all",
        ),
        (facts(KUMA_2, "Exclusive"), Dialect.MESH_SERVICE_NAME, "mode Exclusive"),
        (facts(KUMA_2, "Exclusive", ROUTE_ALL), Dialect.MESH_SERVICE_NAME, "mode Exclusive"),
        (facts(KUMA_2, "Exclusive", unreadable=BLIND), Dialect.MESH_SERVICE_NAME, "Exclusive"),
        (facts(KUMA_2, "Everywhere"), Dialect.MESH_SERVICE_NAME, "mode Everywhere"),
        (facts(KUMA_2_7), Dialect.SERVICE_TAG, "does not live by TrafficRoutes"),
        (facts(KUMA_2), Dialect.SERVICE_TAG, "mode Disabled"),
        (facts(KUMA_2, "ReachableBackends"), Dialect.SERVICE_TAG, "no reachable backends"),
        (facts(KUMA_3, by_name=False), Dialect.LABELS, "this is Kuma 3"),
        (facts(KUMA_3, "Exclusive", by_name=False), Dialect.LABELS, "labels and no names"),
        # In Kuma 3 a Mesh has no mode, so it does not matter that it may not be read.
        (
            facts(KUMA_3, None, by_name=False, unreadable=frozenset({MESHES})),
            Dialect.LABELS,
            "this is Kuma 3",
        ),
    ],
)
def test_what_is_chosen_and_why(seen: MeshFacts, dialect: Dialect, why: str) -> None:
    choice = choose(seen)
    assert isinstance(choice, Choice)
    assert choice.dialect is dialect
    assert why in choice.why


@pytest.mark.parametrize(
    ("seen", "path", "words"),
    [
        (facts(frozenset()), "spec.provider", "Kuma is not installed"),
        (facts(frozenset({MESHES})), "spec.provider", "neither the CRD"),
        (
            facts(KUMA_3 - {MESH_SERVICES}, by_name=False),
            "spec.provider",
            "not meshservices.kuma.io",
        ),
        (
            kuma_2_2(),
            "spec.provider",
            "this is Kuma 2.1 or 2.2 (the paths in meshhttproutes.kuma.io have no type PathPrefix)",
        ),
        (kuma_2_2(), "spec.provider", "Upgrade to Kuma 2.3 or newer, or let the mesh live by Traf"),
        (kuma_2_2(unreadable=BLIND), "metadata.annotations[kuma.io/mesh]", "by a ClusterRole"),
        (facts(KUMA_2, None), "metadata.annotations[kuma.io/mesh]", "mesh default does not exist"),
        (
            facts(KUMA_3, None, by_name=False),
            "metadata.annotations[kuma.io/mesh]",
            "mesh default does not exist",
        ),
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


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (facts(KUMA_1, by_name=False), "trafficroute"),
        (facts(KUMA_2, "Disabled", ROUTE_ALL), "trafficroute"),
        # Before 2.6 the first TrafficRoute takes nothing away.
        (kuma_2_2(), "trafficroute"),
        # Between two worlds it is a person's to choose.
        (facts(KUMA_2, "Everywhere", ROUTE_ALL), "trafficroute"),
        (facts(KUMA_2, "Everywhere", ROUTE_ALL), "service-tag"),
        (facts(KUMA_2, "Everywhere", ROUTE_ALL), "meshservice-name"),
        (facts(KUMA_2_7), "service-tag"),
        (facts(KUMA_2, "Disabled", ROUTE_ALL), "service-tag"),
        *((facts(KUMA_2, mode), "service-tag") for mode in MODES),
        *((facts(KUMA_2, mode), "meshservice-name") for mode in MODES[1:]),
        # What cannot be read may be known to a person.
        (facts(KUMA_2, None, unreadable=BLIND), "meshservice-name"),
        (facts(KUMA_2, None, unreadable=BLIND), "service-tag"),
        (facts(KUMA_3, by_name=False), "meshservice-labels"),
    ],
)
def test_a_person_chooses(seen: MeshFacts, word: str) -> None:
    choice = choose(seen, override(word))
    assert choice == Choice(WORDS[word], f"{ANNOTATION_PATH} says {word}")


@pytest.mark.parametrize(
    ("seen", "word", "words"),
    [
        (facts(KUMA_2), "tags", "use trafficroute, service-tag, meshservice-name, meshservice-lab"),
        (facts(KUMA_2), "trafficroute", "takes the routes to every other service away"),
        (facts(KUMA_2_7), "trafficroute", "use service-tag"),
        (facts(KUMA_2, "Exclusive", ROUTE_ALL), "trafficroute", "mode Exclusive of mesh default"),
        (facts(KUMA_2, "Disabled", unreadable=BLIND), "trafficroute", "by a ClusterRole"),
        (facts(KUMA_3, by_name=False), "trafficroute", "use meshservice-labels"),
        (facts(KUMA_1, by_name=False), "service-tag", "CRD meshhttproutes.kuma.io (Kuma 2.1"),
        (kuma_2_2(), "service-tag", "is Kuma 2.1 or 2.2"),
        (kuma_2_2(ROUTE_ALL), "service-tag", "use trafficroute, or upgrade to Kuma 2.3 or newer"),
        (kuma_2_2(ROUTE_ALL), "meshservice-name", "use trafficroute"),
        (kuma_2_2(ROUTE_ALL), "meshservice-labels", "use trafficroute"),
        (facts(KUMA_3, by_name=False), "service-tag", "have labels only; use meshservice-labels"),
        (facts(KUMA_1, by_name=False), "meshservice-name", "use trafficroute"),
        (facts(KUMA_2_7), "meshservice-name", "CRD meshservices.kuma.io"),
        (facts(KUMA_2), "meshservice-name", "spec.meshServices.mode Disabled"),
        (facts(KUMA_3, by_name=False), "meshservice-name", "use meshservice-labels"),
        (facts(KUMA_1, by_name=False), "meshservice-labels", "use trafficroute"),
        (facts(KUMA_2, "Exclusive"), "meshservice-labels", "a consumer's"),
    ],
)
def test_a_choice_that_the_cluster_would_not_understand_is_refused(
    seen: MeshFacts, word: str, words: str
) -> None:
    problem = choose(seen, override(word))
    assert isinstance(problem, Problem)
    assert problem.path == ANNOTATION_PATH
    assert word in problem.message
    assert words in problem.message


@pytest.mark.parametrize("word", [None, *WORDS])
@pytest.mark.parametrize("crds", [KUMA_2_7, KUMA_2, KUMA_3])
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_never_a_first_traffic_route_where_kuma_may_be_2_6_or_newer(
    crds: frozenset[str], by_name: bool, mode: str, word: str | None
) -> None:
    seen = facts(crds, mode, by_name=by_name)
    choice = choose(seen, None if word is None else override(word))
    assert not (isinstance(choice, Choice) and choice.dialect is Dialect.TRAFFIC_ROUTE)
