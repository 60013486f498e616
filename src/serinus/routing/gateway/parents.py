"""Whom a route is for: `spec.service.gatewayRefs` as the parents of an HTTPRoute.

A Service as the parent means its callers in the mesh; a Gateway means who comes through it.
"""

from collections.abc import Iterator
from typing import Any

from serinus.api.canary import Canary
from serinus.api.http import GatewayRef
from serinus.api.problem import Problem
from serinus.cluster.kinds import SERVICES
from serinus.routing.kuma.meshservices import HTTP

Json = dict[str, Any]

_REFS = "spec.service.gatewayRefs"
_FIELDS = ("group", "kind", "name", "namespace", "sectionName", "port")


def parent_refs(canary: Canary) -> list[Json]:
    """The ``parentRefs`` of the canary's route.

    A Service without a port would be one by all its ports, and what is asked of any of them would
    go to the canary's; so the apex gets the port.
    """
    return [_parent(canary, ref) for ref in canary.spec.service.gateway_refs]


def lead_callers(canary: Canary) -> bool:
    """Whether some parent is a Service: whether the route is for callers in the mesh."""
    return any(map(_is_service, canary.spec.service.gateway_refs))


def known(ref: Json) -> Json:
    """A ``parentRef`` without what a newer API's defaults may have put into it."""
    return {key: ref[key] for key in _FIELDS if key in ref}


def problems(canary: Canary) -> Iterator[Problem]:
    """Parents by which no caller of the apex, or the wrong ones, would be led."""
    service = canary.spec.service
    refs = service.gateway_refs
    apex = f'{{group: "", kind: Service, name: {canary.apex_name}, port: {service.port}}}'
    if not any(_is_apex(canary, ref) or not _is_service(ref) for ref in refs):
        message = f"has no parent that leads anybody to the canary; name its apex: {apex}"
        yield Problem(_REFS, message)
    for index, ref in enumerate(refs):
        path = f"{_REFS}[{index}]"
        if ref.kind == SERVICES.kind and ref.group != SERVICES.group:
            yield Problem(
                f"{path}.group",
                f'"{ref.group}" has no Services, so nobody would read the route; write group: ""',
            )
        if _is_apex(canary, ref) and ref.port not in (None, service.port):
            yield Problem(
                f"{path}.port",
                f"the route is for spec.service.port, which is {service.port}; name that, or none",
            )
        if _is_service(ref) and ref.section_name:
            yield Problem(
                f"{path}.sectionName",
                "Kuma does not read it at a Service; remove it, and name the port by number",
            )
    if not lead_callers(canary):
        return
    if service.hosts and all(_is_service(ref) for ref in refs):
        yield Problem(
            "spec.service.hosts",
            "a mesh routes by the Service that is called and ignores host names; remove it",
        )
    annotation = f"{service.port}.service.kuma.io/protocol"
    protocol = service.app_protocol or service.apex.annotations.get(annotation) or "tcp"
    if protocol not in HTTP:
        yield Problem(
            "spec.service.appProtocol",
            f"port {service.port} of {canary.apex_name} would be {protocol} to Kuma, and an "
            "HTTPRoute leads HTTP only; set appProtocol: http",
        )


def _parent(canary: Canary, ref: GatewayRef) -> Json:
    # Group and kind are written out: the defaults of an API server would look like an edit.
    parent: Json = {"group": ref.group, "kind": ref.kind, "name": ref.name}
    if ref.namespace:
        parent["namespace"] = ref.namespace
    if ref.section_name:
        parent["sectionName"] = ref.section_name
    port = canary.spec.service.port if _is_apex(canary, ref) else ref.port
    if port is not None:
        parent["port"] = port
    return parent


def _is_service(ref: GatewayRef) -> bool:
    return (ref.group, ref.kind) == (SERVICES.group, SERVICES.kind)


def _is_apex(canary: Canary, ref: GatewayRef) -> bool:
    where = (ref.name, ref.namespace or canary.namespace)
    return _is_service(ref) and where == (canary.apex_name, canary.namespace)
