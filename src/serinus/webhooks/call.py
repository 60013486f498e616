"""Calling a canary's webhook, as Flagger calls it.

One difference: after the last attempt of a failing service Flagger's error says only that it gave
up; here it also says what the service answered.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from serinus.api.canary import Webhook
from serinus.delivery.address import without_secrets
from serinus.delivery.post import Accepted, Document, Refused, Sleep, post
from serinus.rollout.effects import Done, Failed

HIGHEST_SUCCESS = 202
"""203 to 206 count as failures, whatever Flagger's documentation says."""


class Payload(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a webhook is told. ``metadata`` is left out when empty."""

    name: str
    namespace: str
    phase: str
    checksum: str
    metadata: Mapping[str, str] = {}


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
    refused = await deliver(session, hook, payload, without_secrets(hook.url), sleep=sleep)
    return Done() if refused is None else Failed(refused.why)


async def deliver(
    session: aiohttp.ClientSession,
    hook: Webhook,
    payload: Payload | Mapping[str, Any],
    shown: str,
    *,
    sleep: Sleep = asyncio.sleep,
) -> Refused | None:
    """As `call`; None says that it was delivered. ``shown`` is how the address may be told."""
    document = Document(
        hook.url,
        msgspec.json.encode(payload),
        shown,
        hook.timeout_seconds,
        HIGHEST_SUCCESS,
        verify=not hook.disable_tls,
    )
    answer = await post(session, document, attempts=1 + max(0, hook.retries), sleep=sleep)
    if isinstance(answer, Accepted):
        return None
    if not answer.away:
        return answer
    why = f"giving up after {answer.attempts} attempt(s): {answer.why}"
    return Refused(f"POST {shown} {why}", away=True)
