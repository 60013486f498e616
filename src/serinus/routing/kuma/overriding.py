"""Which routes of others take the place of a canary's.

Kuma merges all routes to one destination: of rules with the very same ``matches``, what the
strongest route says holds. Stronger is, in this order, whose top targetRef narrows the callers
down, what comes from the zone rather than from the global control plane, whose role is the higher
one (system < producer < consumer), and what comes first by name. A rule whose matches are merely
narrower takes its requests before ours, as it is meant to, and overrides nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from serinus.api.canary import Canary
from serinus.api.meta import ObjectMeta
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache, Change, Key
from serinus.cluster.kinds import MESHSERVICES
from serinus.routing.kuma.addressing import DISPLAY_NAME, NAMESPACE, ORIGIN, Home
from serinus.routing.kuma.belonging import MESH_LABEL, belongs
from serinus.routing.kuma.matches import route_matches, service_matches, within
from serinus.routing.kuma.rules import dicts

Json = dict[str, Any]

ROLE = "kuma.io/policy-role"
SERVICE_NAME = "k8s.kuma.io/service-name"

_ROLES = {"system": 0, "producer": 1, "consumer": 2}
_NARROWER = frozenset({"MeshSubset", "Dataplane", "MeshService", "MeshServiceSubset"})
_TAG = re.compile(r"(?P<name>[^_]+)_(?P<namespace>[^_]+)_svc(?:_(?P<port>\d+))?")
_ANYWHERE: Key = ("", "")
"""Under what the routes are kept whose labels do not say which Service they select."""


class _Route(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...

    @property
    def spec(self) -> msgspec.Raw: ...


View = TypeVar("View", bound=_Route)

Matches = list[Json] | None
"""The ``matches`` of a rule; a MeshTCPRoute's rules have none."""


def split_matches(canary: Canary) -> list[Matches]:
    """The matches of the rules in a MeshHTTPRoute that decide about a canary's requests. Those of
    its cookies are not among them: nobody else knows their values."""
    every = service_matches(canary)
    tested = within(every, route_matches(canary.spec.analysis.match))
    return [every, tested] if tested else [every]


@dataclass(frozen=True, slots=True)
class Ours:
    """The canary's own route: where it stands, what it matches, whether it puts filters there, and
    by which labels Kuma knows the apex (empty where it does not yet)."""

    home: Home
    matches: list[Matches]
    filters: bool = False
    apex_labels: Mapping[str, str] | None = None

    @property
    def role(self) -> str:
        """Beside its workload a route of ours is a producer's, in every dialect."""
        return "producer" if self.home.owned else "system"


class Rivals(Generic[View]):
    """The routes of one kind, by the Service that they are about.

    Kept by subscription: a mesh may hold thousands, of which one or two are about one canary.
    """

    def __init__(self, routes: Cache[View]) -> None:
        self._routes = routes
        self._about: dict[Key, set[Key]] = {}
        for route in routes.values():
            self._add(route)
        routes.subscribe(self._take)

    def about(self, canary: Canary) -> tuple[View, ...]:
        """Other people's routes that may be about the canary's apex."""
        about = ((canary.namespace, canary.apex_name), ("", canary.apex_name), _ANYWHERE)
        keys: set[Key] = set().union(*(self._about.get(one, ()) for one in about))
        found = (self._routes.get(namespace, name) for namespace, name in sorted(keys))
        return tuple(
            route for route in found if route is not None and not belongs(canary, route.metadata)
        )

    def problems(self, canary: Canary, ours: Ours) -> tuple[Problem, ...]:
        """What of a canary's route is overridden, and by whom."""
        kind = self._routes.resource.kind
        return tuple(
            problem
            for route in self.about(canary)
            for problem in overriding(canary, ours, kind, route.metadata, _spec(route))
        )

    def _take(self, change: Change[View]) -> None:
        if change.old is not None:
            for one in _services(change.old):
                self._about.get(one, set()).discard(change.key)
                if not self._about.get(one):
                    self._about.pop(one, None)
        if change.new is not None:
            self._add(change.new)

    def _add(self, route: View) -> None:
        meta = route.metadata
        for one in _services(route):
            self._about.setdefault(one, set()).add((meta.namespace or "", meta.name))


def overriding(
    canary: Canary, ours: Ours, kind: str, meta: ObjectMeta, spec: Json
) -> Iterator[Problem]:
    """What one route of somebody else's takes from the canary's, rule by rule."""
    if meta.labels.get(MESH_LABEL, "default") != canary.mesh:
        return
    why = _stronger(ours, meta, spec)
    if why is None:
        return
    for at, entry in enumerate(dicts(spec.get("to"))):
        ref = entry.get("targetRef") or {}
        if not _leads_to_apex(ref, canary, ours, meta):
            continue
        for number, rule in enumerate(dicts(entry.get("rules"))):
            taken = _taken(rule.get("default") or {}, ours)
            if taken is None or _plain(rule.get("matches")) not in map(_plain, ours.matches):
                continue
            yield Problem(
                "spec.service.name",
                f"{kind} {meta.name}.{meta.namespace} decides {taken} in the place of the "
                f"canary's route: its spec.to[{at}].rules[{number}] is about the same requests to "
                f"{canary.apex_name}.{canary.namespace}, and {why}{_callers(meta)}. Delete that "
                + ("rule" if rule.get("matches") is None else "rule, or give it other matches"),
            )


def _stronger(ours: Ours, meta: ObjectMeta, spec: Json) -> str | None:
    """Why a route is stronger than ours, in words; None when it is not."""
    callers = (spec.get("targetRef") or {}).get("kind") or "Mesh"
    if callers in _NARROWER:
        return f"its targetRef is a {callers}, which is stronger than ours for the whole Mesh"
    if callers != "Mesh" or meta.labels.get(ORIGIN) == "global":
        return None
    role = _role(ours, meta, spec)
    if _ROLES[role] != _ROLES[ours.role]:
        higher = _ROLES[role] > _ROLES[ours.role]
        return f"it is a {role}'s, which is stronger than ours, a {ours.role}'s" if higher else None
    first = _name(meta) < ours.home.name
    return f"its name comes before ours, {ours.home.name}" if first else None


def _role(ours: Ours, meta: ObjectMeta, spec: Json) -> str:
    """What Kuma's webhook has computed; where it has not, what it would."""
    told = meta.labels.get(ROLE)
    if told in _ROLES:
        return str(told)
    if not ours.home.owned and meta.namespace == ours.home.namespace:
        return "system"
    targets = [entry.get("targetRef") or {} for entry in dicts(spec.get("to"))]
    own = all(
        ref.get("namespace") in (None, "", meta.namespace)
        if ref.get("name")
        else DISPLAY_NAME in (labels := ref.get("labels") or {})
        and labels.keys() <= {DISPLAY_NAME, NAMESPACE}
        and labels.get(NAMESPACE, meta.namespace) == meta.namespace
        for ref in targets
    )
    return "producer" if own else "consumer"


def _name(meta: ObjectMeta) -> str:
    return meta.annotations.get(DISPLAY_NAME) or meta.labels.get(DISPLAY_NAME) or meta.name


def _taken(default: Json, ours: Ours) -> str | None:
    """What a rule says that ours says too; None when they do not meet."""
    if "backendRefs" in default:
        return "where requests go"
    return (
        "what is done with requests on the way" if ours.filters and "filters" in default else None
    )


def _callers(meta: ObjectMeta) -> str:
    """For whom it holds, where that is not everybody."""
    if meta.labels.get(ROLE) != "consumer":
        return ""
    return f"; it holds for callers in namespace {meta.namespace}"


def _leads_to_apex(ref: Json, canary: Canary, ours: Ours, meta: ObjectMeta) -> bool:
    if ref.get("kind") != MESHSERVICES.kind:
        return False
    service = canary.spec.service
    section = ref.get("sectionName")
    if section not in (None, "", service.port_name_or_default, str(service.port)):
        return False
    apex = (canary.namespace, canary.apex_name)
    labels = dict(ref.get("labels") or {})
    if labels:
        if DISPLAY_NAME in labels and meta.labels.get(ROLE) == "producer":
            # To Kuma 3 that is the Service beside the route, where no other namespace is named.
            labels.setdefault(NAMESPACE, meta.namespace)
        known = ours.apex_labels or {SERVICE_NAME: canary.apex_name}
        known = {**known, NAMESPACE: canary.namespace, DISPLAY_NAME: canary.apex_name}
        return labels.items() <= known.items()
    tag = _TAG.fullmatch(str(ref.get("name") or ""))
    if tag is None:
        return (ref.get("namespace") or meta.namespace, ref.get("name")) == apex
    port = tag["port"]
    return (tag["namespace"], tag["name"]) == apex and port in (None, str(service.port))


def _services(route: _Route) -> set[Key]:
    """Which Services a route is about, by namespace (empty for any) and name."""
    return set(_named(route.metadata.namespace, dicts(_spec(route).get("to"))))


def _named(namespace: str, entries: Iterable[Json]) -> Iterator[Key]:
    for entry in entries:
        ref = entry.get("targetRef") or {}
        labels = ref.get("labels") or {}
        name = str(ref.get("name") or "")
        tag = _TAG.fullmatch(name)
        if labels:
            name = str(labels.get(DISPLAY_NAME) or "")
            yield (str(labels.get(NAMESPACE) or ""), name) if name else _ANYWHERE
        elif tag is not None:
            yield tag["namespace"], tag["name"]
        elif name:
            yield str(ref.get("namespace") or namespace), name


def _spec(route: _Route) -> Json:
    spec: Json = msgspec.json.decode(route.spec)
    return spec


def _plain(matches: Any) -> Any:
    """Matches with what they say by default said: that is how Kuma compares them."""
    if not isinstance(matches, list):
        return matches
    return [
        {
            key: [{"type": "Exact", **one} for one in dicts(value)]
            if key in ("headers", "queryParams")
            else value
            for key, value in match.items()
        }
        for match in dicts(matches)
    ]
