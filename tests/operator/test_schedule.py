"""Steps keep their pace, and looks come when asked for, in any order of events."""

from hypothesis import given
from hypothesis import strategies as st

from serinus.operator.schedule import BUNDLE, EARLY, Schedule

KEY = ("test", "podinfo")


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
            schedule.end(key, now if due else None)


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
    gaps = [after - before for before, after in zip([0.0, *steps], steps, strict=False)]
    assert all(interval - EARLY <= gap <= interval + 1e-6 for gap in gaps)
    assert len(steps) >= int(300 / interval) - 1


def test_a_change_is_looked_at_at_once() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=0.0)
    assert schedule.begin(BUNDLE) == [KEY]
    schedule.end(KEY, None)
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
    schedule.end(KEY, None)
    assert schedule.next_at() == 1.5 + BUNDLE


def test_a_canary_met_after_a_restart_keeps_its_pace() -> None:
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=100.0, last_step=80.0)
    schedule.begin(100.0 + BUNDLE)
    assert not schedule.due(KEY, 100.0 + BUNDLE)
    schedule.end(KEY, None)
    assert schedule.next_at() == 110.0


def test_what_was_not_spent_stays_due() -> None:
    """A due look that only waited leaves the step to the look that finds the pods ready."""
    schedule = Schedule()
    schedule.put(KEY, 30.0, now=0.0, last_step=-100.0)
    schedule.begin(1.0)
    assert schedule.due(KEY, 1.0)
    schedule.end(KEY, None)
    schedule.poke(KEY, 7.0)
    assert schedule.begin(7.0 + BUNDLE) == [KEY]
    assert schedule.due(KEY, 7.0 + BUNDLE)


def test_a_shorter_interval_brings_the_next_step_forward() -> None:
    schedule = Schedule()
    schedule.put(KEY, 60.0, now=0.0, last_step=0.0)
    schedule.begin(BUNDLE)
    schedule.end(KEY, None)
    schedule.put(KEY, 10.0, now=5.0, last_step=0.0)
    assert schedule.next_at() == 10.0


def test_a_dropped_canary_is_never_looked_at() -> None:
    schedule = Schedule()
    schedule.put(KEY, 10.0, now=0.0, last_step=0.0)
    schedule.drop(KEY)
    assert schedule.begin(1000.0) == [] and schedule.next_at() is None
