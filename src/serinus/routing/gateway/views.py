"""What the cache holds of HTTPRoutes."""

import msgspec
from msgspec import Struct

from serinus.routing.metadata import RouteMeta


class Condition(Struct, frozen=True, rename="camel"):
    """What a controller found. ``observed_generation`` is 0 where it does not say of which."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0


class ParentStatus(Struct, frozen=True, rename="camel"):
    """What one controller says of the route at one of its parents."""

    controller_name: str = ""
    conditions: tuple[Condition, ...] = ()


class RouteStatus(Struct, frozen=True):
    """What all controllers say."""

    parents: tuple[ParentStatus, ...] = ()


class HTTPRouteView(Struct, frozen=True):
    """An HTTPRoute; ``spec`` is its JSON."""

    metadata: RouteMeta
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: RouteStatus = RouteStatus()

    def __post_init__(self) -> None:
        # A Raw is a view into the message that it came in, and would keep all of that alive.
        msgspec.structs.force_setattr(self, "spec", self.spec.copy())


_routes = msgspec.json.Decoder(HTTPRouteView)


def decode_http_route(raw: bytes) -> HTTPRouteView:
    """The view of one HTTPRoute."""
    return _routes.decode(raw)
