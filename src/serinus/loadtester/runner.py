"""The tasks that run now."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge

from serinus.loadtester.logs import LOG
from serinus.loadtester.task import Task
from serinus.loadtester.work import Result

COMMANDS = frozenset({"cmd", "bash", "helm", "helmv3", "kubectl"})


class Busy(Exception):
    """No task can be started now; the text says why."""


class Runner:
    """Runs tasks, at most ``tasks`` at a time, each for ``timeout`` seconds at most.

    A background task of the same canary and text as one that runs is not started again: a
    rollout hook asks for the same load at every step, and one load at a time is what was meant.
    """

    def __init__(self, timeout: float, tasks: int, registry: CollectorRegistry) -> None:
        self._timeout = timeout
        self._most = tasks
        self._running: set[asyncio.Task[Result]] = set()
        self._background: dict[tuple[str, str, str], asyncio.Task[Result]] = {}
        self._ending = False
        self._started = Counter(
            "serinus_loadtester_tasks_started",
            "Tasks that have been started, by type.",
            ["type"],
            registry=registry,
        )
        self._ended = Counter(
            "serinus_loadtester_tasks",
            "Tasks that have ended, by type and result.",
            ["type", "result"],
            registry=registry,
        )
        self._refused = Counter(
            "serinus_loadtester_tasks_refused",
            "Tasks that were not started because as many ran as may, by type.",
            ["type"],
            registry=registry,
        )
        self._now = Gauge(
            "serinus_loadtester_tasks_running",
            "Tasks that run now, by type.",
            ["type"],
            registry=registry,
        )

    def start(self, task: Task) -> None:
        """Run ``task`` in the background, unless the same one runs already. Raises `Busy`."""
        key = (task.canary, task.kind, task.text)
        if key in self._background:
            LOG.debug("runs already: %s", task.text, extra={"fields": {"canary": task.canary}})
            return
        started = self._start(task)
        self._background[key] = started
        started.add_done_callback(lambda _: self._background.pop(key))

    async def finish(self, task: Task) -> Result:
        """Run ``task`` to its end, even when the caller does not wait so long. Raises `Busy`."""
        return await asyncio.shield(self._start(task))

    async def close(self) -> None:
        """End every task and all that it has started, and take no more."""
        self._ending = True
        for started in self._running:
            started.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, task: Task) -> asyncio.Task[Result]:
        if self._ending or len(self._running) >= self._most:
            self._refused.labels(task.kind).inc()
            if self._ending:
                raise Busy("this load tester is ending; try again later")
            raise Busy(f"{self._most} tasks run already (-max-tasks); try again later")
        started = asyncio.create_task(self._run(task))
        self._running.add(started)
        started.add_done_callback(self._running.discard)
        return started

    async def _run(self, task: Task) -> Result:
        fields = {"canary": task.canary, "type": task.kind}
        noun = _noun(task)
        LOG.info("%s starts: %s", noun, task.text, extra={"fields": fields})
        self._started.labels(task.kind).inc()
        with self._now.labels(task.kind).track_inprogress():
            result = await task.work.run(self._timeout)
        self._ended.labels(task.kind, "failed" if result.error else "succeeded").inc()
        if result.error:
            LOG.error("%s", failure(task, result), extra={"fields": fields})
            return result
        if task.log_output:
            fields["output"] = result.words
        LOG.info("%s finished: %s", noun, task.text, extra={"fields": fields})
        return result


def failure(task: Task, result: Result) -> str:
    """Flagger's sentence about a command that failed, and one like it about other tasks."""
    said = f"{result.words}: " if result.words else ""
    return f"{_noun(task)} {task.text} failed: {said}{result.error}"


def _noun(task: Task) -> str:
    return "command" if task.kind in COMMANDS else f"{task.kind} task"
