"""A primary's copies of ConfigMaps and Secrets, against the lab's API server."""

from collections.abc import AsyncIterator, Iterator

import pytest

from lab.controllers.played_cluster import Cluster
from serinus.cluster.kinds import CONFIGMAPS, SECRETS
from serinus.rollout.revision import origin_of
from serinus.workload.errors import WorkloadError
from serinus.workload.preflight import workload_problems
from serinus.workload.tracking import depends_on
from workload.config_world import ConfigWorld, config_world, from_config_map, volume_of_secret


class AddressedCluster(Cluster):
    """A played cluster that a client can be made for."""

    @property
    def address(self) -> str:
        return self._address

    @property
    def ca(self) -> str:
        return (self._paths.pki / "ca.crt").read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AddressedCluster]:
    played = AddressedCluster(tmp_path_factory.mktemp("cluster"))
    try:
        played.start()
        yield played
    finally:
        played.stop()


@pytest.fixture
async def world(cluster: AddressedCluster) -> AsyncIterator[ConfigWorld]:
    async with config_world(cluster.address, cluster.ca) as made:
        yield made


async def test_the_primary_gets_copies_before_it_is_made(world: ConfigWorld) -> None:
    labels = {"team": "web", "tier": "front"}
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"}, metadata={"labels": labels})
    login = {"username": "dQ==", "password": "cA=="}
    await world.put(SECRETS, "db", data=login, type="kubernetes.io/basic-auth")
    target = await world.target(container=from_config_map("ui"), volumes=volume_of_secret("db"))
    canary = world.canary()
    written = await world.make_primary(canary)
    assert written == ["Secret/db-primary", "ConfigMap/ui-primary", "Deployment/podinfo-primary"]

    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    assert copy["data"] == {"color": "blue"}
    assert copy["metadata"]["labels"] == {"team": "web"}
    (owner,) = copy["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (canary.metadata.uid, False)
    secret = await world.get(SECRETS, "db-primary")
    assert secret is not None
    assert (secret["data"], secret["type"]) == (login, "kubernetes.io/basic-auth")

    primary = world.primary()
    assert primary.config_names == {("ConfigMap", "ui-primary"), ("Secret", "db-primary")}
    assert primary.origin == origin_of(target.revision, world.tracked(canary))
    assert world.in_primary(canary)
    assert world.in_primary(world.canary(configs=world.tracked(canary)))


async def test_a_change_of_content_is_another_revision_until_it_is_promoted(
    world: ConfigWorld,
) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue", "old": "1"})
    await world.target(container=from_config_map("ui"))
    await world.make_primary(world.canary())
    before = world.tracked(world.canary())
    canary = world.canary(configs=before)
    assert world.in_primary(canary)

    await world.put(CONFIGMAPS, "ui", data={"color": "red"}, binaryData={"logo": "AAE="})
    after = world.tracked(canary)
    assert after != before
    assert not world.in_primary(canary)
    assert await world.make_primary(canary) == [], "copies wait for a promotion"
    with pytest.raises(WorkloadError, match=r"has changed since its analysis.*configmap/ui"):
        await world.promote(canary, before)
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    assert copy["data"] == {"color": "blue", "old": "1"}

    assert await world.promote(canary) == ["ConfigMap/ui-primary", "Deployment/podinfo-primary"]
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    assert (copy["data"], copy["binaryData"]) == ({"color": "red"}, {"logo": "AAE="})
    assert world.in_primary(canary)
    assert await world.promote(canary) == []

    await world.put(CONFIGMAPS, "ui", data={"color": "red"})
    await world.promote(canary)
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    assert "binaryData" not in copy


async def test_an_immutable_copy_is_replaced(world: ConfigWorld) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"}, immutable=True)
    await world.target(container=from_config_map("ui"))
    await world.make_primary(world.canary())
    first = await world.get(CONFIGMAPS, "ui-primary")
    assert first is not None
    assert first["immutable"] is True

    await world.remove(CONFIGMAPS, "ui")
    await world.put(CONFIGMAPS, "ui", data={"color": "red"}, immutable=True)
    await world.promote(world.canary())
    second = await world.get(CONFIGMAPS, "ui-primary")
    assert second is not None
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert (second["data"], second["immutable"]) == ({"color": "red"}, True)
    assert await world.promote(world.canary()) == []

    await world.remove(CONFIGMAPS, "ui")
    await world.put(CONFIGMAPS, "ui", data={"color": "red"})
    assert await world.promote(world.canary()) == ["ConfigMap/ui-primary"]
    third = await world.get(CONFIGMAPS, "ui-primary")
    assert third is not None
    assert "immutable" not in third


async def test_a_secret_of_another_type_is_replaced(world: ConfigWorld) -> None:
    await world.put(SECRETS, "db", data={"password": "cA=="}, type="Opaque")
    await world.target(volumes=volume_of_secret("db"))
    await world.make_primary(world.canary())
    await world.remove(SECRETS, "db")
    login = {"username": "dQ==", "password": "cA=="}
    await world.put(SECRETS, "db", data=login, type="kubernetes.io/basic-auth")
    await world.promote(world.canary())
    copy = await world.get(SECRETS, "db-primary")
    assert copy is not None
    assert copy["type"] == "kubernetes.io/basic-auth"


async def test_a_copy_that_several_canaries_use(world: ConfigWorld) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"})
    await world.put(CONFIGMAPS, "own", data={"a": "1"})
    one, other = world.canary("one"), world.canary("other")
    await world.target("one", container=from_config_map("ui"))
    await world.target("other", container=from_config_map("ui"))
    await world.make_primary(one)
    await world.make_primary(other)
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    owners = copy["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == [one.metadata.uid, other.metadata.uid]
    assert not any(owner["controller"] for owner in owners)

    # What a primary used until a promotion goes with the next one, for its last pods' sake.
    await world.target("one", container=from_config_map("own"))
    await world.promote(one)
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    assert len(copy["metadata"]["ownerReferences"]) == 2
    await world.target("one", container={**from_config_map("own"), "workingDir": "/"})
    await world.promote(one)
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    (owner,) = copy["metadata"]["ownerReferences"]
    assert owner["uid"] == other.metadata.uid

    await world.target("other", container={"workingDir": "/"})
    await world.promote(other)
    assert await world.get(CONFIGMAPS, "ui-primary") is not None
    await world.target("other", container={"workingDir": "/tmp"})
    await world.promote(other)
    assert await world.get(CONFIGMAPS, "ui-primary") is None
    assert await world.get(CONFIGMAPS, "own-primary") is not None


async def test_a_copy_that_somebody_deleted_comes_back(world: ConfigWorld) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"})
    await world.target(container=from_config_map("ui"))
    await world.make_primary(world.canary())
    canary = world.canary(configs=world.tracked(world.canary()))
    await world.remove(CONFIGMAPS, "ui-primary")
    assert await world.make_primary(canary) == ["ConfigMap/ui-primary"]
    assert await world.make_primary(canary) == []
    copy = await world.get(CONFIGMAPS, "ui-primary")
    assert copy is not None
    assert copy["data"] == {"color": "blue"}

    await world.remove(CONFIGMAPS, "ui-primary")
    await world.put(CONFIGMAPS, "ui", data={"color": "red"})
    assert await world.make_primary(canary) == [], "what the copy held is not known any more"


async def test_an_object_of_a_users_is_not_taken_for_a_copy(world: ConfigWorld) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"})
    await world.put(CONFIGMAPS, "ui-primary", data={"mine": "1"})
    await world.target(container=from_config_map("ui"))
    with pytest.raises(WorkloadError, match=r"configmap ui-primary.* belongs to no canary"):
        await world.make_primary(world.canary())
    kept = await world.get(CONFIGMAPS, "ui-primary")
    assert kept is not None
    assert kept["data"] == {"mine": "1"}


async def test_what_is_missing(world: ConfigWorld) -> None:
    await world.target(
        container=from_config_map("maybe", optional=True), volumes=volume_of_secret("db")
    )
    canary = world.canary()
    assert world.tracked(canary) == {}
    (problem,) = workload_problems(canary, world.caches)
    assert problem.path == "spec.targetRef"
    assert f"secret db.{world.namespace} does not exist" in problem.message
    assert "spec.template.spec.volumes[0].secret" in problem.message
    with pytest.raises(WorkloadError, match=r"spec.template.spec.volumes\[0\].secret"):
        await world.make_primary(canary)

    await world.put(SECRETS, "db", data={"password": "cA=="})
    assert workload_problems(canary, world.caches) == ()
    await world.make_primary(canary)
    assert world.primary().config_names == {("ConfigMap", "maybe"), ("Secret", "db-primary")}
    assert world.in_primary(canary)

    canary = world.canary(configs=world.tracked(canary))
    await world.put(CONFIGMAPS, "maybe", data={"a": "1"})
    assert sorted(world.tracked(canary)) == ["configmap/maybe", "secret/db"]
    assert not world.in_primary(canary)


async def test_what_is_not_tracked_is_shared(world: ConfigWorld) -> None:
    off = {"annotations": {"flagger.app/config-tracking": "disabled"}}
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"}, metadata=off)
    docker = {".dockerconfigjson": "e30="}
    await world.put(SECRETS, "registry", data=docker, type="kubernetes.io/dockerconfigjson")
    await world.target(container=from_config_map("ui"), volumes=volume_of_secret("registry"))
    canary = world.canary()
    assert world.tracked(canary) == {}
    assert workload_problems(canary, world.caches) == ()
    assert await world.make_primary(canary) == ["Deployment/podinfo-primary"]
    assert world.primary().config_names == {("ConfigMap", "ui"), ("Secret", "registry")}
    assert world.in_primary(world.canary(configs={}))


async def test_an_operator_that_begins_to_track_starts_nothing(world: ConfigWorld) -> None:
    off = {"annotations": {"flagger.app/config-tracking": "disabled"}}
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"}, metadata=off)
    await world.target(container=from_config_map("ui"))
    await world.make_primary(world.canary())
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"})
    assert world.in_primary(world.canary()), "the status knows nothing of tracking"
    assert not world.in_primary(world.canary(configs={})), "it was opted in: the primary lacks it"


async def test_opting_out_starts_nothing(world: ConfigWorld) -> None:
    await world.put(CONFIGMAPS, "ui", data={"color": "blue"})
    await world.target(container=from_config_map("ui"))
    await world.make_primary(world.canary())
    canary = world.canary(configs=world.tracked(world.canary()))
    off = {"annotations": {"flagger.app/config-tracking": "disabled"}}
    await world.put(CONFIGMAPS, "ui", data={"color": "red"}, metadata=off)
    assert world.tracked(canary) == {}
    assert world.in_primary(canary), "the primary keeps its copy until the next promotion"
    await world.promote(canary)
    assert world.primary().config_names == {("ConfigMap", "ui")}
    assert world.in_primary(world.canary(configs={}))


async def test_whom_a_change_concerns(world: ConfigWorld) -> None:
    await world.target(container=from_config_map("ui"))
    canary = world.canary()
    for name in ("ui", "ui-primary"):
        assert depends_on(canary, world.caches, "ConfigMap", name)
        assert not depends_on(canary, world.caches, "Secret", name)
    assert not depends_on(canary, world.caches, "ConfigMap", "other")
    assert not depends_on(world.canary("gone"), world.caches, "ConfigMap", "ui")
