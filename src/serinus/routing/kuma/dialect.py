"""Which of Kuma's ways to split traffic a mesh understands.

Kuma has had four in its time, and a route in the wrong one is not refused: it is ignored, or
worse. In particular the *first* TrafficRoute of a mesh of Kuma 2.6 or newer takes the routes of
every other service away. So the choice is made from what the cluster shows, and where none of
what Serinus can write would work, it writes nothing.
"""

import enum
from dataclasses import dataclass

from serinus.api.problem import Problem

MESHES = "meshes.kuma.io"
TRAFFIC_ROUTES = "trafficroutes.kuma.io"
MESH_HTTP_ROUTES = "meshhttproutes.kuma.io"
MESH_SERVICES = "meshservices.kuma.io"
MESH_PROXY_PATCHES = "meshproxypatches.kuma.io"
MESH_TIMEOUTS = "meshtimeouts.kuma.io"
MESH_RETRIES = "meshretries.kuma.io"

MESH_PATH = "metadata.annotations[kuma.io/mesh]"


class Dialect(enum.Enum):
    """A way to split traffic; the value is how a person would call it."""

    TRAFFIC_ROUTE = "TrafficRoute"
    SERVICE_TAG = "MeshHTTPRoute by service tag"
    MESH_SERVICE_NAME = "MeshHTTPRoute by MeshService name"
    LABELS = "MeshHTTPRoute by labels"


BUILT = frozenset({Dialect.TRAFFIC_ROUTE, Dialect.MESH_SERVICE_NAME})
"""The dialects that Serinus speaks today."""


@dataclass(frozen=True, slots=True)
class MeshFacts:
    """What a cluster shows about one mesh.

    ``crds`` are the names of Kuma's CustomResourceDefinitions; ``refs_by_name`` tells whether a
    MeshHTTPRoute's targets may have a ``name`` (Kuma 2) or have labels only (Kuma 3).
    ``mesh_services`` is the Mesh's ``spec.meshServices.mode``, None when there is no such Mesh.
    ``traffic_routes`` names the TrafficRoutes of the mesh that were not written for a canary:
    those show that the mesh lives by TrafficRoutes. ``unreadable`` are the CRDs whose objects this
    operator may not read.
    """

    mesh: str
    crds: frozenset[str]
    refs_by_name: bool
    mesh_services: str | None
    traffic_routes: tuple[str, ...] = ()
    unreadable: frozenset[str] = frozenset()


def recognise(facts: MeshFacts) -> Dialect | Problem:
    """The dialect that the mesh understands, whether or not Serinus speaks it."""
    if MESHES not in facts.crds:
        return Problem(
            "spec.provider", f"Kuma is not installed in this cluster: it has no CRD {MESHES}"
        )
    if facts.mesh_services is None and MESHES in facts.unreadable:
        return Problem(
            MESH_PATH,
            f"what mesh {facts.mesh} is cannot be told: this operator may not read {MESHES}, which "
            "are cluster-scoped. Allow it list and watch of them by a ClusterRole, or start it "
            "with -mesh-services-mode and what spec.meshServices.mode of the Mesh is",
        )
    if facts.mesh_services is None:
        return Problem(
            MESH_PATH, f"mesh {facts.mesh} does not exist; name one that does, or create it"
        )
    if MESH_HTTP_ROUTES not in facts.crds:
        if TRAFFIC_ROUTES in facts.unreadable:
            return _blind(facts, "TrafficRoutes alone split traffic in it")
        if TRAFFIC_ROUTES in facts.crds:
            return Dialect.TRAFFIC_ROUTE
        return Problem(
            "spec.provider",
            f"this cluster's Kuma has neither the CRD {TRAFFIC_ROUTES} nor {MESH_HTTP_ROUTES}, "
            "so nothing in it splits traffic; install Kuma's CRDs",
        )
    if not facts.refs_by_name:
        return Dialect.LABELS
    return _of_kuma_2(facts, facts.mesh_services)


def choose(facts: MeshFacts) -> Dialect | Problem:
    """The dialect to write in, or why there is none."""
    dialect = recognise(facts)
    if isinstance(dialect, Problem) or dialect in BUILT:
        return dialect
    if dialect is Dialect.LABELS:
        return Problem(
            "spec.provider",
            "this cluster has Kuma 3, whose MeshHTTPRoutes name their targets by labels only; "
            "Serinus writes TrafficRoutes (Kuma 1.7 to 2.5) and MeshHTTPRoutes by MeshService "
            "name (Kuma 2.9 to 2.14) today",
        )
    return Problem(
        MESH_PATH,
        f"mesh {facts.mesh} has spec.meshServices.mode {facts.mesh_services} and does not live by "
        "TrafficRoutes, so only a MeshHTTPRoute by service tag would split its traffic, which "
        "Serinus does not write yet. On Kuma 2.9 to 2.14, set spec.meshServices.mode of that "
        "Mesh to Exclusive",
    )


def _of_kuma_2(facts: MeshFacts, mode: str) -> Dialect | Problem:
    if TRAFFIC_ROUTES in facts.unreadable and mode != "Exclusive":
        return _blind(facts, f"with spec.meshServices.mode {mode} it may live by TrafficRoutes")
    if mode == "Disabled":
        # Other people's TrafficRoutes are the proof that one more does no harm.
        return Dialect.TRAFFIC_ROUTE if facts.traffic_routes else Dialect.SERVICE_TAG
    if mode == "Exclusive":
        # With this mode TrafficRoutes route nothing, so it does not matter if there are some.
        return _by_mesh_service(facts)
    if facts.traffic_routes:
        return Problem(
            MESH_PATH,
            f"mesh {facts.mesh} is between two worlds: spec.meshServices.mode is {mode}, and "
            f"it has TrafficRoutes ({', '.join(facts.traffic_routes[:3])}), which a MeshHTTPRoute "
            "would override for every service. Remove the TrafficRoutes, or set "
            "spec.meshServices.mode to Disabled",
        )
    if mode == "Everywhere":
        return _by_mesh_service(facts)
    # ReachableBackends: a caller that declares none goes on using service tags.
    return Dialect.SERVICE_TAG


def _blind(facts: MeshFacts, why: str) -> Problem:
    return Problem(
        MESH_PATH,
        f"how mesh {facts.mesh} splits traffic cannot be told: {why}, and this operator may not "
        f"read {TRAFFIC_ROUTES}, which are cluster-scoped. Allow it get, list, watch, create, "
        "patch and delete of them by a ClusterRole",
    )


def _by_mesh_service(facts: MeshFacts) -> Dialect | Problem:
    if MESH_SERVICES in facts.crds:
        return Dialect.MESH_SERVICE_NAME
    return Problem(
        MESH_PATH,
        f"mesh {facts.mesh} has spec.meshServices.mode {facts.mesh_services}, but the cluster has "
        f"no CRD {MESH_SERVICES}; install Kuma's CRDs",
    )
