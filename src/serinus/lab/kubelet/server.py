"""The kubelet's own API over HTTPS: logs, exec, attach, port-forward, statistics.

Only the API server may ask: a client certificate of the lab's authority is required.
"""

import ssl
from typing import Any

import msgspec
from aiohttp import web

from serinus.lab.kubelet import terminal
from serinus.lab.kubelet.channels import accept, failure
from serinus.lab.kubelet.container import ContainerWorker
from serinus.lab.kubelet.forward import forward
from serinus.lab.kubelet.kubelet import Kubelet
from serinus.lab.kubelet.logs import LogQuery, read_log
from serinus.lab.kubelet.pod import PodWorker
from serinus.lab.kubelet.state import Waiting
from serinus.lab.kubelet.stats import Meter
from serinus.lab.pki import Pki

STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""Stream of exec and attach -> what an API server calls it when it asks a kubelet for it."""


def tls_context(pki: Pki) -> ssl.SSLContext:
    """How the server speaks TLS, and whom it trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.ca.cert))
    context.load_cert_chain(pki.kubelet.cert, pki.kubelet.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class KubeletServer:
    """Answers the API server's questions about this node's pods."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._meter = Meter()
        self.app = web.Application()
        container = "{namespace}/{pod}/{container}"
        self.app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/pods", self._pods),
                web.get("/stats/summary", self._stats),
                web.get(f"/containerLogs/{container}", self._logs),
                web.get(f"/exec/{container}", self._exec),
                web.get(f"/attach/{container}", self._attach),
                web.get("/portForward/{namespace}/{pod}", self._port_forward),
                web.post(f"/exec/{container}", self._no_spdy),
                web.post(f"/attach/{container}", self._no_spdy),
                web.post("/portForward/{namespace}/{pod}", self._no_spdy),
            ]
        )

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> web.AppRunner:
        """Listen; clean the runner up to end."""
        runner = web.AppRunner(
            self.app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        return runner

    def _pod(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self._kubelet.find(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text=f"pod {namespace}/{name} does not run on this node")
        return worker

    def _container(self, request: web.Request) -> tuple[PodWorker, ContainerWorker]:
        worker, name = self._pod(request), request.match_info["container"]
        if name not in worker.containers:
            known = ", ".join(worker.containers)
            raise web.HTTPNotFound(
                text=f"container {name} is not in pod {worker.pod.key}; it has: {known}"
            )
        return worker, worker.containers[name]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _pods(self, _: web.Request) -> web.Response:
        pods = [msgspec.to_builtins(w.pod) for w in self._kubelet.workers.values()]
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})

    async def _stats(self, _: web.Request) -> web.Response:
        return _json(self._meter.summary(list(self._kubelet.workers.values())))

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        worker, container = self._container(request)
        try:
            query = LogQuery.parse(dict(request.query))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        previous = request.query.get("previous") in {"true", "1"}
        file = container.log_file(previous=previous)
        live = container.log if not previous else None
        if live is not None and live.file != file:
            # It waits to be started again: what there is to read is of the run before.
            file = live.file
        if not file.exists():
            raise web.HTTPBadRequest(text=_no_log(worker, container, previous=previous))
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        async for line in read_log(file, live, query):
            await response.write(line)
        await response.write_eof()
        return response

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        _, container = self._container(request)
        flags = {stream: _flag(request, name) for stream, name in STREAMS.items()}
        command = request.query.getall("command", [])
        if not command:
            raise web.HTTPBadRequest(text="exec needs at least one `command`")
        running = container.running
        socket, channels = await accept(request)
        if running is None:
            await channels.finish(failure(f"container {container.spec.name} is not running"))
        else:
            await terminal.run(running, terminal.ExecRequest(command, **flags), channels)
        return socket

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        _, container = self._container(request)
        socket, channels = await accept(request)
        if container.console is None or container.running is None:
            await channels.finish(failure(f"container {container.spec.name} is not running"))
        else:
            await terminal.attach(
                container.console, channels, stdin=_flag(request, STREAMS["stdin"])
            )
        return socket

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        worker = self._pod(request)
        texts = [text for some in request.query.getall("port", []) for text in some.split(",")]
        if not texts or not all(text.isdecimal() and 0 < int(text) < 65536 for text in texts):
            raise web.HTTPBadRequest(text=f"`port` must be port numbers, not {texts}")
        socket, channels = await accept(request)
        await forward(worker.network, [int(text) for text in texts], channels)
        await socket.close()
        return socket

    async def _no_spdy(self, request: web.Request) -> web.Response:
        """What kubectl falls back on where no WebSocket can be had; it shows these words."""
        if "container" in request.match_info:
            remedy = "use kubectl 1.31 or newer, which speaks WebSocket"
        else:
            namespace, pod = request.match_info["namespace"], request.match_info["pod"]
            remedy = f"use `serinus lab forward -n {namespace} pod/{pod} PORT`"
        raise web.HTTPBadRequest(text=f"SPDY is not served by the lab: {remedy}")


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name) in {"true", "1"}


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _no_log(worker: PodWorker, container: ContainerWorker, *, previous: bool) -> str:
    name, pod = container.spec.name, worker.pod.metadata.name
    if previous:
        return f'previous terminated container "{name}" in pod "{pod}" not found'
    reason = container.state.reason if isinstance(container.state, Waiting) else "starting"
    return f'container "{name}" in pod "{pod}" is waiting to start: {reason}'
