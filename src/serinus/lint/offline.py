"""The operator's own routers, over a Kuma of which only the CRDs are known.

So what lint says of a canary's route is what the operator would say. Nothing is asked of anybody:
the CRDs are those that the lab installs for the release, and the caches stay empty.
"""

import asyncio
from dataclasses import replace
from functools import cache

import msgspec

from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import HTTPROUTES
from serinus.cluster.resource import Resource
from serinus.lab.mesh.crds import definitions
from serinus.lint.kuma import Kuma
from serinus.routing.gateway.httproute import HTTPRouteRouter
from serinus.routing.gateway.views import decode_http_route
from serinus.routing.kuma.dialect import MESHES
from serinus.routing.kuma.discovery import KumaCaches, KumaKinds, discover
from serinus.routing.kuma.router import KumaRouter
from serinus.routing.providers import KUMA, Routers


class _Definitions(Client):
    """Knows the CRDs of one release by heart, and nobody to ask."""

    def __init__(self, kuma: Kuma) -> None:
        super().__init__(Connection("http://nowhere.invalid"))
        self._crds = {crd["metadata"]["name"]: crd for crd in definitions(kuma.version)}

    async def get(
        self, resource: Resource, namespace: str | None, name: str, subresource: str | None = None
    ) -> bytes:
        del namespace, subresource
        if name not in self._crds:
            raise NotFound(404, "NotFound", f"{resource.plural} {name} not found")
        return msgspec.json.encode(self._crds[name])

    async def list(self, *_: object, **__: object) -> bytes:
        return b'{"items": []}'


@cache
def routers(kuma: Kuma) -> Routers:
    """The routers of an operator on this Kuma, in a cluster where nothing is yet."""
    client = _Definitions(kuma)
    kinds: KumaKinds = asyncio.run(discover(client))
    # Meshes that may not be read are of the mode that the operator was told.
    blind = replace(kinds, unreadable=frozenset({MESHES}))
    router = KumaRouter(client, blind, KumaCaches.of(client, blind), kuma.mode)
    http_routes = Cache(client, HTTPROUTES, decode_http_route)
    return Routers(router, KUMA, HTTPRouteRouter(client, http_routes))
