"""Secrets by name, as the lab's API server holds them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from cluster.lab_api import LabApi, lab_api
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.credentials import Credentials, NoCredentials
from serinus.cluster.kinds import ROLEBINDINGS, ROLES, SECRETS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabApi]:
    async with lab_api(tmp_path_factory.mktemp("lab")) as started:
        yield started


@asynccontextmanager
async def running(client: Client, **settings: float) -> AsyncIterator[Credentials]:
    credentials = Credentials(client, **settings)
    kept = asyncio.create_task(credentials.run())
    try:
        yield credentials
    finally:
        await credentials.close()
        kept.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await kept
    assert not credentials.watched


async def shows(credentials: Credentials, where: tuple[str, str], values: dict[str, str]) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if dict(await credentials.get(*where)) == values:
                    return
            except NoCredentials:
                if not values:
                    return
            await asyncio.sleep(0.01)


async def test_a_rotated_secret_is_used_and_a_deleted_one_is_not(api: LabApi) -> None:
    home = await api.namespace("rotated")
    await api.secret(home, "metrics", token="one")
    await api.secret(home, "other", token="none of ours")
    async with running(api.client) as credentials:
        assert dict(await credentials.get(home, "metrics")) == {"token": "one"}
        assert credentials.watched == {(home, "metrics")}
        await api.rotate(home, "metrics", token="two", username="me")
        await shows(credentials, (home, "metrics"), {"token": "two", "username": "me"})
        await api.client.delete(SECRETS, home, "metrics")
        await shows(credentials, (home, "metrics"), {})
        with pytest.raises(NoCredentials, match='"metrics" in namespace "rotated" does not exist'):
            await credentials.get(home, "metrics")
        await api.secret(home, "metrics", token="three")
        await shows(credentials, (home, "metrics"), {"token": "three"})


async def test_who_asks_again_asks_the_api_server_for_nothing(api: LabApi) -> None:
    home = await api.namespace("quiet")
    await api.secret(home, "metrics", token="one")
    asked: list[str] = []

    async def headers() -> dict[str, str]:
        asked.append("")
        return dict(await api.client.connection.headers())

    connection = api.client.connection
    counted = Connection(connection.server, ssl=connection.ssl, headers=headers)
    async with Client(counted) as client, running(client) as credentials:
        await asyncio.gather(*(credentials.get(home, "metrics") for _ in range(50)))
        for _ in range(50):
            await credentials.get(home, "metrics")
    # One list, and the watch that follows it if it came to that.
    assert len(asked) <= 2


async def test_values_that_are_not_text_are_left_out_and_none_is_ever_shown(api: LabApi) -> None:
    home = await api.namespace("binary")
    body = {"metadata": {"name": "mixed"}, "data": {"token": "czNjcjN0", "key": "/w=="}}
    await api.client.create(SECRETS, home, body)
    await api.client.create(SECRETS, home, {"metadata": {"name": "empty"}})
    async with running(api.client) as credentials:
        data = await credentials.get(home, "mixed")
        assert dict(data) == {"token": "s3cr3t"}
        assert repr(data) == str(data) == "<values of token>"
        assert "s3cr3t" not in f"{data!r} {credentials._watched}"
        assert not await credentials.get(home, "empty")


async def test_the_right_to_one_secret_is_enough(api: LabApi) -> None:
    home = await api.namespace("rights")
    await api.secret(home, "mine", token="one")
    await api.secret(home, "yours", token="two")
    rule = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["mine"],
        "verbs": ["get", "list", "watch"],
    }
    await api.client.create(ROLES, home, {"metadata": {"name": "one"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "one"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    }
    await api.client.create(ROLEBINDINGS, home, binding)
    async with running(api.bob) as credentials:
        assert dict(await credentials.get(home, "mine")) == {"token": "one"}
        with pytest.raises(NoCredentials, match="cannot be read: 403 Forbidden"):
            await credentials.get(home, "yours")
        # The refusal is known by now: nobody waits for it again.
        for _ in range(100):
            with pytest.raises(NoCredentials, match="403"):
                await credentials.get(home, "yours")


async def test_no_server_and_a_silent_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with (
            Client(Connection(address)) as client,
            running(client, first_answer=0.1) as credentials,
        ):
            with pytest.raises(NoCredentials, match=r"cannot be read: no answer in 0\.1s"):
                await credentials.get("test", "metrics")
    async with Client(Connection(address)) as client, running(client) as credentials:
        with pytest.raises(NoCredentials, match=r"cannot be read: GET .* at "):
            await credentials.get("test", "metrics")


async def test_watches_that_nobody_asks_for_end_and_begin_anew(api: LabApi) -> None:
    home = await api.namespace("idle")
    await api.secret(home, "metrics", token="one")
    async with running(api.client, idle=0.1) as credentials:
        assert dict(await credentials.get(home, "metrics")) == {"token": "one"}
        async with asyncio.timeout(60):
            while credentials.watched:  # noqa: ASYNC110 (it tells nobody)
                await asyncio.sleep(0.01)
        await api.rotate(home, "metrics", token="two")
        assert dict(await credentials.get(home, "metrics")) == {"token": "two"}
