"""Alerts: from what a rollout says to the chat services, in the background."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable

import aiohttp
import msgspec
import structlog

from serinus.alerts.bursts import Repeats, following
from serinus.alerts.everyone import GlobalAlerts
from serinus.alerts.notice import Notice, Severity, admits, notice
from serinus.alerts.providers import NoReceiver, ProviderName, Providers
from serinus.alerts.receiver import Receiver
from serinus.alerts.services import REFUSALS, SERVICES
from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.credentials import NoCredentials
from serinus.delivery.address import makes_sense
from serinus.delivery.lanes import Lanes
from serinus.delivery.post import Accepted, Document, Sleep, post

TIMEOUT = 5.0
"""Seconds for one attempt, as Flagger has it."""

ATTEMPTS = 4
"""With the waits between (1, 2, 4 s) an outage of a few seconds costs no message; what waits
behind for longer is folded."""

ROOM = 1000
"""Messages that may wait for one receiver."""

log = structlog.get_logger(__name__)


class _Everyone:
    """The lane of the operator's own receiver."""

    def __str__(self) -> str:
        return "the operator's own receiver"


_EVERYONE = _Everyone()


class Alerts:
    """Sends messages about canaries. Keep `run` running in a task and `close` it at the end.

    ``cluster`` is named in each message unless empty. ``clock`` tells seconds; ``sleep`` waits
    between attempts.
    """

    def __init__(
        self,
        providers: Providers,
        everyone: GlobalAlerts | None = None,
        *,
        cluster: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Messages ``sent`` and ``refused``, and ``repeated``: not sent again."""
        self._providers = providers
        self._everyone = everyone.receiver if everyone is not None else None
        self._cluster = cluster
        self._sleep = sleep
        self._repeats = Repeats(clock)
        self._session: aiohttp.ClientSession | None = None
        self._lanes: Lanes[ProviderName | _Everyone, Notice] = Lanes(
            "alerts", self._deliver, room=ROOM, take=self._following
        )

    @property
    def dropped(self) -> int:
        """Messages that were given up, since their receiver did not take them in time."""
        return self._lanes.dropped

    @property
    def waiting(self) -> int:
        """Messages that wait, in all lanes together."""
        return self._lanes.waiting

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        """What keeps this canary's alerts from being sent, by its fields."""
        return self._providers.problems(canary)

    def send(
        self, canary: Canary, severity: Severity, message: str, described: bool = False
    ) -> None:
        """Tell the canary's alert providers, or the operator's own receiver where it names none.

        Returns at once and never fails. ``described`` adds what the rollout is.
        """
        told = notice(canary, severity, message, described=described, cluster=self._cluster)
        alerts = canary.spec.analysis.alerts
        if not alerts and self._everyone is not None:
            self._put(_EVERYONE, told)
        for alert in alerts:
            if not admits(alert.severity, severity):
                continue
            name = self._providers.named(canary, alert.provider_ref)
            if name is None:
                log.warning(
                    "alert not sent: cross-namespace references are blocked",
                    canary=told.subject,
                    alert=alert.name,
                )
                continue
            self._put(name, told)

    async def run(self) -> None:
        """Deliver what is sent, for ever."""
        # A session of its own: what waits for dead receivers must not take connections from ticks.
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await self._lanes.run()

    async def close(self, timeout: float = 5.0) -> None:
        """Let `run`, which must still be running, deliver what is left, for ``timeout`` seconds."""
        await self._lanes.close(timeout)

    def _put(self, lane: ProviderName | _Everyone, told: Notice) -> None:
        if self._repeats.is_news(lane, told):
            self._lanes.put(lane, told)
        else:
            self.counts["repeated"] += 1

    def _following(self, waiting: deque[Notice]) -> Notice:
        return following(waiting, self._cluster)

    async def _deliver(self, lane: ProviderName | _Everyone, told: Notice) -> str | None:
        try:
            receiver = await self._receiver(lane)
        except (NoReceiver, NoCredentials) as error:
            return str(error)
        assert self._session is not None
        answer = await post(
            self._session, _document(receiver, told), attempts=ATTEMPTS, sleep=self._sleep
        )
        if isinstance(answer, Accepted):
            refusal = REFUSALS.get(receiver.type, _means_yes)(answer.text)
            if refusal is None:
                self.counts["sent"] += 1
                return None
        elif answer.away:
            why = receiver.redacted(answer.why)
            return f"{receiver.shown}: giving up after {answer.attempts} attempt(s): {why}"
        else:
            refusal = answer.why
        self.counts["refused"] += 1
        log.warning(
            "alert refused",
            to=str(lane),
            canary=told.subject,
            address=receiver.shown,
            why=receiver.redacted(refusal),
        )
        return None

    async def _receiver(self, lane: ProviderName | _Everyone) -> Receiver:
        if isinstance(lane, ProviderName):
            return await self._providers.receiver(lane)
        if self._everyone is None:
            raise NoReceiver("the operator has no receiver of its own")
        if not makes_sense(self._everyone.address):
            raise NoReceiver(f"-{self._everyone.type}-url must be an http or https URL")
        return self._everyone


def _means_yes(_: str) -> None:
    return None


def _document(receiver: Receiver, told: Notice) -> Document:
    request = SERVICES[receiver.type](receiver, told)
    return Document(
        request.url,
        msgspec.json.encode(request.body),
        receiver.shown,
        TIMEOUT,
        299,
        request.headers,
        receiver.proxy or None,
        exact=True,
    )
