"""The load tester's HTTP service: `POST /` runs a task, `/healthz`, `/metrics`."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest

from serinus.loadtester import payload
from serinus.loadtester.logs import LOG
from serinus.loadtester.runner import Busy, Runner, failure
from serinus.loadtester.settings import Settings


class LoadTester:
    """One load tester. ``application`` is served; closing it ends every task."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._runner = Runner(settings.timeout, settings.tasks, self._registry)
        self.application = web.Application()
        self.application.add_routes(
            [
                web.post("/", self._run),
                web.get("/healthz", self._healthy),
                web.get("/metrics", self._metrics),
            ]
        )
        self.application.on_shutdown.append(self._close)

    async def _run(self, request: web.Request) -> web.Response:
        try:
            asked = payload.decode(await request.read())
            allowed = self._settings.namespaces
            if allowed is not None and not allowed.search(asked.namespace):
                LOG.warning(
                    "forbidden: namespace %s",
                    asked.namespace,
                    extra={"fields": {"canary": asked.canary}},
                )
                return web.Response(status=403, text="Forbidden")
            task = payload.task(asked)
            if task.background:
                self._runner.start(task)
                return web.Response(status=202)
            result = await self._runner.finish(task)
        except payload.PayloadError as error:
            LOG.error("%s", error)
            return web.Response(status=400, text=str(error))
        except Busy as error:
            LOG.error("%s", error)
            return web.Response(status=429, text=str(error))
        if result.error:
            return web.Response(status=500, text=failure(task, result))
        return web.Response(text=result.output if task.return_output else "")

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _close(self, _: web.Application) -> None:
        await self._runner.close()
