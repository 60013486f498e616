"""Answers that people and scripts expect from a cluster, in a cluster's own words."""

import time
from pathlib import Path
from typing import Any

import pytest

LIST = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {a: b}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: two}, data: {a: b}}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    metadata: {labels: {mine: too}}
    spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: busybox}]}
"""


def test_a_list_is_applied_item_by_item(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    assert server.apply(LIST, flags=n) == "configmap/one created\nconfigmap/two created\n"
    got = server.kubectl(*n, "get", "configmap", "one", "two", "-o", "yaml")
    assert server.apply(got, flags=n).count("configured") == 2
    wrong = server.kubectl(
        *n, "apply", "-f", "-", stdin=LIST.replace("data: {a: b}", "dat: {}", 1), fails=True
    )
    assert 'unknown field "dat"' in wrong, "the server checks the items of a list"


@pytest.mark.parametrize("version", ["v1", "flagger.app/v1beta1"])
def test_a_kind_that_nobody_serves_is_named(server: Any, version: str) -> None:
    text = f"apiVersion: {version}\nkind: Nope\nmetadata: {{name: x}}\n"
    said = server.kubectl("apply", "-f", "-", stdin=text, fails=True)
    assert f'no matches for kind "Nope" in version "{version}"' in said
    assert "ensure CRDs are installed first" in said


def test_a_job_selects_its_own_pods(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(JOB, flags=n)
    assert server.apply(JOB, flags=n) == "job.batch/once unchanged\n"
    job = server.get(*n, "job", "once")
    uid = job["metadata"]["uid"]
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "mine": "too",
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "once",
        "controller-uid": uid,
        "job-name": "once",
    }
    chosen = JOB.replace("once", "own").replace(
        "spec:\n", "spec:\n  selector: {matchLabels: {mine: too}}\n", 1
    )
    said = server.kubectl(*n, "apply", "-f", "-", stdin=chosen, fails=True)
    assert "spec.selector: Invalid value" in said
    assert "`selector` not auto-generated" in said
    server.apply(chosen.replace("  selector", "  manualSelector: true\n  selector", 1), flags=n)
    spec = server.get(*n, "job", "own")["spec"]
    assert spec["selector"] == {"matchLabels": {"mine": "too"}}
    assert spec["template"]["metadata"]["labels"] == {"mine": "too"}


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_a_cluster_keeps_the_namespaces_it_needs(server: Any, name: str) -> None:
    said = server.kubectl("delete", "namespace", name, fails=True)
    assert said == (
        f'Error from server (Forbidden): namespaces "{name}" is forbidden: '
        "this namespace may not be deleted\n"
    )


def test_the_servers_own_service_comes_back(server: Any) -> None:
    server.kubectl("-n", "default", "delete", "service", "kubernetes")
    deadline = time.monotonic() + 60
    path = "/api/v1/namespaces/default/services/kubernetes"
    while (answer := server.request("GET", path)).status == 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.json["spec"]["clusterIP"] == "10.96.0.1"


def test_node_ports_have_a_range(server: Any, namespace: str) -> None:
    create = ("-n", namespace, "create", "service", "nodeport")
    said = server.kubectl(*create, "low", "--tcp=80", "--node-port=3080", fails=True)
    assert said == (
        'error: failed to create NodePort service: Service "low" is invalid: '
        "spec.ports[0].nodePort: Invalid value: 3080: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767\n"
    )
    server.kubectl(*create, "first", "--tcp=80", "--node-port=30999")
    taken = server.kubectl(*create, "second", "--tcp=80", "--node-port=30999", fails=True)
    assert "Invalid value: 30999: provided port is already allocated" in taken


def test_a_pod_has_a_priority_and_patience(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(POD, flags=n)
    spec = server.get(*n, "pod", "p")["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert [(t["key"], t["effect"], t["tolerationSeconds"]) for t in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    ]
    critical = POD.replace("name: p", "name: q").replace(
        "spec: {", "spec: {priorityClassName: system-node-critical, ", 1
    )
    server.apply(critical, flags=n)
    assert server.get(*n, "pod", "q")["spec"]["priority"] == 2_000_001_000
    unknown = critical.replace("name: q", "name: r").replace("system-node-critical", "x")
    said = server.kubectl(*n, "apply", "-f", "-", stdin=unknown, fails=True)
    assert 'pods "r" is forbidden: no PriorityClass with name x was found' in said


def test_debug_is_refused_with_the_way_out(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(POD, flags=n)
    said = server.kubectl(*n, "debug", "p", "--image=busybox", "--", "true", fails=True)
    assert "the lab runs no ephemeral containers: look into the pod with kubectl exec" in said


def test_bad_input_is_explained(server: Any, namespace: str, tmp_path: Path) -> None:
    n = ("-n", namespace)
    server.apply(POD, flags=n)
    said = server.kubectl(*n, "label", "pod", "p", "a/b/c=d", fails=True)
    assert "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is" in said
    empty = POD.replace("name: p", "name: q").replace(
        "image: busybox", "image: busybox, env: [{name: A, valueFrom: {}}]"
    )
    said = server.kubectl(*n, "apply", "-f", "-", stdin=empty, fails=True)
    assert (
        'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`'
        in said
    )


def test_a_patch_cannot_make_another_kind(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.kubectl(*n, "create", "configmap", "c", "--from-literal=a=b")
    change = ("patch", "configmap", "c", "--type=merge", "-p", '{"kind":"Secret"}')
    said = server.kubectl(*n, *change, fails=True)
    assert "Error from server (BadRequest)" in said
    assert "Secret" in said
    assert server.get(*n, "configmap", "c")["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, data: {}}",
            ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
        ),
        (
            "{apiVersion: v1, kind: Secret, type: kubernetes.io/dockerconfigjson, "
            "stringData: {.dockerconfigjson: x}}",
            ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>"'],
        ),
        (
            "{apiVersion: networking.k8s.io/v1, kind: Ingress, spec: {}}",
            ["either `defaultBackend` or `rules` must be specified"],
        ),
        (
            "{apiVersion: networking.k8s.io/v1, kind: Ingress, spec: {rules: [{http: {paths: "
            "[{path: x, pathType: Prefix, backend: {service: {name: s}}}]}}]}}",
            [
                'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path',
                "backend.service.port: Required value: port name or number is required",
            ],
        ),
        (
            "{apiVersion: v1, kind: Pod, spec: {nodeSelector: {'a b': c}, containers: "
            "[{name: c, image: i, resources: {limits: {foo: 1}}}]}}",
            [
                'limits[foo]: Invalid value: "foo": must be a standard resource for containers',
                'spec.nodeSelector: Invalid value: "a b"',
            ],
        ),
        (
            "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, spec: {maxReplicas: 1, "
            "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: x}, "
            "metrics: [{type: Foo}]}}",
            ['spec.metrics[0].type: Unsupported value: "Foo": supported values: "Contai'],
        ),
        (
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: "
            "{group: x.io, scope: Foo, names: {plural: foos, kind: Foo}, versions: []}}",
            ['spec.scope: Unsupported value: "Foo": supported values: "Cluster", "Namespaced"'],
        ),
    ],
)
def test_wrong_content_is_refused(server: Any, text: str, words: list[str]) -> None:
    namespace = "wrong-content"
    server.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    server.request("POST", account, {"metadata": {"name": "default"}})
    # Older kubectl takes a text that begins with a brace for JSON.
    named = "---\n" + text.replace("kind: ", "metadata: {name: foos.x.io}, kind: ", 1)
    said = server.kubectl("-n", namespace, "apply", "-f", "-", stdin=named, fails=True)
    for expected in words:
        assert expected in said
