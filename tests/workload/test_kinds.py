"""DaemonSets, Services, and KEDA's ScaledObjects, against a server with its controllers."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from serinus.cluster.kinds import DAEMONSETS, DEPLOYMENTS, HPAS, SCALEDOBJECTS, SERVICES
from serinus.rollout.revision import origin_of
from serinus.workload.daemonset import daemonset_readiness
from serinus.workload.errors import WorkloadError
from serinus.workload.kinds import find_target
from serinus.workload.preflight import workload_problems
from serinus.workload.reconcile import (
    give_back,
    promote,
    reconcile_apex,
    reconcile_autoscaler,
    reconcile_primary,
    reconcile_services,
    scale_target_to_zero,
    scale_target_up,
)
from serinus.workload.scaledobject import of_primary
from serinus.workload.views import PARKED, decode_daemonset
from workload.guide import HPA, canary, encoded
from workload.kind_world import KindCluster, KindWorld, kind_world

QUERY = 'sum(rate(http_requests{app="podinfo-canary"}[1m])) / count(up{app="podinfo"})'
KEDA = {
    "scaleTargetRef": {"name": "podinfo"},
    "minReplicaCount": 2,
    "maxReplicaCount": 5,
    "advanced": {"horizontalPodAutoscalerConfig": {"name": "podinfo"}},
    "triggers": [
        {"name": "rps", "type": "prometheus", "metadata": {"query": QUERY, "threshold": "5"}},
        {"name": "cpu", "type": "cpu", "metadata": {"value": "80"}},
    ],
}


def scaler(**more: object) -> dict[str, object]:
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "podinfo", **more}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindCluster]:
    played = KindCluster(tmp_path_factory.mktemp("cluster"))
    try:
        played.start()
        yield played
    finally:
        played.stop()


@pytest.fixture
async def world(cluster: KindCluster) -> AsyncIterator[KindWorld]:
    async with kind_world(cluster.address, cluster.ca) as made:
        yield made


def revision_of(world: KindWorld) -> str:
    target = find_target(world.canary, world.caches)
    assert target is not None
    return target.revision


async def test_a_daemonset_is_parked_woken_and_promoted(world: KindWorld) -> None:
    world.aim(DAEMONSETS)
    await world.workload(DAEMONSETS)
    await world.until(lambda: world.seen("podinfo").readiness.ready)
    first = revision_of(world)
    assert await world.perform(reconcile_primary) == ["DaemonSet/podinfo-primary"]
    await world.until(lambda: world.seen("podinfo-primary").readiness.ready)
    assert world.seen("podinfo-primary").origin == origin_of(first)

    assert await world.perform(scale_target_to_zero) == ["DaemonSet/podinfo"]
    await world.until(lambda: world.seen("podinfo").available == 0)
    parked = world.seen("podinfo")
    assert (parked.replicas, parked.revision, parked.readiness.ready) == (0, first, False)
    made = await world.get(DAEMONSETS, "podinfo")
    assert made["spec"]["template"]["spec"]["nodeSelector"] == {PARKED: "true"}

    await world.release(DAEMONSETS, "play:v2")
    second = revision_of(world)
    assert second != first
    await world.until_empty()
    assert await world.perform(scale_target_up) == ["DaemonSet/podinfo"]
    assert revision_of(world) == second
    await world.until(lambda: world.seen("podinfo").readiness.ready)
    with pytest.raises(WorkloadError, match=r"daemonset podinfo\.kinds-\d+ has changed"):
        await promote(world.client, world.caches, world.canary, first, {})
    await world.perform(promote, revision=second, configs={})
    await world.until(lambda: world.seen("podinfo-primary").readiness.ready)
    primary = await world.get(DAEMONSETS, "podinfo-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == "play:v2"


async def test_the_primary_of_a_parked_daemonset_is_awake(world: KindWorld) -> None:
    world.aim(DAEMONSETS)
    await world.workload(DAEMONSETS)
    await world.perform(scale_target_to_zero)
    await world.perform(reconcile_primary)
    assert world.seen("podinfo-primary").replicas == 1
    await world.until(lambda: world.seen("podinfo-primary").readiness.ready)


async def test_a_daemonset_has_to_replace_its_pods_itself(world: KindWorld) -> None:
    world.aim(DAEMONSETS)
    await world.workload(DAEMONSETS, updateStrategy={"type": "OnDelete"})
    (problem,) = workload_problems(world.canary, world.caches)
    assert problem.path == "spec.targetRef.name"
    assert "must have RollingUpdate as its spec.updateStrategy.type; it has OnDelete" in (
        problem.message
    )


def test_a_daemonsets_revision_is_its_owners() -> None:
    def revision(pod_spec: dict[str, object]) -> str:
        item = {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod_spec}}}
        return decode_daemonset(encoded(item)).revision

    assert revision({}) == revision({"nodeSelector": {}}) == revision({"nodeSelector": None})
    assert revision({}) == revision({"nodeSelector": {PARKED: "true"}})
    ssd = revision({"nodeSelector": {"disk": "ssd"}})
    assert ssd == revision({"nodeSelector": {"disk": "ssd", PARKED: "true"}}) != revision({})


def test_a_daemonsets_deadline_runs_from_the_last_step() -> None:
    counts = {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3}
    item = {
        "metadata": {"name": "x", "generation": 1},
        "status": {**counts, "numberAvailable": 2},
    }
    daemonset, now = decode_daemonset(encoded(item)), datetime(2026, 1, 1, tzinfo=UTC)
    early = daemonset_readiness(daemonset, now, 60, now - timedelta(seconds=60))
    assert early.why == "rollout to finish: 2 of 3 updated pods are available"
    assert not early.hopeless
    late = daemonset_readiness(daemonset, now, 60, now - timedelta(seconds=61))
    assert late.hopeless
    assert late.why.endswith("it exceeded its progressDeadlineSeconds: 60")
    assert not daemonset_readiness(daemonset, now, 60, None).hopeless
    assert daemonset_readiness(daemonset, now, 60, None, 60).ready


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "headless", "ExternalName"])
async def test_copies_of_a_service(world: KindWorld, kind: str) -> None:
    world.aim(SERVICES)
    spec: dict[str, object] = {"type": kind, "selector": {"version": "v1"}}
    if kind == "headless":
        spec |= {"type": "ClusterIP", "clusterIP": "None"}
    if kind == "ExternalName":
        spec = {"type": kind, "externalName": "one.example.com"}
    await world.service(**spec)
    first = world.caches.services.get(world.namespace, "podinfo")
    assert first is not None
    assert await world.perform(reconcile_services) == ["Service/podinfo-canary"]
    assert await world.perform(reconcile_primary) == ["Service/podinfo-primary"]
    assert await world.perform(reconcile_apex) == []
    for effect in (scale_target_to_zero, scale_target_up, give_back):
        assert await world.perform(effect) == []

    changed: dict[str, object] = {"selector": {"version": None, "release": "v2"}}
    if kind == "ExternalName":
        changed = {"externalName": "two.example.com"}
    changed["ports"] = [{"name": "http", "port": 80, "targetPort": 9899}]
    await world.change(SERVICES, "podinfo", {"spec": changed})
    assert await world.perform(reconcile_services) == ["Service/podinfo-canary"]
    assert await world.perform(reconcile_primary) == []
    target = world.caches.services.get(world.namespace, "podinfo")
    copy = world.caches.services.get(world.namespace, "podinfo-canary")
    primary = world.caches.services.get(world.namespace, "podinfo-primary")
    assert target is not None and copy is not None and primary is not None
    assert copy.revision == target.revision != first.revision == primary.revision
    await world.perform(promote, revision=target.revision, configs={})
    primary = world.caches.services.get(world.namespace, "podinfo-primary")
    assert primary is not None
    assert primary.revision == target.revision


async def test_an_apex_beside_a_target_service_has_to_be_there(world: KindWorld) -> None:
    world.aim(SERVICES, service={"port": 80, "name": "front"})
    await world.service(selector={"version": "v1"})
    (problem,) = workload_problems(world.canary, world.caches)
    assert problem.path == "spec.service.name"
    await world.make(SERVICES, "front", spec={"ports": [{"port": 80}]})
    assert workload_problems(world.canary, world.caches) == ()


async def test_keda_is_paused_while_the_target_is_parked(world: KindWorld) -> None:
    world.aim(DEPLOYMENTS, autoscalerRef=scaler())
    await world.workload(replicas=1)
    await world.make(SCALEDOBJECTS, "podinfo", spec=KEDA, metadata={"labels": {"team": "web"}})
    await world.perform(reconcile_primary)
    assert await world.perform(reconcile_autoscaler, follow=False) == [
        "ScaledObject/podinfo-primary"
    ]
    made = await world.get(SCALEDOBJECTS, "podinfo-primary")
    assert made["metadata"]["labels"] == {"team": "web"}
    assert made["spec"]["scaleTargetRef"] == {"name": "podinfo-primary"}
    config = made["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    assert config == {"name": "podinfo-primary"}
    assert made["spec"]["triggers"][0]["metadata"]["query"] == (
        'sum(rate(http_requests{app="podinfo-primary"}[1m])) / count(up{app="podinfo-primary"})'
    )
    assert made["spec"]["triggers"][1] == KEDA["triggers"][1]  # type: ignore[index]

    paused = {"autoscaling.keda.sh/paused-replicas": "0"}
    both = ["ScaledObject/podinfo", "Deployment/podinfo"]
    assert await world.perform(scale_target_to_zero) == both
    found = await world.get(SCALEDOBJECTS, "podinfo")
    assert found["metadata"]["annotations"] == paused
    assert "annotations" not in (await world.get(SCALEDOBJECTS, "podinfo-primary"))["metadata"]

    world.rest("Succeeded", revision_of(world))
    stripped = {"metadata": {"annotations": dict.fromkeys(paused)}}
    await world.change(SCALEDOBJECTS, "podinfo", stripped)
    assert await world.perform(reconcile_autoscaler, follow=False) == ["ScaledObject/podinfo"]

    await world.until_empty()
    assert await world.perform(scale_target_up) == both
    found = await world.get(SCALEDOBJECTS, "podinfo")
    assert not found["metadata"].get("annotations")
    assert world.seen("podinfo").replicas == 2
    world.rest("Progressing", revision_of(world))
    assert await world.perform(reconcile_autoscaler, follow=False) == []


async def test_a_primarys_scaled_object_may_differ(world: KindWorld) -> None:
    bounds = {"minReplicas": 3, "maxReplicas": 9}
    more = {"primaryScalerQueries": {"rps": "q"}, "primaryScalerReplicas": bounds}
    world.aim(DEPLOYMENTS, autoscalerRef=scaler(**more))
    await world.workload()
    await world.make(SCALEDOBJECTS, "podinfo", spec=KEDA)
    await world.perform(reconcile_autoscaler, follow=True)
    spec = (await world.get(SCALEDOBJECTS, "podinfo-primary"))["spec"]
    assert spec["triggers"][0]["metadata"] == {"query": "q", "threshold": "5"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 9)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("podinfo", "podinfo-primary"),
        ("podinfo-canary podinfo-primary", "podinfo-primary podinfo-primary"),
        ("podinfo_test_svc_80", "podinfo-primary_test_svc_80"),
        ("mypodinfo podinfos my-podinfo", "mypodinfo podinfos my-podinfo"),
    ],
)
def test_queries_of_the_primary(query: str, said: str) -> None:
    assert of_primary(query, canary()) == said


async def test_a_cluster_without_keda_is_told_so(world: KindWorld) -> None:
    world.aim(DEPLOYMENTS, autoscalerRef=scaler())
    await world.workload()
    (problem,) = workload_problems(world.canary, world.caches)
    assert problem.path == "spec.autoscalerRef.name"
    world.caches = type(world.caches)(
        world.caches.deployments,
        world.caches.services,
        world.caches.hpas,
        world.caches.daemonsets,
    )
    (problem,) = workload_problems(world.canary, world.caches)
    assert problem.path == "spec.autoscalerRef.kind"
    assert "install KEDA" in problem.message


async def test_an_edit_of_the_autoscaler_reaches_the_primary_between_rollouts(
    world: KindWorld,
) -> None:
    await world.workload()
    await world.make(HPAS, "podinfo", spec=HPA["spec"])
    await world.perform(reconcile_autoscaler, follow=False)
    mine = {"metadata": {"annotations": {"mine": "kept"}}}
    await world.change(HPAS, "podinfo-primary", mine)

    for phase, revision, follows in (
        ("Progressing", revision_of(world), False),
        ("Failed", revision_of(world), False),
        ("Succeeded", "v1:another", False),
        ("Succeeded", revision_of(world), True),
    ):
        world.rest(phase, revision)
        most = 20 if follows else 10
        await world.change(HPAS, "podinfo", {"spec": {"maxReplicas": most}})
        done = await world.perform(reconcile_autoscaler, follow=False)
        assert done == (["HorizontalPodAutoscaler/podinfo-primary"] if follows else [])
    made = await world.get(HPAS, "podinfo-primary")
    assert made["spec"]["maxReplicas"] == 20
    assert made["metadata"]["annotations"] == {"mine": "kept"}


async def test_an_apex_of_old_gets_its_own_selector_back(world: KindWorld) -> None:
    await world.workload()
    before = {"app": "podinfo", "tier": "front"}
    manifest = msgspec.json.encode({"spec": {"selector": before}}).decode()
    applied = {"kubectl.kubernetes.io/last-applied-configuration": manifest}
    await world.service(selector=before)
    await world.change(SERVICES, "podinfo", {"metadata": {"annotations": applied}})
    await world.perform(reconcile_apex)
    apex = await world.get(SERVICES, "podinfo")
    assert apex["spec"]["selector"] == {"app": "podinfo-primary"}
    await world.perform(give_back)
    assert (await world.get(SERVICES, "podinfo"))["spec"]["selector"] == before


async def test_an_apex_of_the_canary_outlives_it(world: KindWorld) -> None:
    await world.workload()
    await world.perform(reconcile_apex)
    await world.perform(give_back)
    apex = await world.get(SERVICES, "podinfo")
    assert apex["spec"]["selector"] == {"app": "podinfo"}
    assert "ownerReferences" not in apex["metadata"]


async def test_other_fields_of_a_service_of_old_are_kept(world: KindWorld) -> None:
    world.aim(DEPLOYMENTS, service={"port": 80, "trafficDistribution": "PreferClose"})
    await world.workload()
    await world.service(
        selector={"app": "podinfo"},
        type="NodePort",
        externalTrafficPolicy="Local",
        sessionAffinity="ClientIP",
    )
    before = (await world.get(SERVICES, "podinfo"))["spec"]
    await world.perform(reconcile_apex)
    after = (await world.get(SERVICES, "podinfo"))["spec"]
    assert after["trafficDistribution"] == "PreferClose"
    for field in ("type", "externalTrafficPolicy", "sessionAffinity", "clusterIP"):
        assert after[field] == before[field]
    assert after["ports"][0]["nodePort"] == before["ports"][0]["nodePort"]
