"""Which of Kuma's ways to split traffic a mesh understands.

Kuma has had four in its time, and a route in the wrong one is not refused: it is ignored, or
worse. In particular the *first* TrafficRoute of a mesh of Kuma 2.6 or newer takes the routes of
every other service away. So the choice is made from what the cluster shows, a person's choice is
obeyed only where the cluster would understand it, and where nothing would work, nothing is written.
"""

import enum
from dataclasses import dataclass

from serinus.api.problem import Problem

MESHES = "meshes.kuma.io"
TRAFFIC_ROUTES = "trafficroutes.kuma.io"
MESH_HTTP_ROUTES = "meshhttproutes.kuma.io"
MESH_TCP_ROUTES = "meshtcproutes.kuma.io"
MESH_SERVICES = "meshservices.kuma.io"
MESH_PROXY_PATCHES = "meshproxypatches.kuma.io"
MESH_TIMEOUTS = "meshtimeouts.kuma.io"
MESH_RETRIES = "meshretries.kuma.io"
MESH_MULTI_ZONE_SERVICES = "meshmultizoneservices.kuma.io"
"""Of which the mere existence counts: it came with Kuma 2.9."""

MESH_PATH = "metadata.annotations[kuma.io/mesh]"
ANNOTATION = "serinus.dev/kuma-dialect"
"""Of a Canary: the dialect that its routes are to be written in, one of `WORDS`."""
ANNOTATION_PATH = f"metadata.annotations[{ANNOTATION}]"


_KUMA_2_2 = (
    f"Kuma 2.1 or 2.2 (the paths in {MESH_HTTP_ROUTES} have no type PathPrefix), whose "
    "MeshHTTPRoutes are not written"
)


class Dialect(enum.Enum):
    """A way to split traffic; the value is how a person would call it."""

    TRAFFIC_ROUTE = "TrafficRoute"
    SERVICE_TAG = "MeshHTTPRoute by service tag"
    MESH_SERVICE_NAME = "MeshHTTPRoute by MeshService name"
    LABELS = "MeshHTTPRoute by labels"


WORDS = {
    "trafficroute": Dialect.TRAFFIC_ROUTE,
    "service-tag": Dialect.SERVICE_TAG,
    "meshservice-name": Dialect.MESH_SERVICE_NAME,
    "meshservice-labels": Dialect.LABELS,
}
"""What a person writes to choose a dialect."""


@dataclass(frozen=True, slots=True)
class Override:
    """A person's choice: the word, and the field or flag in which it stands."""

    word: str
    path: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The dialect to write in; ``why`` is a clause for a person."""

    dialect: Dialect
    why: str


@dataclass(frozen=True, slots=True)
class MeshFacts:
    """What a cluster shows about one mesh.

    ``crds`` are the names of Kuma's CustomResourceDefinitions; ``refs_by_name`` tells whether a
    MeshHTTPRoute's targets may have a ``name`` (Kuma 2) or have labels only (Kuma 3).
    ``mesh_services`` is the Mesh's ``spec.meshServices.mode``, None when there is no such Mesh.
    ``traffic_routes`` names the TrafficRoutes of the mesh that were not written for a canary:
    those show that the mesh lives by TrafficRoutes. ``unreadable`` are the CRDs whose objects this
    operator may not read. ``no_path_prefix`` tells that no MeshHTTPRoute of ours would be taken,
    since their paths have no type ``PathPrefix`` (Kuma 2.1 and 2.2).
    """

    mesh: str
    crds: frozenset[str]
    refs_by_name: bool
    mesh_services: str | None
    traffic_routes: tuple[str, ...] = ()
    unreadable: frozenset[str] = frozenset()
    no_path_prefix: bool = False

    @property
    def labels_only(self) -> bool:
        """Whether this is Kuma 3."""
        return MESH_HTTP_ROUTES in self.crds and not self.refs_by_name

    @property
    def some_traffic_routes(self) -> str:
        """Names of TrafficRoutes, for a sentence."""
        return ", ".join(self.traffic_routes[:3])


def choose(facts: MeshFacts, override: Override | None = None) -> Choice | Problem:
    """The dialect to write in and why, or why there is none."""
    lacking = _lacking(facts)
    if lacking is not None:
        return lacking
    if facts.labels_only and MESH_SERVICES not in facts.crds:
        return Problem(
            "spec.provider",
            f"this cluster's Kuma has the CRD {MESH_HTTP_ROUTES} and not {MESH_SERVICES}, which "
            "its routes lead to; install Kuma's CRDs",
        )
    if override is not None:
        return _overridden(facts, override)
    if facts.labels_only:
        return Choice(
            Dialect.LABELS,
            f"the targets in {MESH_HTTP_ROUTES} have labels and no names, so this is Kuma 3",
        )
    if facts.mesh_services is None:
        return Problem(
            MESH_PATH,
            f"what mesh {facts.mesh} is cannot be told: this operator may not read {MESHES}, which "
            "are cluster-scoped. Allow it list and watch of them by a ClusterRole, or start it "
            "with -mesh-services-mode and what spec.meshServices.mode of the Mesh is",
        )
    if MESH_HTTP_ROUTES not in facts.crds:
        if TRAFFIC_ROUTES in facts.unreadable:
            return _blind(facts, "TrafficRoutes alone split traffic in it")
        return Choice(
            Dialect.TRAFFIC_ROUTE,
            f"the cluster has no CRD {MESH_HTTP_ROUTES}, so this is Kuma before 2.1",
        )
    return _of_kuma_2(facts, facts.mesh_services)


def _lacking(facts: MeshFacts) -> Problem | None:
    """What has to be there whatever the dialect."""
    if MESHES not in facts.crds:
        return Problem(
            "spec.provider", f"Kuma is not installed in this cluster: it has no CRD {MESHES}"
        )
    if facts.mesh_services is None and MESHES not in facts.unreadable:
        return Problem(
            MESH_PATH, f"mesh {facts.mesh} does not exist; name one that does, or create it"
        )
    if not facts.crds & {MESH_HTTP_ROUTES, TRAFFIC_ROUTES}:
        return Problem(
            "spec.provider",
            f"this cluster's Kuma has neither the CRD {TRAFFIC_ROUTES} nor {MESH_HTTP_ROUTES}, "
            "so nothing in it splits traffic; install Kuma's CRDs",
        )
    return None


def _of_kuma_2_2(facts: MeshFacts) -> Choice | Problem:
    if facts.traffic_routes:
        lives = f"lives by TrafficRoutes ({facts.some_traffic_routes})"
        return Choice(Dialect.TRAFFIC_ROUTE, f"this is {_KUMA_2_2}; mesh {facts.mesh} {lives}")
    return Problem(
        "spec.provider",
        f"this is {_KUMA_2_2}, and mesh {facts.mesh} has no TrafficRoutes. Upgrade to Kuma 2.3 or "
        "newer, or let the mesh live by TrafficRoutes: create the one that these releases make "
        f"for a new mesh, route-all-{facts.mesh}, which leads every Service to itself",
    )


def _of_kuma_2(facts: MeshFacts, mode: str) -> Choice | Problem:
    where = f"mesh {facts.mesh} has spec.meshServices.mode {mode}"
    if TRAFFIC_ROUTES in facts.unreadable and mode != "Exclusive":
        return _blind(facts, f"with spec.meshServices.mode {mode} it may live by TrafficRoutes")
    if facts.no_path_prefix:
        return _of_kuma_2_2(facts)
    if mode == "Disabled":
        # Other people's TrafficRoutes are the proof that one more does no harm.
        if facts.traffic_routes:
            lives = f"lives by TrafficRoutes ({facts.some_traffic_routes})"
            return Choice(Dialect.TRAFFIC_ROUTE, f"{where}, and {lives}")
        return Choice(Dialect.SERVICE_TAG, f"{where}, and does not live by TrafficRoutes")
    if mode == "Exclusive":
        # With this mode TrafficRoutes route nothing, so it does not matter if there are some.
        return _by_mesh_service(facts, where)
    if facts.traffic_routes:
        return Problem(
            MESH_PATH,
            f"mesh {facts.mesh} is between two worlds: spec.meshServices.mode is {mode}, and "
            f"it has TrafficRoutes ({facts.some_traffic_routes}), which a MeshHTTPRoute "
            "would override for every service. Remove the TrafficRoutes, set "
            "spec.meshServices.mode to Disabled, or choose by the annotation "
            f"{ANNOTATION} of the Canary",
        )
    if mode == "Everywhere":
        return _by_mesh_service(facts, where)
    return Choice(
        Dialect.SERVICE_TAG,
        f"{where}, where a caller that declares no reachable backends goes on using service tags",
    )


def _by_mesh_service(facts: MeshFacts, why: str) -> Choice | Problem:
    if MESH_SERVICES in facts.crds:
        return Choice(Dialect.MESH_SERVICE_NAME, why)
    return Problem(
        MESH_PATH,
        f"mesh {facts.mesh} has spec.meshServices.mode {facts.mesh_services}, but the cluster has "
        f"no CRD {MESH_SERVICES}; install Kuma's CRDs",
    )


def _blind(facts: MeshFacts, why: str) -> Problem:
    return Problem(
        MESH_PATH,
        f"how mesh {facts.mesh} splits traffic cannot be told: {why}, and this operator may not "
        f"read {TRAFFIC_ROUTES}, which are cluster-scoped. Allow it get, list, watch, create, "
        "patch and delete of them by a ClusterRole",
    )


def _overridden(facts: MeshFacts, override: Override) -> Choice | Problem:
    dialect = WORDS.get(override.word)
    if dialect is None:
        return Problem(override.path, f'"{override.word}" is no dialect; use {", ".join(WORDS)}')
    against = _against(facts, dialect)
    if against is not None:
        return Problem(override.path, f"{override.word} {against}")
    return Choice(dialect, f"{override.path} says {override.word}")


def _against(facts: MeshFacts, dialect: Dialect) -> str | None:
    """Why a mesh would not understand routes in this dialect, and what would be right."""
    if dialect is Dialect.TRAFFIC_ROUTE:
        return _against_traffic_routes(facts)
    if MESH_HTTP_ROUTES not in facts.crds:
        return (
            f"needs the CRD {MESH_HTTP_ROUTES} (Kuma 2.1 or newer), which this cluster has not; "
            "use trafficroute"
        )
    if facts.no_path_prefix:
        return (
            f"writes MeshHTTPRoutes, and this is {_KUMA_2_2}; use trafficroute, or upgrade to "
            "Kuma 2.3 or newer"
        )
    if facts.labels_only:
        return (
            None
            if dialect is Dialect.LABELS
            else "needs targets with names, and those of this cluster's MeshHTTPRoutes (Kuma 3) "
            "have labels only; use meshservice-labels"
        )
    if dialect is Dialect.LABELS:
        return (
            "is for Kuma 3. In Kuma 2, which this is, a route by labels is a consumer's: callers "
            "in other namespaces would not obey it; use meshservice-name or service-tag"
        )
    if dialect is Dialect.SERVICE_TAG:
        return None
    if MESH_SERVICES not in facts.crds:
        return f"needs the CRD {MESH_SERVICES}, which this cluster has not; use service-tag"
    if facts.mesh_services == "Disabled":
        return (
            f"needs MeshServices, and mesh {facts.mesh} has spec.meshServices.mode Disabled; "
            "use service-tag, or set the mode to Exclusive"
        )
    return None


def _against_traffic_routes(facts: MeshFacts) -> str | None:
    if TRAFFIC_ROUTES not in facts.crds:
        return (
            f"needs the CRD {TRAFFIC_ROUTES}, which this cluster has not (Kuma 3); "
            "use meshservice-labels"
        )
    if TRAFFIC_ROUTES in facts.unreadable:
        return (
            f"needs {TRAFFIC_ROUTES}, which are cluster-scoped and which this operator may not "
            "read. Allow it get, list, watch, create, patch and delete of them by a ClusterRole"
        )
    if MESH_HTTP_ROUTES not in facts.crds or facts.no_path_prefix:
        return None
    if facts.mesh_services == "Exclusive":
        return (
            f"does not go with spec.meshServices.mode Exclusive of mesh {facts.mesh}: a single "
            "TrafficRoute takes all routes of every caller away there; use meshservice-name"
        )
    if not facts.traffic_routes:
        return (
            f"is refused: mesh {facts.mesh} has no TrafficRoutes of others, and in Kuma 2.6 or "
            "newer the first one takes the routes to every other service away; use service-tag"
        )
    return None
