"""Port forwarding, from a local socket through an API server to a listening port."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from serinus.cli.destination import DestinationError, Target, parse_ports
from serinus.cli.forwarding import serve

Json = dict[str, Any]


def pod(name: str, *, ready: bool, **labels: str) -> Json:
    condition = {"type": "Ready", "status": str(ready)}
    return {
        "metadata": {"name": name, "namespace": "test", "labels": labels},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 9898}]}]},
        "status": {"phase": "Running", "conditions": [condition]},
    }


class Api:
    """As much of an API server and kubelet as a forwarded port meets.

    A pod's port 9898 is ``backend``; nothing listens on the others.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.backend = 0
        self.asked: list[str] = []
        self.pods = {
            "podinfo-a": pod("podinfo-a", ready=False, app="podinfo"),
            "podinfo-b": pod("podinfo-b", ready=True, app="podinfo"),
            "other": pod("other", ready=True, app="other"),
        }

    def application(self) -> web.Application:
        application = web.Application()
        core = "/api/v1/namespaces/test"
        application.add_routes(
            [
                web.get(f"{core}/pods", self._list),
                web.get(f"{core}/pods/{{name}}", self._pod),
                web.get(f"{core}/services/podinfo", self._service),
                web.get("/apis/apps/v1/namespaces/test/deployments/podinfo", self._deployment),
                web.get(f"{core}/pods/{{name}}/portforward", self._forward),
            ]
        )
        return application

    async def _list(self, request: web.Request) -> web.Response:
        key, _, value = request.query["labelSelector"].partition("=")
        items = [p for p in self.pods.values() if p["metadata"]["labels"].get(key) == value]
        return web.json_response({"items": items})

    async def _pod(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in self.pods:
            return web.json_response(self.pods[name])
        status = {"kind": "Status", "reason": "NotFound", "message": f'pods "{name}" not found'}
        return web.json_response(status, status=404)

    async def _service(self, _: web.Request) -> web.Response:
        ports = [{"name": "web", "port": 80, "targetPort": "http"}]
        return web.json_response({"spec": {"selector": {"app": "podinfo"}, "ports": ports}})

    async def _deployment(self, _: web.Request) -> web.Response:
        return web.json_response({"spec": {"selector": {"matchLabels": {"app": "podinfo"}}}})

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        assert request.headers["Authorization"] == "Bearer secret"
        port = int(request.query["ports"])
        self.asked.append(f"{request.match_info['name']}:{port}")
        socket = web.WebSocketResponse(protocols=[self.protocol])
        await socket.prepare(request)
        for channel in (0, 1):
            await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        if port != 9898:
            await socket.send_bytes(b"\x01nothing listens there")
            await socket.close()
            return socket
        reader, writer = await asyncio.open_connection("127.0.0.1", self.backend)

        async def back() -> None:
            while data := await reader.read(1000):
                await socket.send_bytes(b"\x00" + data)
            await socket.close()

        answering = asyncio.create_task(back())
        async for message in socket:
            if message.data[:1] == b"\xff":
                writer.write_eof()
            else:
                writer.write(message.data[1:])
        await answering
        writer.close()
        return socket


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that answers a line with the line in capitals, and the end with the end."""
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
        if line == b"quit\n":
            break
    writer.write(b"bye\n")
    writer.close()


@asynccontextmanager
async def forwarded(
    tmp_path: Path, target: str, remote: str, protocol: str = "v5.channel.k8s.io"
) -> AsyncIterator[tuple[int, Api, list[str]]]:
    """The local port, the server that it leads through, and what a person was told."""
    api = Api(protocol)
    backend = await asyncio.start_server(answer, "127.0.0.1", 0)
    api.backend = backend.sockets[0].getsockname()[1]
    said: list[str] = []
    listening = asyncio.Event()

    def tell(text: str) -> None:
        said.append(text)
        listening.set()

    async with backend, TestServer(api.application()) as server:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": str(server.make_url(""))}}],
                    "users": [{"name": "u", "user": {"token": "secret"}}],
                }
            )
        )
        serving = asyncio.create_task(
            serve(str(kubeconfig), Target.parse("test", target), remote, 0, tell)
        )
        waiting = asyncio.create_task(listening.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            if serving.done():
                await serving
            port = int(said[0].split()[2].rpartition(":")[2])
            yield port, api, said
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("target", "remote", "reached"),
    [
        ("pod/other", "9898", "other:9898"),
        ("pod/other", "http", "other:9898"),
        ("svc/podinfo", "80", "podinfo-b:9898"),
        ("service/podinfo", "web", "podinfo-b:9898"),
        ("deployment/podinfo", "9898", "podinfo-b:9898"),
    ],
)
async def test_each_kind_of_target(tmp_path: Path, target: str, remote: str, reached: str) -> None:
    async with forwarded(tmp_path, target, remote) as (port, api, said):
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for word in (b"hello\n", b"again\n"):
                writer.write(word)
                assert await reader.readline() == word.upper()
            writer.write_eof()
            assert await reader.read() == b"bye\n"
            writer.close()
        assert api.asked == [reached] * 2
        assert len(said) == 1


async def test_much_at_a_time(tmp_path: Path) -> None:
    line = b"x" * 50_000 + b"\n"
    async with forwarded(tmp_path, "pod/other", "9898") as (port, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for _ in range(20):
            writer.write(line)
            assert await reader.readline() == line.upper()
        writer.close()


async def test_a_server_that_cannot_close_halves(tmp_path: Path) -> None:
    async with forwarded(tmp_path, "pod/other", "9898", "v4.channel.k8s.io") as (port, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"quit\n")
        assert await reader.read() == b"QUIT\nbye\n"
        writer.close()


async def test_a_port_on_which_nothing_listens(tmp_path: Path) -> None:
    async with forwarded(tmp_path, "pod/other", "1") as (port, _, said):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        assert said[1:] == ["connection lost: nothing listens there"]


@pytest.mark.parametrize(
    ("target", "remote", "text"),
    [
        ("svc/podinfo", "9898", 'has no port "9898"; it has 80 web'),
        ("pod/other", "grpc", 'pod other has no port named "grpc"'),
    ],
)
async def test_ports_that_there_are_not(
    tmp_path: Path, target: str, remote: str, text: str
) -> None:
    with pytest.raises(DestinationError, match=text):
        async with forwarded(tmp_path, target, remote):
            pytest.fail("there is no such port")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("9898", (9898, "9898")),
        ("8080:9898", (8080, "9898")),
        (":9898", (0, "9898")),
        ("0:http", (0, "http")),
        ("http", (0, "http")),
    ],
)
def test_ports(text: str, ports: tuple[int, str]) -> None:
    assert parse_ports(text) == ports
