"""Stand for a Lease: read, watch and write it as its `Candidate` decides."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from serinus.cluster.cache import Cache, Change
from serinus.cluster.client import Client
from serinus.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound, Unreachable
from serinus.cluster.kinds import LEASES
from serinus.cluster.lease import Candidate, Lease, Read, Terms, Wait, Write, decode_lease

RELEASE_WITHIN = 2.0
"""Seconds that giving the lease back may take at a clean stop; else it runs out."""

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """This process led, and leads no more: it has to end, since others go on."""


def run_identity() -> str:
    """A name for one run of one process: no two runs share a claim."""
    return f"{os.uname().nodename}_{uuid.uuid4()}"


def clock() -> float:
    """Seconds that go on while the process is stopped and while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Election:
    """One candidacy. Keep `run` running; `won` is set once this process leads.

    ``client`` must not be fenced by this election, and should be used for nothing else: a busy
    connection would delay renewals.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        terms: Terms,
        *,
        now: Callable[[], float] = clock,
        identity: str = "",
    ) -> None:
        self.won = asyncio.Event()
        self.last_error: str | None = "not read yet"
        """Why the Lease cannot be read or written right now, for a person; None while it can."""
        self._client = client
        self._namespace, self._name = namespace, name
        self._now = now
        self._candidate = Candidate(identity or run_identity(), terms)
        self._watch: Cache[Lease] = Cache(
            client,
            LEASES,
            decode_lease,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
        )
        self._news = asyncio.Event()
        self._log = log.bind(lease=f"{namespace}/{name}")

    def leads(self) -> bool:
        """Whether this process may act, now. Ask right before each act."""
        return self._candidate.leads(self._now())

    async def run(self) -> None:
        """Stand, and when elected renew, until cancelled.

        Raises:
            LeaseLost: it was elected, and its time has run out or somebody else holds the lease.
        """
        self._log.info("standing for leader", identity=self._candidate.identity)
        leave = self._watch.subscribe(self._heard)
        watching = asyncio.create_task(self._watch.run())
        told = ""
        try:
            while True:
                await self._step()
                holder = self._candidate.holder
                if holder != told:
                    told = holder
                    self._log.info("the lease's holder", holder=holder or "nobody")
        finally:
            leave()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _step(self) -> None:
        candidate, now = self._candidate, self._now()
        if candidate.lost(now):
            raise LeaseLost(
                f"the lease {self._namespace}/{self._name} "
                + (
                    f"is held by {candidate.holder or 'nobody'}"
                    if candidate.holder != candidate.identity
                    else f"could not be renewed in time: {self.last_error or 'the process slept'}"
                )
            )
        match candidate.decide(now, datetime.now(UTC)):
            case Wait(until):
                await self._wait(until)
            case Read():
                await self._attempt(self._read())
            case Write() as wanted:
                await self._attempt(self._write(wanted))
        if self.leads():
            self.won.set()

    async def _wait(self, until: float) -> None:
        """Until then, or until the watch tells something; where there is no watch, the server is
        asked again every retry period."""
        candidate, now = self._candidate, self._now()
        polls = not self.won.is_set() and not self._watches
        if self.won.is_set():
            until = min(until, candidate.deadline)
        elif polls:
            until = min(until, now + candidate.terms.retry_period)
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - now)):
                await self._news.wait()
                return
        if polls:
            candidate.doubt()

    @property
    def watching(self) -> asyncio.Event:
        """Set once the watch has shown the Lease, or that there is none."""
        return self._watch.synced

    @property
    def _watches(self) -> bool:
        return self.watching.is_set() and self._watch.last_error is None

    def _heard(self, change: Change[Lease]) -> None:
        if change.new is not None:
            self._candidate.heard(change.new, self._now())
        else:
            self._candidate.doubt()
        self._news.set()

    async def _attempt(self, request: Awaitable[None]) -> None:
        """One request, in time enough for another one before the lease would be lost."""
        candidate, sent = self._candidate, self._now()
        patience = candidate.terms.renew_deadline / 2
        if self.leads():
            patience = min(patience, candidate.deadline - sent)
        try:
            async with asyncio.timeout(patience):
                await request
            self.last_error = None
        except (Conflict, AlreadyExists):
            candidate.lost_race()
        except (ApiError, Unreachable, TimeoutError, msgspec.DecodeError) as error:
            words = str(error) or "the API server did not answer in time"
            if words != self.last_error:
                self._log.warning("the lease cannot be read or written", error=words)
            self.last_error = words
            candidate.failed(sent)

    async def _read(self) -> None:
        try:
            raw = await self._client.get(LEASES, self._namespace, self._name)
        except NotFound:
            self._candidate.saw(None, self._now())
        else:
            self._candidate.saw(decode_lease(raw), self._now())

    async def _write(self, wanted: Write) -> None:
        sent = self._now()
        self._candidate.wrote(await self._put(wanted), sent, self._now())

    async def _put(self, wanted: Write) -> Lease:
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        if wanted.base is not None:
            metadata = {**wanted.base.metadata, "resourceVersion": wanted.base.version}
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": wanted.claim.spec(),
        }
        if wanted.base is None:
            raw = await self._client.create(LEASES, self._namespace, body)
        else:
            raw = await self._client.replace(LEASES, self._namespace, self._name, body)
        return decode_lease(raw)

    async def release(self) -> None:
        """Give the lease back, so that the next one need not wait for its end. Everything that it
        fences has to have ended."""
        try:
            async with asyncio.timeout(RELEASE_WITHIN):
                # A renewal may be under way still, so what is known may be old.
                await self._read()
                given = self._candidate.released(datetime.now(UTC))
                base = self._candidate.lease
                if given is not None and base is not None:
                    await self._put(Write(given, base))
                    self._log.info("gave the lease back")
        except (ApiError, Unreachable, TimeoutError, msgspec.DecodeError) as error:
            self._log.warning("the lease is left to run out", error=str(error))
