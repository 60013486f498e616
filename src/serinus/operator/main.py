"""From settings to a running operator, and back to a clean stop."""

import asyncio
import gc
import os
import signal
import sys
from asyncio.sslproto import SSLProtocol
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import aiohttp
import structlog

from serinus import __version__
from serinus.api.canary import Canary
from serinus.api.decode import decode_canary
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.election import LeaseLost
from serinus.cluster.errors import ApiError, Unreachable
from serinus.cluster.kinds import CANARIES
from serinus.cluster.kubeconfig import NoConnection, connect
from serinus.executor.claims import Claims
from serinus.operator.assembly import assemble
from serinus.operator.controller import Canaries, Controller
from serinus.operator.kinds import Kinds, Survey
from serinus.operator.leadership import Leadership, leadership
from serinus.operator.logs import configure
from serinus.operator.malformed import Complaints
from serinus.operator.server import Server
from serinus.operator.settings import Settings, SettingsError, parse
from serinus.operator.telemetry import Telemetry

log = structlog.get_logger(__name__)

FAREWELL = 2.0
"""Seconds that events, alerts and calls of event webhooks get each to leave at the end."""

RETRY = 2.0
"""Seconds between two attempts to list the canaries at the start."""

GARBAGE = (10_000, 10, 10)
"""When cycles of objects are searched for (`gc.set_threshold`). Nearly all that a tick makes goes
without: at Python's 700 the search is a twelfth of all the time, and finds next to nothing."""

TLS_BUFFER = 64 * 1024
"""Bytes that each TLS connection holds for reading: four records. asyncio's own 256 KiB would be
10 MB for the connections that a busy operator keeps."""


def main(arguments: Sequence[str]) -> int:
    """Run the operator until SIGTERM or SIGINT; the exit status."""
    try:
        settings = parse(arguments, os.environ)
    except SettingsError as error:
        sys.stderr.write(f"serinus operator: {error}\n")
        return 2
    configure(settings.log_level, settings.log_encoding)
    gc.set_threshold(*GARBAGE)
    SSLProtocol.max_size = TLS_BUFFER
    try:
        asyncio.run(_until_signalled(settings))
    except (NoConnection, OSError) as error:
        log.error("cannot start", error=str(error))
        return 1
    except ExceptionGroup as group:
        lost, others = group.split(LeaseLost)
        if lost is None or others is not None:
            raise
        # A new process begins with nothing in its head that a leader's would contradict.
        log.error("lost the lease", error="; ".join(str(one) for one in lost.exceptions))
        return 1
    return 0


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(operate(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        log.info("stopping")
        running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        log.info("stopped")


async def operate(settings: Settings) -> None:
    """Be the operator until cancelled; then, if it leads, give the lease back.

    Raises:
        NoConnection: there is no usable kubeconfig or service account.
        OSError: the port is taken.
        ExceptionGroup: of `LeaseLost`.
    """
    connection = await connect(settings.kubeconfig or None, settings.context or None)
    async with Client(connection) as unfenced:
        elected = leadership(settings, unfenced)
        try:
            async with Client(connection, may_write=elected.leads) as client:
                await _operate(settings, client, elected)
        finally:
            await elected.release()


async def _operate(settings: Settings, client: Client, elected: Leadership) -> None:
    async with aiohttp.ClientSession() as session:
        canaries: Canaries = Cache(
            client, CANARIES, decode_canary, namespace=settings.namespace or None
        )
        claims = Claims(canaries)
        telemetry = Telemetry(settings.mesh_provider, lambda: _readable(canaries), elected.leads)
        needed: list[Cache[Any]] = [canaries]
        server = Server(
            settings.listen, settings.port, telemetry.registry, lambda: _unready(needed, elected)
        )
        await server.start()
        log.info("starting", version=__version__, server=client.connection.server, port=server.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(canaries.run())
                tasks.create_task(elected.run())
                survey = Survey(settings, client)
                kinds = await survey.begin(tasks)
                while True:
                    work = _work(
                        settings, client, session, needed, claims, kinds, telemetry, elected
                    )
                    kinds = await _until(survey.others(kinds), work)
        finally:
            await server.stop()


async def _until(others: Coroutine[Any, Any, Kinds], work: Coroutine[Any, Any, None]) -> Kinds:
    """Do the work until the kinds that it is for are others; which."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(others)
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
        return await waiting
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


async def _work(
    settings: Settings,
    client: Client,
    session: aiohttp.ClientSession,
    needed: list[Cache[Any]],
    claims: Claims,
    kinds: Kinds,
    telemetry: Telemetry,
    elected: Leadership,
) -> None:
    """Be the operator of a cluster with these kinds; ``needed`` begins with the canaries, and
    gets what else has to be known before there is anything to do."""
    canaries: Canaries = needed[0]
    parts = assemble(
        settings,
        client,
        session,
        claims,
        kinds.kuma,
        elected.leads,
        keda=kinds.keda,
        gateway_api=kinds.gateway_api,
    )
    needed[1:] = parts.watched
    controller = Controller(
        canaries,
        {cache.resource.kind: cache for cache in parts.watched},
        parts.executor,
        telemetry,
        Complaints(client, parts.events),
        settings.minimum_interval,
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(cache.run()) for cache in parts.watched]
        telling = [tasks.create_task(teller.run()) for teller in parts.tellers]
        for cache in needed:
            await cache.synced.wait()
        log.info("ready", canaries=len(canaries))
        await elected.won.wait()
        await _catch_up(canaries)
        log.info("leading", canaries=len(canaries))
        try:
            await controller.run()
        finally:
            for teller in parts.tellers:
                await teller.close(timeout=FAREWELL)
            await parts.credentials.close()
            for task in (*telling, *running):
                task.cancel()


async def _catch_up(canaries: Canaries) -> None:
    """See the last status that the leader before wrote: to act on an older one would take back
    its last step."""
    while True:
        try:
            return await canaries.catch_up()
        except (ApiError, Unreachable) as error:
            log.warning("cannot list the canaries yet", error=str(error))
            await asyncio.sleep(RETRY)


def _unready(needed: Sequence[Cache[Any]], elected: Leadership) -> str:
    """What is not known yet or any more, and why where that is known. To stand by is to be
    ready."""
    missing = [
        f"{cache.resource.plural}: {cache.last_error or 'not listed yet'}"
        for cache in needed
        if cache.last_error is not None or not cache.synced.is_set()
    ]
    if len(needed) == 1:
        missing.append("Kuma's kinds: not discovered yet")
    if elected.last_error is not None and not elected.won.is_set():
        missing.append(f"lease: {elected.last_error}")
    return "; ".join(missing)


def _readable(canaries: Canaries) -> Iterable[Canary]:
    return (canary for canary in canaries.values() if isinstance(canary, Canary))
