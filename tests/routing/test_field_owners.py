"""Who wrote which field of a route: a real API server notes it for others, not for us alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import ControlPlane, Missing
from serinus.cluster.kinds import TRAFFICROUTES
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import V1_8
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.trafficroute import desired_route, route_change
from serinus.routing.kuma.views import decode_traffic_route
from serinus.routing.kuma.writing import bring_about
from workload.guide import canary

pytestmark = pytest.mark.controlplane

PATH = "/apis/kuma.io/v1alpha1/trafficroutes"
CANARY = canary()


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    made = ControlPlane(tmp_path_factory.mktemp("plane"), controllers=(), kubelet=False)
    try:
        made.start()
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        made.apply(*definitions(V1_8))
        made.until(lambda: made.request("GET", PATH).status == 200)
        yield made
    finally:
        made.stop()


def route(plane: ControlPlane) -> dict[str, Any]:
    found: dict[str, Any] = plane.request("GET", f"{PATH}/podinfo").json
    return found


def owners(plane: ControlPlane) -> set[str]:
    return {entry["manager"] for entry in route(plane)["metadata"].get("managedFields", ())}


def applied(plane: ControlPlane, spec: dict[str, Any]) -> int:
    """Apply that on the server, as somebody else; the answer's status."""
    body = {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "TrafficRoute",
        "metadata": {"name": "podinfo"},
        "spec": spec,
    }
    path = f"{PATH}/podinfo?fieldManager=somebody"
    return plane.request("PATCH", path, body, Content_Type="application/apply-patch+yaml").status


async def carry(plane: ControlPlane, share: int) -> None:
    """Have the canary get that share, as an operator does that sees the route as it is."""
    traffic = Traffic(Weights(primary=100 - share, canary=share))
    there = plane.request("GET", f"{PATH}/podinfo")
    async with plane.client() as client:
        await bring_about(
            client,
            TRAFFICROUTES,
            None,
            "podinfo",
            decode_traffic_route(there.body) if there.status == 200 else None,
            decode=decode_traffic_route,
            body=lambda: desired_route(CANARY, "podinfo", traffic),
            change=lambda live: route_change(CANARY, live, traffic),
        )


async def test_nobody_is_noted_until_somebody_applies(plane: ControlPlane) -> None:
    await carry(plane, 0)
    await carry(plane, 10)
    assert owners(plane) == set()
    await carry(plane, 20)
    assert owners(plane) == set(), "nor by a later step"
    assert applied(plane, {"conf": {"split": []}}) == 409, "it is not taken in silence"
    assert applied(plane, {"conf": {"loadBalancer": {"roundRobin": {}}}}) == 200
    before = owners(plane)
    assert "somebody" in before
    await carry(plane, 30)
    assert owners(plane) > before, "what somebody else has applied stays his, and we are noted"
    conf = route(plane)["spec"]["conf"]
    assert conf["loadBalancer"] == {"roundRobin": {}}
    assert [entry["weight"] for entry in conf["split"]] == [70, 30]
