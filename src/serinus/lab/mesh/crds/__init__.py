"""Kuma's custom resources, per version, written from the project's notes on Kuma.

As much structure as it takes to refuse what Kuma's own schemas refuse in the objects that
progressive delivery writes, and to be recognised for what it is: whoever asks which Kuma this is
reads `to[].targetRef.name` in the schema of MeshHTTPRoute (there until 2.x, gone in 3.0).
"""

from collections.abc import Iterable

from serinus.lab.mesh.crds.definition import GROUP, Json, definition, free
from serinus.lab.mesh.crds.policies import policy_definitions
from serinus.lab.mesh.crds.services import service_definitions
from serinus.lab.mesh.versions import KumaVersion

_FIRST_GENERATION = {
    "TrafficRoute": "trafficroutes",
    "TrafficPermission": "trafficpermissions",
    "TrafficLog": "trafficlogs",
    "TrafficTrace": "traffictraces",
    "Timeout": "timeouts",
    "Retry": "retries",
    "CircuitBreaker": "circuitbreakers",
    "HealthCheck": "healthchecks",
}


def foreign(wanted: Iterable[Json], installed: Iterable[Json]) -> list[str]:
    """The names of the kinds of Kuma's group that only another version has."""
    names = {one["metadata"]["name"] for one in wanted}
    return [
        one["metadata"]["name"]
        for one in installed
        if one["spec"]["group"] == GROUP and one["metadata"]["name"] not in names
    ]


def definitions(version: KumaVersion) -> list[Json]:
    """The CustomResourceDefinitions that this Kuma installs."""
    found = [
        definition("Mesh", "meshes", spec=free(), namespaced=False),
        definition("Dataplane", "dataplanes", spec=free(), mesh_field=True),
        definition("DataplaneInsight", "dataplaneinsights", status=free(), mesh_field=True),
    ]
    if version.has_trafficroute:
        found += [
            definition(kind, plural, spec=free(), namespaced=False, mesh_field=True)
            for kind, plural in _FIRST_GENERATION.items()
        ]
    if version.has_meshhttproute:
        found += policy_definitions(version)
    if version.has_meshservice:
        found += service_definitions(version)
    return found
