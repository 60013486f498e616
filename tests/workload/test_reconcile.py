"""Effects against a real HTTP API: nothing written when all is well, else one narrow write."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from routing.api_server import ApiServer
from serinus.api.canary import Canary
from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import DAEMONSETS, DEPLOYMENTS, HPAS, SCALEDOBJECTS, SERVICES
from serinus.cluster.written import Written
from serinus.rollout.revision import origin_of
from serinus.workload.caches import WorkloadCaches
from serinus.workload.errors import WorkloadError
from serinus.workload.preflight import workload_problems
from serinus.workload.reconcile import (
    promote,
    reconcile_apex,
    reconcile_autoscaler,
    reconcile_primary,
    reconcile_services,
    scale_target_to_zero,
    scale_target_up,
)
from workload.guide import HPA, canary, deployment

Effect = Callable[[Client, WorkloadCaches, Canary], Awaitable[list[Written]]]


class World:
    """An API server, and caches that follow it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.canary = canary()
        self.caches = WorkloadCaches.of(server.client, None, keda=True)

    def _cache(self, resource: object) -> Cache[Any]:
        assert self.caches.scaled_objects is not None
        caches: dict[object, Cache[Any]] = {
            DEPLOYMENTS: self.caches.deployments,
            DAEMONSETS: self.caches.daemonsets,
            SERVICES: self.caches.services,
            HPAS: self.caches.hpas,
            SCALEDOBJECTS: self.caches.scaled_objects,
        }
        return caches[resource]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["World"]:
        kept = [asyncio.create_task(cache.run()) for cache in self.caches.all()]
        try:
            for cache in self.caches.all():
                await cache.synced.wait()
            yield self
        finally:
            for task in kept:
                task.cancel()
            await asyncio.gather(*kept, return_exceptions=True)

    async def seen(self, resource: Any, item: Any) -> None:
        meta = item["metadata"]
        assert await self._cache(resource).reached(
            meta.get("namespace"), meta["name"], meta["resourceVersion"], 10
        )

    async def put(self, resource: Any, item: Any) -> None:
        await self.seen(resource, await self.server.put(resource, item))

    async def perform(self, effect: Effect, **options: Any) -> list[Written]:
        """Do it, wait until the caches show it, and see that doing it again does nothing."""
        done = await effect(self.server.client, self.caches, self.canary, **options)
        for item in done:
            assert await self._cache(item.resource).reached(
                item.namespace, item.name, item.resource_version, 10
            )
        before = len(self.server.writes)
        assert await effect(self.server.client, self.caches, self.canary, **options) == []
        assert len(self.server.writes) == before
        return done

    async def status(self, status: Any) -> None:
        """Have the target's status."""
        item = self.server.get(DEPLOYMENTS, "test", "podinfo")
        await self.put(DEPLOYMENTS, {**item, "status": status})

    async def target(self, **spec: Any) -> None:
        item = self.server.get(DEPLOYMENTS, "test", "podinfo") or deployment()
        await self.put(DEPLOYMENTS, {**item, "spec": {**item["spec"], **spec}})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with ApiServer() as server, World(server).running() as running:
        await running.target()
        yield running


async def test_services(world: World) -> None:
    names = [item.name for item in await world.perform(reconcile_services)]
    assert names == ["podinfo-primary", "podinfo-canary"]
    assert [item.name for item in await world.perform(reconcile_apex)] == ["podinfo"]
    service = world.server.get(SERVICES, "test", "podinfo")
    assert service is not None
    service["spec"]["selector"] = {"app": "podinfo"}
    await world.put(SERVICES, service)
    await world.perform(reconcile_apex)
    assert world.server.writes[-1][2] == {"spec": {"selector": {"app": "podinfo-primary"}}}


async def test_no_request_at_all_when_the_caches_agree(world: World) -> None:
    await world.perform(reconcile_services)
    before = len(world.server.requests)
    assert await reconcile_services(world.server.client, world.caches, world.canary) == []
    assert len(world.server.requests) == before


async def test_the_primary_is_made_once_and_then_promoted(world: World) -> None:
    first = world.caches.deployments.get("test", "podinfo")
    assert first is not None
    await world.perform(reconcile_primary)
    primary = world.caches.deployments.get("test", "podinfo-primary")
    assert primary is not None
    assert primary.origin == origin_of(first.revision)

    template = deployment()["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "podinfo:6.0.1"
    await world.target(template=template)
    second = world.caches.deployments.get("test", "podinfo")
    assert second is not None
    with pytest.raises(WorkloadError, match="has changed since its analysis"):
        await promote(world.server.client, world.caches, world.canary, first.revision, {})
    await world.perform(promote, revision=second.revision, configs={})
    primary = world.caches.deployments.get("test", "podinfo-primary")
    assert primary is not None
    assert primary.origin == origin_of(second.revision)
    assert primary.template()["spec"]["containers"][0]["image"] == "podinfo:6.0.1"


async def test_the_guides_autoscaler_is_found_without_autoscaler_ref(world: World) -> None:
    assert await world.perform(reconcile_autoscaler, follow=False) == []
    await world.put(HPAS, HPA)
    await world.perform(reconcile_autoscaler, follow=False)
    made = world.server.get(HPAS, "test", "podinfo-primary")
    assert made is not None
    assert made["metadata"]["labels"] == {"team": "web"}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo-primary"}
    assert made["spec"] == {**HPA["spec"], "scaleTargetRef": target}

    await world.put(HPAS, {**HPA, "spec": {**HPA["spec"], "maxReplicas": 9}})
    assert await world.perform(reconcile_autoscaler, follow=False) == []
    await world.perform(reconcile_autoscaler, follow=True)
    made = world.server.get(HPAS, "test", "podinfo-primary")
    assert made is not None
    assert made["spec"]["maxReplicas"] == 9


async def test_the_primarys_autoscaler_may_have_bounds_of_its_own(world: World) -> None:
    await world.put(HPAS, HPA)
    reference = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "name": "podinfo",
        "primaryScalerReplicas": {"minReplicas": 3, "maxReplicas": 7},
    }
    world.canary = canary(autoscalerRef=reference)
    await world.perform(reconcile_autoscaler, follow=True)
    made = world.server.get(HPAS, "test", "podinfo-primary")
    assert made is not None
    assert (made["spec"]["minReplicas"], made["spec"]["maxReplicas"]) == (3, 7)


async def test_the_target_sleeps_and_wakes(world: World) -> None:
    await world.perform(reconcile_primary)
    await world.perform(scale_target_to_zero)
    assert world.server.writes[-1][2] == {"spec": {"replicas": 0}}
    await world.perform(scale_target_up)
    assert world.server.writes[-1][2] == {"spec": {"replicas": 2}}, "as many as the primary has"


async def test_the_target_wakes_when_it_has_lost_its_pods(world: World) -> None:
    """Woken sooner, it would for a moment count those that are going."""
    await world.perform(reconcile_primary)
    await world.perform(scale_target_to_zero)
    generation = world.caches.deployments.get("test", "podinfo").metadata.generation  # type: ignore[union-attr]
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    for status in (
        {"observedGeneration": generation - 1},
        {"observedGeneration": generation, **counts},
    ):
        await world.status(status)
        assert await world.perform(scale_target_up) == []
    await world.status({"observedGeneration": generation})
    await world.perform(scale_target_up)
    assert world.server.writes[-1][2] == {"spec": {"replicas": 2}}


@pytest.mark.parametrize(("minimum", "replicas"), [(3, 3), (1, 1), (None, 1)])
async def test_an_autoscaled_target_wakes_at_its_minimum(
    world: World, minimum: int | None, replicas: int
) -> None:
    spec = {key: value for key, value in HPA["spec"].items() if key != "minReplicas"}
    if minimum is not None:
        spec["minReplicas"] = minimum
    await world.put(HPAS, {**HPA, "spec": spec})
    await world.perform(reconcile_primary)
    await world.perform(scale_target_to_zero)
    await world.perform(scale_target_up)
    assert world.server.writes[-1][2] == {"spec": {"replicas": replicas}}


async def test_what_is_wrong_is_said(world: World) -> None:
    assert workload_problems(world.canary, world.caches) == ()
    await world.target(selector={"matchLabels": {"component": "podinfo"}})
    (problem,) = workload_problems(world.canary, world.caches)
    assert problem.path == "spec.targetRef.name"
    assert "must contain one of app, name, app.kubernetes.io/name" in problem.message
    with pytest.raises(WorkloadError, match="it has component"):
        await reconcile_services(world.server.client, world.caches, world.canary)

    reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "x"}
    await world.target(selector={"matchLabels": {"app": "podinfo"}})
    (problem,) = workload_problems(canary(autoscalerRef=reference), world.caches)
    assert problem.path == "spec.autoscalerRef.name"
