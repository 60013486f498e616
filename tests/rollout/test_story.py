"""The guide's two rollouts, as the sequence of events that people read."""

from datetime import timedelta

from rollout.model import INTERVAL, Cluster, canary
from rollout.test_crashes import drive, undisturbed
from serinus.api.canary import Phase
from serinus.api.problem import Problem
from serinus.rollout.advance import advance
from serinus.rollout.effects import Record, SaveStatus, SetTraffic
from serinus.rollout.status import condition


def test_promotion_in_the_guides_words() -> None:
    cluster = undisturbed()
    cluster.spec = canary(step=5)
    cluster.events.clear()
    cluster.run()
    cluster.run()
    drive(cluster, until={Phase.SUCCEEDED})
    advances = [f"Advance podinfo.test canary weight {weight}" for weight in range(5, 55, 5)]
    assert cluster.events == [
        "New revision detected! Scaling up podinfo.test",
        "Waiting for podinfo.test rollout to finish: 0 available",
        "Starting canary analysis for podinfo.test",
        "Pre-rollout check acceptance passed",
        *advances,
        "Copying podinfo.test template spec to podinfo-primary.test",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down podinfo.test",
    ]
    assert cluster.status.canary_weight == 0
    assert cluster.status.last_promoted_spec == "v1:b"


def test_rollback_in_the_guides_words() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    cluster.events.clear()
    cluster.success_rate = 69.174
    drive(cluster, until={Phase.FAILED})
    assert cluster.events == [
        "Starting canary analysis for podinfo.test",
        "Pre-rollout check acceptance passed",
        "Advance podinfo.test canary weight 20",
        "Halt podinfo.test advancement success rate 69.17% < 99%",
        "Halt podinfo.test advancement success rate 69.17% < 99%",
        "Halt podinfo.test advancement success rate 69.17% < 99%",
        "Rolling back podinfo.test failed checks threshold reached 3",
        "Canary failed! Scaling down podinfo.test",
    ]
    assert cluster.status.failed_checks == 3
    promoted = condition(cluster.status, "Promoted")
    assert promoted is not None and promoted.status == "False"
    assert promoted.message == "Canary analysis failed, Deployment scaled to zero."


def test_a_new_revision_in_mid_analysis_starts_over() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    for _ in range(2):
        cluster.settle_pods()
        cluster.now += timedelta(seconds=INTERVAL)
        cluster.run()
    assert cluster.route is not None and cluster.route.weights.canary == 40
    cluster.edit_target("v1:c")
    cluster.run()
    assert cluster.events[-1] == "New revision detected! Restarting analysis for podinfo.test"
    assert cluster.route.weights.canary == 0 and cluster.status.canary_weight == 0
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.status.last_promoted_spec == "v1:c"


def test_a_tick_between_two_intervals_takes_no_step() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    cluster.settle_pods()
    cluster.now += timedelta(seconds=INTERVAL)
    cluster.run()
    weight = cluster.status.canary_weight
    for _ in range(5):
        cluster.now += timedelta(seconds=1)
        cluster.run()
    assert cluster.status.canary_weight == weight


def test_without_prometheus_nothing_is_promoted() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    while cluster.status.canary_weight == 0:
        cluster.settle_pods()
        cluster.now += timedelta(seconds=INTERVAL)
        cluster.run()
    cluster.metrics_up = False
    drive(cluster, until={Phase.FAILED})
    halts = [event for event in cluster.events if "Prometheus query failed" in event]
    assert halts == ["Prometheus query failed for request-success-rate: connection refused"] * 3


def test_a_failed_revision_is_not_tried_again_by_itself() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    cluster.success_rate = 0.0
    drive(cluster, until={Phase.FAILED})
    cluster.success_rate = 100.0
    events = list(cluster.events)
    for _ in range(5):
        cluster.now += timedelta(seconds=INTERVAL)
        cluster.run()
    assert cluster.events == events and cluster.status.phase is Phase.FAILED


def test_an_upgrade_that_sees_the_same_object_differently_starts_nothing() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.SUCCEEDED})
    cluster.now += timedelta(seconds=INTERVAL)
    # The scale-down moved the generation; the next rest takes note of nothing new.
    cluster.run()
    cluster.target.revision = "v1:seen-differently"
    assert cluster.primary is not None
    cluster.primary.revision = "v1:seen-differently-primary"
    cluster.run()
    assert cluster.status.phase is Phase.SUCCEEDED
    assert cluster.status.last_applied_spec == "v1:seen-differently"


def test_a_refused_canary_says_which_field_once_and_changes_nothing() -> None:
    cluster = Cluster(canary())
    problem = Problem("spec.analysis.stepWeight", "120 is over 100")
    for expected in (2, 0):
        current, world = cluster.snapshot()
        world = type(world)(world.now, world.due, world.target, world.primary, False, (problem,))
        effects = list(advance(current, world))
        assert len(effects) == expected
        for effect in effects:
            assert isinstance(effect, SaveStatus | Record)
            cluster.perform(effect)
    ready = condition(cluster.status, "Ready")
    assert ready is not None and ready.status == "False" and ready.reason == "Refused"
    assert "spec.analysis.stepWeight: 120 is over 100" in ready.message
    assert "spec.analysis.stepWeight: 120 is over 100" in cluster.events[-1]


def test_a_missing_target_is_named() -> None:
    cluster = Cluster(canary())
    current, world = cluster.snapshot()
    world = type(world)(world.now, True, None, None, False)
    messages = [effect.message for effect in advance(current, world) if isinstance(effect, Record)]
    assert messages == [
        "Refusing to roll out podinfo.test: spec.targetRef.name: Deployment "
        '"podinfo" does not exist in namespace "test"; create it or name another one'
    ]


def test_a_route_that_cannot_be_set_counts_as_a_failed_check() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    cluster.settle_pods()
    cluster.now += timedelta(seconds=INTERVAL)
    effects = cluster.run()
    routed = next(i for i, effect in enumerate(effects) if isinstance(effect, SetTraffic))
    cluster.now += timedelta(seconds=INTERVAL)
    cluster.run(fail_at=routed)
    assert cluster.status.failed_checks == 1
    assert cluster.events[-1] == "Halt podinfo.test: SetTraffic failed: the API server is away"


def test_an_upgrade_in_mid_analysis_goes_on_under_the_new_name() -> None:
    cluster = undisturbed()
    drive(cluster, until={Phase.PROGRESSING})
    cluster.edit_target("v1:c")
    cluster.run()
    cluster.settle_pods()
    cluster.now += timedelta(seconds=INTERVAL)
    cluster.run()
    weight = cluster.status.canary_weight
    assert weight > 0
    cluster.target.revision = "v1:c-described-anew"
    cluster.run()
    assert cluster.status.canary_weight == weight
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.status.last_promoted_spec == "v1:c-described-anew"
