"""An example of `examples/`, played in a lab: the guide's podinfo with another canary, and a new
version released to it."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from serinus.lab.demo import manifests
from serinus.lab.demo.kubectl import Kubectl
from serinus.lab.demo.rollout import ENDS

NAMESPACE = "test"
IMAGE = "ghcr.io/stefanprodan/podinfo:6.0."
READY_SECONDS = 180
POLL = 1.0

_NAMESPACE = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  annotations:
    kuma.io/sidecar-injection: enabled
"""

Say = Callable[[str], None]


class ExampleBroken(RuntimeError):
    """An example that cannot be played, or whose canary does not get going."""


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    last_applied_spec: str = ""


class _Canary(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


def names() -> list[str]:
    """Every example there is."""
    folder = manifests.root() / "examples"
    return sorted(str(file.relative_to(folder))[:-5] for file in folder.rglob("*.yaml"))


def find(example: str) -> Path:
    """The file of an example, by its name or its path; raises `ExampleBroken`."""
    places = (Path(example), manifests.root() / "examples" / f"{example}.yaml")
    for place in places:
        if place.is_file():
            return place
    raise ExampleBroken(f"there is no example {example}; there are {', '.join(names())}")


class Example:
    """``say`` is given each line for the person who watches."""

    def __init__(self, kubectl: Kubectl, say: Say) -> None:
        self._kubectl = kubectl
        self._say = say

    async def play(self, manifest: str) -> bool:
        """Apply the manifest, release a new version, and tell what is told of it to its end.

        Returns whether it was promoted. Raises `ExampleBroken` and `KubectlError`.
        """
        self._say("installing the operator, the load tester and podinfo")
        await self._base()
        await self._kubectl.run("apply", "-f", "-", stdin=manifest)
        before = await self._settled(lambda status: bool(status.phase) and _rests(status))
        async with self._kubectl.stream(
            "-n", NAMESPACE, "get", "events", "--watch-only", "--no-headers",
            "--field-selector=involvedObject.kind=Canary",
            "-o=custom-columns=:.message",
        ) as events:  # fmt: skip
            telling = asyncio.create_task(self._tell(events))
            await self._release()
            after = await self._settled(
                lambda status: (
                    status.phase in ENDS and status.last_applied_spec != before.last_applied_spec
                ),
                seconds=None,
            )
            # The last events are told a moment after the status is written.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(telling, 2)
        self._say(after.phase)
        return after.phase == "Succeeded"

    async def _base(self) -> None:
        apply = ("apply", "-k")
        await self._kubectl.run(*apply, str(manifests.kustomization("kuma")))
        await self._kubectl.run("apply", "-f", "-", stdin=_NAMESPACE)
        await self._kubectl.run(*apply, str(manifests.kustomization("tester")))
        if not await self._get("deployment/podinfo", "{.metadata.name}"):
            await self._kubectl.run(*apply, str(manifests.kustomization("podinfo")))
        for namespace, deployment in (
            ("kong-mesh-system", "flagger"),
            (NAMESPACE, "flagger-loadtester"),
            (NAMESPACE, "podinfo"),
        ):
            wait = ("rollout", "status", f"deployment/{deployment}")
            await self._kubectl.run("-n", namespace, *wait, f"--timeout={READY_SECONDS}s")

    async def _release(self) -> None:
        """The version after the one that podinfo has."""
        path = "{.spec.template.spec.containers[0].image}"
        image = await self._get("deployment/podinfo", path)
        number = image.removeprefix(IMAGE)
        if not number.isdigit():
            raise ExampleBroken(f"podinfo's image is {image}, not one of {IMAGE}*")
        newer = f"{IMAGE}{int(number) + 1}"
        command = ("-n", NAMESPACE, "set", "image", "deployment/podinfo", f"podinfod={newer}")
        self._say(f"kubectl {' '.join(command)}")
        await self._kubectl.run(*command)

    async def _settled(
        self, holds: Callable[[_Status], bool], seconds: float | None = READY_SECONDS
    ) -> _Status:
        """The canary's status as soon as it ``holds``."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(status := await self._status()):  # noqa: ASYNC110 (kubectl)
                    await asyncio.sleep(POLL)
                return status
        except TimeoutError:
            told = await self._kubectl.run("-n", NAMESPACE, "describe", "canary/podinfo")
            raise ExampleBroken(f"the canary did not get ready in {seconds:g} s\n{told}") from None

    async def _status(self) -> _Status:
        text = await self._kubectl.run("-n", NAMESPACE, "get", "canary/podinfo", "-o", "json")
        return msgspec.json.decode(text, type=_Canary).status

    async def _get(self, what: str, path: str) -> str:
        return await self._kubectl.run(
            "-n", NAMESPACE, "get", what, "--ignore-not-found", "-o", f"jsonpath={path}"
        )

    async def _tell(self, events: asyncio.StreamReader) -> None:
        while line := await events.readline():
            self._say(f"  {line.decode(errors='replace').rstrip()}")


def _rests(status: _Status) -> bool:
    return status.phase in {"Initialized", *ENDS}
