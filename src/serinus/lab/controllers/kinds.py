"""Which kinds the API server serves: asked of discovery, again whenever a
CustomResourceDefinition changes."""

import asyncio
from collections.abc import Iterable

import msgspec
import structlog

from serinus.cluster.client import Client
from serinus.cluster.errors import ApiError, NotFound, ServerError, Unreachable
from serinus.cluster.kinds import CRDS
from serinus.cluster.resource import Resource
from serinus.lab.controllers.view import View

SETTLE = 0.2
"""Seconds to let pass after a CRD changed: they are mostly applied many at once."""
RETRY = 2.0

log = structlog.get_logger(__name__)


class Kinds:
    """Every kind that can be listed, watched and deleted, events excepted."""

    def __init__(self, view: View) -> None:
        self.known = asyncio.Event()
        """Set once the first discovery is done."""
        self._view = view
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._outdated = asyncio.Event()
        self._outdated.set()
        view.cache(CRDS).subscribe(lambda _: self._outdated.set())

    def resource_of(self, api_version: str, kind: str) -> Resource | None:
        """Where a kind is served, whatever version of its group is asked for."""
        return self._kinds.get((api_version.rpartition("/")[0], kind))

    async def run(self) -> None:
        """Follow discovery until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._outdated.wait()
                if self.known.is_set():
                    await asyncio.sleep(SETTLE)
                self._outdated.clear()
                try:
                    served = await discover(self._view.client)
                except (ApiError, Unreachable) as error:
                    log.warning("discovery failed", error=str(error), seconds=RETRY)
                    await asyncio.sleep(RETRY)
                    self._outdated.set()
                    continue
                self._kinds = {(resource.group, resource.kind): resource for resource in served}
                await self.follow(served, group)
                self.known.set()

    async def follow(self, served: list[Resource], group: asyncio.TaskGroup) -> None:
        """For who does more with the kinds than to know them; tasks go into ``group``."""


async def discover(client: Client) -> list[Resource]:
    """Every kind that can be listed, watched and deleted, each in its preferred version."""
    groups = msgspec.json.decode(await client.request("GET", "/apis"))["groups"]
    versions = [("", "v1")]
    for group in groups:
        preferred = group["preferredVersion"]["version"]
        others = [v["version"] for v in group["versions"] if v["version"] != preferred]
        versions += [(group["name"], version) for version in (preferred, *others)]
    lists = await asyncio.gather(*(_served(client, *version) for version in versions))
    found: dict[tuple[str, str], Resource] = {}
    for resource in (resource for served in lists for resource in served):
        found.setdefault((resource.group, resource.plural), resource)
    return list(found.values())


async def _served(client: Client, group: str, version: str) -> Iterable[Resource]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        listed = msgspec.json.decode(await client.request("GET", path))["resources"]
    except (NotFound, ServerError) as error:
        # A CRD that has just gone, or an aggregated API whose server is away.
        log.info("group version is not served", group=group, version=version, error=str(error))
        return []
    return [
        Resource(group, version, entry["name"], entry["kind"], entry["namespaced"])
        for entry in listed
        if {"list", "watch", "delete"} <= set(entry["verbs"])
        and "/" not in entry["name"]
        and entry["kind"] != "Event"
    ]
