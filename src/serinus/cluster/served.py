"""Whether an API server has a kind, as every authenticated user may ask (`system:discovery`)."""

import msgspec

from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.resource import Resource


class _Named(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: list[_Named] = []


_resources = msgspec.json.Decoder(_Resources)


async def serves(client: Client, resource: Resource) -> bool:
    """Whether the kind is there at its version. Raises `ApiError` and `Unreachable`."""
    try:
        raw = await client.request("GET", f"/apis/{resource.api_version}")
    except NotFound:
        return False
    return any(one.name == resource.plural for one in _resources.decode(raw).resources)
