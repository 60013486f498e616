"""Whether Kuma knows of pods behind a service tag.

Up to Kuma 2.14 a backend by service tag without a ready Dataplane is dropped silently, so its
share goes to the others; and a mirror to one leaves every caller without any configuration. Where
there are no MeshServices to tell, the Dataplanes do. They are not watched, since a mesh has one per
pod: a namespace's are listed, and only before something is first led to the canary.
"""

import msgspec
from msgspec import Struct

from serinus.api.canary import Canary
from serinus.cluster.client import Client
from serinus.cluster.errors import Forbidden
from serinus.cluster.kinds import DATAPLANES
from serinus.routing.kuma.tags import SERVICE, canary_tag
from serinus.routing.router import RoutingError


class _Health(Struct, frozen=True):
    ready: bool = False


class _Inbound(Struct, frozen=True):
    tags: dict[str, str] = {}
    health: _Health | None = None
    state: str = "Ready"

    @property
    def ready(self) -> bool:
        """Kuma takes an inbound of which nothing else is said for a ready one."""
        return self.state == "Ready" and (self.health is None or self.health.ready)


class _Networking(Struct, frozen=True):
    inbound: tuple[_Inbound, ...] = ()


class _Spec(Struct, frozen=True):
    networking: _Networking = _Networking()


class _Dataplane(Struct, frozen=True):
    mesh: str = "default"
    spec: _Spec = _Spec()


class _List(Struct, frozen=True):
    items: tuple[_Dataplane, ...] = ()


_list = msgspec.json.Decoder(_List)


async def canary_is_ready(client: Client, canary: Canary) -> bool:
    """Whether Kuma knows of a ready pod behind the tag of the canary's Service. One request.

    Raises `RoutingError` where Dataplanes may not be listed, else `ApiError` and `Unreachable`.
    """
    tag = canary_tag(canary)
    try:
        listed = _list.decode(await client.list(DATAPLANES, canary.namespace))
    except Forbidden as error:
        raise RoutingError(
            f"whether Kuma knows of a ready pod of {canary.canary_service}.{canary.namespace} "
            f"cannot be told ({error}); allow the operator to list dataplanes.kuma.io in namespace "
            f"{canary.namespace}, as deploy/ does"
        ) from error
    return any(
        inbound.ready and inbound.tags.get(SERVICE) == tag
        for dataplane in listed.items
        if dataplane.mesh == canary.mesh
        for inbound in dataplane.spec.networking.inbound
    )
