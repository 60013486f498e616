"""Asking another service to work, in JSON over HTTP, and reading what metadata say of it."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from serinus.loadtester.payload import PayloadError

ANSWER_SECONDS = 60.0
"""Longest wait for one answer."""

MOST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read."""


class Refused(Exception):
    """The service did not do it; the text says why. ``again``: asking once more may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def session(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """Connections that send ``headers`` with each request; proxies are the environment's."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    return aiohttp.ClientSession(headers=dict(headers), timeout=timeout, trust_env=True)


async def ask(
    connections: aiohttp.ClientSession,
    method: str,
    url: URL,
    form: aiohttp.MultipartWriter | None = None,
) -> dict[str, Any]:
    """The JSON object that answers a request. Raises `Refused`."""
    what = f"{method} {url}"
    try:
        async with connections.request(method, url, data=form, allow_redirects=False) as answer:
            body = await answer.content.read(MOST_ANSWER)
    except TimeoutError:
        raise Refused(f"{what}: no answer in {ANSWER_SECONDS:g}s", again=True) from None
    except (aiohttp.ClientError, OSError) as error:
        raise Refused(f"{what}: {error or type(error).__name__}", again=True) from None
    shown = body[:300].decode(errors="replace").strip()
    if answer.status // 100 != 2:
        again = answer.status == 429 or answer.status >= 500
        raise Refused(f"{what}: HTTP {answer.status}: {shown}", again=again)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused(f"{what}: no JSON object: {shown}", again=False) from None


def needed(kind: str, metadata: Mapping[str, str], name: str) -> str:
    """A value without which a task makes no sense; raises `PayloadError`."""
    if not (value := metadata.get(name, "")):
        raise PayloadError(f"`{name}` is required with type {kind}")
    return value


def address(metadata: Mapping[str, str]) -> URL:
    """The service's address, `server`; raises `PayloadError`."""
    text = metadata["server"]
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise PayloadError(f'`server` is no address: write "https://host:port/", not {text!r}')
    if url.user or url.password:
        raise PayloadError("`server` must not carry a user or a password")
    return url
