"""The load tester's HTTP service: `POST /` runs a task, gates, `/healthz`, `/metrics`."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import generate_latest

from serinus.loadtester import payload
from serinus.loadtester.gate_service import GateService
from serinus.loadtester.gates import GateStore, GatesUnavailable, MemoryGates
from serinus.loadtester.logs import LOG
from serinus.loadtester.runner import Busy, Runner, failure
from serinus.loadtester.settings import Settings
from serinus.loadtester.task import task

RETRY_SECONDS = 5
"""What a caller who was refused is told to wait."""


class LoadTester:
    """One load tester. ``application`` is served; closing it ends every task and the store."""

    def __init__(self, settings: Settings, gates: GateStore | None = None) -> None:
        self._settings = settings
        self._gates: GateStore = gates or MemoryGates()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._gates_open = Gauge(
            "serinus_loadtester_gates_open",
            "Gates that are open; not a number while where they are kept cannot be read.",
            registry=self._registry,
        )
        self._runner = Runner(settings.timeout, settings.tasks, self._registry)
        self.application = web.Application(middlewares=[_errors])
        self.application.add_routes(
            [
                web.post("/", self._run),
                web.get("/healthz", self._healthy),
                web.get("/metrics", self._metrics),
                *GateService(self._gates, self._asked).routes(),
            ]
        )
        self.application.on_shutdown.append(self._end_tasks)
        self.application.on_cleanup.append(self._close_gates)

    async def _asked(self, request: web.Request) -> payload.Payload:
        """A request's payload, if its sender may ask for what it claims to speak for."""
        asked = payload.decode(await request.read())
        allowed = self._settings.namespaces
        if allowed is not None and not allowed.search(asked.namespace):
            fields = {"canary": asked.canary, "path": request.path}
            LOG.warning("forbidden: namespace %s", asked.namespace, extra={"fields": fields})
            raise web.HTTPForbidden(text="Forbidden")
        return asked

    async def _run(self, request: web.Request) -> web.Response:
        wanted = task(await self._asked(request))
        if wanted.background:
            self._runner.start(wanted)
            return web.Response(status=202)
        result = await self._runner.finish(wanted)
        if result.error:
            return web.Response(status=500, text=failure(wanted, result))
        return web.Response(text=result.output if wanted.return_output else "")

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _metrics(self, _: web.Request) -> web.Response:
        try:
            self._gates_open.set(len(await self._gates.opened()))
        except GatesUnavailable as error:
            LOG.error("%s", error)
            self._gates_open.set(float("nan"))
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _end_tasks(self, _: web.Application) -> None:
        await self._runner.close()

    async def _close_gates(self, _: web.Application) -> None:
        await self._gates.close()


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What cannot be done is said in the answer and in the logs."""
    headers = {}
    try:
        return await handler(request)
    except payload.PayloadError as error:
        status, text = 400, str(error)
    except Busy as error:
        status, text = 429, str(error)
        headers["Retry-After"] = str(RETRY_SECONDS)
    except GatesUnavailable as error:
        status, text = 503, str(error)
        headers["Retry-After"] = str(RETRY_SECONDS)
    LOG.error("%s", text, extra={"fields": {"path": request.path}})
    return web.Response(status=status, text=text, headers=headers)
