"""Webhook calls against a real HTTP server."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serinus.api.canary import Webhook
from serinus.delivery.post import LONGEST_TEXT
from serinus.rollout.effects import Done, Failed
from serinus.webhooks.call import Payload, call

PAYLOAD = Payload("podinfo", "test", "Progressing", "85d557f47b", {"k": "v"})


class Service:
    """Answers what the test lays out, the last of it for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Callable[[], web.Response]] = [web.Response]
        self.bodies: list[tuple[str, str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.bodies.append(
            (
                request.method,
                request.headers.get("Content-Type", ""),
                msgspec.json.decode(text) if text else None,
            )
        )
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()

    def says(self, *answers: tuple[int, str] | tuple[int, str, dict[str, str]]) -> None:
        def respond(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
            return web.Response(status=status, text=text, headers=headers)

        self.answers = [lambda a=answer: respond(*a) for answer in answers]  # type: ignore[misc]


class Sleeps:
    """Instead of waiting, remembers for how long."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/gate"
    yield service
    await runner.cleanup()


def hook(url: str, **fields: Any) -> Webhook:
    return Webhook(name="gate", url=url, **fields)


async def test_the_payload(session: aiohttp.ClientSession, service: Service) -> None:
    assert await call(session, hook(service.url), PAYLOAD) == Done()
    bare = Payload("podinfo", "test", "Progressing", "85d557f47b")
    assert await call(session, hook(service.url), bare) == Done()
    common = {
        "name": "podinfo",
        "namespace": "test",
        "phase": "Progressing",
        "checksum": "85d557f47b",
    }
    assert service.bodies == [
        ("POST", "application/json", {**common, "metadata": {"k": "v"}}),
        ("POST", "application/json", common),
    ]


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_yes(session: aiohttp.ClientSession, service: Service, status: int) -> None:
    service.says((status, "whatever"))
    assert await call(session, hook(service.url), PAYLOAD) == Done()


@pytest.mark.parametrize("status", [203, 206, 400, 403, 404, 501])
async def test_no_is_said_once(
    session: aiohttp.ClientSession, service: Service, status: int
) -> None:
    service.says((status, "gate is closed\n"))
    sleeps = Sleeps()
    answer = await call(session, hook(service.url, retries=3), PAYLOAD, sleep=sleeps)
    assert answer == Failed("gate is closed")
    assert len(service.bodies) == 1 and not sleeps.waits


async def test_an_answer_without_words(session: aiohttp.ClientSession, service: Service) -> None:
    service.says((403, ""))
    answer = await call(session, hook(service.url), PAYLOAD)
    assert answer == Failed(f"POST {service.url} was answered with HTTP 403")
    service.says((403, "x" * 100_000))
    assert await call(session, hook(service.url), PAYLOAD) == Failed("x" * LONGEST_TEXT)


async def test_it_tries_again(session: aiohttp.ClientSession, service: Service) -> None:
    service.says((500, "a"), (429, "b", {"Retry-After": "7"}), (503, "", {"Retry-After": "3600"}))
    service.answers.append(web.Response)
    sleeps = Sleeps()
    assert await call(session, hook(service.url, retries=3), PAYLOAD, sleep=sleeps) == Done()
    assert sleeps.waits == [1, 7, 30]
    assert len(service.bodies) == 4


async def test_it_gives_up(session: aiohttp.ClientSession, service: Service) -> None:
    service.says((502, "no backend"))
    sleeps = Sleeps()
    answer = await call(session, hook(service.url, retries=6), PAYLOAD, sleep=sleeps)
    assert answer == Failed(
        f"POST {service.url} giving up after 7 attempt(s): HTTP 502: no backend"
    )
    assert sleeps.waits == [1, 2, 4, 8, 16, 30]


async def test_redirects_are_followed(session: aiohttp.ClientSession, service: Service) -> None:
    service.says((307, "", {"Location": "/elsewhere"}), (200, ""))
    assert await call(session, hook(service.url), PAYLOAD) == Done()
    assert [body[0] for body in service.bodies] == ["POST", "POST"]


async def test_nobody_there(session: aiohttp.ClientSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        answer = await call(session, hook(url, timeout="100ms"), PAYLOAD)
        assert answer == Failed(f"POST {url} giving up after 1 attempt(s): no answer in 0.1s")
    answer = await call(session, hook(url, retries=1), PAYLOAD, sleep=Sleeps())
    assert isinstance(answer, Failed)
    assert answer.why.startswith(f"POST {url} giving up after 2 attempt(s): Cannot connect")


@pytest.mark.parametrize("url", ["ftp://host/", "podinfo", "http://[", ""])
async def test_no_address(session: aiohttp.ClientSession, url: str) -> None:
    answer = await call(session, hook(url, retries=3), PAYLOAD, sleep=Sleeps())
    assert isinstance(answer, Failed)
    assert answer.why.startswith(f"POST {url}: not an address that can be called")


async def test_passwords_are_not_told(session: aiohttp.ClientSession, service: Service) -> None:
    service.says((500, "no"))
    url = service.url.replace("//", "//user:secret@")
    answer = await call(session, hook(url), PAYLOAD)
    assert answer == Failed(f"POST {service.url} giving up after 1 attempt(s): HTTP 500: no")


async def test_an_untrusted_certificate(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    service = Service()
    app = web.Application()
    app.router.add_post("/", service.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        sleeps = Sleeps()
        answer = await call(session, hook(url, retries=3), PAYLOAD, sleep=sleeps)
        assert isinstance(answer, Failed)
        assert answer.why.startswith(f"POST {url}: the certificate is not trusted: self")
        assert not sleeps.waits
        assert await call(session, hook(url, disable_tls=True), PAYLOAD) == Done()
    finally:
        await runner.cleanup()
