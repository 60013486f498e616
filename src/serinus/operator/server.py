"""The operator's HTTP side: `/healthz`, `/readyz` and `/metrics`."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Server:
    """Serves until `stop`. ``unready`` says what is still missing, "" when nothing is."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, unready: Callable[[], str]
    ) -> None:
        self._host = host or None
        self._port = port
        self._registry = registry
        self._unready = unready
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._runner is not None
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="OK\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self._unready()
        return web.Response(status=503 if missing else 200, text=(missing or "OK") + "\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
