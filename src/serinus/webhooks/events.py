"""Event webhooks: told each event of a canary, in order, and never waited for."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import structlog

from serinus.api.canary import Canary, Webhook
from serinus.cluster.events import EventType
from serinus.delivery.address import origin, redacted
from serinus.delivery.lanes import Lanes
from serinus.delivery.post import Sleep
from serinus.webhooks.call import Payload, deliver

ROOM = 100
"""Events that may wait for one hook of one canary."""

AT_ONCE = 16
"""Calls under way to one host: events of a thousand canaries must not be a thousand connections."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Lane:
    """One hook of one canary."""

    canary: str
    name: str
    url: str = field(repr=False)

    def __str__(self) -> str:
        # The path may be a secret: receivers of events are chat services, too.
        return f"webhook {self.name} of {self.canary} at {origin(self.url)}"


@dataclass(frozen=True, slots=True)
class _Call:
    hook: Webhook
    payload: Payload


class EventHooks:
    """Tells the event webhooks. Keep `run` running in a task and `close` it at the end.

    ``default`` is the address (-event-webhook) for canaries that have no hook of type event;
    empty for none. ``clock`` tells seconds since 1970.
    """

    def __init__(
        self,
        default: str = "",
        *,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._default = (Webhook(name="events", url=default, type="event"),) if default else ()
        self._clock = clock
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE)
        )
        self._lanes: Lanes[_Lane, _Call] = Lanes("events for a webhook", self._deliver, room=ROOM)

    @property
    def dropped(self) -> int:
        """Events that were given up, since their webhook did not take them in time."""
        return self._lanes.dropped

    def tell(self, canary: Canary, type: EventType, message: str) -> None:
        """Have the canary's event webhooks told; returns at once and never fails."""
        hooks = [hook for hook in canary.spec.analysis.webhooks if hook.kind == "event"]
        event = {
            "eventMessage": message,
            "eventType": type,
            "timestamp": str(int(self._clock() * 1000)),
        }
        for hook in hooks or self._default:
            payload = Payload(
                canary.name,
                canary.namespace,
                canary.status.phase,
                canary.status.last_applied_spec,
                {**hook.metadata, **event},
            )
            lane = _Lane(f"{canary.name}.{canary.namespace}", hook.name, hook.url)
            self._lanes.put(lane, _Call(hook, payload))

    async def run(self) -> None:
        """Deliver what is told, for ever."""
        # A session of its own: what waits for a dead hook must not take connections from ticks.
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await self._lanes.run()

    async def close(self, timeout: float = 5.0) -> None:
        """Let `run`, which must still be running, deliver what is left, for ``timeout`` seconds."""
        await self._lanes.close(timeout)

    async def _deliver(self, lane: _Lane, call: _Call) -> str | None:
        assert self._session is not None
        shown = origin(lane.url)
        async with self._turns[shown]:
            refused = await deliver(
                self._session, call.hook, call.payload, shown, sleep=self._sleep
            )
        if refused is None:
            return None
        why = redacted(refused.why, lane.url)
        if refused.away:
            return why
        log.warning("event refused by a webhook", to=str(lane), why=why)
        return None
