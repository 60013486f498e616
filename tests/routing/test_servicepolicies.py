"""`spec.service.timeout` and `retries` as a MeshTimeout and a MeshRetry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import merge
from routing.cluster import Cluster
from routing.test_router import cluster
from serinus.api.duration import seconds
from serinus.cluster.kinds import MESHRETRIES, MESHTIMEOUTS
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.dialect import MESH_RETRIES, MESH_TIMEOUTS
from serinus.routing.kuma.servicepolicies import go_duration, problems
from workload.guide import Json, canary

__all__ = ["cluster"]

FULL = Traffic(Weights(100, 0))
ASKED: Json = {
    "service__timeout": "90s",
    "service__retries": {
        "attempts": 3,
        "perTryTimeout": "1s",
        "retryOn": "gateway-error, connect-failure,503",
    },
}
REF = {"kind": "MeshService", "name": "podinfo", "sectionName": "http"}
POLICIES = (MESHTIMEOUTS, MESHRETRIES)


async def with_policies(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive")
    await cluster.mesh_services()


async def test_a_timeout_and_retries_in_kumas_words(cluster: Cluster) -> None:
    await with_policies(cluster)
    cluster.canary = canary(**ASKED)
    async with cluster.running():
        assert cluster.router.problems(cluster.canary) == ()
        assert await cluster.carry(FULL) == 3
        timeout = cluster.server.get(MESHTIMEOUTS, "test", "podinfo")
        retry = cluster.server.get(MESHRETRIES, "test", "podinfo")
        assert timeout is not None and retry is not None
        assert timeout["spec"] == {
            "targetRef": {"kind": "Mesh"},
            "to": [{"targetRef": REF, "default": {"http": {"requestTimeout": "1m30s"}}}],
        }
        assert retry["spec"]["to"][0]["default"] == {
            "http": {
                "numRetries": 3,
                "perTryTimeout": "1s",
                "retryOn": ["GatewayError", "ConnectFailure", "503"],
            }
        }
        for policy in (timeout, retry):
            assert policy["metadata"]["ownerReferences"][0]["uid"] == "canary-uid"
            assert policy["metadata"]["labels"] == {"kuma.io/mesh": "default"}
        assert await cluster.carry(FULL) == 0


async def test_what_others_change_is_repaired_and_what_is_not_asked_for_goes(
    cluster: Cluster,
) -> None:
    await with_policies(cluster)
    cluster.canary = canary(**ASKED)
    async with cluster.running():
        await cluster.carry(FULL)
        for policy in POLICIES:
            found = cluster.server.get(policy, "test", "podinfo")
            assert found is not None
            narrowed = {"targetRef": {"kind": "Dataplane", "labels": {"a": "b"}}, "to": []}
            await cluster.put(policy, merge(found, {"spec": narrowed}))
        assert cluster.router.drift(cluster.canary) == tuple(
            f"{path} of {policy.kind} podinfo"
            for policy in POLICIES
            for path in ("spec.targetRef.kind", "spec.targetRef.labels", "spec.to")
        )
        assert await cluster.carry(FULL) == 2
        assert cluster.router.drift(cluster.canary) == ()
        await cluster.router.reconcile(canary(), FULL)
        for policy in POLICIES:
            assert cluster.server.get(policy, "test", "podinfo") is None


async def test_they_go_with_the_canary(cluster: Cluster) -> None:
    await with_policies(cluster)
    cluster.canary = canary(**ASKED)
    async with cluster.running():
        await cluster.carry(FULL)
        await cluster.router.collect(lambda _namespace, _name: True)
        assert all(cluster.server.get(policy, "test", "podinfo") for policy in POLICIES)
        await cluster.router.finalize(cluster.canary)
        assert not any(cluster.server.get(policy, "test", "podinfo") for policy in POLICIES)
        for policy in POLICIES:
            await cluster.gone(policy, "test", "podinfo")
        await cluster.carry(FULL)
        await cluster.router.collect(lambda _namespace, _name: False)
        assert not any(cluster.server.get(policy, "test", "podinfo") for policy in POLICIES)


async def test_those_of_others_are_left_alone(cluster: Cluster) -> None:
    await with_policies(cluster)
    async with cluster.running():
        for policy in POLICIES:
            theirs = {"metadata": {"name": "podinfo", "namespace": "test"}, "spec": {}}
            await cluster.put(policy, theirs)
        assert cluster.router.problems(canary()) == ()
        found = cluster.router.problems(canary(**ASKED))
        assert [problem.path for problem in found] == [
            "spec.service.timeout",
            "spec.service.retries",
        ]
        assert all("belongs to somebody else" in problem.message for problem in found)
        await cluster.carry(FULL)
        await cluster.router.finalize(cluster.canary)
        assert all(cluster.server.get(policy, "test", "podinfo") for policy in POLICIES)


async def test_a_kuma_without_these_kinds_is_told(cluster: Cluster) -> None:
    await cluster.kuma("2.14", "Exclusive", without=[MESH_TIMEOUTS, MESH_RETRIES])
    async with cluster.running():
        found = cluster.router.problems(canary(**ASKED))
        assert [problem.path for problem in found] == [
            "spec.service.timeout",
            "spec.service.retries",
        ]
        assert all("install Kuma's CRD mesh" in problem.message for problem in found)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("15s", "15s"),
        ("90s", "1m30s"),
        ("60m", "1h0m0s"),
        ("1500ms", "1.5s"),
        ("500ms", "500ms"),
        ("0.5ms", "500µs"),
        ("7ns", "7ns"),
        ("0", "0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(text: str, written: str) -> None:
    assert go_duration(text) == written


@given(st.integers(0, 10**13))
def test_a_duration_stays_what_it_is(nanoseconds: int) -> None:
    written = go_duration(f"{nanoseconds}ns")
    assert round(seconds(written) * 10**9) == nanoseconds
    assert go_duration(written) == written


@pytest.mark.parametrize(
    ("asked", "path", "words"),
    [
        ({"timeout": "soon"}, "timeout", "is not a duration"),
        ({"timeout": "-1s"}, "timeout", "too short"),
        ({"retries": {}}, "retries", "says nothing"),
        ({"retries": {"attempts": 0}}, "retries.attempts", "use 1 or more"),
        ({"retries": {"perTryTimeout": "0s"}}, "retries.perTryTimeout", "too short"),
        ({"retries": {"retryOn": "5xx,bad"}}, "retries.retryOn", 'does not retry on "bad"'),
        ({"retries": {"attempts": 1}, "appProtocol": "grpc"}, "retries", "use Kuma's MeshRetry"),
    ],
)
def test_what_kuma_would_not_take(asked: Json, path: str, words: str) -> None:
    (problem,) = problems(canary(**{f"service__{name}": value for name, value in asked.items()}))
    assert problem.path == f"spec.service.{path}"
    assert words in problem.message
