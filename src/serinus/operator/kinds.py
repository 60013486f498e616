"""Which kinds the cluster has of those that not every cluster has, and when that changes.

Why the operator is then put together anew is in docs/decisions/kinds.md.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import msgspec
import structlog

from serinus.cluster.client import Client
from serinus.cluster.definitions import Definitions, may_watch
from serinus.cluster.errors import ApiError, Unreachable
from serinus.cluster.kinds import HTTPROUTES, SCALEDOBJECTS
from serinus.cluster.served import serves
from serinus.operator.settings import Settings
from serinus.routing.gateway.httproute import CRD as HTTP_ROUTES
from serinus.routing.kuma.dialect import MESHES
from serinus.routing.kuma.discovery import CRD_NAMES, KumaKinds, discover
from serinus.workload.scaledobject import serves_scaled_objects

log = structlog.get_logger(__name__)

NAMES = (*CRD_NAMES, f"{SCALEDOBJECTS.plural}.{SCALEDOBJECTS.group}", HTTP_ROUTES)
"""The CustomResourceDefinitions that are followed."""

SETTLE = 1.0
"""Seconds from a change until the kinds are read: an upgrade replaces its definitions one by one,
and a new one is not served at once."""

REDISCOVER = 60.0
"""Seconds between two looks, a few small requests, at what the API server does not tell: any change
when definitions may not be watched, what this operator is allowed to read, and where a control
plane of Kuma's is that was not there yet."""

RETRY = 2.0
"""Seconds between two attempts to read the API server's kinds."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """What a cluster has of the kinds that not every cluster has."""

    kuma: KumaKinds
    keda: bool
    gateway_api: bool = False


class Survey:
    """Reads the kinds, and waits for others."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._changed = asyncio.Event()
        self._told = False

    async def begin(self, tasks: asyncio.TaskGroup) -> Kinds:
        """The kinds, as soon as the API server tells them; and have changes told from here on,
        where this operator may watch definitions."""
        while True:
            try:
                self._told = await may_watch(self._client, MESHES)
                break
            except (ApiError, Unreachable) as error:
                log.warning("cannot read the API server's kinds yet", error=str(error))
                await asyncio.sleep(RETRY)
        if self._told:
            definitions = Definitions(self._client, NAMES, self._changed.set)
            tasks.create_task(definitions.run())
            await definitions.listed()
            self._changed.clear()
        else:
            log.warning(
                "CustomResourceDefinitions may not be watched: whether Kuma or KEDA is upgraded "
                "is looked up from time to time; restart the operator to have it seen at once",
                seconds=REDISCOVER,
            )
        return await self._read()

    async def others(self, than: Kinds) -> Kinds:
        """Wait until the kinds differ from these: Kuma or KEDA was installed, upgraded, removed."""
        asks = not self._told or bool(than.kuma.unreadable) or than.kuma.guessed
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REDISCOVER if asks else None):
                    await self._changed.wait()
                    await asyncio.sleep(SETTLE)
            self._changed.clear()
            found = await self._read()
            if found != than:
                log.info(
                    "the cluster's kinds have changed",
                    crds=sorted(found.kuma.crds),
                    keda=found.keda,
                    gateway_api=found.gateway_api,
                )
                return found

    async def _read(self) -> Kinds:
        settings = self._settings
        while True:
            try:
                return Kinds(
                    await discover(
                        self._client,
                        namespaced=bool(settings.namespace),
                        system_namespace=settings.kuma_system_namespace,
                    ),
                    await serves_scaled_objects(self._client),
                    await serves(self._client, HTTPROUTES),
                )
            except (ApiError, Unreachable, msgspec.DecodeError) as error:
                log.warning("cannot read the API server's kinds yet", error=str(error))
                await asyncio.sleep(RETRY)
