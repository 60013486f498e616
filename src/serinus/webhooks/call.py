"""Calling a canary's webhook, as Flagger calls it.

One difference: after the last attempt of a failing service Flagger's error says only that it gave
up; here it also says what the service answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from serinus.api.canary import Webhook
from serinus.rollout.effects import Done, Failed

HIGHEST_SUCCESS = 202
"""203 to 206 count as failures, whatever Flagger's documentation says."""

LONGEST_WAIT = 30.0
"""Seconds between two attempts at the most, even when the service's Retry-After asks for more: a
rollout waits meanwhile."""

LONGEST_TEXT = 512
"""Characters of an answer that go into the reason; an Event's message may have 1024."""

Sleep = Callable[[float], Awaitable[None]]


class Payload(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a webhook is told. ``metadata`` is left out when empty."""

    name: str
    namespace: str
    phase: str
    checksum: str
    metadata: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Refused:
    """An attempt that failed; ``wait`` is what Retry-After asked for."""

    why: str
    again: bool
    wait: float | None = None


async def call(
    session: aiohttp.ClientSession,
    hook: Webhook,
    payload: Payload | Mapping[str, Any],
    *,
    sleep: Sleep = asyncio.sleep,
) -> Done | Failed:
    """POST ``payload`` to the hook, up to ``hook.retries`` times again.

    Tried again after 1, 2, 4 ... seconds: no connection, no answer in the hook's timeout (which is
    for each attempt), 429, and 5xx but 501. Not again: any other answer, a certificate that is not
    trusted, an URL that makes no sense. `Failed.why` is the service's own words where it gave any.
    """
    body = msgspec.json.encode(payload)
    attempts = 1 + max(0, hook.retries)
    attempt = 1
    while True:
        refused = await _attempt(session, hook, body)
        if refused is None:
            return Done()
        if not refused.again:
            return Failed(refused.why)
        if attempt == attempts:
            why = f"giving up after {attempts} attempt(s): {refused.why}"
            return Failed(f"POST {_shown(hook.url)} {why}")
        wait = 2.0 ** min(attempt - 1, 10) if refused.wait is None else refused.wait
        await sleep(min(LONGEST_WAIT, wait))
        attempt += 1


async def _attempt(session: aiohttp.ClientSession, hook: Webhook, body: bytes) -> _Refused | None:
    url = _shown(hook.url)
    try:
        async with session.post(
            hook.url,
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=hook.timeout_seconds),
            ssl=not hook.disable_tls,
        ) as answer:
            if answer.status <= HIGHEST_SUCCESS:
                return None
            text = (await answer.content.read(4 * LONGEST_TEXT)).decode(errors="replace").strip()
            return _refusal(answer, text[:LONGEST_TEXT], url)
    except TimeoutError:
        return _Refused(f"no answer in {hook.timeout_seconds:g}s", again=True)
    except aiohttp.ClientConnectorCertificateError as error:
        reason = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return _Refused(f"POST {url}: the certificate is not trusted: {reason}", again=False)
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
        return _Refused(
            f"POST {url}: not an address that can be called ({type(error).__name__});"
            ' write for example "http://flagger-loadtester.test/"',
            again=False,
        )
    except aiohttp.TooManyRedirects:
        return _Refused(f"POST {url} was redirected too often", again=False)
    except (aiohttp.ClientError, OSError) as error:
        return _Refused(str(error) or type(error).__name__, again=True)


def _refusal(answer: aiohttp.ClientResponse, text: str, url: str) -> _Refused:
    status = answer.status
    if status == 429 or (status >= 500 and status != 501):
        words = f"HTTP {status}: {text}" if text else f"HTTP {status}"
        after = answer.headers.get("Retry-After", "") if status in (429, 503) else ""
        return _Refused(words, again=True, wait=float(after) if after.isdecimal() else None)
    return _Refused(text or f"POST {url} was answered with HTTP {status}", again=False)


def _shown(url: str) -> str:
    """The URL without the user and password it may carry."""
    try:
        parsed = URL(url)
        return str(parsed.with_user(None)) if parsed.user else url
    except ValueError:
        return url
