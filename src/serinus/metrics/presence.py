"""What Prometheus knows of the sidecars of a mesh, whether or not there were requests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from serinus.analysis.verdict import Unavailable
from serinus.metrics.counting import Scope
from serinus.metrics.prometheus import Prometheus, Series
from serinus.metrics.signals import INBOUND, SIGNALS, Selection, Service, World, of_mesh

EXPOSE = (
    "A sidecar shows its metrics at port 5670 once a MeshMetric for it has a backend of type"
    " Prometheus (before Kuma 2.6: once spec.metrics of its Mesh has one) and no profile None;"
    " and a scrape configuration has to ask it there, kubernetes_sd_configs with role pod, or"
    " kuma_sd_configs before Kuma 3"
)
"""What a person has to look after who finds no sidecar's series."""

_CONNECTIONS = "envoy_cluster_upstream_cx_total"
_QUIET = f"envoy_cluster_membership_total|{_CONNECTIONS}|envoy_server_live|envoy_server_uptime"
"""Series that a sidecar has without any request; by profile Basic, too."""


ONLINE = "vector(1)"
"""The query that every server which answers at all has a value for, as Flagger asks it."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Which series the sidecars of a mesh have: any, request counters, response times."""

    sidecars: bool
    requests: bool
    durations: bool


@dataclass(frozen=True, slots=True)
class Sidecars:
    """What is known of the sidecars of services without requests.

    ``connections`` counts, for each service that has any sidecar with series, the connections
    that reached its pods.
    """

    mesh: Mesh
    connections: dict[Service, float] = field(default_factory=dict)


async def obstacle(prometheus: Prometheus, world: World, mesh: str) -> str | None:
    """Why no built-in check can be answered there, whatever requests there will be; None when
    nothing is known to be in the way."""
    if not SIGNALS[world].meshed:
        answer = await prometheus.instant(ONLINE)
    else:
        answer = await prometheus.instant(f'count({{__name__=~"{_QUIET}",{of_mesh(mesh)}}})')
    if isinstance(answer, Unavailable):
        return f"prometheus not available: {answer.why}"
    return None if answer else nothing(mesh)


def nothing(mesh: str) -> str:
    """In words, that no sidecar of the mesh has a series, and what to do about it."""
    return f"Prometheus has no series of any sidecar of mesh {mesh}. {EXPOSE}"


async def _of_the_mesh(prometheus: Prometheus, scope: Scope) -> Mesh | Unavailable:
    requests = scope.signals.requests
    # All of a histogram's buckets would be twenty times as many.
    times = f"{scope.signals.durations.removesuffix('_bucket')}_count"
    names = f'__name__=~"{_QUIET}|{requests}|{times}"'
    answer = await prometheus.instant(f"count by (__name__) ({{{names},{of_mesh(scope.mesh)}}})")
    if isinstance(answer, Unavailable):
        return answer
    found = {series.labels.get("__name__", "") for series in answer}
    return Mesh(bool(found), requests in found, times in found)


async def look_for(
    prometheus: Prometheus, scope: Scope, services: Sequence[Service]
) -> Sidecars | Unavailable:
    """Ask what is there of the services' own sidecars, in whatever way they are labelled."""
    mesh = await _of_the_mesh(prometheus, scope)
    if isinstance(mesh, Unavailable):
        return mesh
    connections: dict[Service, float] = {}
    for selection in scope.signals.selections if mesh.sidecars else ():
        missing = [service for service in services if service not in connections]
        if selection.of_callers or not missing:
            continue
        answer = await prometheus.instant(_quiet(selection, missing, scope.mesh))
        if isinstance(answer, Unavailable):
            return answer
        owner = selection.sorter(missing)
        for series in answer:
            service = owner(series.labels)
            if service is not None:
                connections[service] = connections.get(service, 0.0) + _connections(series)
    return Sidecars(mesh, connections)


def _quiet(selection: Selection, services: Sequence[Service], mesh: str) -> str:
    matchers = (
        f'__name__=~"{_QUIET}"',
        f'envoy_cluster_name=~"|{INBOUND}"',
        selection.matchers(services),
        of_mesh(mesh),
    )
    labels = ", ".join(("__name__", *selection.labels))
    return f"sum by ({labels}) ({{{','.join(matchers)}}})"


def _connections(series: Series) -> float:
    return series.samples[0].value if series.labels.get("__name__") == _CONNECTIONS else 0.0
