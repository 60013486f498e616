"""One JSON document to somebody's HTTP service, and what to make of the answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

LONGEST_WAIT = 30.0
"""Seconds between two attempts at the most, even when the service's Retry-After asks for more:
somebody waits meanwhile, or a queue grows."""

LONGEST_TEXT = 512
"""Characters of an answer that are kept; an Event's message may have 1024."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Document:
    """What is sent where. ``shown`` is how the address may be told: without what is secret in it.

    ``timeout`` is for each attempt, in seconds. ``highest`` is the highest status that means yes.
    ``exact`` sends the address as it is written: a signature in it may cover how it is quoted.
    """

    url: str = field(repr=False)
    body: bytes
    shown: str
    timeout: float
    highest: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str | None = field(default=None, repr=False)
    verify: bool = True
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service said yes; ``text`` is the beginning of what else it said."""

    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The last attempt failed; ``attempts`` tells how many there were.

    ``away`` tells that nobody is there to judge the document: no connection, no answer in time,
    429, and 5xx but 501. ``wait`` is what Retry-After asked for, in seconds.
    """

    why: str
    away: bool
    wait: float | None = None
    attempts: int = 1


async def post(
    session: aiohttp.ClientSession,
    document: Document,
    *,
    attempts: int = 1,
    sleep: Sleep = asyncio.sleep,
) -> Accepted | Refused:
    """Send the document, up to ``attempts`` times while nobody is there to judge it.

    The waits between are 1, 2, 4 ... seconds. Not tried again: any other answer, a certificate
    that is not trusted, an address that makes no sense.
    """
    attempt = 1
    while True:
        answer = await _attempt(session, document)
        if isinstance(answer, Accepted):
            return answer
        if not answer.away or attempt >= attempts:
            return Refused(answer.why, answer.away, answer.wait, attempt)
        wait = 2.0 ** min(attempt - 1, 10) if answer.wait is None else answer.wait
        await sleep(min(LONGEST_WAIT, wait))
        attempt += 1


async def _attempt(session: aiohttp.ClientSession, document: Document) -> Accepted | Refused:
    shown = document.shown
    try:
        async with session.post(
            URL(document.url, encoded=True) if document.exact else document.url,
            data=document.body,
            headers={"Content-Type": "application/json", **document.headers},
            timeout=aiohttp.ClientTimeout(total=document.timeout),
            ssl=document.verify,
            proxy=document.proxy,
        ) as answer:
            text = (await answer.content.read(4 * LONGEST_TEXT)).decode(errors="replace").strip()
            text = text[:LONGEST_TEXT]
            if answer.status <= document.highest:
                return Accepted(text)
            return _refusal(answer, text, shown)
    except TimeoutError:
        return Refused(f"no answer in {document.timeout:g}s", away=True)
    except aiohttp.ClientConnectorCertificateError as error:
        reason = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return Refused(f"POST {shown}: the certificate is not trusted: {reason}", away=False)
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
        return Refused(
            f"POST {shown}: not an address that can be called ({type(error).__name__});"
            ' write for example "http://flagger-loadtester.test/"',
            away=False,
        )
    except aiohttp.TooManyRedirects:
        return Refused(f"POST {shown} was redirected too often", away=False)
    except aiohttp.ClientResponseError as error:
        # Only a proxy's refusal is raised. Its text would show the proxy's address whole.
        return Refused(f"the proxy answered with HTTP {error.status}", away=True)
    except (aiohttp.ClientError, OSError) as error:
        return Refused(str(error) or type(error).__name__, away=True)


def _refusal(answer: aiohttp.ClientResponse, text: str, shown: str) -> Refused:
    status = answer.status
    if status == 429 or (status >= 500 and status != 501):
        words = f"HTTP {status}: {text}" if text else f"HTTP {status}"
        after = answer.headers.get("Retry-After", "") if status in (429, 503) else ""
        return Refused(words, away=True, wait=float(after) if after.isdecimal() else None)
    return Refused(text or f"POST {shown} was answered with HTTP {status}", away=False)
