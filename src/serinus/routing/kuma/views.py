"""What the caches hold of Kuma's objects."""

import msgspec
from msgspec import Struct

from serinus.api.meta import ObjectMeta
from serinus.routing.metadata import RouteMeta


class _Spec(Struct, frozen=True):
    metadata: RouteMeta
    spec: msgspec.Raw = msgspec.Raw(b"{}")

    def __post_init__(self) -> None:
        # A Raw is a view into the message that it came in, and would keep all of that alive.
        msgspec.structs.force_setattr(self, "spec", self.spec.copy())


class TrafficRouteView(_Spec, frozen=True):
    """A TrafficRoute; ``spec`` is its JSON."""

    mesh: str = "default"


class MeshHTTPRouteView(_Spec, frozen=True):
    """A MeshHTTPRoute; ``spec`` is its JSON."""


class MeshTCPRouteView(_Spec, frozen=True):
    """A MeshTCPRoute; ``spec`` is its JSON."""


class MeshProxyPatchView(_Spec, frozen=True):
    """A MeshProxyPatch; ``spec`` is its JSON."""


class PolicyView(_Spec, frozen=True):
    """A MeshTimeout or a MeshRetry; ``spec`` is its JSON."""


class _MeshServices(Struct, frozen=True):
    mode: str | None = None


class MeshSpec(Struct, frozen=True, rename={"mesh_services": "meshServices"}):
    """The part of a Mesh's spec that the choice of a dialect depends on."""

    mesh_services: _MeshServices | None = None


class MeshView(Struct, frozen=True):
    """A Mesh."""

    metadata: ObjectMeta
    spec: MeshSpec | None = None

    @property
    def mesh_services_mode(self) -> str:
        """Whether the mesh has MeshService objects; Kuma's default is that it has none."""
        services = self.spec.mesh_services if self.spec is not None else None
        return (services.mode if services is not None else None) or "Disabled"


class MeshServicePort(Struct, frozen=True, rename="camel"):
    """A port of a MeshService. Kuma takes a port without a protocol for TCP."""

    port: int
    name: str = ""
    app_protocol: str = "tcp"


class MeshServiceSpec(Struct, frozen=True):
    """The part of a MeshService's spec that a route depends on. ``state`` is Available while
    Kuma knows a pod of it that is ready."""

    ports: tuple[MeshServicePort, ...] = ()
    state: str = ""


class MeshServiceView(Struct, frozen=True):
    """A MeshService."""

    metadata: ObjectMeta
    spec: MeshServiceSpec = MeshServiceSpec()


_traffic_routes = msgspec.json.Decoder(TrafficRouteView)
_mesh_http_routes = msgspec.json.Decoder(MeshHTTPRouteView)
_mesh_tcp_routes = msgspec.json.Decoder(MeshTCPRouteView)
_mesh_proxy_patches = msgspec.json.Decoder(MeshProxyPatchView)
_policies = msgspec.json.Decoder(PolicyView)
_meshes = msgspec.json.Decoder(MeshView)
_mesh_services = msgspec.json.Decoder(MeshServiceView)


def decode_traffic_route(raw: bytes) -> TrafficRouteView:
    """The view of one TrafficRoute."""
    return _traffic_routes.decode(raw)


def decode_mesh_http_route(raw: bytes) -> MeshHTTPRouteView:
    """The view of one MeshHTTPRoute."""
    return _mesh_http_routes.decode(raw)


def decode_mesh_tcp_route(raw: bytes) -> MeshTCPRouteView:
    """The view of one MeshTCPRoute."""
    return _mesh_tcp_routes.decode(raw)


def decode_mesh_proxy_patch(raw: bytes) -> MeshProxyPatchView:
    """The view of one MeshProxyPatch."""
    return _mesh_proxy_patches.decode(raw)


def decode_policy(raw: bytes) -> PolicyView:
    """The view of one MeshTimeout or MeshRetry."""
    return _policies.decode(raw)


def decode_mesh(raw: bytes) -> MeshView:
    """The view of one Mesh."""
    return _meshes.decode(raw)


def decode_mesh_service(raw: bytes) -> MeshServiceView:
    """The view of one MeshService."""
    return _mesh_services.decode(raw)
