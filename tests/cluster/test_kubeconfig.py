"""Connections from files: of a person, and of a pod."""

import json
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

from serinus.cluster import kubeconfig
from serinus.cluster.kubeconfig import NoConnection, connect, from_kubeconfig, in_cluster


def write(path: Path, user: object, server: str = "https://10.0.0.1:6443/") -> str:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "one",
                "contexts": [
                    {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "test"}},
                    {"name": "two", "context": {"cluster": "plain", "user": "u"}},
                ],
                "clusters": [
                    {"name": "c", "cluster": {"server": server, "tls-server-name": "api"}},
                    {"name": "plain", "cluster": {"server": "http://127.0.0.1:8001"}},
                ],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return str(path)


async def test_a_kubeconfig(tmp_path: Path) -> None:
    path = write(tmp_path / "config", {"token": "secret"})
    connection = await connect(path)
    assert connection.server == "https://10.0.0.1:6443"
    assert connection.ssl is not None
    assert connection.tls_server_name == "api"
    assert connection.namespace == "test"
    assert await connection.headers() == {"Authorization": "Bearer secret"}
    other = await from_kubeconfig(path, "two")
    assert (other.server, other.ssl, other.namespace) == ("http://127.0.0.1:8001", None, "default")


async def test_an_exec_plugin_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    program = (
        "import json, pathlib; p = pathlib.Path('CALLS');"
        "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1));"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1',"
        " 'kind': 'ExecCredential', 'status': {'token': f'token-{n}',"
        " 'expirationTimestamp': '2020-01-01T00:00:00Z'}}))"
    ).replace("CALLS", str(calls))
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", program],
        "interactiveMode": "Never",
    }
    connection = await connect(write(tmp_path / "config", {"exec": plugin}))
    assert await connection.headers() == {"Authorization": "Bearer token-0"}
    monkeypatch.setattr(kubeconfig, "TOKEN_AGE", -1.0)
    again = await connect(str(tmp_path / "config"))
    assert await again.headers() == {"Authorization": "Bearer token-2"}


async def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoConnection, match="there is no kubeconfig at /nowhere/config"):
        await connect(environ={"KUBECONFIG": "/nowhere/config"})
    path = write(tmp_path / "config", {"token": "secret"})
    with pytest.raises(NoConnection, match=r"cannot be used: .*three"):
        await connect(path, "three")
    with pytest.raises(NoConnection, match="no pod"):
        in_cluster({})
    with pytest.raises(NoConnection, match="automountServiceAccountToken"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, tmp_path)


async def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.crt").write_text(certifi.contents())
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "namespace").write_text("flagger-system")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    connection = in_cluster(environ, tmp_path)
    assert connection.server == "https://[fd00::1]:6443"
    assert connection.namespace == "flagger-system"
    (tmp_path / "token").write_text("two")
    assert await connection.headers() == {"Authorization": "Bearer one"}
    monkeypatch.setattr(kubeconfig, "TOKEN_AGE", -1.0)
    connection = in_cluster(environ, tmp_path)
    (tmp_path / "token").write_text("three")
    assert await connection.headers() == {"Authorization": "Bearer three"}


def test_the_package_is_not_imported_without_need() -> None:
    program = (
        "import sys; import serinus.cluster.kubeconfig, serinus.cluster.cache;"
        "sys.exit('kubernetes' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
