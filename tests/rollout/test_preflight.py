"""A mesh that cannot lead requests to the canary: who waits for it, and who does not."""

from datetime import timedelta

import pytest

from rollout.model import INTERVAL, NO_MESH_SERVICE, Cluster
from rollout.test_crashes import drive
from rollout.test_stories import HALF, INSIDERS, begun, hook, intervals
from serinus.api.canary import Phase
from serinus.rollout.conditions import Stalled, condition, stalled_for
from serinus.rollout.effects import SetTraffic
from serinus.rollout.strategy import ALL_TO_PRIMARY

STEPS = {"stepWeights": [10, 30, 60]}
HELD = f"Halt podinfo.test advancement: the mesh cannot lead requests to it: {NO_MESH_SERVICE}"


def steps_of(cluster: Cluster) -> tuple[int, int, int]:
    status = cluster.status
    return status.canary_weight, status.iterations, status.failed_checks


@pytest.mark.parametrize(
    "analysis",
    [
        pytest.param(STEPS, id="weights"),
        pytest.param({**HALF, "mirror": True}, id="mirror"),
        pytest.param({"iterations": 3, "match": INSIDERS}, id="match"),
        pytest.param({"iterations": 3}, id="blue/green"),
        pytest.param({**HALF, "sessionAffinity": {"cookieName": "c"}}, id="affinity"),
    ],
)
def test_what_the_mesh_lacks_holds_the_rollout_and_is_not_its_fault(
    analysis: dict[str, object],
) -> None:
    cluster = begun(analysis)
    cluster.unprepared = True
    asked = intervals(cluster, 8)
    assert set(asked) == {ALL_TO_PRIMARY}
    assert cluster.status.phase is Phase.PROGRESSING
    assert steps_of(cluster) == (0, 0, 0)
    stalled = condition(cluster.status, "Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason) == ("True", "RouteNotPrepared")
    assert stalled.message == str(NO_MESH_SERVICE)
    assert cluster.events.count(HELD) == 1

    cluster.unprepared = False
    drive(cluster, until={Phase.SUCCEEDED})
    assert stalled_for(cluster.status, Stalled.NOT)


def test_what_is_lacking_is_saved_and_said_once() -> None:
    cluster = begun(STEPS)
    cluster.unprepared = True
    intervals(cluster, 3)
    before, said = cluster.status, len(cluster.events)
    assert stalled_for(before, Stalled.ROUTE_NOT_PREPARED)
    intervals(cluster, 3)
    assert cluster.status == before
    assert len(cluster.events) == said


def test_a_mesh_that_fails_in_mid_rollout_costs_no_step() -> None:
    cluster = begun(STEPS)
    while cluster.status.canary_weight < 30:
        intervals(cluster, 1)
    cluster.unprepared = True
    # Nobody would be served by the canary: no metric of it means anything.
    cluster.success_rate = None
    assert set(intervals(cluster, 5)) == {ALL_TO_PRIMARY}
    assert steps_of(cluster) == (30, 0, 0)

    cluster.unprepared, cluster.success_rate = False, 100.0
    healed = cluster.now + timedelta(seconds=1)
    cluster.now = healed
    traffic = [one.traffic for one in cluster.run() if isinstance(one, SetTraffic)]
    assert [one.weights.canary for one in traffic] == [30]
    assert stalled_for(cluster.status, Stalled.NOT)
    # The canary is judged when it has had requests for an interval, and not before.
    cluster.now = healed + timedelta(seconds=INTERVAL / 2)
    cluster.success_rate = None
    cluster.run()
    assert steps_of(cluster) == (30, 0, 0)
    cluster.success_rate = 100.0
    cluster.now = healed + timedelta(seconds=INTERVAL)
    cluster.run()
    assert steps_of(cluster) == (60, 0, 0)


def test_a_pause_stays_a_pause() -> None:
    cluster = begun(STEPS)
    while cluster.status.canary_weight < 30:
        intervals(cluster, 1)
    cluster.request("pause", "jane at noon")
    intervals(cluster, 1)
    cluster.unprepared = True
    assert set(intervals(cluster, 2)) == {ALL_TO_PRIMARY}
    assert stalled_for(cluster.status, Stalled.PAUSED)
    assert HELD in cluster.events


@pytest.mark.parametrize("way", ["hook", "abort", "deadline"])
def test_a_rollback_is_not_held_up(way: str) -> None:
    cluster = begun({**STEPS, "webhooks": [hook("rollback")]})
    while cluster.status.canary_weight < 30:
        intervals(cluster, 1)
    cluster.unprepared = True
    intervals(cluster, 1)
    if way == "hook":
        cluster.rollback_wanted = True
    elif way == "abort":
        cluster.request("abort", "jane at noon")
    else:
        cluster.target.current, cluster.target.hopeless = False, True
    intervals(cluster, 1)
    assert cluster.status.phase is Phase.FAILED
    assert cluster.target.replicas == 0


def test_a_promotion_is_not_held_up() -> None:
    cluster = begun({**HALF, "stepWeightPromotion": 20})
    drive(cluster, until={Phase.PROMOTING})
    cluster.unprepared = True
    drive(cluster, until={Phase.SUCCEEDED}, ticks=6)
    assert cluster.route == ALL_TO_PRIMARY


def test_a_promotion_without_a_primary_leaves_the_route_as_it_is() -> None:
    cluster = begun({"stepWeight": 100, "maxWeight": 100})
    drive(cluster, until={Phase.PROMOTING})
    assert cluster.primary is not None and cluster.route is not None
    cluster.primary.available, cluster.unprepared = 0, True
    cluster.run()
    assert cluster.route.weights.canary == 100


def test_what_nobody_analyses_needs_no_route_to_its_canary() -> None:
    cluster = begun(STEPS, skipAnalysis=True)
    cluster.unprepared = True
    drive(cluster, until={Phase.SUCCEEDED}, ticks=8)


def test_it_is_shown_before_there_is_a_revision_to_wait() -> None:
    cluster = begun(STEPS)
    cluster.edit_target("v1:a")
    cluster.unprepared = True
    intervals(cluster, 3)
    assert cluster.status.phase is Phase.INITIALIZED
    assert stalled_for(cluster.status, Stalled.ROUTE_NOT_PREPARED)
    assert cluster.events == [HELD]

    cluster.unprepared = False
    intervals(cluster, 1)
    assert stalled_for(cluster.status, Stalled.NOT)


@pytest.mark.parametrize(
    "analysis",
    [
        pytest.param(STEPS, id="weights"),
        pytest.param({**HALF, "mirror": True}, id="mirror"),
        pytest.param({"iterations": 3, "match": INSIDERS}, id="match"),
        pytest.param({"iterations": 3}, id="blue/green"),
    ],
)
def test_without_metrics_no_request_reaches_a_canary_and_nothing_fails(
    analysis: dict[str, object],
) -> None:
    pre = hook("pre-rollout")
    cluster = begun({**analysis, "webhooks": [pre]})
    cluster.metrics_up = False
    assert set(intervals(cluster, 8)) == {ALL_TO_PRIMARY}
    assert cluster.status.phase is Phase.PROGRESSING
    assert steps_of(cluster) == (0, 0, 0)
    stalled = condition(cluster.status, "Stalled")
    assert stalled is not None
    assert (stalled.status, stalled.reason) == ("True", "MetricsNotReady")
    assert stalled.message == "connection refused"
    told = "Halt podinfo.test advancement: its metrics cannot be measured: connection refused"
    assert cluster.events.count(told) == 1

    cluster.metrics_up = True
    drive(cluster, until={Phase.SUCCEEDED})
    assert stalled_for(cluster.status, Stalled.NOT)


def test_metrics_that_go_away_later_are_failed_checks() -> None:
    cluster = begun(STEPS)
    while cluster.status.canary_weight < 30:
        intervals(cluster, 1)
    cluster.metrics_up = False
    intervals(cluster, 1)
    assert steps_of(cluster) == (30, 0, 1)
    assert stalled_for(cluster.status, Stalled.NOT)


def test_who_asks_for_no_metrics_needs_none() -> None:
    cluster = begun({**STEPS, "metrics": []})
    cluster.metrics_up = False
    drive(cluster, until={Phase.SUCCEEDED})


def test_a_canary_without_metrics_can_be_rolled_back() -> None:
    cluster = begun({**STEPS, "webhooks": [hook("rollback")]})
    cluster.metrics_up = False
    intervals(cluster, 2)
    assert stalled_for(cluster.status, Stalled.METRICS_NOT_READY)
    cluster.rollback_wanted = True
    intervals(cluster, 1)
    assert cluster.status.phase is Phase.FAILED
