"""The controller that keeps the MeshHTTPRoutes of HTTPRoutes, and says in those how they fare."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from serinus.cluster import kinds
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound, Unreachable
from serinus.lab.mesh.applying import remove
from serinus.lab.mesh.gamma import CONTROLLER, OWNER, Cluster, translate
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, KumaVersion

Json = dict[str, Any]

SETTLE = 0.005
"""Seconds in which several changes become one look."""

RETRY = 1.0

log = structlog.get_logger(__name__)


class GammaController:
    """Follows HTTPRoutes, and what else a translation depends on.

    ``mesh_routes``, ``services`` and ``namespaces`` are run by somebody else.
    """

    def __init__(
        self,
        client: Client,
        version: KumaVersion,
        *,
        mesh_routes: Cache[Json],
        services: Cache[Json],
        namespaces: Cache[Json],
    ) -> None:
        self._client = client
        self._version = version
        self._mesh_routes = mesh_routes
        self._services = services
        self._namespaces = namespaces
        self._routes = Cache[Json](client, kinds.HTTPROUTES, msgspec.json.decode)
        self._grants = Cache[Json](client, kinds.REFERENCEGRANTS, msgspec.json.decode)
        self._due = asyncio.Event()
        self._sources = (self._routes, self._grants, mesh_routes, services, namespaces)
        for cache in self._sources:
            cache.subscribe(lambda _: self._due.set())

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run all the time."""
        return [self._routes.run(), self._grants.run(), self._reconcile_for_ever()]

    async def _reconcile_for_ever(self) -> None:
        for cache in self._sources:
            await cache.synced.wait()
        self._due.set()
        while True:
            await self._due.wait()
            await asyncio.sleep(SETTLE)
            self._due.clear()
            if not await self._reconcile():
                await asyncio.sleep(RETRY)
                self._due.set()

    async def _reconcile(self) -> bool:
        """Whether everything was written that had to be."""
        cluster = Cluster(
            services={_key(service): service for service in self._services.values()},
            namespaces={one["metadata"]["name"]: one for one in self._namespaces.values()},
            grants=tuple(self._grants.values()),
        )
        done = True
        wanted: set[str] = set()
        for route in tuple(self._routes.values()):
            made = translate(self._version, route, cluster)
            for mesh_route in made.routes:
                wanted.add(mesh_route["metadata"]["name"])
                done &= await self._try(self._keep(mesh_route))
            done &= await self._try(self._tell(route, made.parents))
        for mesh_route in tuple(self._mesh_routes.values()):
            meta = mesh_route["metadata"]
            if OWNER in (meta.get("labels") or {}) and meta["name"] not in wanted:
                done &= await self._try(self._drop(meta["name"]))
        return done

    async def _try(self, write: Coroutine[Any, Any, None]) -> bool:
        try:
            await write
        except (AlreadyExists, Conflict, NotFound):
            # Somebody was quicker; the watch is about to tell of it.
            return True
        except (ApiError, Unreachable) as error:
            log.warning("an HTTPRoute could not be translated", error=str(error))
            return False
        return True

    async def _keep(self, wanted: Json) -> None:
        """Have the MeshHTTPRoute as wanted, whoever changed it."""
        name = wanted["metadata"]["name"]
        live = self._mesh_routes.get(SYSTEM_NAMESPACE, name)
        if live is None:
            await self._client.create(kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, wanted)
            return
        labels = {**live["metadata"].get("labels", {}), **wanted["metadata"]["labels"]}
        if live["spec"] != wanted["spec"] or live["metadata"].get("labels") != labels:
            body = {**live, "metadata": {**live["metadata"], "labels": labels}}
            body["spec"] = wanted["spec"]
            await self._client.replace(kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, name, body)

    async def _drop(self, name: str) -> None:
        await remove(self._client, kinds.MESHHTTPROUTES, SYSTEM_NAMESPACE, name)

    async def _tell(self, route: Json, wanted: tuple[Json, ...]) -> None:
        """Have our entries of ``status.parents`` as wanted; those of other controllers stay."""
        found = (route.get("status") or {}).get("parents") or []
        before = [one for one in found if one["controllerName"] == CONTROLLER]
        others = [one for one in found if one["controllerName"] != CONTROLLER]
        parents = [_timed(one, before) for one in wanted]
        if parents == before:
            return
        meta = route["metadata"]
        body = {
            "metadata": {"resourceVersion": meta["resourceVersion"]},
            "status": {"parents": others + parents},
        }
        await self._client.patch(
            kinds.HTTPROUTES, meta["namespace"], meta["name"], body, subresource="status"
        )


def _timed(parent: Json, before: list[Json]) -> Json:
    """``parent`` with the times since when its conditions are as they are."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = {
        (one["type"], one["status"]): one["lastTransitionTime"]
        for other in before
        if other["parentRef"] == parent["parentRef"]
        for one in other["conditions"]
    }
    conditions = [
        {**one, "lastTransitionTime": since.get((one["type"], one["status"]), now)}
        for one in parent["conditions"]
    ]
    return {**parent, "conditions": conditions}


def _key(obj: Json) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
