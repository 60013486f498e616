"""Every strategy and flow, as the sequence of events that people read."""

from datetime import timedelta
from typing import Any

import pytest

from rollout.model import INTERVAL, METRICS, Cluster, made
from rollout.test_crashes import drive
from serinus.api.canary import Phase
from serinus.rollout.conditions import Stalled, stalled_for
from serinus.rollout.effects import SetTraffic, Traffic

ENDS = {Phase.SUCCEEDED, Phase.FAILED}
FOUND = (
    "New revision detected! Scaling up podinfo.test",
    "Starting canary analysis for podinfo.test",
)
COPYING = "Copying podinfo.test template spec to podinfo-primary.test"
TO_PRIMARY = "Routing all traffic to primary"
COMPLETED = "Promotion completed! Scaling down podinfo.test"
GOOD_END = (COPYING, TO_PRIMARY, COMPLETED)
INSIDERS = [{"headers": {"x-canary": {"exact": "insider"}}}]
HALF = {"stepWeight": 50, "maxWeight": 50}


def begun(analysis: dict[str, Any], *, splits: bool = True, **spec: Any) -> Cluster:
    """A canary at rest, whose target has just been edited."""
    wanted = {"metrics": METRICS[:1], "webhooks": (), "threshold": 2, **analysis}
    cluster = Cluster(made(wanted, **spec), splits=splits)
    drive(cluster, until={Phase.INITIALIZED})
    cluster.edit_target("v1:b")
    cluster.events.clear()
    cluster.alerts.clear()
    return cluster


def intervals(cluster: Cluster, count: int) -> list[Traffic]:
    """Let so many pass in a healthy world; the traffic that was asked for."""
    traffic = []
    for _ in range(count):
        cluster.settle_pods()
        cluster.now += timedelta(seconds=INTERVAL)
        traffic += [done.traffic for done in cluster.run() if isinstance(done, SetTraffic)]
    return traffic


def advances(kind: str, *values: object) -> tuple[str, ...]:
    return tuple(f"Advance podinfo.test {kind} {value}" for value in values)


def hook(kind: str) -> dict[str, str]:
    return {"name": f"the-{kind}", "type": kind, "url": "http://x/"}


@pytest.mark.parametrize(
    ("analysis", "splits", "events"),
    [
        pytest.param(
            {"stepWeights": [10, 60]},
            True,
            (*advances("canary weight", 10, 60), *GOOD_END),
            id="stepWeights",
        ),
        pytest.param(
            {**HALF, "stepWeightPromotion": 20},
            True,
            (
                *advances("canary weight", 50),
                COPYING,
                *advances("primary weight", 70, 90, 100),
                COMPLETED,
            ),
            id="stepWeightPromotion",
        ),
        pytest.param(
            {**HALF, "mirror": True},
            True,
            (*advances("canary weight", 50), *GOOD_END),
            id="mirrored",
        ),
        pytest.param(
            {"iterations": 2},
            True,
            (
                *advances("canary iteration", "1/2", "2/2"),
                "Routing all traffic to canary",
                *GOOD_END,
            ),
            id="blue/green",
        ),
        pytest.param(
            {"iterations": 2, "mirror": True},
            True,
            (
                *advances("canary iteration", "1/2", "2/2"),
                "Stop traffic mirroring and route all traffic to canary",
                *GOOD_END,
            ),
            id="blue/green, mirrored",
        ),
        pytest.param(
            {"iterations": 2, "match": INSIDERS},
            True,
            (*advances("canary iteration", "1/2", "2/2"), *GOOD_END),
            id="A/B",
        ),
        pytest.param(
            {"iterations": 2},
            False,
            (*advances("canary iteration", "1/2", "2/2"), *GOOD_END),
            id="blue/green on plain Kubernetes",
        ),
        pytest.param(
            HALF,
            False,
            (
                "Progressive traffic is not supported when using the kubernetes provider; "
                "running 10 iterations instead",
                *advances("canary iteration", *(f"{n}/10" for n in range(1, 11))),
                *GOOD_END,
            ),
            id="weights on plain Kubernetes",
        ),
    ],
)
def test_a_promotion(analysis: dict[str, Any], splits: bool, events: tuple[str, ...]) -> None:
    cluster = begun(analysis, splits=splits)
    drive(cluster, until=ENDS)
    assert cluster.events == [*FOUND, *events]
    assert cluster.alerts == [
        "info: New revision detected, progressing canary analysis.",
        "info: Canary analysis completed successfully, promotion finished.",
    ]


def test_requests_are_copied_before_any_is_routed() -> None:
    cluster = begun({**HALF, "mirror": True})
    traffic = intervals(cluster, 3)
    mirrored = [shape for shape in traffic if shape.mirrored]
    assert mirrored and all(shape.weights.canary == 0 for shape in mirrored)
    assert traffic[-1].weights.canary == 50 and not traffic[-1].mirrored


def test_an_ab_test_keeps_everybody_else_on_the_primary() -> None:
    cluster = begun({"iterations": 2, "match": INSIDERS})
    traffic = intervals(cluster, 3)
    assert traffic[-1].matched and traffic[-1].weights.canary == 0


@pytest.mark.parametrize(
    ("kind", "before", "what", "alert", "after"),
    [
        (
            "confirm-rollout",
            (),
            "approval",
            "Canary is waiting for approval.",
            (*FOUND, *advances("canary weight", 50), *GOOD_END),
        ),
        (
            "confirm-traffic-increase",
            FOUND,
            "traffic increase approval",
            "Canary traffic increase is waiting for approval.",
            (*advances("canary weight", 50), *GOOD_END),
        ),
        (
            "confirm-promotion",
            (*FOUND, *advances("canary weight", 50)),
            "promotion approval",
            "Canary promotion is waiting for approval.",
            GOOD_END,
        ),
    ],
)
def test_a_closed_gate_is_told_once(
    kind: str, before: tuple[str, ...], what: str, alert: str, after: tuple[str, ...]
) -> None:
    cluster = begun({**HALF, "webhooks": [hook(kind)]})
    cluster.closed = {kind}
    intervals(cluster, 6)
    halt = f"Halt podinfo.test advancement waiting for {what} the-{kind}"
    assert cluster.events == [*before, halt]
    assert cluster.alerts.count(f"warn: {alert}") == 1
    assert cluster.status.failed_checks == 0
    cluster.closed.clear()
    cluster.events.clear()
    drive(cluster, until=ENDS)
    assert cluster.events == [f"{kind.capitalize()} check the-{kind} passed", *after]


def test_a_rollback_that_a_hook_asks_for() -> None:
    cluster = begun({**HALF, "webhooks": [hook("rollback")]})
    intervals(cluster, 2)
    cluster.rollback_wanted = True
    drive(cluster, until=ENDS)
    assert cluster.events == [
        FOUND[0],
        "Rollback hook the-rollback not signaling a rollback",
        FOUND[1],
        *advances("canary weight", 50),
        "Rollback check the-rollback passed",
        "Rolling back podinfo.test manual webhook invoked",
        "Canary failed! Scaling down podinfo.test",
    ]


def test_skip_analysis() -> None:
    cluster = begun(HALF, skipAnalysis=True)
    drive(cluster, until=ENDS)
    skipped = "Promotion completed! Canary analysis was skipped for podinfo.test"
    assert cluster.events == [FOUND[0], COPYING, TO_PRIMARY, skipped]
    assert cluster.alerts[-1] == "info: Canary analysis was skipped, promotion finished."


def test_skip_analysis_waits_for_a_pause() -> None:
    cluster = begun(HALF, skipAnalysis=True)
    cluster.run()
    cluster.request("pause", "jane at 1")
    intervals(cluster, 4)
    assert cluster.status.phase is Phase.PROGRESSING


def unpromotable(analysis: dict[str, Any]) -> Cluster:
    """A canary that serves everybody, since its primary does not get ready."""
    cluster = begun(analysis)
    cluster.stubborn.add("v1:b-primary")
    drive(cluster, until={Phase.PROMOTING})
    assert cluster.primary is not None
    cluster.primary.available, cluster.primary.hopeless = 0, True
    drive(cluster, until=ENDS)
    return cluster


def repair_primary(cluster: Cluster) -> None:
    assert cluster.primary is not None
    cluster.stubborn.clear()
    cluster.primary.hopeless = False


def serves(cluster: Cluster) -> bool:
    return cluster.route is not None and cluster.route.weights.canary == 100


def test_a_failed_promotion_heals_itself() -> None:
    cluster = unpromotable(HALF)
    why = "primary not ready: rollout to finish: 0 available"
    assert cluster.events[-2:] == [COPYING, f"Promotion of podinfo.test failed, {why}"]
    assert cluster.alerts[-1] == f"error: Promotion failed, {why}"
    assert serves(cluster) and stalled_for(cluster.status, Stalled.PRIMARY_NOT_READY)
    cluster.events.clear()
    repair_primary(cluster)
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.events == [TO_PRIMARY, COMPLETED]


@pytest.mark.parametrize("way", ["pause", "suspend"])
def test_a_canary_that_stands_in_stays_whatever_else_is_asked(way: str) -> None:
    cluster = unpromotable(HALF)
    spec = cluster.spec
    if way == "pause":
        cluster.request("pause", "jane at 1")
    else:
        cluster.spec = made({"metrics": (), "webhooks": (), **HALF}, suspend=True)
    intervals(cluster, 2)
    assert serves(cluster)
    cluster.request("resume", "jane at 2") if way == "pause" else setattr(cluster, "spec", spec)
    intervals(cluster, 2)
    assert serves(cluster) and stalled_for(cluster.status, Stalled.PRIMARY_NOT_READY)
    repair_primary(cluster)
    drive(cluster, until={Phase.SUCCEEDED})


def test_an_edit_back_after_a_failed_promotion_is_rolled_out() -> None:
    cluster = unpromotable(HALF)
    cluster.edit_target("v1:a")
    repair_primary(cluster)
    intervals(cluster, 2)
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.primary is not None and cluster.primary.revision == "v1:a-primary"


def test_a_target_that_goes_while_it_stands_in_loses_the_traffic() -> None:
    cluster = unpromotable(HALF)
    cluster.remove_target()
    intervals(cluster, 1)
    assert cluster.route is not None and cluster.route.weights.canary == 0
    assert "Rolling back podinfo.test target podinfo.test does not exist any more" in cluster.events


@pytest.mark.parametrize(("force", "phase"), [("", Phase.FAILED), (" --force", Phase.PROMOTING)])
@pytest.mark.parametrize("analysis", [HALF, {"iterations": 1, "match": INSIDERS}])
def test_a_repair_is_promoted_when_somebody_vouches_for_it(
    force: str, phase: Phase, analysis: dict[str, Any]
) -> None:
    cluster = unpromotable({**analysis, "webhooks": [hook("confirm-promotion")]})
    cluster.closed = {"confirm-promotion"}
    cluster.stubborn.add("v1:c-primary")
    cluster.edit_target("v1:c")
    cluster.request("promote", f"jane at 1{force}")
    intervals(cluster, 2)
    assert cluster.status.phase is phase and serves(cluster)
    repair_primary(cluster)
    cluster.closed.clear()
    drive(cluster, until={Phase.SUCCEEDED})


def test_a_failed_primary_is_repaired_by_a_promotion_that_is_asked_for() -> None:
    cluster = begun(HALF)
    drive(cluster, until={Phase.PROGRESSING})
    primary = cluster.primary
    assert primary is not None
    primary.available, primary.current, primary.hopeless = 0, False, True
    intervals(cluster, 2)
    assert any("promote the canary by hand" in event for event in cluster.events)
    cluster.request("promote", "jane at 1")
    drive(cluster, until={Phase.SUCCEEDED})


def test_a_revision_edited_into_a_promotion_gets_nothing_of_the_traffic_on_its_way_back() -> None:
    cluster = begun({**HALF, "stepWeightPromotion": 10})
    drive(cluster, until={Phase.PROMOTING})
    intervals(cluster, 1)
    cluster.edit_target("v1:c")
    assert all(shape.weights.canary == 0 for shape in intervals(cluster, 2))
    drive(cluster, until={Phase.SUCCEEDED})
    intervals(cluster, 1)
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.status.last_promoted_spec == "v1:c"


def test_an_edit_back_to_what_the_primary_runs_ends_the_analysis() -> None:
    cluster = begun({"stepWeight": 20})
    intervals(cluster, 2)
    cluster.edit_target("v1:a")
    drive(cluster, until=ENDS)
    assert cluster.events == [
        *FOUND,
        *advances("canary weight", 20),
        "podinfo.test is back at the revision that the primary runs: ending the analysis, "
        "there is nothing to promote",
        "Analysis ended without a promotion! Scaling down podinfo.test",
    ]


def test_a_change_of_config_is_a_revision() -> None:
    cluster = begun(HALF)
    cluster.edit_target("v1:a")
    intervals(cluster, 1)
    cluster.edit_config("x")
    drive(cluster, until={Phase.PROGRESSING})
    drive(cluster, until=ENDS)
    assert cluster.events == [*FOUND, *advances("canary weight", 50), *GOOD_END]
    assert cluster.primary is not None
    assert cluster.primary.configs == {"configmap/settings": "x"}


def test_abort_and_retry() -> None:
    cluster = begun({"stepWeight": 50})
    intervals(cluster, 2)
    cluster.events.clear()
    cluster.request("abort", "jane at 1")
    cluster.run()
    asked = "Rolling back podinfo.test: requested by jane at 1"
    assert cluster.events == [asked, "Canary failed! Scaling down podinfo.test"]
    assert cluster.alerts[-1] == f"error: {asked}"
    cluster.events.clear()
    cluster.request("retry", "jane at 2")
    cluster.run()
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.events == [
        "Trying again podinfo.test: requested by jane at 2",
        *FOUND,
        *advances("canary weight", 50, 100),
        *GOOD_END,
    ]


def test_promote_pause_and_resume() -> None:
    cluster = begun({"stepWeight": 20})
    intervals(cluster, 2)
    cluster.events.clear()
    cluster.request("pause", "jane at 1")
    intervals(cluster, 3)
    cluster.request("resume", "jane at 2")
    intervals(cluster, 1)
    cluster.request("promote", "jane at 3")
    drive(cluster, until=ENDS)
    assert cluster.events == [
        "Pausing podinfo.test: requested by jane at 1",
        "Resuming podinfo.test: requested by jane at 2",
        *advances("canary weight", 40),
        "Promoting without further analysis podinfo.test: requested by jane at 3",
        *GOOD_END,
    ]


def test_a_deletion_gives_back() -> None:
    cluster = begun({"stepWeight": 20}, revertOnDeletion=True)
    intervals(cluster, 2)
    cluster.events.clear()
    cluster.delete()
    intervals(cluster, 2)
    assert cluster.events == [
        "Terminating canary podinfo.test",
        "Canary podinfo.test is deleted: podinfo.test serves again",
    ]
    assert cluster.released and cluster.apex == "target" and cluster.route is None
