"""``services/proxy`` and ``pods/proxy``: requests passed on to the programs in the cluster.

Any method, with its body, as it comes; but not who asks: the API server has seen to that. Links in
pages are not rewritten, as Kubernetes does it, and no connection is upgraded.
"""

import os
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.schema.registry import Kind

Headers = CIMultiDict[str]

_OF_THE_CONNECTION: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
_OF_WHO_ASKS: Final = ("authorization", "impersonate-")
_CORS: Final = frozenset(
    f"access-control-allow-{what}" for what in ("credentials", "headers", "methods", "origin")
)
_AS_IT_IS: Final = "/:@!$&'()*+,;=~"
"""What is not escaped in a path."""


async def service(api: Api, call: Call, _kind: Kind) -> web.StreamResponse:
    """services/proxy, by a ready pod behind the Service."""
    return await _forward(api, call, api.backends.of_service(call.info.namespace, call.info.name))


async def pod(api: Api, call: Call, _kind: Kind) -> web.StreamResponse:
    """pods/proxy"""
    return await _forward(api, call, api.backends.of_pod(call.info.namespace, call.info.name))


async def _forward(api: Api, call: Call, backend: URL) -> web.StreamResponse:
    request, info = call.http, call.info
    if "upgrade" in request.headers.get("Connection", "").lower():
        raise errors.bad_request(
            f"{info.resource}/proxy of the lab upgrades no connection: use `serinus lab forward "
            f"-n {info.namespace}`"
        )
    slash = "/" if request.path.endswith("/") else ""
    path = f"/{info.rest}{slash}" if info.rest else slash
    if not path and request.method in {"GET", "HEAD"}:
        # A page's relative links would lead astray.
        query = f"?{request.query_string}" if request.query_string else ""
        return web.Response(status=301, headers={"Location": f"{request.path}/{query}"})
    prefix = request.path.removesuffix(path)
    url = URL.build(
        scheme=backend.scheme,
        host=backend.host or "",
        port=backend.port,
        path=quote(path or "/", safe=_AS_IT_IS),
        query_string=request.rel_url.raw_query_string,
        encoded=True,
    )
    try:
        upstream = await api.backends.session.request(
            request.method,
            url,
            headers=_asked(call, prefix + url.raw_path),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        )
    except (aiohttp.ClientError, TimeoutError) as error:
        raise errors.service_unavailable(
            f"error trying to reach service: {_why(error, backend)}"
        ) from error
    async with upstream:
        return await _pass_back(call, upstream, prefix)


async def _pass_back(
    call: Call, upstream: aiohttp.ClientResponse, prefix: str
) -> web.StreamResponse:
    headers = _without(upstream.headers, _CORS)
    if "Location" in headers:
        headers["Location"] = _moved(URL(headers["Location"]), upstream.url, call, prefix)
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    await response.prepare(call.http)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except aiohttp.ClientError as error:
        # The answer has begun: that it ends too early is all that can still be told.
        raise ConnectionAbortedError(f"{upstream.url} broke off") from error
    await response.write_eof()
    return response


def _asked(call: Call, uri: str) -> Headers:
    """The headers that the backend gets."""
    request = call.http
    headers = _without(request.headers)
    for name in list(headers):
        if name.lower().startswith(_OF_WHO_ASKS):
            headers.popall(name, None)
    before = headers.popall("X-Forwarded-For", [])
    headers["X-Forwarded-For"] = ", ".join([*before, *([request.remote] if request.remote else [])])
    headers["X-Forwarded-Uri"] = uri
    headers["X-Forwarded-Host"] = request.host
    headers["X-Forwarded-Proto"] = request.scheme
    return headers


def _without(headers: CIMultiDictProxy[str], more: Iterable[str] = ()) -> Headers:
    """What goes on from one connection to the other."""
    named = (name.strip().lower() for name in headers.get("Connection", "").split(","))
    ends = {*_OF_THE_CONNECTION, *named, *more}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in ends)


def _moved(location: URL, source: URL, call: Call, prefix: str) -> str:
    """Where a redirect leads by way of this server, if it leads to the same backend."""
    request = call.http
    elsewhere = location.authority and location.authority not in (source.authority, request.host)
    if elsewhere or not location.raw_path.startswith("/"):
        return str(location)
    path = location.raw_path
    if not path.startswith(prefix):
        path = prefix + path
    through = URL.build(
        scheme=request.scheme,
        authority=request.host,
        path=path,
        query_string=location.raw_query_string,
        fragment=location.raw_fragment,
        encoded=True,
    )
    return str(through)


def _why(error: Exception, backend: URL) -> str:
    """In the words of Kubernetes, which are those of Go."""
    dial = f"dial tcp {backend.host}:{backend.port}"
    if isinstance(error, TimeoutError):
        return f"{dial}: i/o timeout"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno:
        return f"{dial}: connect: {os.strerror(error.errno).lower()}"
    return str(error) or type(error).__name__
