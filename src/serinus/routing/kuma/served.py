"""What an API server tells everybody about Kuma's kinds, whatever their rights.

An operator with rights in one namespace may not read CustomResourceDefinitions. But Kubernetes
lets every authenticated user read which kinds are served and what their schemas are
(`system:discovery`).
"""

from typing import Any

import msgspec

from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import MESHES

GROUP_VERSION = f"apis/{MESHES.api_version}"


class _Named(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Named] = []


class _Kind(msgspec.Struct):
    kind: str = ""


class _Schema(msgspec.Struct):
    properties: dict[str, Any] = {}
    kinds: list[_Kind] = msgspec.field(default_factory=list, name="x-kubernetes-group-version-kind")


class _Components(msgspec.Struct):
    schemas: dict[str, _Schema] = {}


class _Document(msgspec.Struct):
    components: _Components = msgspec.field(default_factory=_Components)


_resources = msgspec.json.Decoder(_Resources)
_document = msgspec.json.Decoder(_Document)


async def served_crds(client: Client) -> frozenset[str]:
    """The names of the CRDs of Kuma's group whose kinds are served."""
    try:
        raw = await client.request("GET", f"/{GROUP_VERSION}")
    except NotFound:
        return frozenset()
    return frozenset(
        f"{each.name}.{MESHES.group}"
        for each in _resources.decode(raw).resources
        if "/" not in each.name
    )


async def served_schemas(client: Client) -> dict[str, dict[str, Any]]:
    """The OpenAPI schemas of Kuma's kinds, by kind; empty where the server publishes none."""
    try:
        raw = await client.request("GET", f"/openapi/v3/{GROUP_VERSION}")
    except NotFound:
        return {}
    return {
        schema.kinds[0].kind: {"properties": schema.properties}
        for schema in _document.decode(raw).components.schemas.values()
        if len(schema.kinds) == 1
    }
