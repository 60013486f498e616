"""An HTTPS server whose certificate, and with it its authority, the test changes."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from serinus.lab import pki

NAME = "localhost"


def authority(root: Path) -> pki.Pki:
    """A new authority, with a server's certificate that it signed."""
    return pki.ensure(root)


@dataclass
class TlsServer:
    """Answers everything with an empty object."""

    presented: ssl.SSLContext
    address: str = ""
    requests: list[str] = field(default_factory=list)
    greeted: Callable[[], None] = lambda: None
    """Called in the middle of each handshake."""

    def change(self, keys: pki.Pki) -> None:
        """Show another certificate from now on; connections that are open stay."""
        self.presented = _context(keys)

    def greet(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self.greeted()
        connection.context = self.presented

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        return web.json_response({})


@asynccontextmanager
async def tls_server(keys: pki.Pki) -> AsyncIterator[TlsServer]:
    context = _context(keys)
    server = TlsServer(context)
    context.sni_callback = server.greet
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    server.address = f"https://{NAME}:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def _context(keys: pki.Pki) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.api_server.cert, keys.api_server.key)
    return context
