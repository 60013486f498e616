"""Questions to a Prometheus server."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from serinus.analysis.verdict import Unavailable

LONG = 2000
"""Characters: a longer query does not go into the URL, which proxies limit."""

TIMEOUT = 5.0
"""Seconds for a whole answer, as Flagger allows it."""


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a series read at ``at`` (Unix seconds, of the Prometheus server's clock)."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer, samples in order of time; an instant vector has one in each."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]


Answer = tuple[Series, ...] | Unavailable


class _Entry(msgspec.Struct):
    metric: dict[str, str] = {}
    value: Sample | None = None
    values: tuple[Sample, ...] = ()


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""


_answer = msgspec.json.Decoder(_Answer)
# Not strict, so that the text in which Prometheus writes a number becomes one in the decoder: an
# answer about many canaries holds ten thousands of them.
_entries = msgspec.json.Decoder(list[_Entry], strict=False)
_scalar = msgspec.json.Decoder(Sample, strict=False)


class Prometheus:
    """The server at ``address`` (an URL, with a path where it has a prefix)."""

    def __init__(
        self, address: str, session: aiohttp.ClientSession, *, timeout: float = TIMEOUT
    ) -> None:
        self.address = address.rstrip("/")
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def instant(self, query: str, at: float | None = None) -> Answer:
        """Evaluate ``query`` at a time (Unix seconds), by default now. A range selector gives raw
        samples; a scalar comes as one series without labels."""
        params = {"query": query} if at is None else {"query": query, "time": f"{at:.3f}"}
        url = f"{self.address}/api/v1/query"
        try:
            async with (
                self._session.post(url, data=params, timeout=self._timeout)
                if len(query) > LONG
                else self._session.get(url, params=params, timeout=self._timeout)
            ) as response:
                status, body = response.status, await response.read()
        except TimeoutError:
            seconds = self._timeout.total
            return Unavailable(f"Prometheus at {self.address} did not answer in {seconds:g}s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            words = str(error) or type(error).__name__
            return Unavailable(f"Prometheus at {self.address} cannot be reached: {words}")
        return self._read(status, body)

    def _read(self, status: int, body: bytes) -> Answer:
        try:
            answer = _answer.decode(body)
            if status != 200 or answer.status != "success" or answer.data is None:
                return Unavailable(
                    f"Prometheus at {self.address} refused the query with HTTP {status}:"
                    f" {answer.error or answer.error_type or answer.status}"
                )
            if answer.data.result_type == "scalar":
                return (Series({}, (_scalar.decode(_readable(answer.data.result)),)),)
            entries = _entries.decode(_readable(answer.data.result))
            return tuple(_series(entry) for entry in entries)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            text = body[:100].decode(errors="replace").strip()
            if status != 200:
                return Unavailable(f"Prometheus at {self.address} answered HTTP {status}: {text}")
            return Unavailable(
                f"Prometheus at {self.address} gave an answer that makes no sense ({error}): {text}"
            )


def _series(entry: _Entry) -> Series:
    return Series(entry.metric, entry.values if entry.value is None else (entry.value,))


def _readable(result: msgspec.Raw) -> bytes:
    """The same with infinity as the decoder knows it; as a value, never as a label."""
    return bytes(result).replace(b',"+Inf"]', b',"inf"]').replace(b',"-Inf"]', b',"-inf"]')
