"""Kuma's whole way, with real redirection: iptables, marks, original destinations."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[2]
SCENE = Path(__file__).with_name("redirected_scene.py")


def namespaces() -> list[str]:
    own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    return own if os.geteuid() == 0 else [*own, "--user", "--map-root-user"]


@pytest.mark.lab
@pytest.mark.parametrize("version", ["1.8", "2.14"])
def test_requests_go_through_both_sidecars(version: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*namespaces(), sys.executable, str(SCENE), version, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["at 0"] == "primary 127.0.0.6"
    assert seen["at 100"] == "canary 127.0.0.6"
    assert seen["by pod address"] == "primary 127.0.0.6"
    strict = version == "2.14"
    assert seen["undeclared port"].startswith("curl" if strict else "primary 127.0.0.6")
    assert seen["probe from the node"] == "primary 10.244.0.1"
    assert any('envoy_cluster_name="localhost_9898"' in line for line in seen["metrics"])
    assert 0 < seen["size of metrics"] < 100_000
