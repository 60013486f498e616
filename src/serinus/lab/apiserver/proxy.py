"""What the kubelet answers: logs, exec, attach, port-forward, and its own pages.

A WebSocket's frames pass unchanged in both directions. A kubelet that refuses before its stream
begins is reported on the stream's error channel: a client that saw the upgrade fail would try
SPDY, which nobody here speaks, and report that instead.
"""

import asyncio
from typing import Final

import aiohttp
from aiohttp import web
from multidict import MultiDict

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.representation import Obj, decode
from serinus.lab.apiserver.rest import reading
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import encode

_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_ERROR_CHANNEL: Final = b"\x03"

_STREAMS: Final = {"stdin": "input", "stdout": "output", "stderr": "error"}
"""A stream's name in a person's request -> in the kubelet's."""

Query = MultiDict[str]


def container_of(pod: Obj, wanted: str) -> str:
    """The container that is meant; 400 where it is not clear or not there."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    main = [entry["name"] for entry in spec.get("containers") or ()]
    every = [
        *main,
        *(entry["name"] for entry in spec.get("initContainers") or ()),
        *(entry["name"] for entry in spec.get("ephemeralContainers") or ()),
    ]
    if not wanted:
        annotations = pod["metadata"].get("annotations") or {}
        wanted = annotations.get(_DEFAULT_CONTAINER, "")
        if not wanted and len(every) == 1:
            wanted = every[0]
        if not wanted:
            raise errors.bad_request(
                f"a container name must be specified for pod {name}, choose one of: "
                f"[{' '.join(every)}]"
            )
    if wanted not in every:
        raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted


def _address(api: Api, pod: Obj) -> str:
    node = pod["spec"].get("nodeName")
    if not node:
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return api.kubelet.url(node)


def _query(call: Call) -> Query:
    return MultiDict((key, value) for key, value in call.http.query.items() if key != "container")


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    text = (await response.text())[:1000].strip()
    reasons = {400: "BadRequest", 404: "NotFound", 403: "Forbidden"}
    return ApiError(
        response.status,
        reasons.get(response.status, "InternalError"),
        text or f"the kubelet answered {response.status}",
    )


def _unreachable(url: str, error: Exception) -> ApiError:
    return errors.internal(
        f'error dialing the kubelet: Get "{url}": {error or type(error).__name__}'
    )


async def logs(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET pods/log: streamed as the kubelet gives it."""
    pod = decode(kind, reading.find(api, call, kind))
    container = container_of(pod, call.http.query.get("container", ""))
    metadata = pod["metadata"]
    if not pod["spec"].get("nodeName"):
        # As in Kubernetes: a pod without a node has no logs yet, which is no error.
        return web.Response(text="")
    path = f"/containerLogs/{metadata['namespace']}/{metadata['name']}/{container}"
    return await _stream(api, call, _address(api, pod) + path, _query(call))


async def node(api: Api, call: Call, _kind: Kind) -> web.StreamResponse:
    """GET nodes/proxy: a page of the kubelet."""
    if call.info.verb != "get":
        raise errors.method_not_allowed()
    url = f"{api.kubelet.url(call.info.name)}/{call.info.rest}"
    return await _stream(api, call, url, MultiDict(call.http.query))


async def _stream(api: Api, call: Call, url: str, query: Query) -> web.StreamResponse:
    try:
        async with api.kubelet.session.get(url, params=query) as upstream:
            if upstream.status != 200:
                raise await _refusal(upstream)
            response = web.StreamResponse(headers=call.headers())
            response.content_type = upstream.content_type
            response.enable_chunked_encoding()
            await response.prepare(call.http)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    except (aiohttp.ClientConnectorError, TimeoutError) as error:
        raise _unreachable(url, error) from error


def _no_spdy(what: str, instead: str) -> ApiError:
    return errors.bad_request(f"{what} over SPDY is not served by the lab: {instead}")


async def exec_(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET pods/exec and pods/attach, as a WebSocket."""
    pod = decode(kind, reading.find(api, call, kind))
    container = container_of(pod, call.http.query.get("container", ""))
    base, metadata, what = _address(api, pod), pod["metadata"], call.info.subresource
    if call.http.headers.get("Upgrade", "").lower() != "websocket":
        raise _no_spdy(
            f"kubectl {what}",
            "use kubectl 1.31 or newer, which speaks WebSocket (or websockets "
            "enabled with KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true)",
        )
    if what == "exec" and not call.http.query.get("command"):
        raise errors.bad_request("you must specify at least one command for the container")
    path = f"/{what}/{metadata['namespace']}/{metadata['name']}/{container}"
    query: Query = MultiDict((_STREAMS.get(key, key), value) for key, value in _query(call).items())
    return await _websocket(api, call, base + path, query)


async def port_forward(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET pods/portforward, as a WebSocket of the channel protocol (kubectl tunnels SPDY)."""
    pod = decode(kind, reading.find(api, call, kind))
    protocols = _protocols(call)
    if call.http.headers.get("Upgrade", "").lower() != "websocket" or any(
        name.startswith("SPDY/") for name in protocols
    ):
        raise _no_spdy(
            "kubectl port-forward",
            f"use `serinus lab forward -n {call.info.namespace} pod/{call.info.name} PORT`",
        )
    query: Query = MultiDict()
    for port in call.http.query.getall("ports", call.http.query.getall("port", [])):
        query.extend([("port", part) for part in port.split(",")])
    metadata = pod["metadata"]
    path = f"/portForward/{metadata['namespace']}/{metadata['name']}"
    return await _websocket(api, call, _address(api, pod) + path, query)


def _protocols(call: Call) -> list[str]:
    listed = call.http.headers.get("Sec-WebSocket-Protocol", "")
    return [name.strip() for name in listed.split(",") if name.strip()]


async def _websocket(api: Api, call: Call, url: str, query: Query) -> web.StreamResponse:
    offered = _protocols(call)
    try:
        upstream = await api.kubelet.session.ws_connect(
            url, params=query, protocols=offered, max_msg_size=0, autoping=True
        )
    except aiohttp.WSServerHandshakeError as error:
        refusal = ApiError(error.status, "BadRequest", f"the kubelet refused: {error.message}")
        return await _report(call, offered, refusal)
    except (aiohttp.ClientError, OSError) as error:
        return await _report(call, offered, _unreachable(url, error))
    async with upstream:
        chosen = [upstream.protocol] if upstream.protocol else []
        client = web.WebSocketResponse(protocols=chosen, max_msg_size=0, compress=False)
        await client.prepare(call.http)
        there = asyncio.create_task(_pump(client, upstream))
        back = asyncio.create_task(_pump(upstream, client))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            if there.done() and isinstance(there.exception(), ConnectionError):
                # The command has ended while input still came: its last words are under way.
                await asyncio.wait({back})
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        await client.close()
        return client


async def _report(call: Call, offered: list[str], error: ApiError) -> web.StreamResponse:
    known = [name for name in offered if name.endswith(".channel.k8s.io")]
    if not known:
        raise error
    client = web.WebSocketResponse(protocols=known, compress=False)
    await client.prepare(call.http)
    await client.send_bytes(_ERROR_CHANNEL + encode(error.status()))
    await client.close()
    return client


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)
