"""What this cluster's Kuma is: which kinds it has, and the caches of those.

Neither Kuma's control plane nor its version is asked: the CRDs and the Mesh say which objects
will be understood, and they are what an operator may read anyway.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from serinus.api.meta import ObjectMeta
from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import Forbidden, NotFound
from serinus.cluster.kinds import (
    CRDS,
    DEPLOYMENTS,
    MESHES,
    MESHHTTPROUTES,
    MESHPROXYPATCHES,
    MESHRETRIES,
    MESHSERVICES,
    MESHTCPROUTES,
    MESHTIMEOUTS,
    TRAFFICROUTES,
)
from serinus.cluster.resource import Resource
from serinus.routing.kuma import dialect
from serinus.routing.kuma.served import served_crds, served_schemas
from serinus.routing.kuma.trafficroute import for_some_canary
from serinus.routing.kuma.views import (
    MeshHTTPRouteView,
    MeshProxyPatchView,
    MeshServiceView,
    MeshTCPRouteView,
    MeshView,
    PolicyView,
    TrafficRouteView,
    decode_mesh,
    decode_mesh_http_route,
    decode_mesh_proxy_patch,
    decode_mesh_service,
    decode_mesh_tcp_route,
    decode_policy,
    decode_traffic_route,
)

CRD_NAMES = (
    dialect.MESHES,
    dialect.TRAFFIC_ROUTES,
    dialect.MESH_HTTP_ROUTES,
    dialect.MESH_TCP_ROUTES,
    dialect.MESH_SERVICES,
    dialect.MESH_PROXY_PATCHES,
    dialect.MESH_TIMEOUTS,
    dialect.MESH_RETRIES,
    dialect.MESH_MULTI_ZONE_SERVICES,
)
CONTROL_PLANES = ("kuma-control-plane", "kong-mesh-control-plane")
"""The labels ``app`` of control planes' Deployments."""

USUAL_NAMESPACE = "kuma-system"
"""Where Kuma is installed by itself."""

_CLUSTER_SCOPED = {dialect.MESHES: MESHES, dialect.TRAFFIC_ROUTES: TRAFFICROUTES}


class _Deployment(msgspec.Struct):
    metadata: ObjectMeta


class _Deployments(msgspec.Struct):
    items: list[_Deployment] = []


_deployments = msgspec.json.Decoder(_Deployments)


@dataclass(frozen=True, slots=True)
class KumaKinds:
    """The CRDs of Kuma's that a cluster has, as far as routing cares, and whether references in
    a MeshHTTPRoute may have a ``name``. ``unreadable`` are those whose objects this operator may
    not read. ``patches_by_label`` tells whether a MeshProxyPatch may be for the pods of some
    labels: so from Kuma 2.10 on, which also takes it in the namespace of an application.
    ``no_path_prefix`` tells that a MeshHTTPRoute's paths have no type ``PathPrefix``, in which
    every route is written: so in Kuma 2.1 and 2.2, which call it ``Prefix``.
    ``system_namespace`` is that of Kuma's control plane, where a policy has to be that may not be
    in an application's; empty where none has to be. ``guessed`` tells that no control plane was
    seen there: it may be about to come."""

    crds: frozenset[str]
    refs_by_name: bool
    unreadable: frozenset[str] = frozenset()
    patches_by_label: bool = False
    system_namespace: str = ""
    guessed: bool = False
    no_path_prefix: bool = False

    @property
    def policies_in_app_namespaces(self) -> bool:
        """Whether a route may stand beside its workload: so from Kuma 2.9 on. Before, policies
        are refused anywhere but in the namespace of Kuma's control plane."""
        return dialect.MESH_MULTI_ZONE_SERVICES in self.crds or (
            dialect.MESH_HTTP_ROUTES in self.crds and not self.refs_by_name
        )

    @property
    def needs_system_namespace(self) -> bool:
        """Whether some policy has to be in the namespace of Kuma's control plane."""
        everything_beside = self.policies_in_app_namespaces and self.patches_by_label
        return dialect.MESH_HTTP_ROUTES in self.crds and not everything_beside


async def discover(
    client: Client, *, namespaced: bool = False, system_namespace: str = ""
) -> KumaKinds:
    """Read the CRDs, or where that is forbidden what everybody may read about their kinds.

    A ``namespaced`` operator need not have rights on cluster-scoped objects, so it is tried
    whether it has. ``system_namespace`` is that of Kuma's control plane where it was told; else
    it is looked for. Raises `ApiError` and `Unreachable`.
    """
    try:
        kinds = await _by_crds(client)
    except Forbidden:
        kinds = await _by_discovery(client)
    if kinds.needs_system_namespace:
        found, guessed = system_namespace, False
        if not found:
            found, guessed = await _system_namespace(client, namespaced=namespaced)
        kinds = replace(kinds, system_namespace=found, guessed=guessed)
    if not namespaced:
        return kinds
    unreadable = [
        name
        for name, resource in _CLUSTER_SCOPED.items()
        if name in kinds.crds and not await _readable(client, resource)
    ]
    return replace(kinds, unreadable=frozenset(unreadable))


async def _system_namespace(client: Client, *, namespaced: bool) -> tuple[str, bool]:
    """Where Kuma's control plane is, and whether that is a guess that another look may mend.

    Where there is no Deployment of it to be seen, the operator's own namespace: it is usually
    installed beside the control plane, unless it is for the canaries of one namespace only.
    """
    if namespaced:
        return USUAL_NAMESPACE, False
    listed = await client.list(DEPLOYMENTS, None, f"app in ({', '.join(CONTROL_PLANES)})")
    for deployment in _deployments.decode(listed).items:
        return deployment.metadata.namespace, False
    own = client.connection.namespace
    # A kubeconfig that names no namespace says nothing about where the operator is.
    return (USUAL_NAMESPACE if own == "default" else own), True


async def _by_crds(client: Client) -> KumaKinds:
    found = await asyncio.gather(*(_crd(client, name) for name in CRD_NAMES))
    crds = dict(zip(CRD_NAMES, found, strict=True))
    routes = _served(crds[dialect.MESH_HTTP_ROUTES])
    patches = _served(crds[dialect.MESH_PROXY_PATCHES])
    return KumaKinds(
        crds=frozenset(name for name, crd in crds.items() if crd is not None),
        refs_by_name=any(map(_refs_by_name, routes)),
        patches_by_label=any(map(_patches_by_label, patches)),
        no_path_prefix=any(map(_no_path_prefix, routes)),
    )


async def _by_discovery(client: Client) -> KumaKinds:
    crds = await served_crds(client) & frozenset(CRD_NAMES)
    if dialect.MESH_HTTP_ROUTES not in crds:
        return KumaKinds(crds, refs_by_name=False)
    schemas = await served_schemas(client)
    for kind, crd in (
        (MESHHTTPROUTES.kind, dialect.MESH_HTTP_ROUTES),
        (MESHPROXYPATCHES.kind, dialect.MESH_PROXY_PATCHES),
    ):
        if crd in crds and kind not in schemas:
            # It comes soon after the kind. Without it every Kuma would look like another one.
            message = f"the API server has published no schema of {kind} yet"
            raise NotFound(404, "NotFound", message)
    return KumaKinds(
        crds,
        refs_by_name=_refs_by_name(schemas[MESHHTTPROUTES.kind]),
        patches_by_label=_patches_by_label(schemas.get(MESHPROXYPATCHES.kind, {})),
        no_path_prefix=_no_path_prefix(schemas[MESHHTTPROUTES.kind]),
    )


async def _readable(client: Client, resource: Resource) -> bool:
    try:
        await client.list(resource, limit=1)
    except Forbidden:
        return False
    return True


async def _crd(client: Client, name: str) -> dict[str, Any] | None:
    try:
        raw = await client.get(CRDS, None, name)
    except NotFound:
        return None
    crd: dict[str, Any] = msgspec.json.decode(raw)
    return crd


def _served(crd: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The schemas of the versions that are served."""
    return [
        (version.get("schema") or {}).get("openAPIV3Schema") or {}
        for version in (crd or {}).get("spec", {}).get("versions") or ()
        if version.get("served", True)
    ]


def _refs_by_name(schema: dict[str, Any]) -> bool:
    """Whether the targets of a MeshHTTPRoute may have a name."""
    return "name" in _properties(schema, "spec", "to", "targetRef")


def _no_path_prefix(schema: dict[str, Any]) -> bool:
    """Whether the types of paths in a MeshHTTPRoute are told, and ``PathPrefix`` is none."""
    path = _properties(schema, "spec", "to", "rules", "matches", "path")
    types = (path.get("type") or {}).get("enum") or ()
    return bool(types) and "PathPrefix" not in types


def _patches_by_label(schema: dict[str, Any]) -> bool:
    """Whether a MeshProxyPatch may be for Dataplanes, and for those of some labels."""
    ref = _properties(schema, "spec", "targetRef")
    return "labels" in ref and "Dataplane" in ((ref.get("kind") or {}).get("enum") or ())


def _properties(schema: dict[str, Any], *steps: str) -> dict[str, Any]:
    """The properties of what lies along the steps; lists are passed through."""
    for step in steps:
        schema = (schema.get("properties") or {}).get(step) or {}
        schema = schema.get("items") or schema
    return schema.get("properties") or {}


@dataclass(frozen=True, slots=True)
class KumaCaches:
    """The caches of the kinds that the cluster has; None for one that it has not, or that may
    not be read, since watching that would only fail."""

    meshes: Cache[MeshView] | None
    traffic_routes: Cache[TrafficRouteView] | None
    mesh_http_routes: Cache[MeshHTTPRouteView] | None
    mesh_services: Cache[MeshServiceView] | None
    mesh_proxy_patches: Cache[MeshProxyPatchView] | None = None
    mesh_timeouts: Cache[PolicyView] | None = None
    mesh_retries: Cache[PolicyView] | None = None
    mesh_tcp_routes: Cache[MeshTCPRouteView] | None = None

    @classmethod
    def of(cls, client: Client, kinds: KumaKinds, namespace: str | None = None) -> "KumaCaches":
        """Caches of one namespace or of all; each still has to be run."""
        has = kinds.crds - kinds.unreadable
        return cls(
            meshes=Cache(client, MESHES, decode_mesh) if dialect.MESHES in has else None,
            traffic_routes=Cache(client, TRAFFICROUTES, decode_traffic_route)
            if dialect.TRAFFIC_ROUTES in has
            else None,
            mesh_http_routes=Cache(
                client, MESHHTTPROUTES, decode_mesh_http_route, namespace=namespace
            )
            if dialect.MESH_HTTP_ROUTES in has
            else None,
            mesh_services=Cache(client, MESHSERVICES, decode_mesh_service, namespace=namespace)
            if dialect.MESH_SERVICES in has
            else None,
            mesh_proxy_patches=Cache(
                client, MESHPROXYPATCHES, decode_mesh_proxy_patch, namespace=namespace
            )
            if dialect.MESH_PROXY_PATCHES in has
            else None,
            mesh_timeouts=Cache(client, MESHTIMEOUTS, decode_policy, namespace=namespace)
            if dialect.MESH_TIMEOUTS in has
            else None,
            mesh_retries=Cache(client, MESHRETRIES, decode_policy, namespace=namespace)
            if dialect.MESH_RETRIES in has
            else None,
            mesh_tcp_routes=Cache(client, MESHTCPROUTES, decode_mesh_tcp_route, namespace=namespace)
            if dialect.MESH_TCP_ROUTES in has
            else None,
        )

    def all(self) -> Iterator[Cache[Any]]:
        """Those that there are, to be run."""
        for cache in (
            self.meshes,
            self.traffic_routes,
            self.mesh_http_routes,
            self.mesh_services,
            self.mesh_proxy_patches,
            self.mesh_timeouts,
            self.mesh_retries,
            self.mesh_tcp_routes,
        ):
            if cache is not None:
                yield cache

    def written(self) -> Iterator[Cache[Any]]:
        """Those of the kinds that Serinus writes."""
        yield from (cache for cache in self.all() if cache not in (self.meshes, self.mesh_services))

    def mesh(self, name: str) -> MeshView | None:
        """The Mesh of that name."""
        return self.meshes.get(None, name) if self.meshes is not None else None


class ForeignTrafficRoutes:
    """The TrafficRoutes that were not written for a canary, by mesh: those by which one sees that
    a mesh lives by TrafficRoutes.

    Kept by subscription, since a mesh may hold thousands of canaries' routes to be told apart.
    """

    def __init__(self, routes: Cache[TrafficRouteView] | None) -> None:
        self._names: dict[str, set[str]] = {}
        self._sorted: dict[str, tuple[str, ...]] = {}
        if routes is not None:
            for route in routes.values():
                self._add(route)
            routes.subscribe(self._take)

    def of(self, mesh: str) -> tuple[str, ...]:
        """Their names."""
        found = self._sorted.get(mesh)
        if found is None:
            found = self._sorted[mesh] = tuple(sorted(self._names.get(mesh, ())))
        return found

    def _take(self, change: Change[TrafficRouteView]) -> None:
        old = change.old
        if old is not None and old.metadata.name in self._names.get(old.mesh, ()):
            self._names[old.mesh].remove(old.metadata.name)
            self._sorted.pop(old.mesh, None)
        if change.new is not None:
            self._add(change.new)

    def _add(self, route: TrafficRouteView) -> None:
        if not for_some_canary(route):
            self._names.setdefault(route.mesh, set()).add(route.metadata.name)
            self._sorted.pop(route.mesh, None)
