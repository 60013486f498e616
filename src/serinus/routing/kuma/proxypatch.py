"""Who hands out the cookies of session affinity: MeshProxyPatches on the pods of each side.

A route of Kuma cannot mark the answers of one backend only. But each side's own sidecars can: they
add the side's cookie to all that leaves their pods, whatever the weights are. In the namespace of
an application such a patch is the workload owner's: it reaches the pods of that namespace alone.
Until Kuma 2.9 it has to stand beside the control plane, and names pods by their service tags.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import yaml

from serinus.api.analysis import SessionAffinity
from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.kinds import MESHPROXYPATCHES
from serinus.cluster.ownership import UNMANAGED_BY_FLUX
from serinus.cluster.written import Written
from serinus.rollout.effects import Affinity
from serinus.routing.kuma.addressing import (
    NAMESPACE,
    NARROWING,
    Home,
    app_home,
    meaning,
    system_home,
)
from serinus.routing.kuma.belonging import mark
from serinus.routing.kuma.cookies import set_cookie
from serinus.routing.kuma.objects import Marks, Objects, change_of, desired
from serinus.routing.kuma.views import MeshProxyPatchView
from serinus.routing.kuma.writing import Json, paths
from serinus.routing.router import RoutingError

Selector = Callable[[str, str], Mapping[str, str] | None]
"""Tells by namespace and name which labels a Service selects its pods by; None when there is no
such Service."""


def selects_nothing(namespace: str, service: str) -> None:
    """The `Selector` of one who knows no Services."""


Wanted = Mapping[str, Json]
"""The specs of the patches to have, by name."""


def names(canary: Canary) -> tuple[str, str]:
    """The patches of the canary's pods and of the primary's."""
    return f"{canary.canary_service}-affinity", f"{canary.primary_service}-affinity"


def desired_patch(canary: Canary, home: Home, spec: Json) -> Json:
    """The MeshProxyPatch to create."""
    return desired(MESHPROXYPATCHES, canary, home, _marks(canary), spec)


def by_label(pods: Mapping[str, str]) -> Json:
    """The reference to the pods of these labels in the patch's namespace: Kuma 2.10 or newer."""
    return {"kind": "Dataplane", "labels": dict(pods)}


def by_tag(canary: Canary, pods: Mapping[str, str]) -> Json:
    """The reference to the pods of these labels in the canary's namespace: before Kuma 2.10."""
    return {"kind": "MeshSubset", "tags": {**pods, NAMESPACE: canary.namespace}}


def patch_spec(pods: Json, cookie: str, attributes: SessionAffinity) -> Json:
    """Hand ``cookie`` out with every answer of the pods of this reference."""
    # Envoy reads a percent sign as the start of a variable, and two as one.
    header = set_cookie(cookie, attributes).replace("%", "%%")
    value = {
        "responseHeadersToAdd": [
            {
                "header": {"key": "set-cookie", "value": header},
                "appendAction": "APPEND_IF_EXISTS_OR_ADD",
            }
        ]
    }
    virtual_host = {
        "operation": "Patch",
        "match": {"origin": "inbound"},
        "value": yaml.safe_dump(value, sort_keys=False, width=2**16),
    }
    return {
        "targetRef": pods,
        "default": {"appendModifications": [{"virtualHost": virtual_host}]},
    }


def patch_change(canary: Canary, home: Home, live: MeshProxyPatchView, spec: Json) -> Json:
    """The merge patch that makes ``live`` say what ``spec`` does; empty when it does."""
    found = msgspec.json.decode(live.spec)
    change: Json = {}
    ref, wanted = found.get("targetRef") or {}, spec["targetRef"]
    if meaning(ref) != meaning(wanted):
        change["targetRef"] = _retargeted(ref, wanted)
    if not covers(found.get("default"), spec["default"]):
        change["default"] = spec["default"]
    return change_of(canary, home, live.metadata, _marks(canary), change)


class CookiePatches:
    """The patches of each canary's two sides.

    ``system_namespace`` is where patches have to be until Kuma 2.9; None when they may be in the
    canary's and for the pods of some labels there.
    """

    def __init__(
        self,
        objects: Objects[MeshProxyPatchView],
        selector: Selector,
        system_namespace: str | None,
    ) -> None:
        self._objects = objects
        self._selector = selector
        self._system_namespace = system_namespace

    def problems(self, canary: Canary) -> Iterator[Problem]:
        """Patches of our names that are somebody else's."""
        for name in names(canary):
            yield from self._objects.problems(
                canary,
                self._home(canary, name),
                "spec.analysis.sessionAffinity",
                "or remove this field",
            )

    def wanted(self, canary: Canary, affinity: Affinity | None) -> Wanted:
        """The patches that hand these cookies out.

        Raises `RoutingError` where it is not known to which pods: nothing may be said to all.
        """
        if affinity is None:
            return {}
        attributes = canary.spec.analysis.session_affinity
        if attributes is None:
            raise RoutingError("there is no spec.analysis.sessionAffinity to make a cookie by")
        to_canary, to_primary = names(canary)
        sides = [(to_canary, canary.canary_service, affinity.cookie)]
        if affinity.primary_cookie is not None:
            sides.append((to_primary, canary.primary_service, affinity.primary_cookie))
        return {
            name: patch_spec(self._pods(canary, service), cookie, attributes)
            for name, service, cookie in sides
        }

    def drift(self, canary: Canary, wanted: Wanted) -> Iterator[str]:
        """Fields of the patches that are there and are not as wanted."""
        for name, spec in wanted.items():
            home = self._home(canary, name)
            live = self._objects.live(home)
            if live is not None:
                for path in paths(patch_change(canary, home, live, spec)):
                    yield f"{path} of MeshProxyPatch {home.name}"

    async def reconcile(self, canary: Canary, wanted: Wanted) -> list[Written]:
        """Have the wanted patches."""
        wrote: list[Written] = []
        for name, spec in wanted.items():
            home = self._home(canary, name)
            body = partial(desired_patch, canary, home, spec)
            wrote += await self._objects.have(
                home, body, partial(patch_change, canary, home, spec=spec)
            )
        return wrote

    async def remove(self, canary: Canary, kept: Wanted) -> None:
        """Delete the canary's patches but for the ``kept``."""
        await self._objects.remove(canary, but=[self._home(canary, name) for name in kept])

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """Delete those of canaries that do not exist."""
        await self._objects.collect(exists)

    def _home(self, canary: Canary, name: str) -> Home:
        if self._system_namespace is None:
            return app_home(canary, name)
        return system_home(self._system_namespace, canary, name)

    def _pods(self, canary: Canary, service: str) -> Json:
        labels = self._selector(canary.namespace, service)
        if not labels:
            why = "there is none" if labels is None else "its spec.selector is empty"
            raise RoutingError(
                f"Service {service}.{canary.namespace} does not say by which labels its pods are "
                f"selected ({why}), so they cannot hand out cookies"
            )
        return by_label(labels) if self._system_namespace is None else by_tag(canary, labels)


def _marks(canary: Canary) -> Marks:
    return {}, {**UNMANAGED_BY_FLUX, **mark(canary)}


def _retargeted(found: Json, wanted: Json) -> Json:
    """The merge patch from one reference to another."""
    change: Json = {key: None for key in NARROWING if key in found and key not in wanted}
    for key, value in wanted.items():
        old = found.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            stray = {label: None for label in old if label not in value}
            change[key] = {**value, **stray}
        else:
            change[key] = value
    return change


def covers(found: Any, wanted: Any) -> bool:
    """Whether ``found`` says all that ``wanted`` does; a newer Kuma's defaults may say more."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and covers(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(covers, found, wanted))
        )
    return bool(found == wanted)
