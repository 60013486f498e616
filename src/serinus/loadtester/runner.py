"""The tasks that run now."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge

from serinus.loadtester.command import Result, run
from serinus.loadtester.logs import LOG
from serinus.loadtester.payload import Task


class Busy(Exception):
    """As many tasks run as may; the text says how many."""


class Runner:
    """Runs tasks, at most ``tasks`` at a time, each for ``timeout`` seconds at most.

    A background task of the same canary and command as one that runs is not started again: a
    rollout hook asks for the same load at every step, and one load at a time is what was meant.
    """

    def __init__(self, timeout: float, tasks: int, registry: CollectorRegistry) -> None:
        self._timeout = timeout
        self._most = tasks
        self._running: set[asyncio.Task[Result]] = set()
        self._background: dict[tuple[str, str], asyncio.Task[Result]] = {}
        self._ended = Counter(
            "serinus_loadtester_tasks",
            "Tasks that have ended, by type and result.",
            ["type", "result"],
            registry=registry,
        )
        Gauge(
            "serinus_loadtester_tasks_running", "Tasks that run now.", registry=registry
        ).set_function(lambda: len(self._running))

    def start(self, task: Task) -> None:
        """Run ``task`` in the background, unless the same one runs already. Raises `Busy`."""
        key = (task.canary, task.command)
        if key in self._background:
            LOG.debug(
                "command runs already: %s", task.command, extra={"fields": {"canary": task.canary}}
            )
            return
        started = self._start(task)
        self._background[key] = started
        started.add_done_callback(lambda _: self._background.pop(key))

    async def finish(self, task: Task) -> Result:
        """Run ``task`` to its end, even when the caller does not wait so long. Raises `Busy`."""
        return await asyncio.shield(self._start(task))

    async def close(self) -> None:
        """End every task and all that it has started."""
        for started in self._running:
            started.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, task: Task) -> asyncio.Task[Result]:
        if len(self._running) >= self._most:
            raise Busy(f"{self._most} tasks run already (-max-tasks); try again later")
        started = asyncio.create_task(self._run(task))
        self._running.add(started)
        started.add_done_callback(self._running.discard)
        return started

    async def _run(self, task: Task) -> Result:
        fields = {"canary": task.canary, "type": task.kind}
        LOG.info("command starts: %s", task.command, extra={"fields": fields})
        try:
            result = await run(task.shell, task.command, self._timeout)
        except OSError as error:
            result = Result("", "", f"cannot start {task.shell}: {error.strerror}")
        self._ended.labels(task.kind, "failed" if result.error else "succeeded").inc()
        if result.error:
            LOG.error("%s", failure(task, result), extra={"fields": fields})
            return result
        if task.log_output:
            fields["output"] = result.words
        LOG.info("command finished: %s", task.command, extra={"fields": fields})
        return result


def failure(task: Task, result: Result) -> str:
    """Flagger's sentence about a command that failed."""
    said = f"{result.words}: " if result.words else ""
    return f"command {task.command} failed: {said}{result.error}"
