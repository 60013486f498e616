"""Requests and refusals, against a real HTTP server."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from cluster.scripted_api import Api, scripted_api, status
from serinus.cluster import errors
from serinus.cluster.client import AT_ONCE, ATTEMPTS, Client, PatchKind
from serinus.cluster.connection import Connection
from serinus.cluster.kinds import CANARIES, DEPLOYMENTS, NAMESPACES, SERVICES


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with scripted_api() as server:
        yield server


def refuse(body: object, code: int, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=code, headers=named)


def test_paths() -> None:
    assert DEPLOYMENTS.path("test", "podinfo", "scale") == (
        "/apis/apps/v1/namespaces/test/deployments/podinfo/scale"
    )
    assert SERVICES.path() == "/api/v1/services"
    assert NAMESPACES.path(name="test") == "/api/v1/namespaces/test"
    assert CANARIES.api_version == "flagger.app/v1beta1"
    assert SERVICES.api_version == "v1"
    assert SERVICES.path("a/b", "c?d") == "/api/v1/namespaces/a%2Fb/services/c%3Fd"
    with pytest.raises(ValueError, match="cluster-scoped"):
        NAMESPACES.path("test", "x")
    with pytest.raises(ValueError, match="namespace of Service x is missing"):
        SERVICES.path(name="x")


async def test_writes(api: Api) -> None:
    client = api.client
    await client.create(SERVICES, "test", {"kind": "Service"}, {"dryRun": "All"})
    await client.patch(SERVICES, "test", "a", {"spec": {}}, field_manager="other")
    await client.patch(SERVICES, "test", "a", b"[]", PatchKind.JSON)
    await client.patch(CANARIES, "test", "a", {}, PatchKind.APPLY, subresource="status", force=True)
    await client.replace(CANARIES, "test", "a", {}, subresource="status")
    await client.delete(SERVICES, "test", "a", "Background", resource_version="7", uid="u")
    base = "/api/v1/namespaces/test/services"
    canary = "/apis/flagger.app/v1beta1/namespaces/test/canaries/a/status"
    assert api.requests == [
        (
            "POST",
            base,
            {"fieldManager": "serinus", "dryRun": "All"},
            "application/json",
            {"kind": "Service"},
        ),
        (
            "PATCH",
            f"{base}/a",
            {"fieldManager": "other"},
            "application/merge-patch+json",
            {"spec": {}},
        ),
        ("PATCH", f"{base}/a", {"fieldManager": "serinus"}, "application/json-patch+json", []),
        (
            "PATCH",
            canary,
            {"fieldManager": "serinus", "force": "true"},
            "application/apply-patch+yaml",
            {},
        ),
        ("PUT", canary, {"fieldManager": "serinus"}, "application/json", {}),
        (
            "DELETE",
            f"{base}/a",
            {},
            "application/json",
            {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "propagationPolicy": "Background",
                "preconditions": {"resourceVersion": "7", "uid": "u"},
            },
        ),
    ]


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.BadRequest),
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (500, "InternalError", errors.ServerError),
    ],
)
async def test_refusals(api: Api, code: int, reason: str, expected: type[errors.ApiError]) -> None:
    causes = [{"field": "spec.x", "message": "must not be"}]
    api.answers = [refuse(status(code, reason, "the words", causes=causes), code)]
    with pytest.raises(errors.ApiError, match=r"^the words$") as caught:
        await api.client.get(SERVICES, "test", "a")
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.reason) == (code, reason)
    assert caught.value.causes == [("spec.x", "must not be")]


async def test_a_refusal_without_status(api: Api) -> None:
    api.answers = [web.Response(status=502, text="<h1>Bad gateway</h1>")]
    with pytest.raises(errors.ServerError, match=r"GET /api/v1/services .*502: <h1>Bad"):
        await api.client.list(SERVICES)


async def test_retry_after_is_honoured_so_often(api: Api) -> None:
    busy = status(429, "TooManyRequests", "busy")
    api.answers = [refuse(busy, 429, Retry_After="0") for _ in range(ATTEMPTS - 1)]
    await api.client.create(SERVICES, "test", {})
    assert len(api.requests) == ATTEMPTS
    api.answers = [refuse(busy, 429, Retry_After="0") for _ in range(ATTEMPTS + 1)]
    with pytest.raises(errors.TooManyRequests):
        await api.client.list(SERVICES)
    assert len(api.answers) == 1


async def test_what_may_have_been_done_is_not_repeated(api: Api) -> None:
    away = status(503, "ServiceUnavailable", "away")
    api.answers = [refuse(away, 503, Retry_After="0")]
    with pytest.raises(errors.ServerError):
        await api.client.create(SERVICES, "test", {})
    api.answers = [refuse(away, 503, Retry_After="0")]
    await api.client.list(SERVICES)
    for header in ("3600", "Fri, 31 Dec 1999 23:59:59 GMT"):
        api.answers = [refuse(away, 503, Retry_After=header)]
        with pytest.raises(errors.ServerError):
            await api.client.list(SERVICES)


async def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with Client(Connection(f"http://127.0.0.1:{port}")) as client:
            with pytest.raises(errors.Unreachable, match="GET /api/v1/services at http://127"):
                await client.list(SERVICES)


async def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with Client(Connection(server), timeout=0.1) as client:
            with pytest.raises(errors.Unreachable, match="did not answer"):
                await client.list(SERVICES)


async def test_credentials_are_asked_for_each_request(api: Api) -> None:
    seen: list[str] = []

    async def look(request: web.Request) -> None:
        seen.append(request.headers["Authorization"])

    tokens = iter(["Bearer one", "Bearer two"])

    async def headers() -> dict[str, str]:
        return {"Authorization": next(tokens)}

    api.on_request = look
    async with Client(Connection(api.client.connection.server, headers=headers)) as client:
        await client.list(SERVICES)
        await client.list(SERVICES)
    assert seen == ["Bearer one", "Bearer two"]


async def test_a_failure_of_the_reader_is_its_own(api: Api) -> None:
    with pytest.raises(BrokenPipeError):
        async with api.client.stream(
            SERVICES.path(), {"watch": "true", "resourceVersion": "1"}
        ) as lines:
            watch = await api.watches.get()
            await watch.raw(b"one\ntwo\n")
            async for line in lines:
                assert line == b"one"
                raise BrokenPipeError


async def test_one_that_may_not_write_sends_nothing(api: Api) -> None:
    leads = True
    client = Client(api.client.connection, may_write=lambda: leads)
    await client.patch(SERVICES, "test", "a", {})

    async def lose(_: web.Request) -> None:
        nonlocal leads
        leads = False

    api.on_request, api.answers = lose, [refuse({}, 429, Retry_After="0")]
    with pytest.raises(errors.NotLeading, match="does not lead"):
        await client.patch(SERVICES, "test", "a", {})
    with pytest.raises(errors.NotLeading):
        await client.delete(SERVICES, "test", "a")
    assert [method for method, *_ in api.requests] == ["PATCH", "PATCH"], "no second attempt"
    await client.get(SERVICES, "test", "a")
    await client.close()


async def test_so_many_at_once_and_the_rest_in_turn(api: Api) -> None:
    """What waits for its turn is asked again whether it may write, when that comes."""
    leads, under_way, most = True, 0, 0
    full, go = asyncio.Event(), asyncio.Event()

    async def hold(_: web.Request) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == AT_ONCE:
            full.set()
        await go.wait()
        under_way -= 1

    api.on_request = hold
    client = Client(api.client.connection, may_write=lambda: leads)
    writes = [
        asyncio.create_task(client.patch(SERVICES, "test", "a", {})) for _ in range(AT_ONCE + 5)
    ]
    await full.wait()
    leads = False
    go.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    await client.close()
    assert most == AT_ONCE
    assert sum(isinstance(one, errors.NotLeading) for one in outcomes) == 5
