"""Canaries that are due together ask Prometheus together.

A thousand canaries of two metrics each would send 2,000 queries per interval; those that share
metric, window and mesh differ in one label only, so what is asked within a moment is asked once.
"""

import asyncio
from collections.abc import Callable

from serinus.analysis.verdict import Measurement
from serinus.metrics.builtin import BuiltinQuery, Name, measure_all
from serinus.metrics.counting import Scope
from serinus.metrics.presence import obstacle
from serinus.metrics.prometheus import Prometheus
from serinus.metrics.signals import World

MOMENT = 0.05
"""Seconds that whoever asks waits for others."""

MOMENTS = 10
"""How often the wait begins anew because somebody came: a hundred canaries that are due at the
same time come one after the other, as their hooks answer."""

MOST = 200
"""Canaries in one question: a label's alternatives make a regular expression that Prometheus
has to try on every value of the label."""

GOOD_FOR = 1.0
"""Seconds for which nobody asks again whether a mesh has series, once it has."""

_Subject = tuple[str, Name, Scope]


class Batch:
    """Gathers questions. ``prometheus`` gives the server at an address."""

    def __init__(
        self,
        prometheus: Callable[[str], Prometheus],
        moment: float = MOMENT,
        good_for: float = GOOD_FOR,
    ) -> None:
        self._prometheus = prometheus
        self._moment, self._good_for = moment, good_for
        self._asked: dict[_Subject, dict[BuiltinQuery, asyncio.Future[Measurement]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._obstacles: dict[tuple[str, World, str], asyncio.Task[str | None]] = {}

    async def measure(self, address: str, query: BuiltinQuery) -> Measurement:
        """The same answer as `measure` gives for this canary alone."""
        subject = (address, query.name, query.scope)
        together = self._asked.get(subject)
        if together is None:
            together = self._asked[subject] = {}
            task = asyncio.create_task(self._ask(subject))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        answer = together.get(query)
        if answer is None:
            answer = together[query] = asyncio.get_running_loop().create_future()
        # Shielded: whoever shares the question must not lose it with one tick that is cancelled.
        return await asyncio.shield(answer)

    async def check(self, address: str, world: World, mesh: str) -> str | None:
        """Why the built-in checks of no canary there can be answered; None when nothing is known
        to be in the way."""
        key = (address, world, mesh)
        asked = self._obstacles.get(key)
        if asked is None:
            question = obstacle(self._prometheus(address), world, mesh)
            asked = self._obstacles[key] = asyncio.create_task(question)
            asked.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(asked)

    def _keep(self, key: tuple[str, World, str], done: asyncio.Task[str | None]) -> None:
        good = not done.cancelled() and done.exception() is None and done.result() is None
        delay = self._good_for if good else 0.0
        asyncio.get_running_loop().call_later(delay, self._obstacles.pop, key, None)

    async def _ask(self, subject: _Subject) -> None:
        together = self._asked[subject]
        for _ in range(MOMENTS):
            came = len(together)
            await asyncio.sleep(self._moment)
            if len(together) == came:
                break
        del self._asked[subject]
        queries = list(together)
        for start in range(0, len(queries), MOST):
            some = queries[start : start + MOST]
            try:
                measured = await measure_all(self._prometheus(subject[0]), some)
            except Exception as error:  # noqa: BLE001 (handed to everyone who asked)
                for query in some:
                    _settle(together[query], error)
            else:
                for query in some:
                    _settle(together[query], measured[query])


def _settle(answer: asyncio.Future[Measurement], outcome: Measurement | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
