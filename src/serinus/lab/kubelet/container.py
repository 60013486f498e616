"""One container of a pod: started, watched, started again, ended."""

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from serinus.lab.addresses import KUBERNETES_SERVICE_IP, KUBERNETES_SERVICE_PORT
from serinus.lab.images.image import Image
from serinus.lab.images.table import ImageTable, unknown_image
from serinus.lab.kubelet import sandbox
from serinus.lab.kubelet.console import Console
from serinus.lab.kubelet.environment import (
    ConfigError,
    Objects,
    PodFacts,
    environment,
    expand,
)
from serinus.lab.kubelet.logs import ContainerLog
from serinus.lab.kubelet.manifest import Container, LifecycleHandler
from serinus.lab.kubelet.network import PodNetwork
from serinus.lab.kubelet.probes import Target, check, probing
from serinus.lab.kubelet.rootfs import Mount, script_mounts
from serinus.lab.kubelet.state import Active, State, Terminated, Waiting, now_stamp
from serinus.lab.kubelet.volumes import PodVolumes

FIRST_BACKOFF, LONGEST_BACKOFF = 10.0, 300.0
"""Seconds before the second restart in a row (the first comes at once), and at most."""

FORGIVEN = 600.0
"""A container that ran this many seconds starts its back-off anew."""

RETRY_SECONDS = 2.0
"""How soon a container that refers to something absent is tried again."""

HOOK_SECONDS = 30.0
"""How long a postStart hook may take."""

Role = Literal["init", "sidecar", "main"]


class Surroundings(Protocol):
    """What a container needs of its pod."""

    facts: PodFacts
    network: PodNetwork
    volumes: PodVolumes
    images: ImageTable
    objects: Objects
    directory: Path
    hostname: str
    files: list[Mount]

    def changed(self) -> None:
        """Something that the pod's status shows has changed."""

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """An event on the pod."""


@dataclass(slots=True)
class Readiness:
    started: bool = False
    ready: bool = False


class ContainerWorker:
    """Runs one container as its pod's restart policy says."""

    def __init__(self, pod: Surroundings, spec: Container, role: Role) -> None:
        self.spec = spec
        self.role: Role = role
        self.state: State = Waiting("ContainerCreating" if role != "main" else "PodInitializing")
        self.last: Terminated | None = None
        self.restarts = 0
        self.id = ""
        self.readiness = Readiness()
        self.running: sandbox.Running | None = None
        self.started_at = 0.0
        """By the monotonic clock."""
        self.log: ContainerLog | None = None
        self.console: Console | None = None
        self.up = asyncio.Event()
        """Set once the container has passed its startup probe for the first time."""
        self._pod = pod
        self._stopping = False
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[int] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def begin(self) -> asyncio.Task[int]:
        """Run in a task; its result is the last exit status."""
        self._task = asyncio.create_task(self._run(), name=f"container {self.spec.name}")
        return self._task

    async def _run(self) -> int:
        failures = 0
        while True:
            began = time.monotonic()
            status = await self._once()
            if self._stopping or not self._again(status):
                return status
            if time.monotonic() - began > FORGIVEN:
                failures = 0
            if failures:
                await self._back_off(min(FIRST_BACKOFF * 2 ** (failures - 1), LONGEST_BACKOFF))
            failures += 1
            self.restarts += 1

    def _again(self, status: int) -> bool:
        policy = self._pod.facts.pod.spec.restart_policy
        if self.role == "sidecar" or (self.role == "main" and policy == "Always"):
            return True
        return status != 0 and policy != "Never"

    async def _back_off(self, seconds: float) -> None:
        meta = self._pod.facts.pod.metadata
        what = f"restarting failed container={self.spec.name} pod={meta.name}_{meta.namespace}"
        message = f"back-off {seconds:g}s {what}({meta.uid})"
        self._enter(Waiting("CrashLoopBackOff", message))
        self._pod.tell("Warning", "BackOff", f"Back-off {what}({meta.uid})")
        await asyncio.sleep(seconds)

    async def _once(self) -> int:
        """Start, live, end: the exit status."""
        self.running = await self._start()
        self.id = f"serinus://{uuid.uuid4().hex}"
        since, self.started_at = now_stamp(), time.monotonic()
        self._enter(Active(since))
        self._pod.tell("Normal", "Started", f"Started container {self.spec.name}")
        watch = asyncio.create_task(self._watch(self.running))
        try:
            status = await self.running.wait()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            if self.console is not None:
                self.console.close()
        self.running = None
        self.readiness = Readiness()
        reason = "Completed" if status == 0 else "Error"
        self.last = Terminated(status, reason, since, now_stamp(), self.id)
        self._enter(self.last)
        return status

    def _enter(self, state: State) -> None:
        self.state = state
        self._pod.changed()

    async def _image(self) -> Image:
        image = self._pod.images.find(self.spec.image)
        if image is None:
            message = unknown_image(self.spec.image)
            self._pod.tell("Warning", "Failed", f"Failed to pull image: {message}")
            self._enter(Waiting("ErrImagePull", message))
            await asyncio.sleep(RETRY_SECONDS)
            self._enter(Waiting("ImagePullBackOff", message))
            self._pod.tell("Normal", "BackOff", f'Back-off pulling image "{self.spec.image}"')
            # The table does not change while the lab runs: only the pod's end ends this.
            await asyncio.get_running_loop().create_future()
            raise AssertionError("unreachable: the future is never set")
        present = f'Container image "{self.spec.image}" already present on machine'
        self._pod.tell("Normal", "Pulled", present)
        return image

    async def _start(self) -> sandbox.Running:
        image = await self._image()
        while True:
            try:
                box = self._sandbox(image)
            except ConfigError as error:
                self._refuse("CreateContainerConfigError", f"{error}")
            else:
                try:
                    async with self._starting:
                        if not self._stopping:
                            return await self._launch(box)
                except sandbox.StartFailed as error:
                    self._refuse("CreateContainerError", f"{error}{self._last_words()}")
            await asyncio.sleep(RETRY_SECONDS)

    def _refuse(self, reason: str, message: str) -> None:
        self._enter(Waiting(reason, message))
        self._pod.tell("Warning", "Failed", f"Error: {message}")

    def _last_words(self) -> str:
        words = self.log.file.read_text(errors="replace").splitlines() if self.log else []
        return f": {words[-1].split(' ', 3)[-1]}" if words else ""

    def _sandbox(self, image: Image) -> sandbox.Sandbox:
        pod, spec = self._pod, self.spec
        base = {
            "HOME": "/root",
            "HOSTNAME": pod.hostname,
            "PATH": f"{image.workdir}:{sandbox.PATH}" if image.tools else sandbox.PATH,
            "KUBERNETES_SERVICE_HOST": str(KUBERNETES_SERVICE_IP),
            "KUBERNETES_SERVICE_PORT": str(KUBERNETES_SERVICE_PORT),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(KUBERNETES_SERVICE_PORT),
            **image.env,
        }
        values = environment(pod.facts, spec, pod.objects, base)
        command = [expand(word, values) for word in spec.command]
        arguments = [expand(word, values) for word in spec.args]
        tools = self._directory() / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        for name, script in image.tools.items():
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)
        return sandbox.Sandbox(
            argv=image.argv(command, arguments),
            environment=values,
            network=pod.network,
            hostname=pod.hostname,
            workdir=spec.working_dir or image.workdir,
            mounts=[
                *pod.files,
                *script_mounts(tools, image.workdir, list(image.tools)),
                *pod.volumes.mounts(spec, values),
            ],
            capabilities=image.capabilities,
            terminal=spec.tty,
            read_only_root=bool(spec.security_context.read_only_root_filesystem),
        )

    def _directory(self) -> Path:
        return self._pod.directory / self.spec.name

    def log_file(self, *, previous: bool = False) -> Path:
        """The file of this run's output, or of the run before it."""
        return self._directory() / f"{self.restarts - previous}.log"

    async def _launch(self, box: sandbox.Sandbox) -> sandbox.Running:
        self.log = ContainerLog(self.log_file())
        console = Console(self.log, self.spec)
        try:
            running = await sandbox.start(box, console.streams)
        except sandbox.StartFailed:
            console.close()
            raise
        finally:
            console.started()
        self.console = console
        (self._directory() / f"{self.restarts - 2}.log").unlink(missing_ok=True)
        self._pod.tell("Normal", "Created", f"Created container: {self.spec.name}")
        return running

    async def _watch(self, running: sandbox.Running) -> None:
        """Hooks and probes of a running container."""
        spec = self.spec
        target = Target(spec, running, str(self._pod.network.address))
        if spec.lifecycle.post_start:
            why = await self._hook(target, spec.lifecycle.post_start, HOOK_SECONDS)
            if why is not None:
                self._pod.tell("Warning", "FailedPostStartHook", f"PostStartHook failed: {why}")
                self._end(running, "failed post-start hook")
                return
        if spec.startup_probe:
            await probing(
                target,
                spec.startup_probe,
                passed=lambda: None,
                failed=lambda: self._end(running, "failed startup probe"),
                missed=lambda why: self._unhealthy("Startup", why),
                once=True,
            )
        self.readiness.started = True
        self.readiness.ready = spec.readiness_probe is None
        self.up.set()
        self._pod.changed()
        probes = []
        if spec.liveness_probe:
            probes.append(
                probing(
                    target,
                    spec.liveness_probe,
                    passed=lambda: None,
                    failed=lambda: self._end(running, "failed liveness probe"),
                    missed=lambda why: self._unhealthy("Liveness", why),
                )
            )
        if spec.readiness_probe:
            probes.append(
                probing(
                    target,
                    spec.readiness_probe,
                    passed=lambda: self._set_ready(True),
                    failed=lambda: self._set_ready(False),
                    missed=lambda why: self._unhealthy("Readiness", why),
                )
            )
        await asyncio.gather(*probes)

    def _set_ready(self, ready: bool) -> None:
        if self.readiness.ready != ready:
            self.readiness.ready = ready
            self._pod.changed()

    def _unhealthy(self, kind: str, why: str) -> None:
        if not self._stopping:
            self._pod.tell("Warning", "Unhealthy", f"{kind} probe failed: {why}")

    async def _hook(self, target: Target, hook: LifecycleHandler, limit: float) -> str | None:
        if hook.sleep:
            await asyncio.sleep(min(hook.sleep.seconds, limit))
            return None
        return await check(target, hook, limit)

    def _end(self, running: sandbox.Running, why: str) -> None:
        """Have the container end because of a probe or hook; the restart policy goes on."""
        if self._ending:
            return
        name = self.spec.name
        self._pod.tell("Normal", "Killing", f"Container {name} {why}, will be restarted")
        grace = self._pod.facts.pod.spec.termination_grace_period_seconds
        task = asyncio.create_task(self._terminate(running, float(grace)))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self, grace: float) -> None:
        """End for good: the preStop hook, SIGTERM, and SIGKILL after ``grace`` seconds."""
        self._stopping = True
        async with self._starting:
            running = self.running
        if self._task is None:
            return
        if running is None:
            self._task.cancel()
        else:
            self._pod.tell("Normal", "Killing", f"Stopping container {self.spec.name}")
            await self._terminate(running, grace)
        await asyncio.gather(self._task, return_exceptions=True)

    async def _terminate(self, running: sandbox.Running, grace: float) -> None:
        deadline = time.monotonic() + grace
        if self.spec.lifecycle.pre_stop and grace > 0:
            target = Target(self.spec, running, str(self._pod.network.address))
            why = await self._hook(target, self.spec.lifecycle.pre_stop, grace)
            if why is not None:
                self._pod.tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {why}")
        if grace > 0:
            running.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.1)):
                    await running.wait()
        running.kill()
