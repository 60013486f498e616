"""A server that changes over to another authority, and clients that were told of it by a file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cluster.test_kubeconfig import write
from cluster.tls_server import TlsServer, authority, tls_server
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.errors import Unreachable
from serinus.cluster.kinds import SERVICES
from serinus.cluster.kubeconfig import from_kubeconfig, in_cluster
from serinus.lab.pki import Pki


async def person(directory: Path, address: str) -> Connection:
    """By a kubeconfig that names a file."""
    path = directory / "config"
    write(path, {"token": "t"}, address)
    named = path.read_text().replace(
        '"tls-server-name": "api"', '"certificate-authority": "ca.crt"'
    )
    path.write_text(named)
    return await from_kubeconfig(str(path))


async def pod(directory: Path, address: str) -> Connection:
    (directory / "token").write_text("t")
    host, _, port = address.removeprefix("https://").rpartition(":")
    return in_cluster({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}, directory)


@asynccontextmanager
async def served(
    tmp_path: Path, connect: Callable[..., object]
) -> AsyncIterator[tuple[TlsServer, Connection, Path, Pki]]:
    """A server with one authority's certificate, a connection that trusts it by a file, and a
    second authority."""
    one, other = authority(tmp_path / "one"), authority(tmp_path / "other")
    directory = tmp_path / "files"
    directory.mkdir()
    file = directory / "ca.crt"
    file.write_bytes(one.ca.cert.read_bytes())
    async with tls_server(one) as server:
        connection = await connect(directory, server.address)  # type: ignore[misc]
        yield server, connection, file, other


async def ask(connection: Connection) -> None:
    """By a connection of its own, as after a restart of the server."""
    async with Client(connection) as client:
        await client.get(SERVICES, "test", "a")


each_way = pytest.mark.parametrize("connect", [person, pod])


@each_way
async def test_a_new_authority_is_trusted_with_the_next_connection(
    tmp_path: Path, connect: Callable[..., object]
) -> None:
    async with served(tmp_path, connect) as (server, connection, file, other):
        await ask(connection)
        server.change(other)
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(connection)
        # As the kubelet does it: another file takes the place of the one before.
        new = file.with_name("new.crt")
        new.write_bytes(other.ca.cert.read_bytes())
        new.replace(file)
        await ask(connection)
        assert len(server.requests) == 2


@each_way
async def test_a_file_that_is_being_written_changes_nothing_yet(
    tmp_path: Path, connect: Callable[..., object]
) -> None:
    async with served(tmp_path, connect) as (server, connection, file, other):
        await asyncio.to_thread(file.write_text, "-----BEGIN CERTIFICATE-----\nhalf")
        with pytest.raises(Unreachable):
            await ask(connection)
        await asyncio.to_thread(file.write_bytes, other.ca.cert.read_bytes())
        await ask(connection)
        server.change(other)
        await ask(connection)


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, person) as (_, connection, file, _other):
        file.unlink()
        await ask(connection)
