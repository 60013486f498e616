"""Whatever is cut off or fails, and whenever users edit: the same ends, nothing broken."""

from datetime import timedelta
from itertools import count
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from rollout.generated import generated_canary
from rollout.model import INTERVAL, Cluster, canary
from serinus.api.canary import Phase

SETTLED = {Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED}


class Rollouts(RuleBasedStateMachine):
    """Any order of ticks, cuts, failures, edits, pods, metrics and time."""

    @initialize(seed=st.integers(0, 2**32), splits=st.booleans())
    def begin(self, seed: int, splits: bool) -> None:
        made = generated_canary(Random(seed), splits=splits)
        made = msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, suspend=False))
        self.cluster = Cluster(made, splits=splits)
        self.revisions = 0

    @rule(stop=st.none() | st.integers(0, 20), fail=st.none() | st.integers(0, 20))
    def tick(self, stop: int | None, fail: int | None) -> None:
        self.cluster.run(stop_after=stop, fail_at=fail)

    @rule()
    def interval_passes(self) -> None:
        self.cluster.now += timedelta(seconds=INTERVAL)
        self.cluster.run()

    @rule(intervals=st.integers(1, 6), stop=st.none() | st.integers(4, 12))
    def all_goes_well(self, intervals: int, stop: int | None) -> None:
        """Get somewhere, so that the other rules meet every phase; the last tick is cut off."""
        for index in range(intervals):
            self.cluster.settle_pods()
            self.cluster.now += timedelta(seconds=INTERVAL)
            self.cluster.run(stop_after=stop if index == intervals - 1 else None)

    @rule()
    def pods_become_ready(self) -> None:
        self.cluster.settle_pods()
        self.cluster.run()

    @rule()
    def edit(self) -> None:
        self.revisions += 1
        self.cluster.edit_target(f"v1:{self.revisions}")

    @rule()
    def edit_back(self) -> None:
        self.cluster.edit_target("v1:a")

    @rule()
    def pods_crash(self) -> None:
        target = self.cluster.target
        if target.replicas:
            target.available, target.current = 0, False
            self.cluster.run()

    @rule()
    def deadline_passes(self) -> None:
        if not self.cluster.target.current:
            self.cluster.target.hopeless = True

    @rule(rate=st.sampled_from([100.0, 99.0, 50.0, None]))
    def metrics_change(self, rate: float | None) -> None:
        self.cluster.success_rate = rate

    @rule(up=st.booleans(), hooks=st.booleans())
    def services_change(self, up: bool, hooks: bool) -> None:
        self.cluster.metrics_up = up
        self.cluster.closed = set() if hooks else {"pre-rollout", "rollout"}

    @rule(unprepared=st.booleans())
    def mesh_changes(self, unprepared: bool) -> None:
        self.cluster.unprepared = unprepared

    def teardown(self) -> None:
        """Left alone in a healthy world, every rollout comes to its end."""
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        cluster.success_rate, cluster.metrics_up, cluster.closed = 100.0, True, set()
        cluster.unprepared = False
        for _ in range(120):
            cluster.target.hopeless = False
            cluster.settle_pods()
            cluster.now += timedelta(seconds=INTERVAL)
            cluster.run()
        assert cluster.status.phase in SETTLED, cluster.status
        assert cluster.route is not None and cluster.route.weights.canary == 0
        assert cluster.target.replicas == 0 and cluster.apex == "primary"
        assert cluster.status.last_applied_spec == cluster.target.revision, "a revision was lost"
        if cluster.status.phase is not Phase.FAILED:
            assert cluster.primary is not None
            assert cluster.primary.revision == f"{cluster.target.revision}-primary"


class TestRollouts(Rollouts.TestCase):
    settings = settings(
        max_examples=400,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def undisturbed() -> Cluster:
    """A cluster in which the first revision serves and a second one waits to be found."""
    cluster = Cluster(canary())
    drive(cluster, until={Phase.INITIALIZED})
    cluster.settle_pods()
    cluster.edit_target("v1:b")
    return cluster


def drive(cluster: Cluster, until: set[Phase], ticks: int = 60) -> None:
    for _ in range(ticks):
        if cluster.status.phase in until:
            return
        cluster.settle_pods()
        cluster.now += timedelta(seconds=INTERVAL)
        cluster.run()
    raise AssertionError(f"not one of {until} after {ticks} ticks: {cluster.status}")


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("good", [True, False])
def test_stopping_after_each_effect_of_each_tick(good: bool, edited: bool) -> None:
    """Exhaustive where the state machine is random: every single cut of one whole rollout, and
    with every cut a user who edits the target at that very moment."""
    cuts = 0
    for tick in range(14):
        for stop in count():
            cluster = undisturbed()
            if not good:
                cluster.success_rate = 40.0
            for index in range(40):
                cluster.settle_pods()
                cluster.now += timedelta(seconds=INTERVAL)
                cluster.run(stop_after=stop if index == tick else None)
                if edited and index == tick:
                    cluster.edit_target("v1:c")
            assert cluster.status.phase is (Phase.SUCCEEDED if good else Phase.FAILED)
            assert cluster.status.last_applied_spec == ("v1:c" if edited else "v1:b")
            if not cluster.cuts:
                # The tick has come to its end before that.
                break
            cuts += cluster.cuts
    assert cuts > 100
