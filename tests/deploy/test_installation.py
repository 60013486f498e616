"""The chart on a real API server: applied as printed, under Pod Security's strictest rules."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane, Missing, program
from serinus.cluster.client import Client
from serinus.cluster.connection import Connection
from serinus.cluster.election import Election
from serinus.cluster.lease import Terms
from serinus.operator.leadership import LEASE

pytestmark = pytest.mark.controlplane

ROOT = Path(__file__).parents[2]
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    try:
        made = ControlPlane(tmp_path_factory.mktemp("plane")).__enter__()
    except Missing as missing:
        pytest.skip(str(missing))
    yield made
    made.stop()


def printed(chart: str, namespace: str, *values: str) -> str:
    sets = [word for value in values for word in ("--set", value)]
    command = [program("helm"), "template", ROOT / "deploy" / chart, "-n", namespace, *sets]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def installed(plane: ControlPlane, namespace: str, *values: str) -> list[dict[str, Any]]:
    """The chart, in a namespace that takes only restricted pods."""
    plane.kubectl("create", "namespace", namespace)
    plane.kubectl("label", "namespace", namespace, RESTRICTED)
    text = printed("chart", namespace, *values)
    said = plane.kubectl("apply", "-f", "-", stdin=text)
    assert "Warning" not in said, said
    return [each for each in yaml.safe_load_all(text) if each]


@pytest.mark.parametrize("chart", ["chart", "chart-loadtester"])
def test_what_is_printed_can_be_applied_and_its_pods_run(plane: ControlPlane, chart: str) -> None:
    namespace = f"of-{chart}"
    plane.kubectl("create", "namespace", namespace)
    plane.kubectl("label", "namespace", namespace, RESTRICTED)
    values = [] if chart == "chart-loadtester" else ["leaderElection.replicaCount=2"]
    values.append("networkPolicy.enabled=true")
    said = plane.kubectl("apply", "-f", "-", stdin=printed(chart, namespace, *values))
    assert "Warning" not in said, said
    name = "flagger" if chart == "chart" else "flagger-loadtester"
    plane.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=60s")
    if chart == "chart":
        plane.kubectl("wait", "--for=condition=established", "crd/canaries.flagger.app")


def test_pod_security_would_have_refused_more(plane: ControlPlane) -> None:
    """So what the test above shows is shown of a rule that is in force."""
    plane.kubectl("create", "namespace", "strict")
    plane.kubectl("label", "namespace", "strict", RESTRICTED)
    said = plane.kubectl("-n", "strict", "run", "loose", "--image=x", check=False)
    assert 'violates PodSecurity "restricted' in said


async def test_the_shipped_role_suffices_for_an_election(plane: ControlPlane) -> None:
    """Its list and watch are bound to one name, which a real API server finds in the selector."""
    await asyncio.to_thread(installed, plane, "elected", "crd.create=false")
    token = plane.token("elected", "flagger")
    ca = plane.keys.ca.cert.read_text()
    terms = Terms(duration=3, renew_deadline=2.0, retry_period=0.2)
    async with Client(Connection.with_token(plane.address, token, ca_pem=ca)) as client:
        first, second = (Election(client, "elected", LEASE, terms) for _ in range(2))
        tasks = [asyncio.create_task(first.run())]
        async with asyncio.timeout(60):
            await first.won.wait()
        tasks.append(asyncio.create_task(second.run()))
        async with asyncio.timeout(60):
            await second.watching.wait()
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        await first.release()
        async with asyncio.timeout(60):
            await second.won.wait()
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    lease = json.loads(plane.kubectl("-n", "elected", "get", "lease", LEASE, "-o", "json"))
    assert lease["spec"]["leaseTransitions"] == 1


def test_one_namespace_asks_for_nothing_of_the_cluster(plane: ControlPlane) -> None:
    found = installed(plane, "single", "namespace=single", "crd.create=false")
    assert {each["kind"] for each in found} == {
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "Deployment",
    }
