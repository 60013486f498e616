"""The story itself: the guide's commands in the guide's order, but one."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files

from serinus.lab.demo import manifests
from serinus.lab.demo.board import Board
from serinus.lab.demo.kubectl import Kubectl
from serinus.lab.demo.rollout import ENDS, Rollout
from serinus.lab.demo.watching import NAMESPACE

ENOUGH_REQUESTS = 5000
"""So many requests must have gone through the apex for "none failed" to mean something."""

AFTERWARDS = 3.0
"""Seconds of traffic after the rollback, to see that it did no harm."""

READY_SECONDS = 120
PATIENCE = 30
"""Intervals that a rollout may take: ten steps, the threshold's five, and pods that start."""

WEIGHT_OF_ERRORS = 10
"""The canary's weight at which the second version begins to fail."""

PODINFO = "podinfod=ghcr.io/stefanprodan/podinfo:"
FAILING = "http://podinfo-canary.test:9898/status/500"
LOAD_TESTER = ("-n", NAMESPACE, "exec", "deploy/flagger-loadtester", "-c", "loadtester", "--")


@dataclass(frozen=True, slots=True)
class Step:
    """Something done, and how long it took; ``remark`` says more to a person."""

    title: str
    seconds: float
    remark: str = ""


@dataclass(slots=True)
class Chronicle:
    """What was done so far; ``commands`` as they can be typed again."""

    steps: list[Step] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)


class Play:
    """One performance. ``canary`` is the manifest to apply, ``interval`` its analysis interval
    in seconds."""

    def __init__(
        self, board: Board, kubectl: Kubectl, chronicle: Chronicle, canary: str, interval: float
    ) -> None:
        self._board = board
        self._kubectl = kubectl
        self._chronicle = chronicle
        self._canary = canary
        self._interval = interval

    async def install(self) -> None:
        """The operator, the load tester, the application, and the steady caller."""
        with self._step("operator, load tester and podinfo applied", "applying manifests"):
            await self._apply("-k", str(manifests.kustomization("kuma")))
            await self._type("create", "ns", NAMESPACE)
            # The guide has an annotation, which Kuma does not hear since 2.2; any hears the label.
            await self._type("label", "namespace", NAMESPACE, "kuma.io/sidecar-injection=enabled")
            await self._apply("-k", str(manifests.kustomization("tester")))
            await self._apply("-k", str(manifests.kustomization("podinfo")))
            traffic = files("serinus.lab.demo").joinpath("traffic.yaml").read_text()
            await self._apply("-f", "-", stdin=traffic, named="traffic.yaml")
        with self._step("their pods ready", "waiting for their pods"):
            await self._ready("kong-mesh-system", "flagger")
            await self._ready(NAMESPACE, "flagger-loadtester")
            await self._ready(NAMESPACE, "podinfo")

    async def initialise(self) -> None:
        """Apply the canary; its primary takes over."""
        with self._step("canary applied and Initialized", "the primary takes over"):
            await self._apply("-f", "-", stdin=self._canary, named="podinfo-canary.yaml")
            await self._phase("Initialized", READY_SECONDS)
            await self._board.until(
                lambda: self._board.counts.requests > 0, READY_SECONDS, "the first answer"
            )

    async def promote(self, version: str) -> None:
        """A version that is good: it ends as the primary."""
        with self._step(f"{version} rolled out", f"rolling out {version}"):
            await self._set_image(version)
            await self._end("Succeeded", version)
        self._keep_rollout(version)

    async def roll_back(self, version: str) -> None:
        """A version that answers with errors once it has some traffic: it ends as Failed."""
        with self._step(
            f"{version} rolled out, with errors", f"rolling out {version}, which will fail"
        ):
            await self._set_image(version)
            await self._board.until(
                lambda: (
                    self._board.phase == "Progressing" and self._board.weight >= WEIGHT_OF_ERRORS
                ),
                self._patience,
                f"{version} at weight {WEIGHT_OF_ERRORS}",
                lost=lambda: self._ended(version) is not None,
            )
            async with self._errors():
                await self._end("Failed", version)
        self._keep_rollout(version)

    async def look_back(self) -> None:
        """Keep the traffic up until there is enough of it."""
        with self._step("watched on", "watching the traffic a little longer"):
            await asyncio.sleep(AFTERWARDS)
            counts = self._board.counts
            await self._board.until(
                lambda: counts.requests >= ENOUGH_REQUESTS,
                READY_SECONDS,
                f"{ENOUGH_REQUESTS} requests ({counts.requests} so far)",
            )

    async def _ready(self, namespace: str, deployment: str) -> None:
        wait = ("rollout", "status", f"deployment/{deployment}", f"--timeout={READY_SECONDS}s")
        await self._kubectl.run("-n", namespace, *wait)

    @property
    def _patience(self) -> float:
        return READY_SECONDS + PATIENCE * self._interval

    @contextmanager
    def _step(self, title: str, doing: str) -> Iterator[None]:
        self._board.doing = doing
        self._board.changed()
        began = time.monotonic()
        yield
        self._chronicle.steps.append(Step(title, time.monotonic() - began))
        self._board.doing = ""
        self._board.changed()

    async def _apply(self, how: str, what: str, stdin: str | None = None, named: str = "") -> None:
        """``named`` is the file that a person would have given in place of ``stdin``."""
        await self._kubectl.run("apply", how, what, stdin=stdin)
        self._chronicle.commands.append(f"kubectl apply {how} {named or what}")

    async def _type(self, *arguments: str) -> None:
        await self._kubectl.run(*arguments)
        self._chronicle.commands.append(" ".join(("kubectl", *arguments)))

    async def _set_image(self, version: str) -> None:
        image = ("set", "image", "deployment/podinfo", PODINFO + version)
        await self._type("-n", NAMESPACE, *image)
        await self._board.until(
            lambda: self._board.wanted == version, READY_SECONDS, f"podinfo to name {version}"
        )

    async def _end(self, phase: str, version: str) -> None:
        await self._board.until(
            lambda: self._ended(version) == phase,
            self._patience,
            f"{version} to be {phase}",
            lost=lambda: self._ended(version) is not None,
        )

    def _ended(self, version: str) -> str | None:
        """The phase in which the rollout of ``version`` ended; None while it goes on."""
        asked = next(asked for asked in reversed(self._board.asked) if asked.version == version)
        after = (p.phase for p in self._board.passages if p.moment.clock >= asked.moment.clock)
        return next((phase for phase in after if phase in ENDS), None)

    async def _phase(self, phase: str, seconds: float) -> None:
        await self._board.until(lambda: self._board.phase == phase, seconds, phase)

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        """Ten failing requests a second from the load tester's pod, while the context lasts."""
        times = round(self._patience * 10)
        loop = f"for i in $(seq {times}); do curl -s -o /dev/null {FAILING}; sleep 0.1; done"
        self._chronicle.commands.append(f"kubectl {' '.join(LOAD_TESTER)} sh -c '{loop}'")
        async with self._kubectl.stream(*LOAD_TESTER, "sh", "-c", loop):
            yield

    def _keep_rollout(self, version: str) -> None:
        self._chronicle.rollouts.append(Rollout.of(self._board, version))
