"""Who leads: what a candidate for a `coordination.k8s.io` Lease does next.

The rules are client-go's, so that its clients and Serinus respect each other's leases: a lease
belongs to its holder until nobody has seen it change for its duration; whoever then writes first,
fenced by the resourceVersion, holds it. Two things keep the world at one leader at most:

- Only the local clock counts, from when a change was *seen*. The times inside the lease are for
  people: clocks of machines differ.
- A leader counts from when it *sent* a renewal that succeeded, and stops well before the lease's
  duration: after ``renew_deadline``. What lies between the two has to outlast the requests that
  are still on their way then.

Here is no I/O and no clock; times are seconds of any clock that goes on while the process, and
the machine, sleep.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from serinus.cluster.version import newer, parse


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease holds (whole seconds, as a Lease states them), after how many seconds
    without a renewal its leader gives up, and how often it renews."""

    duration: int = 60
    renew_deadline: float = 15.0
    retry_period: float = 5.0

    def __post_init__(self) -> None:
        if self.duration < 1:
            raise ValueError("the lease's duration must be 1s or more, in whole seconds")
        if self.renew_deadline >= self.duration:
            raise ValueError("the renew deadline must be shorter than the lease's duration")
        if self.retry_period * 1.2 > self.renew_deadline:
            raise ValueError("the renew deadline must be 1.2 retry periods or more")


@dataclass(frozen=True, slots=True)
class Claim:
    """A Lease's spec. ``holder`` is empty when it has been released."""

    holder: str
    duration: int
    acquired: datetime | None
    renewed: datetime | None
    transitions: int

    def spec(self) -> dict[str, Any]:
        """The spec as JSON; without a holder where there is none, since "" is refused."""
        body: dict[str, Any] = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration,
            "acquireTime": _micro_time(self.acquired),
            "renewTime": _micro_time(self.renewed),
            "leaseTransitions": self.transitions,
        }
        return {key: value for key, value in body.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease that was read. ``metadata`` is written back as it was: labels are people's."""

    claim: Claim
    version: str
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int | None = None


class _Object(msgspec.Struct):
    metadata: dict[str, Any]
    spec: _Spec | None = None


_object = msgspec.json.Decoder(_Object)


def decode_lease(raw: bytes) -> Lease:
    """A Lease from the server's JSON. Raises `msgspec.DecodeError` for anything else."""
    found = _object.decode(raw)
    spec = found.spec or _Spec()
    claim = Claim(
        spec.holder_identity or "",
        spec.lease_duration_seconds or 0,
        spec.acquire_time,
        spec.renew_time,
        spec.lease_transitions or 0,
    )
    return Lease(claim, found.metadata["resourceVersion"], found.metadata)


@dataclass(frozen=True, slots=True)
class Read:
    """Ask the server for the Lease, and tell `Candidate.saw`."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write this claim over ``base`` (fenced by its version), or where that is None create it;
    then tell `Candidate.wrote`, `Candidate.lost_race` or `Candidate.failed`."""

    claim: Claim
    base: Lease | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before that time, unless something is heard."""

    until: float


class Candidate:
    """One process that would lead, or leads."""

    def __init__(self, identity: str, terms: Terms) -> None:
        self.identity = identity
        self.terms = terms
        self._claim: Claim | None = None
        self._since = -math.inf
        self._lease: Lease | None = None
        self._sure = False
        self._renewed: float | None = None
        self._asked = -math.inf
        self._not_before = -math.inf

    @property
    def lease(self) -> Lease | None:
        """The Lease as it was last seen; None when there was none."""
        return self._lease

    @property
    def holder(self) -> str:
        """Who held the lease when it was last seen; empty when nobody did."""
        return self._claim.holder if self._claim is not None else ""

    @property
    def deadline(self) -> float:
        """Until when this process leads unless it renews; it never has led at ``-inf``."""
        return -math.inf if self._renewed is None else self._renewed + self.terms.renew_deadline

    def leads(self, now: float) -> bool:
        """Whether nobody else can be leading at ``now``."""
        return now < self.deadline and self.holder == self.identity

    def lost(self, now: float) -> bool:
        """Whether it has led and leads no more. It may not lead again: others have gone on."""
        return self._renewed is not None and not self.leads(now)

    def decide(self, now: float, wall: datetime) -> Read | Write | Wait:
        """What to do at ``now``; ``wall`` is the time of day, for the lease's readers."""
        if now < self._not_before:
            return Wait(self._not_before)
        if not self._sure:
            return Read()
        if self._renewed is not None:
            due = self._renewed + self.terms.retry_period
            if now < due and self._lease is not None:
                return Wait(due)
        elif self._claim is not None and self.holder not in ("", self.identity):
            expires = self._since + self._claim.duration
            if now < expires:
                return Wait(expires)
        return Write(self._next_claim(wall), self._lease)

    def _next_claim(self, wall: datetime) -> Claim:
        before, duration = self._claim, self.terms.duration
        if before is None:
            return Claim(self.identity, duration, wall, wall, 0)
        if before.holder == self.identity:
            return Claim(self.identity, duration, before.acquired, wall, before.transitions)
        return Claim(self.identity, duration, wall, wall, before.transitions + 1)

    def released(self, wall: datetime) -> Claim | None:
        """The claim that gives the lease back; None when it is not this process'."""
        if self._claim is None or self.holder != self.identity:
            return None
        return Claim("", 1, wall, wall, self._claim.transitions)

    # -- what happened ---------------------------------------------------------------------

    def saw(self, lease: Lease | None, now: float) -> None:
        """The server's answer to a `Read`: it is the truth, even where it went back in time.

        A Lease that is gone says nothing about its leader, who will make it again; so for others
        the last claim goes on running out.
        """
        self._sure = True
        self._lease = lease
        if lease is not None and lease.claim != self._claim:
            self._claim, self._since = lease.claim, now

    def heard(self, lease: Lease, now: float) -> None:
        """A watch shows this, which may be older than what is known."""
        known = self._lease
        if known is None or newer(parse(lease.version), parse(known.version)):
            self.saw(lease, now)

    def doubt(self) -> None:
        """What is known may be wrong: read again."""
        self._sure = False

    def wrote(self, lease: Lease, sent: float, now: float) -> None:
        """The claim of a `Write` that was sent at ``sent`` is the Lease's."""
        self._sure = True
        self._lease, self._claim, self._since = lease, lease.claim, now
        if self.lost(now):
            return
        self._renewed = sent

    def lost_race(self) -> None:
        """Somebody else wrote between our reading and our writing."""
        self._sure = False

    def failed(self, sent: float) -> None:
        """A request that was sent at ``sent`` was refused, or its end is unknown."""
        self._sure = False
        self._not_before = sent + self.terms.retry_period


def _micro_time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
