"""services/proxy and pods/proxy, through to a program of the test's own."""

import asyncio
import gzip
import http.client
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

MERGE = "application/merge-patch+json"
NOBODY = "255.255.255.255"
"""An address that the kernel connects to at no time."""


async def _echo(request: web.Request) -> web.Response:
    told = {
        "method": request.method,
        "path": request.raw_path,
        "headers": [[name, value] for name, value in request.headers.items()],
        "body": (await request.read()).decode(),
    }
    headers = {"X-Told": "yes", "Access-Control-Allow-Origin": "*"}
    return web.json_response(told, headers=headers)


async def _gone(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": request.query["to"]})


async def _packed(_: web.Request) -> web.Response:
    headers = {"Content-Encoding": "gzip"}
    return web.Response(body=gzip.compress(b"packed"), headers=headers)


async def _broken(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return response


async def _refused(_: web.Request) -> web.Response:
    return web.Response(status=418, text="a teapot")


def own_address() -> str:
    """This machine's address that is not loopback's: a pod's may not be."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        address: str = tried.getsockname()[0]
        return address


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a program on all of this machine's addresses."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/gone", _gone),
            web.get("/packed", _packed),
            web.get("/broken", _broken),
            web.get("/refused", _refused),
            web.route("*", "/{path:.*}", _echo),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.SockSite(runner, socket.create_server(("", 0))).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def ask(server: Any, method: str, path: str, *more: Any, **options: Any) -> Any:
    return await asyncio.to_thread(server.request, method, path, *more, **options)


async def make(server: Any, namespace: str, plural: str, name: str, **parts: Any) -> None:
    obj = {"metadata": {"name": name}, **parts}
    answer = await ask(server, "POST", f"/api/v1/namespaces/{namespace}/{plural}", obj)
    assert answer.status == 201, answer.body


async def make_pod(server: Any, namespace: str, address: str, port: int, name: str = "p") -> None:
    ports = [{"containerPort": port}]
    spec = {"containers": [{"name": "main", "image": "x", "ports": ports}]}
    await make(server, namespace, "pods", name, spec=spec)
    status = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
    assert (await ask(server, "PATCH", path, status, Content_Type=MERGE)).status == 200


async def make_service(server: Any, namespace: str, *subsets: Any, name: str = "s") -> str:
    """Its path, up to its name; it has the ports web (80) and other (81)."""
    ports = [{"name": "web", "port": 80}, {"name": "other", "port": 81}]
    await make(server, namespace, "services", name, spec={"ports": ports})
    await make(server, namespace, "endpoints", name, subsets=list(subsets))
    return f"/api/v1/namespaces/{namespace}/services/"


def subset(
    namespace: str, port: int, address: str = "127.0.0.1", pod: str = "p", **more: Any
) -> dict[str, Any]:
    ref = {"kind": "Pod", "namespace": namespace, "name": pod}
    found = [{"ip": address, "targetRef": ref}]
    return {"addresses": found, "ports": [{"name": "web", "port": port}], **more}


@pytest.fixture
async def services(server: Any, namespace: str, port: int) -> str:
    """The path of the Service ``s``, which leads to the program."""
    await make_pod(server, namespace, "127.0.0.1", port)
    return await make_service(server, namespace, subset(namespace, port))


async def test_a_request_passes_as_it_comes(server: Any, services: str) -> None:
    path = f"{services}s:80/proxy/a%20b/c/?q=1%202&q=3&x"
    acting = {"Impersonate-User": "carol", "Impersonate-Group": "system:masters"}
    headers = {"X-Mine": "1", "Connection": "X-Hop", "X-Hop": "1", **acting}
    answer = await ask(server, "POST", path, b"all of it", **headers)
    assert answer.status == 200, answer.body
    assert answer.headers["X-Told"] == "yes"
    assert "Access-Control-Allow-Origin" not in answer.headers
    told = answer.json
    assert told["method"] == "POST" and told["body"] == "all of it"
    assert told["path"] == "/a%20b/c/?q=1%202&q=3&x"
    got = {name.title(): value for name, value in told["headers"]}
    assert got["X-Mine"] == "1"
    assert got["Host"] == got["X-Forwarded-Host"] == f"127.0.0.1:{server.port}"
    assert got["X-Forwarded-Proto"] == "https"
    assert got["X-Forwarded-Uri"] == path.partition("?")[0]
    assert got["X-Forwarded-For"] == "127.0.0.1"
    # Neither who asked, nor what was meant for this connection, nor what nobody said.
    assert not {"Authorization", *acting, "X-Hop", "User-Agent", "Accept"} & set(got)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_passes(server: Any, services: str, method: str) -> None:
    answer = await ask(server, method, f"{services}s:80/proxy/x")
    assert answer.status == 200, answer.body
    assert answer.json["method"] == method


async def test_a_head_has_no_body(server: Any, services: str) -> None:
    answer = await ask(server, "HEAD", f"{services}s:80/proxy/x")
    assert (answer.status, answer.headers["X-Told"], answer.body) == (200, "yes", b"")
    assert (await ask(server, "GET", f"{services}s:80/proxy/x")).json["method"] == "GET"


async def test_the_answer_passes_as_it_comes(server: Any, services: str) -> None:
    packed = await ask(server, "GET", f"{services}s:80/proxy/packed")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == b"packed"
    refused = await ask(server, "GET", f"{services}s:80/proxy/refused")
    assert (refused.status, refused.body) == (418, b"a teapot")


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(server: Any, services: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        await ask(server, "GET", f"{services}s:80/proxy/broken")


async def test_a_port_has_a_number_and_a_name(server: Any, services: str) -> None:
    for asked in ("s:80", "s:web", "http:s:80", "http:s:web"):
        assert (await ask(server, "GET", f"{services}{asked}/proxy/x")).json["path"] == "/x"


async def test_kubectl_asks(server: Any, services: str) -> None:
    said = await asyncio.to_thread(server.kubectl, "get", "--raw", f"{services}s:80/proxy/x?y=1")
    assert json.loads(said)["path"] == "/x?y=1"


async def test_without_a_path_one_is_sent_to_its_root(server: Any, services: str) -> None:
    answer = await ask(server, "GET", f"{services}s:80/proxy?x=1")
    assert answer.status == 301
    assert answer.headers["Location"] == f"{services}s:80/proxy/?x=1"
    assert (await ask(server, "GET", f"{services}s:80/proxy/?x=1")).json["path"] == "/?x=1"


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/graph?x=1", "https://127.0.0.1:{own}{services}s:80/proxy/graph?x=1"),
        ("http://127.0.0.1:{port}/", "https://127.0.0.1:{own}{services}s:80/proxy/"),
        ("graph", "graph"),
        ("https://example.com/x", "https://example.com/x"),
    ],
    ids=["path", "address", "relative", "elsewhere"],
)
async def test_redirects_stay_behind_the_proxy(
    server: Any, services: str, port: int, to: str, location: str
) -> None:
    answer = await ask(server, "GET", f"{services}s:80/proxy/gone?to={to.format(port=port)}")
    assert answer.status == 302
    expected = location.format(own=server.port, services=services)
    assert answer.headers["Location"] == expected


async def test_who_may(server: Any, services: str, namespace: str) -> None:
    path = f"{services}s:80/proxy/x"
    refused = await ask(server, "GET", path, user="bob")
    assert refused.status == 403
    assert refused.json["message"] == (
        'services "s:80" is forbidden: User "bob" cannot get resource "services/proxy" '
        f'in API group "" in the namespace "{namespace}"'
    )
    rules = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}
    role = {"metadata": {"name": "asks"}, "rules": [rule]}
    assert (await ask(server, "POST", f"{rules}/roles", role)).status == 201
    binding = {
        "metadata": {"name": "asks"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "asks"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    }
    assert (await ask(server, "POST", f"{rules}/rolebindings", binding)).status == 201
    assert (await ask(server, "GET", path, user="bob")).status == 200
    # What is asked of the program counts as asked of the Service.
    assert (await ask(server, "POST", path, user="bob")).status == 403


async def test_only_ready_pods_of_the_namespace_are_asked(
    server: Any, namespace: str, port: int
) -> None:
    await make_pod(server, namespace, "127.0.0.1", port)
    unready = subset(namespace, port)
    unready["notReadyAddresses"] = unready.pop("addresses")
    path = await make_service(
        server,
        namespace,
        unready,
        subset("another", port),
        subset(namespace, port, pod="nobody"),
        subset(namespace, port, address="127.0.0.2"),
        {**subset(namespace, port), "addresses": [{"ip": "127.0.0.1"}]},
    )
    answer = await ask(server, "GET", f"{path}s:80/proxy/x")
    assert answer.status == 503
    assert answer.json["reason"] == "ServiceUnavailable"
    assert answer.json["message"] == 'no endpoints available for service "s:80"'


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ("none:80", 404, 'services "none" not found'),
        ("none", 404, 'services "none" not found'),
        ("s:82", 503, 'no service port 82 found for service "s"'),
        ("s:81", 503, 'no endpoints available for service "s:81"'),
        # As in Kubernetes, where a Service has names for its ports, one is to be named.
        ("s", 503, 'no endpoints available for service "s"'),
        ("ftp:s:80", 400, 'invalid service request "ftp:s:80"'),
        (":80", 400, 'invalid service request ":80"'),
        ("a:b:c:d", 400, 'invalid service request "a:b:c:d"'),
        ("empty:80", 503, 'no endpoints available for service "empty"'),
    ],
    ids=range(9),
)
async def test_what_is_not_there(
    server: Any, services: str, namespace: str, asked: str, code: int, message: str
) -> None:
    await make_service(server, namespace, name="empty")
    answer = await ask(server, "GET", f"{services}{asked}/proxy/x")
    assert (answer.status, answer.json["message"]) == (code, message)


async def test_who_does_not_answer(server: Any, namespace: str, port: int) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        await make_pod(server, namespace, "127.0.0.1", port)
        await make_pod(server, namespace, NOBODY, port, "far")
        path = await make_service(server, namespace, subset(namespace, nobody))
        far = subset(namespace, port, NOBODY, "far")
        await make_service(server, namespace, far, name="far")
        refused = await ask(server, "GET", f"{path}s:80/proxy/x")
        unreachable = await ask(server, "GET", f"{path}far:80/proxy/x")
    trouble = "error trying to reach service: dial tcp"
    for answer, why in (
        (refused, f"{trouble} 127.0.0.1:{nobody}: connect: connection refused"),
        (unreachable, f"{trouble} {NOBODY}:{port}: connect: network is unreachable"),
    ):
        assert (answer.status, answer.json["reason"]) == (503, "ServiceUnavailable")
        assert answer.json["message"] == why


async def test_an_upgrade_is_refused_in_plain_words(server: Any, services: str) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    answer = await ask(server, "GET", f"{services}s:80/proxy/x", **headers)
    assert answer.status == 400
    assert "use `serinus lab forward" in answer.json["message"]


async def test_a_pod_is_asked(server: Any, namespace: str, port: int) -> None:
    await make_pod(server, namespace, own_address(), port)
    pods = f"/api/v1/namespaces/{namespace}/pods/"
    for asked in ("p", f"p:{port}", f"http:p:{port}"):
        answer = await ask(server, "GET", f"{pods}{asked}/proxy/x?y=1")
        assert answer.status == 200, answer.body
        assert answer.json["path"] == "/x?y=1"


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ("none", 404, 'pods "none" not found'),
        ("ftp:p:80", 400, 'invalid pod request "ftp:p:80"'),
        # A pod that says it is this very machine would lead to what the machine keeps to itself.
        ("p", 400, "address not allowed"),
        ("p:web", 400, 'invalid pod request "p:web": a port is a number'),
    ],
    ids=["none", "scheme", "loopback", "name"],
)
async def test_a_pod_that_is_not_asked(
    server: Any, namespace: str, port: int, asked: str, code: int, message: str
) -> None:
    await make_pod(server, namespace, "127.0.0.1", port)
    path = f"/api/v1/namespaces/{namespace}/pods/{asked}/proxy/x"
    answer = await ask(server, "GET", path)
    assert (answer.status, answer.json["message"]) == (code, message)
