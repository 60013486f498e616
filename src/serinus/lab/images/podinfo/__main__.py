"""Starts the stand-in: ``python -S -m serinus.lab.images.podinfo --port=9898 ...``.

On SIGTERM it says that it is not ready, serves on for a while (callers' proxies need a moment to
hear that the pod is going), and ends.
"""

import sys

# asyncio and hashlib work without these; leaving OpenSSL out saves 6 MB in every podinfo pod.
for absent in ("ssl", "_ssl", "_hashlib"):
    sys.modules[absent] = None  # type: ignore[assignment]

import asyncio  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
from dataclasses import dataclass  # noqa: E402

from serinus.lab.images.podinfo.app import Podinfo  # noqa: E402
from serinus.lab.images.podinfo.http import MAX_HEAD, Connection  # noqa: E402

SHUTDOWN_SECONDS = 3.0


@dataclass(slots=True)
class Options:
    """The flags of podinfo's manifests that mean something here."""

    port: int = 9898
    port_metrics: int = 0
    level: str = "info"
    random_delay: bool = False
    random_error: bool = False
    unready: bool = False


def parse(argv: list[str]) -> Options:
    """Read ``--name=value``, ``--name value`` and ``--name`` (true); other flags do nothing.

    `argparse` would cost more memory than the rest of this program. Raises ValueError for a
    value of the wrong kind.
    """
    options = Options()
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.lstrip("-").replace("-", "_").partition("=")
        kind: type[int] | type[str] | None = None
        if name in Options.__slots__:
            kind = type(getattr(options, name))
        if kind is None or not word.startswith("-"):
            sys.stderr.write(f"podinfo stand-in: {word} does nothing here\n")
            continue
        value = word.partition("=")[2] if equals else value
        if kind is bool:
            setattr(options, name, value.lower() in {"", "1", "t", "true"})
            continue
        if not equals:
            value = words.pop(0) if words else ""
        setattr(options, name, kind(value))
    return options


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, and 3 s more."""
    version = os.environ.get("PODINFO_VERSION", "0.0.0")
    app = Podinfo(version, options.level, options.random_delay, options.random_error)
    app.ready = not options.unready

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(app.handle).serve(reader, writer)

    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    ports = [options.port] + ([options.port_metrics] if options.port_metrics else [])
    for port in ports:
        await asyncio.start_server(connected, None, port, limit=MAX_HEAD, backlog=512)
        app.log("Starting HTTP Server.", addr=f":{port}")
    await ending.wait()
    app.ready = False
    app.log("Shutting down HTTP server", timeout=f"{SHUTDOWN_SECONDS:g}s")
    await asyncio.sleep(SHUTDOWN_SECONDS)


def main() -> None:
    """Run; a port in use ends it with status 1 and a message."""
    os.environ.pop("PYTHONPATH", None)
    try:
        options = parse(sys.argv[1:])
        asyncio.run(serve(options))
    except ValueError as error:
        sys.stderr.write(f"podinfo: wrong value of a flag: {error}\n")
        sys.exit(2)
    except OSError as error:
        sys.stderr.write(f"podinfo: cannot listen: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
