"""Never two leaders, whatever clocks, networks and pauses do."""

import heapq
import itertools
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.cluster.lease import Candidate, Claim, Lease, Read, Terms, Wait, Write, decode_lease

T = TypeVar("T")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TERMS = Terms(60, 15.0, 5.0)


def claim(holder: str = "other", **changed: object) -> Claim:
    return replace(Claim(holder, 60, NOON, NOON, 3), **changed)  # type: ignore[arg-type]


# -- a world ---------------------------------------------------------------------------------


@dataclass
class Server:
    """A Lease with optimistic concurrency, which tells everybody of its changes."""

    lease: Lease | None = None
    version: int = 0
    watchers: list[Callable[[Lease], None]] = field(default_factory=list)

    def write(self, wanted: Write) -> Lease | None:
        """The new lease; None for a conflict."""
        now = None if self.lease is None else self.lease.version
        if now != (None if wanted.base is None else wanted.base.version):
            return None
        self.version += 1
        self.lease = Lease(wanted.claim, str(self.version))
        for tell in self.watchers:
            tell(self.lease)
        return self.lease


class World:
    """True time, events in its order, and what each node may do to them."""

    def __init__(self, chance: random.Random, nodes: int, trouble: float) -> None:
        self.chance, self.trouble = chance, trouble
        self.now = 0.0
        self.server = Server()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._names = itertools.count()
        self.nodes = [Node(self, next(self._names)) for _ in range(nodes)]
        self.terms_of_office: list[str] = []

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), action))

    def happens(self) -> bool:
        return self.chance.random() < self.trouble

    def delay(self) -> float:
        return self.chance.uniform(1, 40) if self.happens() else self.chance.uniform(0.001, 0.2)

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] < until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            leaders = [node for node in self.nodes if node.leads()]
            assert len(leaders) <= 1, f"{len(leaders)} leaders at {self.now}"
            for node in leaders:
                if self.terms_of_office[-1:] != [node.candidate.identity]:
                    self.terms_of_office.append(node.candidate.identity)

    def replace(self, gone: "Node") -> None:
        self.nodes.remove(gone)
        self.nodes.append(Node(self, next(self._names)))


class Node:
    """A process with a clock of its own rate and origin, which is paused now and then."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.candidate = Candidate(f"node-{number}", TERMS)
        self._rate = world.chance.uniform(0.9, 1.1)
        self._origin = world.chance.uniform(-1e6, 1e6)
        self._asleep_until = -math.inf
        self._turn = 0
        self._dead = False
        world.server.watchers.append(self._told)
        self._later(world.chance.uniform(0, 3), self._step)

    def clock(self) -> float:
        return self._origin + self.world.now * self._rate

    def leads(self) -> bool:
        return not self._dead and self.candidate.leads(self.clock())

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self.world.at(self.world.now + seconds, lambda: self._awake(action))

    def _awake(self, action: Callable[[], None]) -> None:
        """Do it, or once the process goes on."""
        if self._dead:
            return
        if self.world.now < self._asleep_until:
            self.world.at(self._asleep_until, lambda: self._awake(action))
            return
        action()

    def _told(self, lease: Lease) -> None:
        if not self._dead and not self.world.happens():
            self._later(self.world.delay(), lambda: self._hear(lease))

    def _hear(self, lease: Lease) -> None:
        self.candidate.heard(lease, self.clock())
        self._turn += 1
        self._step()

    def _wake(self, turn: int) -> None:
        if turn == self._turn:
            self._step()

    def _step(self) -> None:
        if self.candidate.lost(self.clock()):
            self._dead = True
            self.world.replace(self)
            return
        self._turn += 1
        if self.world.happens():
            self._asleep_until = self.world.now + self.world.chance.uniform(0, 200)
        match self.candidate.decide(self.clock(), NOON + timedelta(seconds=self.clock())):
            case Wait(until):
                turn = self._turn
                self._later(max(0.001, (until - self.clock()) / self._rate),
                            lambda: self._wake(turn))  # fmt: skip
            case Read():
                self._ask(lambda: self.world.server.lease, self._saw)
            case Write() as wanted:
                self._ask(lambda: self.world.server.write(wanted), self._wrote)

    def _ask(self, request: Callable[[], T], answered: Callable[[T, float], None]) -> None:
        """Send; the request, its answer or both may be late or lost, and a lost one times out."""
        sent, turn = self.clock(), self._turn

        def arrives() -> None:
            answer = request()
            if not world.happens():
                self._later(world.delay(), lambda: done(lambda: answered(answer, sent)))

        def done(tell: Callable[[], None]) -> None:
            if turn == self._turn:
                tell()
                self._turn += 1
                self._step()

        world = self.world
        if not world.happens():
            world.at(world.now + world.delay(), arrives)
        self._later(7.5, lambda: done(lambda: self.candidate.failed(sent)))

    def _saw(self, lease: Lease | None, _: float) -> None:
        self.candidate.saw(lease, self.clock())

    def _wrote(self, lease: Lease | None, sent: float) -> None:
        if lease is None:
            self.candidate.lost_race()
        else:
            self.candidate.wrote(lease, sent, self.clock())


@given(st.integers(0, 2**32), st.integers(2, 5), st.floats(0, 0.3))
@settings(max_examples=150, deadline=None)
def test_there_is_never_more_than_one_leader(seed: int, nodes: int, trouble: float) -> None:
    World(random.Random(seed), nodes, trouble).run(until=2000)


def test_without_trouble_one_leads_all_the_time() -> None:
    world = World(random.Random(1), 3, 0.0)
    world.run(until=1000)
    assert len(world.terms_of_office) == 1


def test_with_trouble_leadership_goes_round() -> None:
    world = World(random.Random(1), 3, 0.1)
    world.run(until=20000)
    assert len(set(world.terms_of_office)) > 5


# -- single rules ----------------------------------------------------------------------------


def candidate(lease: Lease | None, now: float = 100.0) -> Candidate:
    made = Candidate("me", TERMS)
    assert made.decide(now, NOON) == Read()
    made.saw(lease, now)
    return made


def leader(now: float = 100.0) -> Candidate:
    made = candidate(None, now)
    wanted = made.decide(now, NOON)
    assert isinstance(wanted, Write)
    made.wrote(Lease(wanted.claim, "5"), now, now + 0.1)
    assert made.leads(now + 0.1)
    return made


def test_a_lease_that_is_not_there_is_made() -> None:
    assert candidate(None).decide(100, NOON) == Write(Claim("me", 60, NOON, NOON, 0), None)


def test_the_holders_time_counts_from_when_it_was_seen() -> None:
    """What the lease says of the time may be years off."""
    old = datetime(2020, 1, 1, tzinfo=UTC)
    lease = Lease(claim(duration=20, renewed=old), "7")
    waiting = candidate(lease)
    assert waiting.decide(100, NOON) == Wait(120)
    waiting.saw(Lease(lease.claim, "8"), 119)
    assert waiting.decide(119, NOON) == Wait(120), "a new label renews nothing"
    waiting.heard(Lease(replace(lease.claim, renewed=NOON), "9"), 119)
    assert waiting.decide(120, NOON) == Wait(139)
    wanted = waiting.decide(139, NOON)
    assert isinstance(wanted, Write)
    assert wanted.claim == Claim("me", 60, NOON, NOON, 4)
    assert wanted.base is not None and wanted.base.version == "9"


def test_a_released_lease_is_taken_at_once() -> None:
    waiting = candidate(Lease(claim(), "7"))
    free = Lease(claim("", duration=1), "8")
    waiting.heard(free, 101)
    assert waiting.decide(101, NOON) == Write(Claim("me", 60, NOON, NOON, 4), free)


def test_a_renewal_keeps_what_people_read() -> None:
    leading = leader()
    assert leading.decide(104.9, NOON) == Wait(105)
    later = NOON.replace(hour=13)
    assert leading.decide(105, later) == Write(
        Claim("me", 60, NOON, later, 0), Lease(Claim("me", 60, NOON, NOON, 0), "5")
    )


def test_leadership_counts_from_the_sending_and_ends_by_itself() -> None:
    leading = leader(100)
    assert leading.leads(114.9) and not leading.lost(114.9)
    assert leading.lost(115)
    leading.wrote(Lease(claim("me"), "6"), 114, 116)
    assert leading.lost(116), "an answer that comes too late restores nothing"


def test_another_holder_ends_it_at_once() -> None:
    leading = leader()
    leading.heard(Lease(claim("other"), "6"), 101)
    assert leading.lost(101)


def test_an_old_event_ends_nothing() -> None:
    leading = leader()
    leading.heard(Lease(claim("other"), "4"), 101)
    assert leading.leads(101)


def test_a_deleted_lease_is_made_again_by_its_leader_and_waited_for_by_others() -> None:
    leading = leader()
    leading.saw(None, 101)
    again = leading.decide(101, NOON)
    assert again == Write(Claim("me", 60, NOON, NOON, 0), None)
    waiting = candidate(Lease(claim(), "7"))
    waiting.saw(None, 101)
    assert waiting.decide(101, NOON) == Wait(160)


def test_a_write_of_unknown_end_is_read_before_the_next() -> None:
    waiting = candidate(None)
    waiting.failed(sent=100)
    assert waiting.decide(101, NOON) == Wait(105)
    assert waiting.decide(105, NOON) == Read()
    waiting.saw(Lease(claim("me"), "1"), 105)
    assert not waiting.leads(105), "it has not been renewed by a request that was answered"
    assert isinstance(waiting.decide(105, NOON), Write)


def test_what_is_given_back_names_nobody() -> None:
    leading = leader()
    given = leading.released(NOON)
    assert given is not None
    assert given.spec() == {
        "leaseDurationSeconds": 1,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }
    assert candidate(Lease(claim(), "7")).released(NOON) is None


def test_a_lease_of_client_go_is_read() -> None:
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "resourceVersion": "12", "labels": {"team": "a"}},
        "spec": {
            "holderIdentity": "pod_0c5b",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-01T12:00:00.000001Z",
            "renewTime": "2026-01-01T12:00:05.250000Z",
            "leaseTransitions": 2,
        },
    }
    lease = decode_lease(json.dumps(body).encode())
    assert lease.metadata["labels"] == {"team": "a"}
    assert lease.claim.spec() == body["spec"]
    body["spec"] = {}
    assert decode_lease(json.dumps(body).encode()).claim == Claim("", 0, None, None, 0)


@pytest.mark.parametrize(
    ("terms", "words"),
    [((0, 1, 0.1), "1s or more"), ((15, 15, 5), "shorter"), ((60, 5, 5), "retry periods")],
)
def test_terms_that_would_not_hold(terms: tuple[int, float, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Terms(*terms)
