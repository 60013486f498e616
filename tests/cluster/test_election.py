"""Elections on the lab's API server: two candidates, other people's leases, poor rights."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.controllers.played_cluster import Cluster
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.election import Election, LeaseLost
from serinus.cluster.kinds import LEASES
from serinus.cluster.kubeconfig import connect
from serinus.cluster.lease import Terms

TERMS = Terms(duration=6, renew_deadline=4, retry_period=0.2)
PATIENCE = 60.0


class Lab(Cluster):
    @property
    def kubeconfig(self) -> str:
        return str(self._paths.kubeconfig)


class Running(Election):
    """One that runs; it can be crashed."""

    task: asyncio.Task[None]

    async def crash(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("election"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def client(cluster: Lab) -> AsyncIterator[Client]:
    async with Client(await connect(cluster.kubeconfig)) as made:
        yield made


@asynccontextmanager
async def standing(client: Client, name: str, identity: str) -> AsyncIterator[Running]:
    """A candidate that runs, until it crashes."""
    election = Running(client, "default", name, TERMS, identity=identity)
    election.task = asyncio.create_task(election.run())
    try:
        yield election
    finally:
        await election.crash()


async def lease(client: Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await client.get(LEASES, "default", name))
    return found


async def won(election: Election) -> None:
    async with asyncio.timeout(PATIENCE):
        await election.won.wait()
    assert election.leads()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


def foreign(name: str, holder: str, renewed: datetime, **labels: str) -> dict[str, Any]:
    """As client-go's LeaseLock writes it."""
    at = renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 4,
            "acquireTime": at,
            "renewTime": at,
            "leaseTransitions": 7,
        },
    }


async def test_one_leads_renews_and_hands_over(client: Client) -> None:
    async with standing(client, "pair", "a") as one, standing(client, "pair", "b") as other:
        async with asyncio.timeout(PATIENCE):
            waiting = [asyncio.create_task(each.won.wait()) for each in (one, other)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        first, second = (one, other) if one.won.is_set() else (other, one)
        before = (await lease(client, "pair"))["spec"]

        async def renewed() -> bool:
            return bool((await lease(client, "pair"))["spec"]["renewTime"] != before["renewTime"])

        await until(renewed)
        assert not second.won.is_set()
        await first.crash()
        await first.release()
        await won(second)
        after = (await lease(client, "pair"))["spec"]
        assert after["holderIdentity"] != before["holderIdentity"]
        assert after["leaseTransitions"] == before["leaseTransitions"] + 1
        await first.release()
        assert (await lease(client, "pair"))["spec"]["holderIdentity"] == after["holderIdentity"]


async def test_another_clients_lease_is_respected_while_it_is_renewed(client: Client) -> None:
    """Its clock is a day behind, which must not matter."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await client.create(LEASES, "default", foreign("theirs", "go", yesterday, team="a"))
    async with standing(client, "theirs", "a") as election:
        for second in range(1, 8):
            await asyncio.sleep(0.5)
            body = {"spec": {"renewTime": foreign("", "", yesterday + timedelta(seconds=second))
                             ["spec"]["renewTime"]}}  # fmt: skip
            await client.patch(LEASES, "default", "theirs", body)
            assert not election.won.is_set()
        await won(election)
        found = await lease(client, "theirs")
        assert found["spec"]["holderIdentity"] == "a"
        assert found["spec"]["leaseTransitions"] == 8
        assert found["metadata"]["labels"] == {"team": "a"}, "people's own"


async def test_a_lease_taken_by_force_ends_leadership(client: Client) -> None:
    async with standing(client, "forced", "a") as election:
        await won(election)
        body = {"spec": {"holderIdentity": "somebody"}}
        await client.patch(LEASES, "default", "forced", body)
        with pytest.raises(LeaseLost, match="is held by somebody"):
            async with asyncio.timeout(PATIENCE):
                await election.task
        assert not election.leads()


async def test_a_deleted_lease_is_made_again(client: Client) -> None:
    async with standing(client, "deleted", "a") as election:
        await won(election)
        await client.delete(LEASES, "default", "deleted")

        async def there() -> bool:
            listed = json.loads(await client.list(LEASES, "default"))
            return "deleted" in [each["metadata"]["name"] for each in listed["items"]]

        await until(there)
        assert election.leads()


async def test_without_the_right_to_watch_the_lease_is_asked_for(
    cluster: Lab, client: Client
) -> None:
    for command in (
        "create role poor --verb=get,create,update --resource=leases.coordination.k8s.io",
        "create serviceaccount poor",
        "create rolebinding poor --role=poor --serviceaccount=default:poor",
    ):
        cluster.kubectl(*command.split())
    token = cluster.kubectl("create", "token", "poor").strip()
    await client.create(LEASES, "default", foreign("polled", "go", datetime.now(UTC)))
    connection = await connect(cluster.kubeconfig)
    poor = Connection.with_token(connection.server, token)
    async with (
        Client(replace(poor, ssl=connection.ssl)) as few,
        standing(few, "polled", "a") as election,
    ):
        await asyncio.sleep(1.0)
        assert not election.won.is_set()
        body = {"spec": {"holderIdentity": None}}
        await client.patch(LEASES, "default", "polled", body)
        await won(election)
