"""Questions to a Prometheus server."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from serinus.analysis.verdict import Measurement, NoData, Unavailable, Value

LONG = 2000
"""Characters: a longer query does not go into the URL, which proxies limit."""

SHOWN = 200
"""Characters of a query that a message holds."""

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


@dataclass(frozen=True, slots=True)
class _Result:
    """An answer and its type: vector, matrix, scalar or string."""

    type: str
    series: Answer


class Prometheus:
    """The server at ``address`` (an URL, with a path where it has a prefix).

    ``headers`` go with each request; ``verify`` tells whether its certificate must be good.
    """

    def __init__(
        self,
        address: str,
        session: aiohttp.ClientSession,
        *,
        timeout: float = TIMEOUT,
        headers: Iterable[tuple[str, str]] = (),
        verify: bool = True,
    ) -> None:
        self.address = address.rstrip("/")
        self._name = f"Prometheus at {shown(self.address)}"
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._headers = CIMultiDict(headers)
        self._verify = verify

    async def value(self, query: str) -> Measurement:
        """The number that ``query`` evaluates to: of several series, the last one's."""
        result = await self._ask({"query": query})
        if isinstance(result.series, Unavailable):
            return result.series
        if result.type == "matrix":
            return Unavailable(
                f'the query "{shortened(query)}" gives a range of values (a matrix), not one; put'
                " a function such as rate() or avg_over_time() around its [range]"
            )
        if not result.series:
            return NoData(f'{self._name} has no value for the query "{shortened(query)}"')
        value = result.series[-1].samples[-1].value
        if math.isnan(value):
            return NoData(f'the value of the query "{shortened(query)}" is not a number (NaN)')
        return Value(value)

    async def instant(self, query: str, at: float | None = None) -> Answer:
        """Evaluate ``query`` at a time (Unix seconds), by default now. A range selector gives raw
        samples; a scalar comes as one series without labels."""
        params = {"query": query} if at is None else {"query": query, "time": f"{at:.3f}"}
        return (await self._ask(params)).series

    async def _ask(self, params: Mapping[str, str]) -> _Result:
        url = f"{self.address}/api/v1/query"
        long = len(params["query"]) > LONG
        try:
            async with self._session.request(
                "POST" if long else "GET",
                url,
                data=params if long else None,
                params=None if long else params,
                headers=self._headers,
                ssl=self._verify,
                timeout=self._timeout,
            ) as response:
                status, body = response.status, await response.read()
        except TimeoutError:
            return self._failed(f"did not answer in {self._timeout.total:g}s")
        except aiohttp.InvalidURL:
            # Its own words are the whole address, with a password where there is one.
            return self._failed("cannot be reached: that is not an address")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(f"cannot be reached: {str(error) or type(error).__name__}")
        return self._read(status, body)

    def _read(self, status: int, body: bytes) -> _Result:
        try:
            answer = _answer.decode(body)
            if status != 200 or answer.status != "success" or answer.data is None:
                return self._failed(
                    f"refused the query with HTTP {status}:"
                    f" {answer.error or answer.error_type or answer.status}"
                )
            kind, result = answer.data.result_type, _readable(answer.data.result)
            if kind == "scalar":
                return _Result(kind, (Series({}, (_scalar.decode(result),)),))
            return _Result(kind, tuple(_series(entry) for entry in _entries.decode(result)))
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            text = body[:100].decode(errors="replace").strip()
            if status != 200:
                return self._failed(f"answered HTTP {status}: {text}")
            return self._failed(f"gave an answer that makes no sense ({error}): {text}")

    def _failed(self, why: str) -> _Result:
        return _Result("", Unavailable(f"{self._name} {why}"))


def shown(address: str) -> str:
    """The address without the user and the password that may be in it."""
    try:
        return str(URL(address).with_user(None))
    except ValueError:
        return address.rpartition("@")[2]


def shortened(query: str) -> str:
    """The query as far as an event has room for it."""
    return query if len(query) <= SHOWN else f"{query[:SHOWN]}..."


def _series(entry: _Entry) -> Series:
    return Series(entry.metric, entry.values if entry.value is None else (entry.value,))


def _readable(result: msgspec.Raw) -> bytes:
    """The same with infinity as the decoder knows it; as a value, never as a label."""
    return bytes(result).replace(b',"+Inf"]', b',"inf"]').replace(b',"-Inf"]', b',"-inf"]')
