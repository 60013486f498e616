"""Task type `ngrinder`: a test of an nGrinder server, cloned, started and waited for."""

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from serinus.api import duration
from serinus.loadtester.logs import LOG
from serinus.loadtester.payload import PayloadError
from serinus.loadtester.remote import Refused, address, ask, needed, session
from serinus.loadtester.work import Result

FAILED = frozenset({"STOP_BY_ERROR", "CANCELED", "UNKNOWN"})

STOP_SECONDS = 5.0
"""How long a test that must end is asked to."""


@dataclass(frozen=True, slots=True)
class NGrinder:
    """A test to clone and start. It is stopped when its time is over and when this is cancelled."""

    server: URL
    clone: int
    authorization: str = field(repr=False)
    poll_interval: float

    @classmethod
    def described(cls, metadata: Mapping[str, str]) -> "NGrinder":
        """Read from a webhook's metadata; raises `PayloadError`."""
        names = ("server", "clone", "username", "passwd")
        given = {name: needed("ngrinder", metadata, name) for name in names}
        if not re.fullmatch("[0-9]{1,18}", given["clone"]):
            raise PayloadError(f"`clone` must be the number of a test, not {given['clone']!r}")
        try:
            password = base64.b64decode(given["passwd"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise PayloadError("`passwd` must be the password in base64") from None
        try:
            interval = duration.seconds(metadata.get("pollInterval", "1s"))
        except ValueError as error:
            raise PayloadError(f"`pollInterval`: {error}") from None
        if interval <= 0:
            raise PayloadError("`pollInterval` must be longer than nothing")
        login = base64.b64encode(f"{given['username']}:{password}".encode()).decode()
        return cls(address(metadata), int(given["clone"]), f"Basic {login}", interval)

    @property
    def text(self) -> str:
        return str(self._url(f"{self.clone}/clone_and_start"))

    async def run(self, timeout: float) -> Result:
        headers = {"Authorization": self.authorization}
        try:
            async with session(headers) as connections, asyncio.timeout(timeout):
                return await self._to_its_end(connections)
        except TimeoutError:
            return Result(error=f"stopped: it ran longer than {timeout:g}s")
        except Refused as error:
            return Result(error=str(error))

    def _url(self, rest: str) -> URL:
        return self.server.join(URL(f"perftest/api/{rest}"))

    async def _to_its_end(self, connections: aiohttp.ClientSession) -> Result:
        url = self._url(f"{self.clone}/clone_and_start")
        test = (await self._asked(connections, "POST", url)).get("id")
        if not isinstance(test, int):
            return Result(error=f"POST {url}: the answer names no id")
        try:
            while True:
                await asyncio.sleep(self.poll_interval)
                state = await self._state(connections, test)
                if state == "FINISHED":
                    return Result()
                if state in FAILED:
                    return Result(error=f"test {test} ended as {state}")
        except asyncio.CancelledError:
            await self._stop(connections, test)
            raise

    async def _state(self, connections: aiohttp.ClientSession, test: int) -> object:
        try:
            answer = await self._asked(connections, "GET", self._url(f"{test}/status"))
        except Refused as error:
            # A test that may take an hour is not lost with one connection.
            if not error.again:
                raise
            return None
        match answer:
            case {"status": [{"status_id": state}, *_]}:
                return state
        return None

    async def _stop(self, connections: aiohttp.ClientSession, test: int) -> None:
        url = self._url(f"{test}?action=stop")
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._asked(connections, "PUT", url)
        except (Refused, TimeoutError) as error:
            LOG.error("test %s of nGrinder may run on: %s", test, error or "no answer")

    async def _asked(
        self, connections: aiohttp.ClientSession, method: str, url: URL
    ) -> dict[str, object]:
        answer = await ask(connections, method, url)
        if answer.get("success") is False:
            why = answer.get("message") or "success is false"
            raise Refused(f"{method} {url}: {why}", again=False)
        return answer
