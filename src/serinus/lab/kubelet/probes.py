"""Probes: whether a container has started, lives, and is ready.

HTTP and TCP probes go from the node to the pod's address; a sidecar's redirection lets them pass
(see `serinus.lab.kubelet.proxy`).
"""

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from serinus.lab.kubelet.manifest import (
    Container,
    ExecAction,
    HTTPGetAction,
    LifecycleHandler,
    Probe,
    TCPSocketAction,
)
from serinus.lab.kubelet.sandbox import Running, StartFailed, abandon

OUTPUT_BYTES = 1024
"""How much of a failed exec probe's output goes into the event."""

FIRST_SECONDS = 0.15
"""Before the first probe of a container that asks for no delay: most programs need as much to
listen, and a probe that fails at once would only be noise among the pod's events."""


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is asked, and where."""

    container: Container
    running: Running
    address: str

    def port(self, port: int | str) -> int:
        """A port by number or by name; raises ValueError when no port has the name."""
        if isinstance(port, int):
            return port
        if port.isdecimal():
            return int(port)
        for known in self.container.ports:
            if known.name == port:
                return known.container_port
        raise ValueError(f"no port of container {self.container.name} is called {port!r}")


async def check(target: Target, action: Probe | LifecycleHandler, timeout: float) -> str | None:
    """Do what a probe (or hook) says; None when it went well, else why not."""
    try:
        async with asyncio.timeout(timeout):
            if action.exec:
                return await _exec(target, action.exec)
            if action.http_get:
                return await _http(target, action.http_get)
            if action.tcp_socket:
                return await _tcp(target, action.tcp_socket)
    except TimeoutError:
        return f"no answer within {timeout:g}s"
    except ValueError as error:
        return str(error)
    return None


async def _exec(target: Target, action: ExecAction) -> str | None:
    try:
        process = await target.running.enter(action.command, stderr=subprocess.STDOUT)
    except StartFailed as error:
        return str(error)
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        await abandon(process)
        raise
    if process.returncode == 0:
        return None
    text = output[:OUTPUT_BYTES].decode("utf-8", "replace").strip()
    return text or f"{' '.join(action.command)} ended with {process.returncode}"


async def _http(target: Target, action: HTTPGetAction) -> str | None:
    host = action.host or target.address
    url = f"{action.scheme.lower()}://{host}:{target.port(action.port)}{action.path}"
    headers = {"User-Agent": "kube-probe/serinus-lab", "Connection": "close"}
    headers.update({header.name: header.value for header in action.http_headers})
    connector = aiohttp.TCPConnector(force_close=True, ssl=False)
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            if 200 <= answer.status < 400:
                return None
            return f"HTTP probe failed with statuscode: {answer.status}"
    except (aiohttp.ClientError, OSError) as error:
        return f'Get "{url}": {error or type(error).__name__}'


async def _tcp(target: Target, action: TCPSocketAction) -> str | None:
    host, port = action.host or target.address, target.port(action.port)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"dial tcp {host}:{port}: {error.strerror or error}"
    writer.close()
    return None


async def probing(
    target: Target,
    probe: Probe,
    *,
    passed: Callable[[], None],
    failed: Callable[[], None],
    missed: Callable[[str], None],
    once: bool = False,
) -> None:
    """Probe at the probe's pace, until cancelled (or passed, with ``once``).

    ``passed`` and ``failed`` are called whenever a threshold is reached, ``missed`` with the
    reason at each single failure.
    """
    await asyncio.sleep(probe.initial_delay_seconds or FIRST_SECONDS)
    loop = asyncio.get_running_loop()
    successes = failures = 0
    due = loop.time()
    while True:
        why = await check(target, probe, max(probe.timeout_seconds, 1))
        if why is None:
            successes, failures = successes + 1, 0
            if successes >= probe.success_threshold:
                passed()
                if once:
                    return
        else:
            successes, failures = 0, failures + 1
            missed(why)
            if failures >= probe.failure_threshold:
                failed()
        due = max(due + max(probe.period_seconds, 1), loop.time())
        await asyncio.sleep(due - loop.time())
