"""Logs, exec and node pages, through to a kubelet of the test's own (HTTPS, client certificate)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from serinus.lab.pki import Pki


async def _logs(request: web.Request) -> web.StreamResponse:
    if request.match_info["container"] == "waiting":
        return web.Response(
            status=400, text='container "waiting" in pod "p" is waiting to start: PodInitializing'
        )
    response = web.StreamResponse()
    response.content_type = "text/plain"
    await response.prepare(request)
    for line in ("one\n", "two\n")[-int(request.query.get("tailLines", 2)) :]:
        await response.write(line.encode())
    return response


async def _exec(request: web.Request) -> web.StreamResponse:
    """Echoes stdin (channel 0) to stdout (channel 1) until it is closed, then succeeds."""
    socket = web.WebSocketResponse(protocols=["v5.channel.k8s.io", "v4.channel.k8s.io"])
    await socket.prepare(request)
    await socket.send_bytes(b"\x01" + " ".join(request.query.getall("command")).encode() + b"\n")
    if request.query.get("input") == "true":
        async for message in socket:
            if message.data[:1] == b"\x00":
                await socket.send_bytes(b"\x01" + message.data[1:])
            if message.data == b"\xff\x00":
                break
    await socket.send_bytes(b'\x03{"metadata":{},"status":"Success"}')
    await socket.close()
    return socket


async def _summary(_: web.Request) -> web.StreamResponse:
    return web.json_response({"node": {"nodeName": "n"}})


@pytest.fixture
async def pod(server: Any, namespace: str) -> AsyncIterator[str]:
    """A pod on a node whose kubelet is here."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/containerLogs/{namespace}/{pod}/{container}", _logs),
            web.get("/exec/{namespace}/{pod}/{container}", _exec),
            web.get("/stats/summary", _summary),
        ]
    )
    keys = Pki(server.paths.pki)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(keys.ca.cert))
    tls.load_cert_chain(keys.kubelet.cert, keys.kubelet.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": namespace}}
    node["status"] = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": runner.addresses[0][1]}},
    }
    containers = [{"name": name, "image": "x"} for name in ("main", "waiting")]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "annotations": {"kubectl.kubernetes.io/default-container": "main"},
        },
        "spec": {"nodeName": namespace, "containers": containers},
    }
    for path, obj in (("nodes", node), (f"namespaces/{namespace}/pods", pod)):
        answer = await asyncio.to_thread(server.request, "POST", f"/api/v1/{path}", obj)
        assert answer.status == 201, answer.body
    merge = "application/merge-patch+json"
    running, status = {"status": {"phase": "Running"}}, f"{path}/p/status"
    await asyncio.to_thread(
        server.request, "PATCH", "/api/v1/" + status, running, Content_Type=merge
    )
    yield "p"
    await runner.cleanup()


async def _kubectl(server: Any, *arguments: str, **more: Any) -> str:
    said: str = await asyncio.to_thread(server.kubectl, *arguments, **more)
    return said


async def test_logs(server: Any, namespace: str, pod: str) -> None:
    n = ("-n", namespace)
    assert (await _kubectl(server, *n, "logs", pod)).endswith("one\ntwo\n")
    assert (await _kubectl(server, *n, "logs", "-f", pod, "-c", "main")).endswith("one\ntwo\n")
    assert await _kubectl(server, *n, "logs", pod, "-c", "main", "--tail=1") == "two\n"
    waiting = await _kubectl(server, *n, "logs", pod, "-c", "waiting", fails=True)
    assert 'container "waiting" in pod "p" is waiting to start' in waiting
    wrong = await _kubectl(server, *n, "logs", pod, "-c", "nope", fails=True)
    assert "container nope is not valid for pod p" in wrong


async def test_exec(server: Any, namespace: str, pod: str) -> None:
    n = ("-n", namespace)
    assert "echo hi\n" in await _kubectl(server, *n, "exec", pod, "-c", "main", "--", "echo", "hi")
    piped = await _kubectl(server, *n, "exec", "-i", pod, "-c", "main", "--", "cat", stdin="in\n")
    assert piped == "cat\nin\n"
    wrong = await _kubectl(server, *n, "exec", pod, "-c", "nope", "--", "x", fails=True)
    assert "container nope is not valid for pod p" in wrong


async def test_port_forward_names_the_way(server: Any, namespace: str, pod: str) -> None:
    said = await _kubectl(server, "-n", namespace, "port-forward", pod, "0:80", fails=True)
    assert f"serinus lab forward -n {namespace} pod/p PORT" in said


async def test_node_pages(server: Any, namespace: str, pod: str) -> None:
    path = f"/api/v1/nodes/{namespace}/proxy/stats/summary"
    assert await _kubectl(server, "get", "--raw", path) == '{"node": {"nodeName": "n"}}'


async def test_a_kubelet_that_is_gone(server: Any, namespace: str, pod: str) -> None:
    merge = "application/merge-patch+json"
    path = f"/api/v1/nodes/{namespace}/status"
    gone = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
    await asyncio.to_thread(server.request, "PATCH", path, gone, Content_Type=merge)
    logs = await _kubectl(server, "-n", namespace, "logs", pod, "-c", "main", fails=True)
    assert "error dialing the kubelet" in logs
    said = await _kubectl(server, "-n", namespace, "exec", pod, "-c", "main", "--", "x", fails=True)
    assert "error dialing the kubelet" in said


async def test_frames_pass_unchanged(server: Any, namespace: str, pod: str) -> None:
    url = f"https://127.0.0.1:{server.port}/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    query = "?container=main&command=cat&stdin=true&stdout=true"
    headers = {"Authorization": "Bearer admin-token"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(url + query, ssl=False, protocols=["v5.channel.k8s.io"]) as socket,
    ):
        assert socket.protocol == "v5.channel.k8s.io"
        assert await socket.receive_bytes() == b"\x01cat\n"
        await socket.send_bytes(b"\x00" + bytes(range(256)))
        assert await socket.receive_bytes() == b"\x01" + bytes(range(256))
