"""The lab's configuration beside what real control planes made of the same objects.

``observed/`` holds what was read back from kuma-cp 2.7.29 and 2.14.3 on a real API server, only
what concerns podinfo. Everything is compared field by field. Differences that remain:

- ClusterIPs are of that run: listeners are compared by the service that they lead to.
- Virtual addresses (240.0.0.0/4) and Kuma's DNS listener are left out: the lab's DNS knows the
  names of Services only.
- Clusters and endpoints of services other than podinfo's were not recorded: left out on our side.
- 1.8 was never observed: 2.7.29 in the same situation stands in for it. 2.7.29's own routes from
  MeshHTTPRoute do not exist in 1.8.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.mesh.mesh_objects import (
    ROUTE_ALL,
    Obj,
    by_name,
    form_a,
    form_b,
    form_c,
    mesh,
    meshhttproute,
    podinfo_world,
    rule,
    trafficroute,
)
from serinus.lab.mesh.model import observe
from serinus.lab.mesh.proxy import resources
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V1_8, V2_14, KumaVersion

OBSERVED = Path(__file__).parent / "observed"
SPLIT = trafficroute(
    "podinfo",
    "podinfo_test_svc_9898",
    [("podinfo-primary_test_svc_9898", 95), ("podinfo-canary_test_svc_9898", 5)],
)
MIRROR = meshhttproute(
    [
        rule(
            by_name("podinfo-primary", 100),
            filters=[
                {
                    "type": "RequestMirror",
                    "requestMirror": {
                        "percentage": 100,
                        "backendRef": {
                            "kind": "MeshService",
                            "name": "podinfo-canary_test_svc_9898",
                        },
                    },
                }
            ],
        )
    ],
    {"kind": "MeshService", "name": "podinfo", "sectionName": "http"},
)


def made(
    version: KumaVersion, mode: str | None, routes: list[Obj], who: str = "client-1.test"
) -> dict[str, Any]:
    """The lab's configuration of one proxy, in the shape of the observations."""
    world = observe(
        version,
        **podinfo_world(),
        meshes=[mesh(mode)],
        traffic_routes=[route for route in routes if "mesh" in route],
        http_routes=[route for route in routes if "mesh" not in route],
    )
    proxy = next(p for p in world.proxies if f"{p.name}.{p.namespace}" == who)
    config = resources(world, proxy)
    return {
        "Listener": config.listeners,
        "Cluster": config.clusters,
        "ClusterLoadAssignment": config.assignments,
    }


def comparable(config: dict[str, Any], direction: str) -> dict[str, Any]:
    """What both sides can say: podinfo's listeners by service, its clusters, its endpoints."""
    listeners = {}
    for listener in config.get("Listener", {}).values():
        address = listener["address"]["socketAddress"]["address"]
        if listener["name"].startswith(f"{direction}:") and address not in ("0.0.0.0", "::"):
            tags = listener["metadata"]["filterMetadata"]["io.kuma.tags"]
            service = tags.get("kuma.io/service") or tags["kuma.io/unified-name"]
            if "podinfo" in service and not address.startswith("240."):
                ours = {"name": "", "address": ""} if direction == "outbound" else {}
                listeners[service] = {**listener, **ours}
    prefixes = ("localhost:", "self_transparentproxy") if direction == "inbound" else ("",)
    return {
        "Listener": listeners,
        "Cluster": {
            name: cluster
            for name, cluster in config.get("Cluster", {}).items()
            if name.startswith(prefixes) and (direction == "inbound" or "podinfo" in name)
        },
        "ClusterLoadAssignment": {
            name: assignment
            for name, assignment in config.get("ClusterLoadAssignment", {}).items()
            if direction == "outbound" and "podinfo" in name
        },
    }


def observed(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((OBSERVED / f"{name}.json").read_text())
    return loaded


CASES = [
    ("2.14.3-exclusive-no-route", V2_14, "Exclusive", []),
    ("2.14.3-exclusive-form-a-app-namespace", V2_14, "Exclusive", [form_a(95, 5)]),
    ("2.14.3-exclusive-form-b", V2_14, "Exclusive", [form_b(95, 5)]),
    ("2.14.3-exclusive-form-c", V2_14, "Exclusive", [form_c(95, 5)]),
    ("2.14.3-exclusive-mirror", V2_14, "Exclusive", [MIRROR]),
    ("2.14.3-exclusive-trafficroute-alone", V2_14, "Exclusive", [SPLIT]),
    ("2.14.3-disabled-no-route", V2_14, None, []),
    ("2.14.3-disabled-form-a-app-namespace", V2_14, None, [form_a(95, 5)]),
    ("2.14.3-disabled-form-b", V2_14, None, [form_b(95, 5)]),
    ("2.14.3-disabled-trafficroute-alone", V2_14, None, [SPLIT]),
    ("2.14.3-disabled-trafficroute-with-route-all", V2_14, None, [SPLIT, ROUTE_ALL]),
    ("2.7.29-trafficroute-alone", V1_8, None, [SPLIT]),
    ("2.7.29-trafficroute-with-route-all", V1_8, None, [SPLIT, ROUTE_ALL]),
]


@pytest.mark.parametrize(("name", "version", "mode", "routes"), CASES, ids=[c[0] for c in CASES])
def test_the_clients_view(
    name: str, version: KumaVersion, mode: str | None, routes: list[Obj]
) -> None:
    ours = comparable(made(version, mode, routes), "outbound")
    assert ours == comparable(observed(name), "outbound")


def test_the_system_namespaces_route_reaches_everyone() -> None:
    """Compared with the namespace's name replaced: the lab's is the guide's."""
    where = {"name": "podinfo-test", "namespace": SYSTEM_NAMESPACE}
    ours = comparable(made(V2_14, "Exclusive", [form_a(95, 5, **where)]), "outbound")
    text = json.dumps(observed("2.14.3-exclusive-form-a-system-namespace"))
    theirs = json.loads(text.replace("kuma-system", SYSTEM_NAMESPACE))
    assert ours == comparable(theirs, "outbound")


def test_a_consumer_route_does_not_reach_another_namespace() -> None:
    ours = made(V2_14, "Exclusive", [form_c(95, 5)], "client-1.other")
    theirs = observed("2.14.3-exclusive-form-c-client-in-other-namespace")
    assert comparable(ours, "outbound") == comparable(theirs, "outbound")


def test_producer_routes_reach_another_namespace() -> None:
    for route in (form_a(95, 5), form_b(95, 5)):
        ours = made(V2_14, "Exclusive", [route], "client-1.other")
        assert "weightedClusters" in json.dumps(ours["Listener"])


@pytest.mark.parametrize(
    ("name", "version"), [("2.14.3-exclusive", V2_14), ("2.7.29", V1_8)], ids=["2.14.3", "2.7.29"]
)
def test_the_canarys_inbound(name: str, version: KumaVersion) -> None:
    """On our side 1.8's catching cluster is not called as strict inbound ports' is."""
    ours = comparable(made(version, None, [], "podinfo-1.test"), "inbound")
    theirs = comparable(observed(f"{name}-canary-inbound"), "inbound")
    assert ours == theirs
