"""Whether a mesh would obey a MeshHTTPRoute to MeshServices.

Kuma 2 drops a backend silently when its MeshService is missing or its port is not HTTP; the share
goes to the other one, or all of it to the apex. Kuma 3 answers it with 500. So before a canary gets
any traffic, this is looked at.
"""

from collections.abc import Sequence

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.service import CustomMetadata
from serinus.cluster.cache import Cache
from serinus.routing.kuma.addressing import Addressing
from serinus.routing.kuma.views import MeshServiceView

HTTP = frozenset({"http", "http2", "grpc"})
"""The protocols that a MeshHTTPRoute routes."""


def speaks_http(canary: Canary) -> bool:
    """Whether any of the canary's Services says so; those that say nothing are tcp to Kuma."""
    return not HTTP.isdisjoint(_protocols(canary).values())


def headless_problems(canary: Canary) -> tuple[Problem, ...]:
    """A headless Service is none that a route can lead to."""
    if not canary.spec.service.headless:
        return ()
    problem = Problem(
        "spec.service.headless",
        "callers of a headless Service choose among its pods themselves, so no route can "
        "split their requests; remove headless",
    )
    return (problem,)


def declared_problems(canary: Canary) -> tuple[Problem, ...]:
    """What the canary itself asks for that would make its MeshServices unroutable."""
    service = canary.spec.service
    found = list(headless_problems(canary))
    annotation = _annotation(canary)
    for role, protocol in _protocols(canary).items():
        if protocol not in HTTP:
            found.append(
                Problem(
                    "spec.service.appProtocol",
                    f"port {service.port} of the {role} Service would be {protocol} to Kuma, "
                    "and only HTTP can be split by a MeshHTTPRoute; set appProtocol: http "
                    f"(or the annotation {annotation}: http)",
                )
            )
    return tuple(found)


def _protocols(canary: Canary) -> dict[str, str]:
    """What each of the canary's Services would speak to Kuma, by role."""
    service = canary.spec.service
    roles: dict[str, CustomMetadata] = {
        "apex": service.apex,
        "primary": service.primary,
        "canary": service.canary,
    }
    annotation = _annotation(canary)
    return {
        role: service.app_protocol or metadata.annotations.get(annotation) or "tcp"
        for role, metadata in roles.items()
    }


def _annotation(canary: Canary) -> str:
    return f"{canary.spec.service.port}.service.kuma.io/protocol"


def live_problems(
    canary: Canary,
    mesh_services: Cache[MeshServiceView],
    *,
    http: bool = True,
    names: Sequence[str] = (),
) -> tuple[Problem, ...]:
    """What Kuma has not (yet) made of the canary's Services, or of those with these ``names``. It
    takes about a second.

    ``http`` tells that the route is one of requests, not of connections.
    """
    found: list[Problem] = []
    missing: list[str] = []
    port = canary.spec.service.port
    every = (canary.apex_name, canary.primary_service, canary.canary_service)
    for name in names or every:
        where = f"{name}.{canary.namespace}"
        view = mesh_services.get(canary.namespace, name)
        if view is None:
            missing.append(where)
            continue
        protocols = [entry.app_protocol for entry in view.spec.ports if entry.port == port]
        if not protocols:
            message = (
                f"MeshService {where} has no port {port} in its spec.ports; "
                "name a port that the Service has"
            )
            found.append(Problem("spec.service.port", message))
        elif http and protocols[0] not in HTTP:
            message = (
                f"MeshService {where} has port {port} as {protocols[0]} in its spec.ports, which "
                "a MeshHTTPRoute does not route; set spec.service.appProtocol: http"
            )
            found.append(Problem("spec.service.appProtocol", message))
    if missing:
        message = (
            f"there is no MeshService {', '.join(missing)}; Kuma makes one for each Service of a "
            "namespace with the label kuma.io/sidecar-injection: enabled"
        )
        found.append(Problem("metadata.namespace", message))
    return tuple(found)


def lacks_primary(
    canary: Canary,
    addressing: Addressing,
    mesh_services: Cache[MeshServiceView] | None,
    *,
    http: bool = True,
) -> bool:
    """Whether a route would turn callers away who reach the primary without one: Kuma knows of no
    such service yet, and answers what leads to none with errors."""
    if mesh_services is None or not addressing.fails_closed:
        return False
    primary = (canary.primary_service,)
    return bool(live_problems(canary, mesh_services, http=http, names=primary))


def has_ready_pods(namespace: str, name: str, mesh_services: Cache[MeshServiceView]) -> bool:
    """Whether Kuma knows of a ready pod of the service, about two seconds after Kubernetes."""
    view = mesh_services.get(namespace, name)
    return view is not None and view.spec.state == "Available"
