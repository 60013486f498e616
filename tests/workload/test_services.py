"""The three Services, and what counts as a difference."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.api_server import merge
from serinus.workload.labels import PodSelector
from serinus.workload.services import Role, desired_service, selects_primary, service_patch
from serinus.workload.views import ServiceView, decode_deployment, decode_service
from workload.guide import Json, canary, deployment, encoded

PODS = PodSelector("app", "podinfo")
TARGET = decode_deployment(encoded(deployment()))


def desired(role: Role = Role.APEX, **changes: Any) -> Json:
    return desired_service(canary(**changes), role, TARGET, PODS)


def live(service: Json) -> ServiceView:
    return decode_service(encoded(service))


def patch(service: Json, **changes: Any) -> Json | None:
    return service_patch(canary(**changes), live(service), desired(**changes))


@pytest.mark.parametrize(
    ("role", "name", "selected"),
    [
        (Role.APEX, "podinfo", "podinfo-primary"),
        (Role.PRIMARY, "podinfo-primary", "podinfo-primary"),
        (Role.CANARY, "podinfo-canary", "podinfo"),
    ],
)
def test_the_three_services(role: Role, name: str, selected: str) -> None:
    service = desired(role)
    assert service["metadata"]["name"] == name
    assert service["metadata"]["labels"] == {"app": name}
    assert service["metadata"]["annotations"] == {
        "9898.service.kuma.io/protocol": "http",
        "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
        "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    }
    assert service["metadata"]["ownerReferences"][0]["controller"] is True
    assert service["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": selected},
        "ports": [{"name": "http", "port": 9898, "targetPort": 9898, "appProtocol": "http"}],
    }
    assert selects_primary(live(service), PODS) is (selected == "podinfo-primary")


@pytest.mark.parametrize(
    ("changes", "protocol"),
    [
        ({}, "http"),
        ({"service__appProtocol": "grpc"}, "grpc"),
        ({"service__apex": {}}, None),
        ({"service__port": 80}, None),
    ],
)
def test_app_protocol_comes_from_the_field_or_else_from_kumas_annotation(
    changes: Json, protocol: str | None
) -> None:
    assert desired(**changes)["spec"]["ports"][0].get("appProtocol") == protocol


def test_the_port_and_the_metadata_are_as_asked() -> None:
    metadata = {"labels": {"team": "a"}, "annotations": {"note": "b"}}
    for role in Role:
        service = desired(
            role,
            service__portName="web",
            service__port=80,
            service__targetPort="http",
            **{f"service__{role.value}": metadata},
        )
        (port,) = service["spec"]["ports"]
        assert (port["name"], port["port"], port["targetPort"]) == ("web", 80, "http")
        assert service["metadata"]["labels"]["team"] == "a"
        assert service["metadata"]["annotations"]["note"] == "b"


def test_port_discovery_takes_the_other_ports_of_the_pods() -> None:
    ports = desired(service__portDiscovery=True)["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in ports] == [
        ("http", 9898),
        ("http-metrics", 9797),
        ("grpc", 9999),
    ]


def test_headless_and_distribution_are_for_the_creation() -> None:
    spec = desired(service__headless=True, service__trafficDistribution="PreferClose")["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["trafficDistribution"] == "PreferClose"


def served(service: Json) -> Json:
    """The Service as the API server and Kuma complete it."""
    whole = merge(service, {"spec": {"clusterIP": "10.96.0.7", "sessionAffinity": "None"}})
    for port in whole["spec"]["ports"]:
        port["protocol"] = "TCP"
    whole["metadata"]["annotations"]["ingress.kubernetes.io/service-upstream"] = "true"
    whole["metadata"]["annotations"]["nginx.ingress.kubernetes.io/service-upstream"] = "true"
    whole["metadata"]["labels"]["kuma.io/mesh"] = "default"
    whole["metadata"]["labels"]["k8s.kuma.io/namespace"] = "test"
    return whole


def test_what_the_server_and_kuma_add_is_no_difference() -> None:
    assert patch(served(desired())) is None


DIFFERENCES: list[tuple[Json, Json]] = [
    (
        {"spec": {"selector": {"app": "podinfo"}}},
        {"spec": {"selector": {"app": "podinfo-primary"}}},
    ),
    ({"spec": {"selector": {"extra": "x"}}}, {"spec": {"selector": {"extra": None}}}),
    ({"metadata": {"labels": {"app": "x"}}}, {"metadata": {"labels": {"app": "podinfo"}}}),
    ({"metadata": {"labels": {"mine": "x"}}}, {"metadata": {"labels": {"mine": None}}}),
    (
        {"metadata": {"annotations": {"80.service.kuma.io/protocol": "tcp"}}},
        {"metadata": {"annotations": {"80.service.kuma.io/protocol": None}}},
    ),
]


@pytest.mark.parametrize(("edit", "repair"), DIFFERENCES)
def test_a_foreign_edit_is_repaired_by_a_narrow_patch(edit: Json, repair: Json) -> None:
    edited = merge(served(desired()), edit)
    assert patch(edited) == repair
    assert patch(merge(edited, repair)) is None


def test_unmanaged_metadata_stays() -> None:
    edited = merge(
        served(desired()), {"metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}}
    )
    spared = {"labels": ["a"], "annotations": ["b"]}
    assert patch(edited, service__unmanagedMetadata=spared) is None


def test_node_ports_stay_when_a_port_changes() -> None:
    edited = served(desired())
    edited["spec"]["type"] = "NodePort"
    edited["spec"]["ports"][0].update({"nodePort": 30080, "targetPort": 1})
    changes = patch(edited)
    assert changes is not None
    assert changes["spec"]["ports"][0]["nodePort"] == 30080
    assert patch(merge(edited, changes)) is None


def test_an_apex_that_was_there_before_is_adopted_by_selector_and_ports_only() -> None:
    theirs = {
        "metadata": {"name": "podinfo", "namespace": "test", "labels": {"owner": "them"}},
        "spec": {"selector": {"app": "podinfo"}, "ports": [{"port": 9898, "name": "web"}]},
    }
    changes = patch(theirs)
    assert changes is not None
    assert set(changes) == {"spec"}
    adopted = merge(theirs, changes)
    assert adopted["metadata"] == theirs["metadata"]
    assert patch(adopted) is None


KEYS = st.sampled_from(["app", "mine", "kuma.io/zone", "k8s.kuma.io/x", "team"])


@given(
    labels=st.dictionaries(KEYS, st.text(max_size=3)),
    selector=st.dictionaries(KEYS, st.text(max_size=3)),
    ports=st.lists(
        st.fixed_dictionaries(
            {"port": st.integers(1, 9), "name": st.sampled_from(["http", "a", "b"])}
        ),
        max_size=2,
    ),
)
def test_whatever_was_done_to_it_one_patch_puts_it_right(
    labels: Json, selector: Json, ports: list[Json]
) -> None:
    edited = served(desired())
    edited["metadata"]["labels"] = labels
    edited["spec"]["selector"] = selector
    edited["spec"]["ports"] = ports
    changes = patch(edited)
    if changes is None:
        return
    repaired = merge(edited, changes)
    assert patch(repaired) is None
    assert repaired["spec"]["selector"] == {"app": "podinfo-primary"}
    kumas = {key: value for key, value in labels.items() if "kuma.io/" in key}
    assert repaired["metadata"]["labels"] == {"app": "podinfo", **kumas}
