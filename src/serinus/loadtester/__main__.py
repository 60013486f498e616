"""Starts the load tester: ``python -m serinus.loadtester -port=8080``."""

import asyncio
import signal
import sys
from collections.abc import Sequence

from aiohttp import web

from serinus.loadtester import logs
from serinus.loadtester.server import LoadTester
from serinus.loadtester.settings import Settings, SettingsError, parse

DRAIN_SECONDS = 1.0
"""How long requests may take to end after SIGTERM; tasks are ended at once."""


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError when the port cannot be listened on."""
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    runner = web.AppRunner(
        LoadTester(settings).application, access_log=None, shutdown_timeout=DRAIN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen or None, settings.port).start()
        logs.LOG.info("load tester listens on %s", runner.addresses)
        await ending.wait()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 2 for flags that cannot be obeyed, 1 when the port cannot be listened on."""
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
    except SettingsError as error:
        sys.stderr.write(f"serinus loadtester: {error}\n")
        return 2
    logs.configure(settings.log_level, settings.log_encoding)
    try:
        asyncio.run(serve(settings))
    except OSError as error:
        sys.stderr.write(f"serinus loadtester: cannot listen: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
