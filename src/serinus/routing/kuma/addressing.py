"""How the objects of a dialect name Services, and where they live.

This is all in which Kuma's ways to write a MeshHTTPRoute (and what goes with it: MeshTCPRoute,
MeshTimeout, MeshRetry) differ: by service tag until 2.14, by the MeshService's name from 2.9 to
2.14, by its labels from 3.0 on. What the objects say is the same in each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from serinus.api.canary import Canary
from serinus.cluster.kinds import MESHSERVICES
from serinus.routing.kuma.tags import canary_tag, service_tag

Json = dict[str, Any]

NARROWING = ("name", "namespace", "labels", "tags", "sectionName", "proxyTypes", "mesh")
"""Fields of a reference that change what it means. Others may be added by a newer Kuma's
defaults; removing those would be a fight without end."""

DISPLAY_NAME = "kuma.io/display-name"
NAMESPACE = "k8s.kuma.io/namespace"
ORIGIN = "kuma.io/origin"


@dataclass(frozen=True, slots=True)
class Home:
    """Where the objects of one canary stand, and under which name.

    ``labels`` are needed there beside the mesh's. ``owned`` tells whether an ownerReference to
    the Canary is possible: Kubernetes has none across namespaces.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owned: bool = True


def app_home(canary: Canary, base: str | None = None) -> Home:
    """In the canary's own namespace; ``base`` is the apex's name where none is given."""
    return Home(canary.namespace, base or canary.apex_name)


def system_home(system_namespace: str, canary: Canary, base: str | None = None) -> Home:
    """In the control plane's namespace, beside those of all other namespaces' canaries."""
    return Home(
        system_namespace,
        f"{base or canary.apex_name}-{canary.namespace}",
        # A zone of a federation refuses what does not say that it comes from there.
        labels={ORIGIN: "zone"},
        owned=False,
    )


class Addressing(Protocol):
    """One dialect's way to name Services.

    ``by_tag`` tells that references lead to service tags, which are there while a Dataplane is;
    otherwise they lead to MeshServices. ``mirrors_need_pods`` tells that a mirror to a service
    without ready pods breaks the whole configuration of every caller (up to Kuma 2.14), so that
    it has to be written last. ``fails_closed`` tells that a reference to what is not there yet is
    answered with errors (Kuma 3), and not by the apex.
    """

    @property
    def by_tag(self) -> bool: ...

    @property
    def mirrors_need_pods(self) -> bool: ...

    @property
    def fails_closed(self) -> bool: ...

    def home(self, canary: Canary) -> Home:
        """Where this canary's objects stand."""

    def apex(self, canary: Canary) -> Json:
        """The reference to the port of the apex that callers use, for `to[].targetRef`."""

    def backend(self, canary: Canary, service: str) -> Json:
        """The reference to the canary's port of one of its Services, for `backendRefs`; without
        a weight."""

    def mirror(self, canary: Canary) -> Json:
        """The reference to the canary Service, for a filter RequestMirror."""


@dataclass(frozen=True, slots=True)
class ByTag:
    """By service tag: Kuma 2.1 to 2.14.

    ``system_namespace`` is where the objects have to be until 2.8; None when they may be in the
    canary's (from 2.9 on), where they speak for the callers of every namespace, too.
    """

    system_namespace: str | None = None
    by_tag: bool = True
    mirrors_need_pods: bool = True
    fails_closed: bool = False

    def home(self, canary: Canary) -> Home:
        if self.system_namespace is None:
            return app_home(canary)
        return system_home(self.system_namespace, canary)

    def apex(self, canary: Canary) -> Json:
        return self.backend(canary, canary.apex_name)

    def backend(self, canary: Canary, service: str) -> Json:
        tag = service_tag(service, canary.namespace, canary.spec.service.port)
        return {"kind": MESHSERVICES.kind, "name": tag}

    def mirror(self, canary: Canary) -> Json:
        return self.backend(canary, canary.canary_service)


@dataclass(frozen=True, slots=True)
class ByName:
    """By the MeshService's name, in its namespace: Kuma 2.9 to 2.14 with MeshServices."""

    by_tag: bool = False
    mirrors_need_pods: bool = True
    fails_closed: bool = False

    def home(self, canary: Canary) -> Home:
        return app_home(canary)

    def apex(self, canary: Canary) -> Json:
        section = canary.spec.service.port_name_or_default
        return {"kind": MESHSERVICES.kind, "name": canary.apex_name, "sectionName": section}

    def backend(self, canary: Canary, service: str) -> Json:
        return {"kind": MESHSERVICES.kind, "name": service, "port": canary.spec.service.port}

    def mirror(self, canary: Canary) -> Json:
        # Up to Kuma 2.14 a mirror is looked up by service tag whatever its reference says, and
        # one with a port leads nowhere.
        return {"kind": MESHSERVICES.kind, "name": canary_tag(canary)}


@dataclass(frozen=True, slots=True)
class ByLabels:
    """By the MeshService's labels: Kuma 3.

    By these two and no third: with any other label in `to`, the route would be a consumer's, and
    hold for callers of its own namespace alone.
    """

    by_tag: bool = False
    mirrors_need_pods: bool = False
    fails_closed: bool = True

    def home(self, canary: Canary) -> Home:
        return app_home(canary)

    def apex(self, canary: Canary) -> Json:
        section = canary.spec.service.port_name_or_default
        return {**_labelled(canary, canary.apex_name), "sectionName": section}

    def backend(self, canary: Canary, service: str) -> Json:
        return {**_labelled(canary, service), "port": canary.spec.service.port}

    def mirror(self, canary: Canary) -> Json:
        return self.backend(canary, canary.canary_service)


_EVERY: tuple[Addressing, ...] = (ByTag(), ByName(), ByLabels())


def meaning(ref: Mapping[str, Any]) -> Json:
    """What a reference says, without what a newer Kuma's defaults put beside."""
    return {key: ref[key] for key in ("kind", *NARROWING) if key in ref}


def readdressed(ref: Mapping[str, Any], wanted: Json) -> Json:
    """``ref``, leading where ``wanted`` does and with what else it had."""
    kept = {key: value for key, value in ref.items() if key not in (*NARROWING, "port")}
    return {**kept, **wanted}


def is_apex(canary: Canary, ref: Mapping[str, Any]) -> bool:
    """Whether a reference is to the port of the apex that callers use, in any dialect."""
    return any(meaning(ref) == dialect.apex(canary) for dialect in _EVERY)


def is_lost(ref: object) -> bool:
    """Whether a reference leads nowhere: so does what Kuma 3 leaves of one by name or by tag, and
    it refuses to take such a one again."""
    return (
        isinstance(ref, Mapping)
        and ref.get("kind") not in (None, "Mesh")
        and not any(ref.get(key) for key in ("name", "labels", "tags"))
    )


def service_named(canary: Canary, ref: Mapping[str, Any]) -> str | None:
    """Which of the canary's three Services a reference leads to, in whatever dialect it is
    written and whatever port it names; None when it leads elsewhere."""
    if ref.get("kind") != MESHSERVICES.kind:
        return None
    services = (canary.apex_name, canary.primary_service, canary.canary_service)
    labels = ref.get("labels") or {}
    if labels:
        home = labels.get(NAMESPACE, canary.namespace)
        name = labels.get(DISPLAY_NAME) if home == canary.namespace else None
        return name if name in services else None
    name = str(ref.get("name") or "")
    if ref.get("namespace") in (None, "", canary.namespace) and name in services:
        return name
    head, _, port = name.rpartition("_")
    tags = {f"{service}_{canary.namespace}_svc": service for service in services}
    return tags.get(head) if port.isdecimal() else None


def _labelled(canary: Canary, service: str) -> Json:
    labels = {DISPLAY_NAME: service, NAMESPACE: canary.namespace}
    return {"kind": MESHSERVICES.kind, "labels": labels}
