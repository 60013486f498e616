"""Canaries that are due together ask Prometheus together.

A thousand canaries of two metrics each would send 2,000 queries per interval; those that share
metric, window and mesh differ in one label only, so what is asked within a moment is asked once.
"""

import asyncio
from collections.abc import Callable

from serinus.analysis.verdict import Measurement
from serinus.metrics.builtin import BuiltinQuery, Name, measure_all
from serinus.metrics.counting import Scope
from serinus.metrics.prometheus import Prometheus

MOMENT = 0.05
"""Seconds that whoever asks waits for others."""

MOMENTS = 10
"""How often the wait begins anew because somebody came: a hundred canaries that are due at the
same time come one after the other, as their hooks answer."""

MOST = 200
"""Canaries in one question: a label's alternatives make a regular expression that Prometheus
has to try on every value of the label."""

_Subject = tuple[str, Name, Scope]


class Batch:
    """Gathers questions. ``prometheus`` gives the server at an address."""

    def __init__(self, prometheus: Callable[[str], Prometheus], moment: float = MOMENT) -> None:
        self._prometheus = prometheus
        self._moment = moment
        self._asked: dict[_Subject, dict[BuiltinQuery, asyncio.Future[Measurement]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
