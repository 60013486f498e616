"""What Kubernetes writes into objects that do not say, and the two faces of some objects."""

from typing import Any

import pytest

from serinus.lab.apiserver.schema.conversion import convert
from serinus.lab.apiserver.schema.data import load
from serinus.lab.apiserver.schema.defaults import RULES, VALUES, apply_defaults
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.schema.workload_defaults import pull_policy

REGISTRY = Registry.builtin()


def defaulted(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    group, _, version = api_version.rpartition("/")
    found = REGISTRY.by_kind(group, version, kind)
    assert found is not None
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **fields}
    apply_defaults(found, obj)
    return obj


def test_the_tables_speak_of_real_types_and_fields() -> None:
    types = load("types")
    for name in {*VALUES, *RULES}:
        full = f"io.k8s.api.{name}"
        if full not in types:
            full = f"io.k8s.apiextensions-apiserver.pkg.apis.{name}"
        assert VALUES.get(name, {}).keys() <= types[full]["properties"].keys(), name


def test_a_deployment() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "b:1"}]}}
    deployment = defaulted("apps/v1", "Deployment", spec={"template": template})
    assert deployment["spec"] == {
        "replicas": 1,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
        },
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "a",
                        "image": "b:1",
                        "imagePullPolicy": "IfNotPresent",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    }
                ],
                "dnsPolicy": "ClusterFirst",
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "terminationGracePeriodSeconds": 30,
            }
        },
    }


def test_recreate_has_no_rolling_update() -> None:
    deployment = defaulted("apps/v1", "Deployment", spec={"strategy": {"type": "Recreate"}})
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_a_container_in_full() -> None:
    container = {
        "name": "a",
        "image": "b",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {"httpGet": {"port": 80}, "timeoutSeconds": 0},
        "resources": {"limits": {"cpu": "1"}},
    }
    volumes = [
        {"name": "a", "configMap": {"name": "x"}},
        {"name": "b", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "c"},
    ]
    pod = defaulted(
        "v1",
        "Pod",
        spec={"containers": [container], "volumes": volumes, "serviceAccountName": "robot"},
    )
    [container] = pod["spec"]["containers"]
    assert container["imagePullPolicy"] == "Always"
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert pod["spec"]["volumes"] == [
        {"name": "a", "configMap": {"name": "x", "defaultMode": 420}},
        {
            "name": "b",
            "projected": {
                "defaultMode": 420,
                "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
            },
        },
        {"name": "c", "emptyDir": {}},
    ]
    assert pod["spec"]["serviceAccount"] == "robot"
    assert pod["spec"]["enableServiceLinks"] is True


def test_a_service() -> None:
    service = defaulted("v1", "Service", spec={"ports": [{"port": 80}]})
    assert service["spec"] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
    ],
)
def test_the_tag_says_when_to_pull(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize("kind", list(REGISTRY), ids=lambda kind: f"{kind.kind}.{kind.group}")
def test_defaults_are_settled_after_one_pass(kind: Any) -> None:
    container = {"name": "a", "image": "b", "livenessProbe": {"exec": {}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    obj = {
        "metadata": {"name": "x"},
        "spec": {"template": template, "behavior": {}, "containers": [container]},
        "status": {},
    }
    apply_defaults(kind, obj)
    once = repr(obj)
    apply_defaults(kind, obj)
    assert repr(obj) == once


AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "x", "annotations": {"keep": "this"}},
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "web"},
        "maxReplicas": 3,
        "behavior": {"scaleDown": {"selectPolicy": "Min"}},
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 50},
                },
            },
            {"type": "Pods", "pods": {"metric": {"name": "x"}, "target": {"averageValue": "1"}}},
        ],
    },
    "status": {"currentReplicas": 1},
}


def test_an_autoscaler_goes_to_v1_and_back() -> None:
    old = convert(AUTOSCALER, ("autoscaling", "v1", "HorizontalPodAutoscaler"))
    assert old["apiVersion"] == "autoscaling/v1"
    assert old["spec"]["targetCPUUtilizationPercentage"] == 50
    assert "metrics" not in old["spec"]
    assert convert(old, ("autoscaling", "v2", "HorizontalPodAutoscaler")) == AUTOSCALER


def test_an_event_has_two_faces() -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "x"},
        "involvedObject": {"name": "canary"},
        "message": "Advance",
        "count": 2,
        "type": "Normal",
    }
    new = convert(event, ("events.k8s.io", "v1", "Event"))
    assert new["regarding"] == {"name": "canary"}
    assert (new["note"], new["deprecatedCount"]) == ("Advance", 2)
    assert convert(new, ("", "v1", "Event")) == event


def test_what_cannot_be_converted_says_so() -> None:
    with pytest.raises(ValueError, match="cannot be converted"):
        convert(AUTOSCALER, ("", "v1", "Event"))
