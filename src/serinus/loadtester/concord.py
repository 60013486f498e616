"""Task type `concord`: a process of a Concord server, started and waited for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from serinus.loadtester.payload import PayloadError
from serinus.loadtester.remote import Refused, address, ask, needed, session
from serinus.loadtester.work import Result

FAILED = frozenset({"FAILED", "CANCELLED", "TIMED_OUT"})
"""States from which a process comes to no good end. Flagger knows only the first."""

ARGUMENTS = "arguments."


@dataclass(frozen=True, slots=True)
class Concord:
    """A process to start: ``form`` is what Concord's `POST /api/v1/process` is told.

    ``poll_timeout`` is how long the process may take, in seconds; None leaves that to the load
    tester's own timeout. Flagger starts this time anew with each question, so its default of 30 s
    never ends a process there, and here there is no such default.
    """

    server: URL
    form: Mapping[str, str]
    key_file: Path
    poll_interval: float
    poll_timeout: float | None

    @classmethod
    def described(cls, metadata: Mapping[str, str]) -> "Concord":
        """Read from a webhook's metadata; raises `PayloadError`."""
        names = ("server", "org", "project", "repo", "entrypoint", "apiKeyPath", "endpoint")
        given = {name: needed("concord", metadata, name) for name in names}
        if f"{ARGUMENTS}endpoint" in metadata:
            raise PayloadError(f"`{ARGUMENTS}endpoint` is what `endpoint` says; remove it")
        key_file = Path(given["apiKeyPath"])
        if not key_file.is_file():
            raise PayloadError(f"`apiKeyPath` file doesn't exist {key_file}")
        form = {name: given[name] for name in ("org", "project", "repo")}
        form["entryPoint"] = given["entrypoint"]
        form[f"{ARGUMENTS}endpoint"] = given["endpoint"]
        form.update({key: text for key, text in metadata.items() if key.startswith(ARGUMENTS)})
        return cls(
            server=address(metadata),
            form=form,
            key_file=key_file,
            poll_interval=_seconds(metadata, "pollInterval") or 5.0,
            poll_timeout=_seconds(metadata, "pollTimeout"),
        )

    @property
    def text(self) -> str:
        return " ".join(self.form[name] for name in ("org", "project", "repo", "entryPoint"))

    async def run(self, timeout: float) -> Result:
        longest = min(timeout, self.poll_timeout or timeout)
        try:
            key = self._key()
            if not key.isprintable():
                return Result(error=f"`apiKeyPath` {self.key_file} does not hold one line of text")
            async with asyncio.timeout(longest), session({"Authorization": key}) as connections:
                return await self._to_its_end(connections)
        except TimeoutError:
            return Result(error=f"concord process timed out, after {longest:g} seconds")
        except OSError as error:
            return Result(error=f"`apiKeyPath` {self.key_file} cannot be read: {error.strerror}")
        except Refused as error:
            return Result(error=str(error))

    def _key(self) -> str:
        return self.key_file.read_text(errors="replace").strip()

    async def _to_its_end(self, connections: aiohttp.ClientSession) -> Result:
        url = self.server.join(URL("/api/v1/process"))
        form = aiohttp.MultipartWriter("form-data")
        for name, text in self.form.items():
            form.append(text).set_content_disposition("form-data", name=name)
        started = await ask(connections, "POST", url, form)
        instance = started.get("instanceId")
        if not isinstance(instance, str) or not instance.replace("-", "").isalnum():
            return Result(error=f"POST {url}: the answer names no instanceId")
        while True:
            await asyncio.sleep(self.poll_interval)
            try:
                status = (await ask(connections, "GET", url / instance)).get("status")
            except Refused as error:
                # A process that may take an hour is not lost with one connection.
                if not error.again:
                    raise
                continue
            if status == "FINISHED":
                return Result()
            if status in FAILED:
                return Result(error=f"concord instanceID: {instance} failed with status {status}")


def _seconds(metadata: Mapping[str, str], name: str) -> float | None:
    text = metadata.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise PayloadError(f"`{name}` must be a whole number of seconds from 1 on, not {text!r}")
    return float(text)
