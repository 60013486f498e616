"""What people and older releases leave in a cluster ends in a clear state, and disturbs nobody."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from executor.scene import Scene
from faults.invariants import expected_splits

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]
CRD = "canaries.flagger.app"
SCHEMA = "/spec/versions/0/schema/openAPIV3Schema/properties/spec"


@pytest.fixture
def schema(scene: Scene) -> Iterator[Any]:
    """Sets what a Canary's spec may hold; the strict schema comes back afterwards."""
    crd = json.loads(scene.kubectl("get", "crd", CRD, "-o", "json"))
    strict = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def replace(wanted: Object) -> None:
        patch = json.dumps([{"op": "replace", "path": SCHEMA, "value": wanted}])
        scene.kubectl("patch", "crd", CRD, "--type=json", "-p", patch)

    yield lambda loose: replace(
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True} if loose else strict
    )
    replace(strict)
    scene.within("delete", "canaries", "--all", "--wait=false")


def test_stored_forms_of_another_schema_are_told_and_stop_nobody(scene: Scene, schema: Any) -> None:
    _ = scene.events, scene.canaries, scene.routes
    schema(True)
    stored = {
        "backwards": ("interval", "-5s"),
        "wordy": ("stepWeight", "some"),
        "listed": ("metrics", {"not": "a list"}),
    }
    for name, (field, value) in stored.items():
        canary = scene.canary(name, target=name)
        canary["spec"]["analysis"][field] = value
        # The API server goes by a new schema a moment after it was accepted.
        scene.cluster.plane.until(
            lambda canary=canary: (
                "created"
                in scene.within("create", "-f", "-", stdin=json.dumps(canary), check=False)
            )
        )
    schema(False)
    operator = scene.start()
    scene.begin()
    for name, (field, _value) in stored.items():
        scene.await_message(f"spec.analysis.{field}", name)
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert [line for line in operator.log() if line["level"] == "error"] == []


def test_a_canary_of_a_mebibyte_is_rolled_out(scene: Scene) -> None:
    operator = scene.start()
    _ = scene.routes
    hook = {
        "name": "gate",
        "type": "pre-rollout",
        "url": f"{scene.peers.http}/hook",
        "metadata": {f"note-{number}": "x" * 1000 for number in range(1010)},
    }
    canary = scene.canary(webhooks=[hook])
    assert len(json.dumps(canary)) > 1_000_000
    scene.apply(scene.target(), *scene.mesh_services())
    # `kubectl apply` would put a copy into an annotation, which may be 256 KiB long.
    scene.within("create", "-f", "-", stdin=json.dumps(canary))
    scene.await_phase("Initialized")
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert len(scene.peers.hooks[0]["metadata"]) == 1010
    assert [line for line in operator.log() if line["level"] == "error"] == []


def test_a_namespace_deleted_in_mid_rollout_stops_nobody(scene: Scene) -> None:
    other = Scene(scene.cluster)
    try:
        operator = scene.start(everywhere=True)
        _ = scene.routes, other.routes
        other.begin(other.canary(threshold=10_000))
        scene.begin()
        other.release("v2")
        other.await_weight(25)
        scene.release("v2")
        scene.kubectl("delete", "namespace", other.namespace, "--timeout=60s")
        scene.await_phase("Succeeded")
        assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
        assert other.canaries.latest == {} and other.routes.latest == {}
        assert [line for line in operator.log() if line["level"] == "error"] == []
        before = len(scene.peers.requests)
        scene.release("v3")
        scene.canaries.until(lambda: scene.phases().count("Succeeded") == 2, "another rollout")
        late = [seen for seen in scene.peers.requests[before:] if other.namespace in seen.path]
        assert [seen for seen in late if seen.writes] == []
    finally:
        other.close()


def test_a_target_deleted_in_mid_rollout_ends_in_failure(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin(scene.canary(threshold=10_000))
    scene.release("v2")
    scene.routes.until(lambda: scene.weights()[-1:] == [(75, 25)])
    scene.within("delete", "deployment", "podinfo")
    scene.await_phase("Failed")
    assert scene.weights()[-1] == (100, 0)
    scene.await_message("does not exist")
    scene.await_ready("False", "spec.targetRef.name", "does not exist")
    scene.apply(scene.target(tag="v3"))
    scene.canaries.until(lambda: scene.phase() == "Succeeded", "the new target's rollout", 40)


def test_of_two_canaries_with_one_target_the_newer_names_the_older(scene: Scene) -> None:
    scene.start()
    _ = scene.routes, scene.events
    scene.begin()
    scene.apply(scene.canary("another", target="podinfo"))
    scene.await_ready("False", "spec.targetRef.name", 'canary "podinfo"', name="another")
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    assert scene.phase("another") == ""


def test_an_unreadable_rival_keeps_its_target_until_it_goes(scene: Scene, schema: Any) -> None:
    """The older one stops being readable in mid-rollout: the newer must not take over."""
    scene.start()
    _ = scene.routes, scene.events
    scene.hold()
    scene.apply(scene.canary("another", target="podinfo"))
    scene.await_ready("False", 'canary "podinfo"', name="another")
    schema(True)
    broken = json.dumps({"spec": {"analysis": {"stepWeight": "some"}}})
    scene.cluster.plane.until(
        lambda: (
            "patched"
            in scene.within("patch", "canary", "podinfo", "--type=merge", "-p", broken, check=False)
        )
    )
    schema(False)
    scene.await_message("spec.analysis.stepWeight")
    scene.within("annotate", "canary", "another", "look=again")
    scene.await_ready("False", 'canary "podinfo"', "though it cannot be read now", name="another")
    assert scene.weights()[-1] == (75, 25)
    assert scene.phase("another") == ""
    scene.peers.success = 100.0
    scene.within("delete", "canary", "podinfo")
    scene.await_phase("Initialized", "another")


EVENTS = 10_000


def test_ten_thousand_events_disturb_nobody(scene: Scene, record_count: list[str]) -> None:
    operator = scene.start()
    _ = scene.routes
    scene.begin()
    uid = scene.canaries.latest["podinfo"]["metadata"]["uid"]
    began = time.monotonic()
    asyncio.run(tell_much(scene, uid))
    made = time.monotonic() - began
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == expected_splits(["Succeeded"], (25, 50))
    asked = [seen for seen in scene.peers.requests if "/events" in seen.path]
    assert {seen.method for seen in asked} <= {"POST", "PATCH"}, "it reads no events"
    began = time.monotonic()
    told = scene.within("describe", "canary", "podinfo")
    assert "Advance podinfo" in told and "remark 9999" in told
    record_count.append(
        f"{EVENTS} events of a canary made in {made:.1f} s, "
        f"described in {time.monotonic() - began:.1f} s"
    )
    assert [line for line in operator.log() if line["level"] == "error"] == []


async def tell_much(scene: Scene, uid: str) -> None:
    """Events of the canary, as fast as the API server takes them."""
    path = f"{scene.cluster.address}/api/v1/namespaces/{scene.namespace}/events"
    headers = {"Authorization": f"Bearer {scene.cluster.token}"}
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    numbers = iter(range(EVENTS))

    async def write(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            body = {
                "metadata": {"name": f"podinfo.remark-{number}"},
                "involvedObject": {
                    "apiVersion": "flagger.app/v1beta1",
                    "kind": "Canary",
                    "name": "podinfo",
                    "namespace": scene.namespace,
                    "uid": uid,
                },
                "type": "Normal",
                "reason": "Synced",
                "message": f"remark {number}",
                "firstTimestamp": moment,
                "lastTimestamp": moment,
                "count": 1,
            }
            async with session.post(path, json=body, ssl=False) as answer:
                assert answer.status == 201, await answer.text()

    async with aiohttp.ClientSession(headers=headers) as session, asyncio.TaskGroup() as writers:
        for _ in range(16):
            writers.create_task(write(session))


def test_a_canary_under_a_new_name_takes_over(scene: Scene) -> None:
    """Renaming is deleting and creating; here in the worse order."""
    scene.start()
    _ = scene.routes
    scene.begin()
    scene.apply(scene.canary("renamed"))
    scene.await_ready("False", 'canary "podinfo"', name="renamed")
    scene.within("delete", "canary", "podinfo")
    scene.await_phase("Initialized", "renamed")
    scene.await_ready("True", name="renamed")
    scene.release("v2")
    scene.await_phase("Succeeded", "renamed")
    assert scene.weights()[-1] == (100, 0)
    assert list(scene.routes.latest) == ["podinfo"]
