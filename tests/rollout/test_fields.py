"""What each field of a Canary makes of a rollout, as the sequence of events that people read."""

from datetime import timedelta

from rollout.model import INTERVAL, Cluster, made
from rollout.test_crashes import drive
from serinus.api.canary import Canary, Phase
from serinus.rollout import effects as e
from serinus.rollout.conditions import condition
from serinus.rollout.effects import Traffic, Weights

GATES = (
    {"name": "begin", "type": "confirm-rollout", "url": "http://x/"},
    {"name": "more", "type": "confirm-traffic-increase", "url": "http://x/"},
    {"name": "end", "type": "confirm-promotion", "url": "http://x/"},
    {"name": "back", "type": "rollback", "url": "http://x/"},
)
BESIDE = {"threshold": 3, "iterations": 2}
BY_WEIGHT = {"threshold": 3, "maxWeight": 60, "stepWeight": 20}


def changed(spec: Canary, **world: bool) -> Cluster:
    """A cluster in which the first revision serves and a second one waits to be found."""
    cluster = Cluster(spec, **world)
    drive(cluster, until={Phase.INITIALIZED})
    cluster.edit_target("v1:b")
    cluster.events.clear()
    cluster.alerts.clear()
    return cluster


def interval(cluster: Cluster) -> None:
    cluster.settle_pods()
    cluster.now += timedelta(seconds=INTERVAL)
    cluster.run()


def advances(cluster: Cluster) -> list[str]:
    return [event for event in cluster.events if event.startswith("Advance ")]


def carried(cluster: Cluster) -> list[Traffic]:
    """What the route carries at each interval until the rollout ends, repeats left out."""
    seen: list[Traffic] = []
    for _ in range(40):
        if cluster.route is not None and seen[-1:] != [cluster.route]:
            seen.append(cluster.route)
        if cluster.status.phase in (Phase.SUCCEEDED, Phase.FAILED):
            return seen
        interval(cluster)
    raise AssertionError(f"no end: {cluster.status}")


def test_step_weights_are_walked_and_the_last_is_the_highest() -> None:
    cluster = changed(made({"threshold": 3, "stepWeights": [1, 10, 40], "maxWeight": 20}))
    drive(cluster, until={Phase.SUCCEEDED})
    assert advances(cluster) == [f"Advance podinfo.test canary weight {w}" for w in (1, 10, 40)]


def test_step_weights_edited_in_mid_rollout_go_on_above_the_present_weight() -> None:
    cluster = changed(made({"threshold": 3, "stepWeights": [1, 10, 40]}))
    while cluster.status.canary_weight < 10:
        interval(cluster)
    cluster.spec = made({"threshold": 3, "stepWeights": [5, 20, 30, 50]})
    drive(cluster, until={Phase.SUCCEEDED})
    weights = [int(event.rsplit(" ", 1)[1]) for event in advances(cluster)]
    assert weights == [1, 10, 20, 30, 50]


def test_traffic_returns_to_the_primary_in_steps() -> None:
    cluster = changed(made({**BY_WEIGHT, "stepWeightPromotion": 25}))
    drive(cluster, until={Phase.SUCCEEDED})
    back = [event for event in advances(cluster) if "primary" in event]
    assert back == [f"Advance podinfo.test primary weight {w}" for w in (65, 90, 100)]
    assert "Routing all traffic to primary" not in cluster.events


def test_blue_green_sends_nothing_before_the_tests_and_then_everything() -> None:
    cluster = changed(made(BESIDE))
    assert carried(cluster) == [
        Traffic(Weights(100, 0)),
        Traffic(Weights(0, 100)),
        Traffic(Weights(100, 0)),
    ]
    told = [event for event in cluster.events if "iteration" in event or "outing" in event]
    assert told == [
        "Advance podinfo.test canary iteration 1/2",
        "Advance podinfo.test canary iteration 2/2",
        "Routing all traffic to canary",
        "Routing all traffic to primary",
    ]


def test_mirroring_goes_before_the_first_weight_and_through_a_blue_green_test() -> None:
    cluster = changed(made({**BY_WEIGHT, "maxWeight": 20, "mirror": True}))
    assert carried(cluster) == [
        Traffic(Weights(100, 0)),
        Traffic(Weights(100, 0), mirrored=True),
        Traffic(Weights(80, 20)),
        Traffic(Weights(100, 0)),
    ]
    cluster = changed(made({**BESIDE, "mirror": True}))
    assert carried(cluster)[:3] == [
        Traffic(Weights(100, 0)),
        Traffic(Weights(100, 0), mirrored=True),
        Traffic(Weights(0, 100)),
    ]
    assert "Stop traffic mirroring and route all traffic to canary" in cluster.events


def test_an_ab_test_sends_only_what_matches() -> None:
    match = [{"headers": {"x-canary": {"exact": "insider"}}}]
    cluster = changed(made({**BESIDE, "match": match}))
    assert carried(cluster) == [
        Traffic(Weights(100, 0)),
        Traffic(Weights(100, 0), matched=True),
        Traffic(Weights(100, 0)),
    ]


def test_callers_are_held_by_a_cookie_of_this_rollout_alone() -> None:
    sticky = {"cookieName": "side", "primaryCookieName": "home"}
    cluster = changed(made({**BY_WEIGHT, "sessionAffinity": sticky}))
    cookies = []
    for revision in ("v1:b", "v1:c"):
        cluster.edit_target(revision)
        drive(cluster, until={Phase.PROGRESSING})
        while cluster.status.canary_weight == 0:
            interval(cluster)
        assert cluster.route is not None and cluster.route.affinity is not None
        held = cluster.route.affinity
        assert held.cookie.startswith("side=") and str(held.primary_cookie).startswith("home=")
        assert held.cookie == cluster.status.session_affinity_cookie
        assert held.primary_cookie == cluster.status.primary_session_affinity_cookie
        before = cluster.status.previous_session_affinity_cookie
        assert before == (cookies[-1] if cookies else None)
        cookies.append(held.cookie)
        drive(cluster, until={Phase.SUCCEEDED})
        assert cluster.route.affinity is None
    assert cookies[0] != cookies[1]


def test_weights_without_a_mesh_are_ten_iterations_told_once() -> None:
    cluster = changed(made(BY_WEIGHT), splits=False)
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.route == Traffic(Weights(100, 0))
    assert advances(cluster) == [
        f"Advance podinfo.test canary iteration {index}/10" for index in range(1, 11)
    ]
    told = [event for event in cluster.events if "Progressive traffic" in event]
    assert told == [
        "Progressive traffic is not supported when using the kubernetes provider; "
        "running 10 iterations instead"
    ]


def test_a_closed_gate_is_told_once_and_keeps_what_was_reached() -> None:
    cluster = changed(made({**BY_WEIGHT, "webhooks": GATES}))
    words = {
        "begin": ("confirm-rollout", Phase.WAITING, 0, "approval"),
        "more": ("confirm-traffic-increase", Phase.PROGRESSING, 20, "traffic increase approval"),
        "end": ("confirm-promotion", Phase.WAITING_PROMOTION, 60, "promotion approval"),
    }
    for gate, (kind, phase, weight, what) in words.items():
        while cluster.status.canary_weight < weight:
            interval(cluster)
        cluster.closed = {kind}
        cluster.events.clear()
        cluster.alerts.clear()
        for _ in range(5):
            interval(cluster)
        said = f"Halt podinfo.test advancement waiting for {what} {gate}"
        assert cluster.events.count(said) == 1
        assert len(cluster.alerts) == 1 and "waiting for approval" in cluster.alerts[0]
        assert (cluster.status.phase, cluster.status.canary_weight) == (phase, weight)
        stalled = condition(cluster.status, "Stalled")
        assert stalled is not None and (stalled.status, stalled.message) == ("True", said)
        cluster.closed = set()
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.status.failed_checks == 0


def test_a_muted_gate_waits_without_an_alert() -> None:
    muted = {"name": "begin", "type": "confirm-rollout", "url": "http://x/", "muteAlert": True}
    cluster = changed(made({**BY_WEIGHT, "webhooks": [muted]}))
    cluster.closed = {"confirm-rollout"}
    for _ in range(3):
        interval(cluster)
    assert cluster.status.phase is Phase.WAITING and cluster.alerts == []


def test_a_rollback_hook_is_asked_while_a_gate_waits_too() -> None:
    for kind, phase in (
        ("confirm-rollout", Phase.WAITING),
        ("confirm-promotion", Phase.WAITING_PROMOTION),
    ):
        cluster = changed(made({**BY_WEIGHT, "webhooks": GATES}))
        cluster.closed = {kind}
        drive(cluster, until={phase})
        cluster.rollback_wanted = True
        drive(cluster, until={Phase.FAILED})
        assert "Rolling back podinfo.test manual webhook invoked" in cluster.events
        assert "warn: Rolling back manual webhook invoked" in cluster.alerts


def test_every_rollback_alerts() -> None:
    for name in ("metrics", "deadline", "target"):
        cluster = changed(made(BY_WEIGHT))
        drive(cluster, until={Phase.PROGRESSING})
        cluster.alerts.clear()
        if name == "metrics":
            cluster.success_rate = 1.0
        elif name == "deadline":
            cluster.target.hopeless, cluster.target.current = True, False
        else:
            cluster.remove_target()
        drive(cluster, until={Phase.FAILED})
        assert [alert for alert in cluster.alerts if alert.startswith("error: ")], name


def test_a_skipped_analysis_waits_for_the_primary_before_the_target_goes() -> None:
    cluster = changed(made(BY_WEIGHT, skipAnalysis=True))
    cluster.stubborn = {"v1:b-primary"}
    for _ in range(6):
        interval(cluster)
    assert cluster.status.phase is Phase.PROMOTING
    assert cluster.target.replicas == 1, "nobody would serve the new revision"
    cluster.stubborn = set()
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.target.replicas == 0
    assert cluster.events[-1] == (
        "Promotion completed! Canary analysis was skipped for podinfo.test"
    )
    assert not [event for event in cluster.events if event.startswith(("Advance", "Pre-rollout"))]


def test_a_failed_promotion_leaves_the_traffic_on_the_canary_and_heals_by_itself() -> None:
    cluster = changed(made(BY_WEIGHT))
    cluster.stubborn = {"v1:b-primary"}
    drive(cluster, until={Phase.PROMOTING})
    assert cluster.primary is not None
    cluster.primary.hopeless = True
    drive(cluster, until={Phase.FAILED})
    assert cluster.route == Traffic(Weights(0, 100)) and cluster.target.replicas == 1
    assert any("primary not ready" in alert for alert in cluster.alerts)
    cluster.stubborn, cluster.primary.hopeless = set(), False
    drive(cluster, until={Phase.SUCCEEDED})
    assert cluster.route == Traffic(Weights(100, 0)) and cluster.target.replicas == 0


def test_a_target_back_at_the_primarys_content_ends_the_analysis() -> None:
    cluster = changed(made(BY_WEIGHT))
    drive(cluster, until={Phase.PROGRESSING})
    interval(cluster)
    interval(cluster)
    cluster.edit_target("v1:a")
    cluster.run()
    assert cluster.route == Traffic(Weights(100, 0))
    drive(cluster, until={Phase.SUCCEEDED})
    assert not [event for event in cluster.events if event.startswith("Copying")]
    assert cluster.target.replicas == 0


def test_a_primary_that_fails_is_not_the_canarys_fault() -> None:
    cluster = changed(made(BY_WEIGHT))
    drive(cluster, until={Phase.PROGRESSING})
    interval(cluster)
    assert cluster.primary is not None
    cluster.primary.hopeless, cluster.primary.current = True, False
    cluster.stubborn = {"v1:a-primary"}
    for _ in range(6):
        interval(cluster)
    assert cluster.status.phase is Phase.PROGRESSING and cluster.status.failed_checks == 0
    assert [alert for alert in cluster.alerts if "does not get ready by itself" in alert]


def test_suspended_in_mid_rollout_it_stays_as_it_is() -> None:
    cluster = changed(made(BY_WEIGHT))
    while cluster.status.canary_weight == 0:
        interval(cluster)
    cluster.spec = made(BY_WEIGHT, suspend=True)
    cluster.events.clear()
    for _ in range(4):
        interval(cluster)
    assert cluster.events == [
        "Skipping podinfo.test: spec.suspend is true; set it to false to go on"
    ]
    assert cluster.route == Traffic(Weights(80, 20))


def test_a_deleted_canary_gives_back_what_it_took() -> None:
    cluster = changed(made(BY_WEIGHT, revertOnDeletion=True))
    while cluster.status.canary_weight == 0:
        interval(cluster)
    cluster.delete()
    for _ in range(4):
        interval(cluster)
    assert cluster.released and cluster.apex == "target" and cluster.target.replicas == 1
    assert cluster.route is None
    assert [event for event in cluster.events if "erminat" in event or "deleted" in event] == [
        "Terminating canary podinfo.test",
        "Canary podinfo.test is deleted: podinfo.test serves again",
    ]


def test_at_its_end_a_canary_waits_for_the_mesh_and_then_for_callers() -> None:
    """The route goes once the mesh knows the apex's pods, the primary once no caller has the
    route."""
    cluster = changed(made(BY_WEIGHT, revertOnDeletion=True))
    while cluster.status.canary_weight == 0:
        interval(cluster)
    cluster.delete()
    done: list[e.Effect] = []
    for _ in range(4):
        cluster.settle_pods()
        done += cluster.run()
    assert cluster.released
    last = [type(effect) for effect in done if not isinstance(effect, e.Record)][-5:]
    assert last == [e.GiveBack, e.AwaitRoute, e.RemoveRoute, e.AwaitRoute, e.ReleaseDeletion]


def test_conditions_beyond_flaggers_come_after_it() -> None:
    cluster = changed(made({**BY_WEIGHT, "webhooks": GATES}))
    cluster.closed = {"confirm-promotion"}
    drive(cluster, until={Phase.WAITING_PROMOTION})
    kinds = [one.type for one in cluster.status.conditions]
    assert kinds[0] == "Promoted" and {"Ready", "Analyzing", "Stalled"} <= set(kinds)
    assert len(kinds) == len(set(kinds))
