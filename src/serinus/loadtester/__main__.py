"""Starts the load tester: ``python -m serinus.loadtester -port=8080``."""

import asyncio
import signal
import sys
from collections.abc import Sequence

from aiohttp import web

from serinus.loadtester import logs
from serinus.loadtester.gate_configmap import ConfigMapGates
from serinus.loadtester.gate_file import FileGates
from serinus.loadtester.gates import GateStore, GatesUnavailable, MemoryGates
from serinus.loadtester.server import LoadTester
from serinus.loadtester.settings import Settings, SettingsError, parse

DRAIN_SECONDS = 1.0
"""How long requests may take to end after SIGTERM; tasks are ended at once."""


def gate_store(settings: Settings) -> GateStore:
    """Where gates are to be kept. Raises `GatesUnavailable` when that can never be."""
    if settings.gates_configmap:
        return ConfigMapGates(settings.gates_configmap)
    return FileGates(settings.gates_file) if settings.gates_file else MemoryGates()


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when the port cannot be listened on, and
    `GatesUnavailable` when gates can never be kept where they are to be."""
    gates = gate_store(settings)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    runner = web.AppRunner(
        LoadTester(settings, gates).application, access_log=None, shutdown_timeout=DRAIN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen or None, settings.port).start()
        logs.LOG.info("load tester listens on %s", runner.addresses)
        await _tell_of(gates)
        await ending.wait()
    finally:
        await runner.cleanup()


async def _tell_of(gates: GateStore) -> None:
    try:
        logs.LOG.info("%d gates are open, kept in %s", len(await gates.opened()), gates.place)
    except GatesUnavailable as error:
        logs.LOG.error("gates answer 503 until this is put right: %s", error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 2 for flags that cannot be obeyed, 1 when the port or the gates cannot be had."""
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
    except SettingsError as error:
        sys.stderr.write(f"serinus loadtester: {error}\n")
        return 2
    logs.configure(settings.log_level, settings.log_encoding)
    try:
        asyncio.run(serve(settings))
    except GatesUnavailable as error:
        sys.stderr.write(f"serinus loadtester: -gates-configmap: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"serinus loadtester: cannot listen: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
