"""What `kubectl get` shows of each kind."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serinus.lab.apiserver.tables import table
from serinus.lab.apiserver.tables.age import age, human_duration
from serinus.lab.apiserver.tables.jsonpath import find

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Kind:
    group: str
    kind: str


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def cells(group: str, kind: str, obj: dict[str, Any], wide: bool = False, crd: Any = None) -> Any:
    obj = {
        "metadata": {"name": "x", "creationTimestamp": ago(minutes=5)} | obj.pop("meta", {})
    } | obj
    result = table(Kind(group, kind), crd, [obj], NOW)
    shown = [wide or c["priority"] == 0 for c in result["columnDefinitions"]]
    return [cell for cell, show in zip(result["rows"][0]["cells"], shown, strict=True) if show]


def headers(group: str, kind: str) -> list[str]:
    definitions = table(Kind(group, kind), None, [], NOW)["columnDefinitions"]
    return [c["name"].upper() for c in definitions if c["priority"] == 0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (5.9, "5s"), (119, "119s"), (120, "2m"),
        (123, "2m3s"), (599, "9m59s"), (600, "10m"), (659, "10m"), (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"), (3 * 3600 + 1200, "3h20m"), (8 * 3600, "8h"), (47 * 3600, "47h"),
        (48 * 3600, "2d"), (50 * 3600, "2d2h"), (8 * 86400, "8d"), (729 * 86400, "729d"),
        (731 * 86400, "2y1d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_ages_of_what_is_no_time() -> None:
    assert age(None, NOW) == "<unknown>"
    assert age("yesterday", NOW) == "<invalid>"
    assert age("2026-11-24T11:59:55.123456Z", NOW) == "4s"


RUNNING = {"state": {"running": {}}, "ready": True, "started": True, "restartCount": 0}


def waiting(reason: str, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason}}, "restartCount": restarts, **more}


def ended(code: int, reason: str = "", signal: int = 0) -> dict[str, Any]:
    state = {"exitCode": code, **({"reason": reason} if reason else {}), "signal": signal}
    return {"state": {"terminated": state}, "restartCount": 0}


READY = [{"type": "Ready", "status": "True"}]
SIDECAR = {"name": "side", "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"status": {"phase": "Pending"}}, ["0/1", "Pending", "0"]),
        ({"status": {"phase": "Running", "containerStatuses": [RUNNING]}}, ["1/1", "Running", "0"]),
        (
            {"status": {"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}},
            ["0/1", "ContainerCreating", "0"],
        ),
        (
            {
                "status": {
                    "phase": "Running",
                    "containerStatuses": [
                        waiting(
                            "CrashLoopBackOff",
                            3,
                            lastState={"terminated": {"finishedAt": ago(seconds=30)}},
                        )
                    ],
                }
            },
            ["0/1", "CrashLoopBackOff", "3 (30s ago)"],
        ),
        (
            {"status": {"phase": "Succeeded", "containerStatuses": [ended(0, "Completed")]}},
            ["0/1", "Completed", "0"],
        ),
        (
            {"status": {"phase": "Failed", "containerStatuses": [ended(3)]}},
            ["0/1", "ExitCode:3", "0"],
        ),
        (
            {"status": {"phase": "Failed", "containerStatuses": [ended(0, "", 9)]}},
            ["0/1", "Signal:9", "0"],
        ),
        (
            {"status": {"phase": "Failed", "reason": "Evicted"}},
            ["0/1", "Evicted", "0"],
        ),
        (
            {
                "meta": {"deletionTimestamp": ago(seconds=1)},
                "status": {"phase": "Running", "containerStatuses": [RUNNING]},
            },
            ["1/1", "Terminating", "0"],
        ),
        (
            {
                "meta": {"deletionTimestamp": ago(seconds=1)},
                "status": {"phase": "Succeeded", "containerStatuses": [ended(0, "Completed")]},
            },
            ["0/1", "Completed", "0"],
        ),
        (
            {
                "spec": {"containers": [{}], "initContainers": [{"name": "a"}, {"name": "b"}]},
                "status": {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        {"name": "a", **ended(0, "Completed")},
                        {"name": "b", **waiting("PodInitializing")},
                    ],
                    "containerStatuses": [waiting("PodInitializing")],
                },
            },
            ["0/1", "Init:1/2", "0"],
        ),
        (
            {
                "spec": {"containers": [{}], "initContainers": [{"name": "a"}]},
                "status": {
                    "phase": "Pending",
                    "initContainerStatuses": [{"name": "a", **ended(1, "Error")}],
                },
            },
            ["0/1", "Init:Error", "0"],
        ),
        (
            {
                "spec": {"containers": [{}], "initContainers": [{"name": "a"}]},
                "status": {
                    "phase": "Pending",
                    "initContainerStatuses": [{"name": "a", **ended(7)}],
                },
            },
            ["0/1", "Init:ExitCode:7", "0"],
        ),
        (
            {
                "spec": {"containers": [{}], "initContainers": [SIDECAR]},
                "status": {
                    "phase": "Running",
                    "initContainerStatuses": [{"name": "side", **RUNNING}],
                    "containerStatuses": [RUNNING],
                },
            },
            ["2/2", "Running", "0"],
        ),
        (
            {
                "spec": {"containers": [{}], "initContainers": [SIDECAR]},
                "status": {
                    "phase": "Pending",
                    "initContainerStatuses": [{"name": "side", **RUNNING, "started": False}],
                    "containerStatuses": [waiting("PodInitializing")],
                },
            },
            ["0/2", "Init:0/1", "0"],
        ),
        (
            {
                "spec": {"containers": [{}, {}]},
                "status": {
                    "phase": "Running",
                    "conditions": READY,
                    "containerStatuses": [ended(0, "Completed"), RUNNING],
                },
            },
            ["1/2", "Running", "0"],
        ),
        (
            {
                "spec": {"containers": [{}, {}]},
                "status": {
                    "phase": "Running",
                    "containerStatuses": [ended(0, "Completed"), RUNNING],
                },
            },
            ["1/2", "NotReady", "0"],
        ),
    ],
)
def test_pods(pod: dict[str, Any], expected: list[str]) -> None:
    assert cells("", "Pod", {"spec": {"containers": [{}]}} | pod)[1:4] == expected


def test_a_wide_pod() -> None:
    pod = {
        "spec": {"containers": [{}], "nodeName": "lab", "readinessGates": [{"conditionType": "g"}]},
        "status": {"phase": "Running", "podIP": "10.244.0.9", "containerStatuses": [RUNNING]},
    }
    assert cells("", "Pod", pod, wide=True) == [
        "x", "1/1", "Running", "0", "5m", "10.244.0.9", "lab", "<none>", "0/1",
    ]  # fmt: skip


TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j"}]}}


@pytest.mark.parametrize(
    ("group", "kind", "obj", "expected"),
    [
        (
            "apps",
            "Deployment",
            {
                "spec": {
                    "replicas": 2,
                    "template": TEMPLATE,
                    "selector": {
                        "matchLabels": {"app": "x"},
                        "matchExpressions": [
                            {"key": "t", "operator": "In", "values": ["b", "a"]},
                            {"key": "d", "operator": "DoesNotExist"},
                        ],
                    },
                },
                "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            },
            ["x", "1/2", 2, 1, "5m", "c,d", "i:1,j", "!d,app=x,t in (a,b)"],
        ),
        (
            "apps",
            "ReplicaSet",
            {"spec": {"replicas": 3, "template": TEMPLATE}, "status": {"replicas": 2}},
            ["x", 3, 2, 0, "5m", "c,d", "i:1,j", "<none>"],
        ),
        (
            "apps",
            "DaemonSet",
            {"spec": {"template": TEMPLATE}, "status": {"desiredNumberScheduled": 1}},
            ["x", 1, 0, 0, 0, 0, "<none>", "5m", "c,d", "i:1,j", "<none>"],
        ),
        (
            "apps",
            "StatefulSet",
            {"spec": {"template": TEMPLATE}, "status": {"readyReplicas": 1}},
            ["x", "1/1", "5m", "c,d", "i:1,j"],
        ),
        (
            "batch",
            "Job",
            {
                "spec": {"completions": 1, "template": TEMPLATE},
                "status": {
                    "succeeded": 1,
                    "startTime": ago(seconds=60),
                    "completionTime": ago(seconds=50),
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["x", "Complete", "1/1", "10s", "5m", "c,d", "i:1,j", "<none>"],
        ),
        (
            "batch",
            "CronJob",
            {
                "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
                "status": {"lastScheduleTime": ago(seconds=20), "active": [{}]},
            },
            ["x", "* * * * *", "<none>", "False", 1, "20s", "5m", "c,d", "i:1,j", "<none>"],
        ),
        (
            "autoscaling",
            "HorizontalPodAutoscaler",
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "podinfo"},
                    "minReplicas": 2,
                    "maxReplicas": 4,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {
                                "name": "cpu",
                                "target": {"type": "Utilization", "averageUtilization": 99},
                            },
                        }
                    ],
                },
                "status": {
                    "currentReplicas": 2,
                    "currentMetrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "current": {"averageUtilization": 3}},
                        }
                    ],
                },
            },
            ["x", "Deployment/podinfo", "cpu: 3%/99%", "2", 4, 2, "5m"],
        ),
        (
            "policy",
            "PodDisruptionBudget",
            {"spec": {"minAvailable": "50%"}},
            ["x", "50%", "N/A", 0, "5m"],
        ),
        (
            "",
            "Service",
            {
                "spec": {
                    "clusterIP": "10.96.0.7",
                    "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}],
                    "selector": {"b": "2", "a": "1"},
                }
            },
            ["x", "ClusterIP", "10.96.0.7", "<none>", "80:30080/TCP,53/UDP", "5m", "a=1,b=2"],
        ),
        (
            "",
            "Service",
            {"spec": {"type": "LoadBalancer"}},
            ["x", "LoadBalancer", "<none>", "<pending>", "<none>", "5m", "<none>"],
        ),
        (
            "",
            "Endpoints",
            {
                "subsets": [
                    {
                        "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
                        "ports": [{"port": 80}, {"port": 81}],
                    }
                ]
            },
            ["x", "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more...", "5m"],
        ),
        (
            "discovery.k8s.io",
            "EndpointSlice",
            {
                "addressType": "IPv4",
                "ports": [{"port": 80}],
                "endpoints": [{"addresses": ["10.0.0.1"]}],
            },
            ["x", "IPv4", "80", "10.0.0.1", "5m"],
        ),
        (
            "networking.k8s.io",
            "Ingress",
            {"spec": {"rules": [{"host": "a.b"}], "tls": [{}]}},
            ["x", "<none>", "a.b", "", "80, 443", "5m"],
        ),
        ("", "ConfigMap", {"data": {"a": ""}, "binaryData": {"b": ""}}, ["x", 2, "5m"]),
        ("", "Secret", {"data": {"a": ""}}, ["x", "Opaque", 1, "5m"]),
        ("", "ServiceAccount", {}, ["x", "5m"]),
        ("", "Namespace", {"status": {"phase": "Active"}}, ["x", "Active", "5m"]),
        (
            "",
            "Node",
            {
                "meta": {"labels": {"node-role.kubernetes.io/worker": ""}},
                "status": {
                    "conditions": READY,
                    "addresses": [{"type": "InternalIP", "address": "10.244.0.1"}],
                    "nodeInfo": {
                        "kubeletVersion": "v1.34.0",
                        "osImage": "Linux",
                        "kernelVersion": "6",
                        "containerRuntimeVersion": "serinus://1",
                    },
                },
            },
            ["x", "Ready", "worker", "5m", "v1.34.0", "10.244.0.1", "<none>", "Linux", "6",
             "serinus://1"],
        ),
        (
            "",
            "Event",
            {
                "type": "Normal",
                "reason": "Synced",
                "message": "New revision detected!\n",
                "involvedObject": {"kind": "Canary", "name": "podinfo"},
                "source": {"component": "flagger"},
                "count": 3,
                "firstTimestamp": ago(minutes=2, seconds=5),
                "lastTimestamp": ago(seconds=7),
            },
            ["7s (x3 over 2m5s)", "Normal", "Synced", "canary/podinfo", "", "flagger",
             "New revision detected!", "2m5s", "3", "x"],
        ),
        (
            "rbac.authorization.k8s.io",
            "RoleBinding",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
                ],
            },
            ["x", "Role/r", "5m", "u", "", "n/s"],
        ),
        ("rbac.authorization.k8s.io", "ClusterRole", {}, ["x", ago(minutes=5)]),
        (
            "",
            "ResourceQuota",
            {"status": {"hard": {"pods": "4", "limits.cpu": "2"}, "used": {"pods": "1"}}},
            ["x", "pods: 1/4", "limits.cpu: 0/2", "5m"],
        ),
        (
            "",
            "PersistentVolumeClaim",
            {"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"]}},
            ["x", "Bound", "", "", "RWO", "", "<unset>", "5m", "<unset>"],
        ),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", {"webhooks": [{}, {}]},
         ["x", 2, "5m"]),
        ("coordination.k8s.io", "Lease", {"spec": {"holderIdentity": "me"}}, ["x", "me", "5m"]),
        ("nowhere.example", "Thing", {}, ["x", "5m"]),
    ],
)  # fmt: skip
def test_kinds(group: str, kind: str, obj: dict[str, Any], expected: list[Any]) -> None:
    assert cells(group, kind, dict(obj), wide=True) == expected


def test_the_headers_are_those_of_kubectl() -> None:
    assert headers("apps", "Deployment") == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert headers("", "Pod") == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert headers("", "Event") == ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert headers("apiextensions.k8s.io", "CustomResourceDefinition") == ["NAME", "CREATED AT"]


CANARY_COLUMNS = [
    {"name": "Status", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Weight", "type": "integer", "jsonPath": ".status.canaryWeight"},
    {
        "name": "Suspended", "type": "boolean", "jsonPath": ".spec.suspend", "priority": 1,
    },
    {
        "name": "LastTransitionTime", "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Promoted")].status',
    },
    {"name": "Since", "type": "date", "jsonPath": ".status.lastTransitionTime"},
]  # fmt: skip


def test_the_columns_of_a_custom_resource() -> None:
    canary = {
        "spec": {"suspend": False},
        "status": {
            "phase": "Progressing",
            "canaryWeight": 10,
            "conditions": [{"type": "Other", "status": "a"}, {"type": "Promoted", "status": "b"}],
            "lastTransitionTime": ago(seconds=90),
        },
    }
    shown = cells("flagger.app", "Canary", dict(canary), wide=True, crd=CANARY_COLUMNS)
    assert shown == ["x", "Progressing", 10, False, "b", "90s"]
    assert cells("flagger.app", "Canary", {}, crd=CANARY_COLUMNS) == ["x", None, None, None, None]
    assert cells("flagger.app", "Canary", {}, crd=[]) == ["x", "5m"]


def test_a_row_carries_its_metadata() -> None:
    obj = {"metadata": {"name": "x", "uid": "u"}, "spec": {}}
    assert table(Kind("", "Pod"), None, [obj], NOW)["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "x", "uid": "u"},
    }


DOCUMENT = {
    "a": {"b.c": 1, "list": [{"n": 1, "k": "x"}, {"n": 2, "k": "y"}, {"n": 3}]},
    "labels": {"app.kubernetes.io/name": "p"},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.list[0].n", [1]),
        (".a.list[-1].n", [3]),
        (".a.list[7].n", []),
        (".a.list[*].n", [1, 2, 3]),
        ("{.a.list[?(@.k=='y')].n}", [2]),
        ('.a.list[?(@.k!="y")].n', [1]),
        (".a.list[?(@.n>=2)].n", [2, 3]),
        (".a.list[?(@.k)].n", [1, 2]),
        (".a['b.c']", [1]),
        (r".a.b\.c", [1]),
        (r".labels.app\.kubernetes\.io/name", ["p"]),
        ("$.a.missing.deep", []),
        (".", [DOCUMENT]),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    assert find(path, DOCUMENT) == found


def test_a_path_beyond_the_subset_says_where() -> None:
    with pytest.raises(ValueError, match=r"cannot read '\[0:2\]'"):
        find(".a.list[0:2]", DOCUMENT)
