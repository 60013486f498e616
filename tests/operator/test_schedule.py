"""Steps keep their pace, and looks come when asked for, in any order of events."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serinus.operator.schedule import BUNDLE, EARLY, ROOM, SLOTS, Schedule

KEY = ("test", "podinfo")
ROUNDING = 1e-6


def simulate(schedule: Schedule, until: float, pokes: list[float]) -> list[float]:
    """Run the schedule in virtual time, a step whenever one is due; when steps were taken."""
    now, steps = 0.0, []
    pending = sorted(pokes)
    while True:
        upcoming = [at for at in (schedule.next_at(), *pending[:1]) if at is not None]
        if not upcoming or min(upcoming) > until:
            return steps
        now = max(now, min(upcoming))
        while pending and pending[0] <= now:
            schedule.poke(KEY, pending.pop(0))
        for key in schedule.begin(now):
            due = schedule.due(key, now)
            if due:
                steps.append(now)
            schedule.end(key, stepped=due)


def place(schedule: Schedule, interval: float, starts: list[float]) -> list[float]:
    """Have a canary take its first step at each of these times; when it is due for its second."""
    dues = []
    for number, start in enumerate(starts):
        key = ("test", str(number))
        schedule.put(key, interval, now=start - 2 * BUNDLE, last_step=start - 100.0)
        for found in schedule.begin(start):
            schedule.end(found, stepped=schedule.due(found, start))
        low, high = start + interval - 2 * EARLY, start + 2 * interval
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if schedule.due(key, middle) else (middle, high)
        dues.append(high + EARLY)
    return dues


@given(
    interval=st.floats(1, 60),
    pokes=st.lists(st.floats(0, 300), max_size=40),
)
def test_no_step_is_early_or_late_however_often_it_is_poked(
    interval: float, pokes: list[float]
) -> None:
    schedule = Schedule()
    schedule.put(KEY, interval, now=0.0, last_step=0.0)
    steps = simulate(schedule, 300.0, pokes)
    gaps = [after - before for before, after in itertools.pairwise([0.0, *steps])]
    assert all(gap >= interval - EARLY - ROUNDING for gap in gaps)
    # The first step finds the canary's place, the second is in it, and then it keeps the pace.
    first, second, rest = gaps[:1], gaps[1:2], gaps[2:]
    assert all(gap <= interval + ROUNDING for gap in first)
    assert all(gap <= interval + EARLY + interval / SLOTS for gap in second)
    assert all(gap <= interval + EARLY + ROUNDING for gap in rest)
    assert len(steps) >= int((300 - interval / SLOTS) / interval) - 1


@given(interval=st.floats(1, 60), starts=st.lists(st.floats(0, 60), min_size=1, max_size=30))
def test_a_few_canaries_are_due_together(interval: float, starts: list[float]) -> None:
    schedule = Schedule()
    dues = place(schedule, interval, sorted(starts))
    for start, due in zip(sorted(starts), dues, strict=True):
        assert start + interval - 2 * BUNDLE <= due <= start + interval * (1 + 1 / SLOTS)
    phases = {round(due / interval * SLOTS, 3) % SLOTS for due in dues}
    assert phases <= set(range(SLOTS))


def test_many_canaries_spread_evenly() -> None:
    """Five thousand that begin all over an interval of 30 s, and hundreds at once."""
    for many, during, at_most in ((5000, 30.0, ROOM), (500, 0.0, ROOM), (2000, 0.0, 500)):
        schedule = Schedule()
        dues = place(schedule, 30.0, [during * number / many for number in range(many)])
        together = Counter(round(due % 30.0, 3) % 30.0 for due in dues)
        assert max(together.values()) <= at_most
        assert len(together) <= many / at_most * 1.25


def test_a_place_is_free_again_when_its_canary_rests_or_goes() -> None:
    schedule = Schedule()
    names = [("test", str(number)) for number in range(ROOM)]
    for key in names:
        schedule.put(key, 30.0, now=0.0, last_step=-100.0)
    for key in schedule.begin(BUNDLE):
        schedule.end(key, stepped=True)
    shared = schedule.next_at()
    assert shared is not None
    schedule.drop(names[0])
    for key in schedule.begin(shared):
        schedule.end(key, stepped=key != names[1])
    late = [("test", name) for name in ("late", "later", "latest")]
    for key in late:
        schedule.put(key, 30.0, now=shared + 29.0, last_step=-100.0)
    begun = schedule.begin(shared + 29.0 + BUNDLE)
    assert begun == late
    for key in begun:
        schedule.end(key, stepped=True)
    assert [schedule.due(key, shared + 60.0) for key in late] == [True, True, False]


def test_a_look_that_is_late_does_not_move_the_next_one() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=-100.0)
    schedule.begin(BUNDLE)
    schedule.end(KEY, stepped=True)
    at = schedule.next_at()
    assert at is not None
    schedule.begin(at + 2.0)
    schedule.end(KEY, stepped=True)
    assert schedule.next_at() == at + 30.0


def test_steps_do_not_follow_each_other_closely_after_a_long_pause() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=-100.0)
    schedule.begin(BUNDLE)
    schedule.end(KEY, stepped=True)
    at = schedule.next_at()
    assert at is not None
    schedule.begin(at + 29.0)
    schedule.end(KEY, stepped=True)
    following = schedule.next_at()
    assert following is not None and following >= at + 29.0 + 30.0


def test_a_change_is_looked_at_at_once() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=0.0)
    assert schedule.begin(BUNDLE) == [KEY]
    schedule.end(KEY, stepped=False)
    schedule.poke(KEY, 5.0)
    assert schedule.next_at() == 5.0 + BUNDLE
    assert schedule.begin(5.0 + BUNDLE) == [KEY]
    assert not schedule.due(KEY, 5.0 + BUNDLE)


def test_a_change_during_a_look_asks_for_another_one() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=0.0)
    schedule.begin(1.0)
    schedule.poke(KEY, 1.5)
    assert schedule.next_at() is None, "busy"
    schedule.end(KEY, stepped=False)
    assert schedule.next_at() == 1.5 + BUNDLE


def test_a_canary_met_after_a_restart_keeps_its_pace() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=100.0, last_step=80.0)
    schedule.begin(100.0 + BUNDLE)
    assert not schedule.due(KEY, 100.0 + BUNDLE)
    schedule.end(KEY, stepped=False)
    assert schedule.next_at() == 110.0


def test_what_was_not_spent_stays_due() -> None:
    """A due look that only waited leaves the step to the look that finds the pods ready."""
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=-100.0)
    schedule.begin(1.0)
    assert schedule.due(KEY, 1.0)
    schedule.end(KEY, stepped=False)
    schedule.poke(KEY, 7.0)
    assert schedule.begin(7.0 + BUNDLE) == [KEY]
    assert schedule.due(KEY, 7.0 + BUNDLE)


def test_a_shorter_interval_brings_the_next_step_forward() -> None:
    schedule = Schedule()
    schedule.put(KEY, 60.0, now=0.0, last_step=0.0)
    schedule.begin(BUNDLE)
    schedule.end(KEY, stepped=False)
    schedule.put(KEY, 10.0, now=5.0, last_step=0.0)
    assert schedule.next_at() == 10.0


def test_a_dropped_canary_is_never_looked_at() -> None:
    schedule = Schedule()
    schedule.put(KEY, 10.0, now=0.0, last_step=0.0)
    schedule.drop(KEY)
    assert schedule.begin(1000.0) == [] and schedule.next_at() is None
