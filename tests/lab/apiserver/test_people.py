"""What people do with kubectl, word for word."""

import subprocess
from pathlib import Path
from typing import Any

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - {name: app, image: "app:1", ports: [{containerPort: 80}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 80}], type: NodePort}
"""


def test_create_posts_protobuf(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    assert server.kubectl("create", "namespace", "made") == "namespace/made created\n"
    server.kubectl(*n, "create", "configmap", "c", "--from-literal=a=b")
    server.kubectl(*n, "create", "secret", "generic", "s", "--from-literal=password=x")
    server.kubectl(*n, "create", "deployment", "web", "--image=nginx:1", "--replicas=2")
    server.kubectl(*n, "create", "serviceaccount", "robot")
    server.kubectl(*n, "create", "role", "reader", "--verb=get,list", "--resource=pods")
    server.kubectl(*n, "create", "rolebinding", "reads", "--role=reader", "--user=bob")
    assert server.get(*n, "configmap", "c")["data"] == {"a": "b"}
    assert server.get(*n, "secret", "s")["data"] == {"password": "eA=="}
    spec = server.get(*n, "deployment", "web")["spec"]
    assert spec["replicas"] == 2
    assert spec["template"]["spec"]["containers"][0]["image"] == "nginx:1"
    assert spec["progressDeadlineSeconds"] == 600
    again = server.kubectl(*n, "create", "configmap", "c", fails=True)
    assert again == 'error: failed to create configmap: configmaps "c" already exists\n'


def test_apply_says_what_it_did(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    first = server.apply(DEPLOYMENT, SERVICE, flags=n)
    assert first == "deployment.apps/app created\nservice/app created\n"
    second = server.apply(DEPLOYMENT, SERVICE, flags=n)
    assert second == "deployment.apps/app unchanged\nservice/app unchanged\n"
    changed = server.apply(DEPLOYMENT.replace("app:1", "app:2"), flags=n)
    assert changed == "deployment.apps/app configured\n"
    deployment = server.get(*n, "deployment", "app")
    assert deployment["metadata"]["generation"] == 2
    service = server.get(*n, "service", "app")["spec"]
    assert service["clusterIP"].startswith("10.96.")
    assert 30000 <= service["ports"][0]["nodePort"] < 32768
    assert service["ports"][0]["targetPort"] == 80


def test_apply_kustomization(server: Any, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(DEPLOYMENT)
    (tmp_path / "kustomization.yaml").write_text(
        f"namespace: {namespace}\nresources: [app.yaml]\nimages: [{{name: app, newTag: '7'}}]\n"
    )
    server.kubectl("apply", "-k", str(tmp_path))
    found = server.get("-n", namespace, "deployment", "app")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "app:7"
    assert "unchanged" in server.kubectl("apply", "-k", str(tmp_path))


def test_server_side_apply_knows_owners(server: Any, namespace: str) -> None:
    flags = ("-n", namespace, "--server-side")
    assert "serverside-applied" in server.apply(DEPLOYMENT, flags=flags)
    version = server.get("-n", namespace, "deployment", "app")["metadata"]["resourceVersion"]
    server.apply(DEPLOYMENT, flags=flags)
    same = server.get("-n", namespace, "deployment", "app")["metadata"]["resourceVersion"]
    assert same == version, "an apply that changes nothing writes nothing"
    other = (*flags, "--field-manager=other")
    text = server.kubectl(
        *("apply", *other, "-f", "-"), stdin=DEPLOYMENT.replace("app:1", "app:2"), fails=True
    )
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="app"].image' in text
    server.apply(DEPLOYMENT.replace("app:1", "app:2"), flags=(*other, "--force-conflicts"))
    container = server.get("-n", namespace, "deployment", "app")
    assert container["spec"]["template"]["spec"]["containers"][0]["image"] == "app:2"


def test_get_in_every_form(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.apply(DEPLOYMENT, SERVICE, flags=n)
    table = server.kubectl(*n, "get", "deployments")
    assert table.split()[:5] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert "app:1" in server.kubectl(*n, "get", "deploy", "-o", "wide")
    assert server.kubectl(*n, "get", "deploy", "-o", "name") == "deployment.apps/app\n"
    path = "jsonpath={.items[0].spec.replicas}"
    assert server.kubectl(*n, "get", "deploy", "-o", path) == "1"
    columns = server.kubectl(*n, "get", "deploy", "-o", "custom-columns=N:.metadata.name")
    assert columns == "N\napp\n"
    assert "kind: Deployment" in server.kubectl(*n, "get", "deploy", "app", "-o", "yaml")
    both = server.kubectl(*n, "get", "deploy,svc", "--show-labels")
    assert "deployment.apps/app" in both
    assert "service/app" in both
    everywhere = server.kubectl("get", "deploy", "-A", "-l", "app notin (x),!y")
    assert namespace in everywhere
    named = server.kubectl(*n, "get", "svc", "--field-selector", "metadata.name=app", "-o", "name")
    assert named == "service/app\n"
    missing = server.kubectl(*n, "get", "svc", "nope", fails=True)
    assert missing == 'Error from server (NotFound): services "nope" not found\n'


def test_change_in_every_way(server: Any, namespace: str, tmp_path: Path) -> None:
    n = ("-n", namespace)
    server.apply(DEPLOYMENT, flags=n)
    server.kubectl(*n, "set", "image", "deployment/app", "app=app:2")
    server.kubectl(*n, "scale", "deployment/app", "--replicas=3")
    server.kubectl(*n, "patch", "deployment", "app", "-p", '{"spec":{"minReadySeconds":1}}')
    server.kubectl(
        *n, "patch", "deployment", "app", "--type=merge", "-p", '{"spec":{"paused":true}}'
    )
    operation = '[{"op":"replace","path":"/spec/minReadySeconds","value":2}]'
    server.kubectl(*n, "patch", "deployment", "app", "--type=json", "-p", operation)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/minReadySeconds: 2/minReadySeconds: 4/' \"$1\"\n")
    editor.chmod(0o755)
    edited = server.kubectl(*n, "edit", "deployment", "app", env={"EDITOR": str(editor)})
    assert edited == "deployment.apps/app edited\n"
    generation = server.get(*n, "deployment", "app")["metadata"]["generation"]
    assert generation == 7
    server.kubectl(*n, "label", "deployment", "app", "tier=web")
    server.kubectl(*n, "annotate", "deployment", "app", "note=hello")
    server.kubectl(*n, "annotate", "deployment", "app", "note-")
    server.kubectl(*n, "rollout", "restart", "deployment/app", fails=True)
    deployment = server.get(*n, "deployment", "app")
    # Of metadata a Deployment's annotations alone count: put and taken away again.
    assert deployment["metadata"]["generation"] == generation + 2
    assert deployment["metadata"]["labels"] == {"tier": "web"}
    spec = deployment["spec"]
    assert (spec["replicas"], spec["minReadySeconds"], spec["paused"]) == (3, 4, True)
    assert spec["template"]["spec"]["containers"][0]["image"] == "app:2"
    described = server.kubectl(*n, "describe", "deployment", "app")
    assert "Image:         app:2" in described


def test_wait_and_delete(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.kubectl(*n, "create", "configmap", "c")
    waiting = subprocess.Popen(
        [*_kubectl(), *n, "wait", "--for=delete", "configmap/c", "--timeout=60s"],
        env=server.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    server.kubectl(*n, "delete", "configmap", "c")
    said, _ = waiting.communicate(timeout=100)
    assert waiting.returncode == 0, said
    server.kubectl(*n, "create", "configmap", "held")
    server.kubectl(*n, "patch", "cm", "held", "-p", '{"metadata":{"finalizers":["x.io/y"]}}')
    server.kubectl(*n, "delete", "cm", "held", "--wait=false")
    held = server.get(*n, "cm", "held")["metadata"]
    assert held["deletionTimestamp"]
    server.kubectl(*n, "patch", "cm", "held", "-p", '{"metadata":{"finalizers":null}}')
    server.kubectl(*n, "get", "cm", "held", fails=True)
    server.kubectl(*n, "create", "deployment", "d", "--image=x")
    server.kubectl(*n, "delete", "deploy", "d", "--cascade=foreground", "--wait=false")
    assert server.get(*n, "deploy", "d")["metadata"]["finalizers"] == ["foregroundDeletion"]


def _kubectl() -> list[str]:
    import os
    import sys

    found = os.environ.get("SERINUS_TEST_KUBECTL", str(Path(sys.executable).with_name("kubectl")))
    return [found]


def test_watch_in_a_terminal(server: Any, namespace: str) -> None:
    n = ("-n", namespace)
    server.kubectl(*n, "create", "configmap", "first")
    watching = subprocess.Popen(
        [*_kubectl(), *n, "get", "configmaps", "--watch"],
        env=server.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().split() == ["NAME", "DATA", "AGE"]
    assert watching.stdout.readline().split()[:2] == ["first", "0"]
    server.kubectl(*n, "create", "configmap", "second", "--from-literal=a=b")
    assert watching.stdout.readline().split()[:2] == ["second", "1"]
    watching.terminate()
    watching.wait(10)


def test_ask_about_the_server(server: Any) -> None:
    assert "Server Version: v1.3" in server.kubectl("version")
    resources = server.kubectl("api-resources")
    assert "deployments" in resources
    assert "horizontalpodautoscalers" in resources
    explained = server.kubectl("explain", "deployment.spec.replicas")
    assert "FIELD: replicas <integer>" in explained
    assert "autoscaling/v2" in server.kubectl("api-versions")
    unknown = server.kubectl("get", "unicorns", fails=True)
    assert unknown == 'error: the server doesn\'t have a resource type "unicorns"\n'


def test_strict_by_default(server: Any, namespace: str) -> None:
    wrong = DEPLOYMENT.replace("spec:\n  selector", "spec:\n  replica: 3\n  selector")
    said = server.kubectl("apply", "-n", namespace, "-f", "-", stdin=wrong, fails=True)
    assert 'strict decoding error: unknown field "spec.replica"' in said
    warned = server.kubectl(*("apply", "-n", namespace, "--validate=warn", "-f", "-"), stdin=wrong)
    assert 'Warning: unknown field "spec.replica"' in warned
    assert "replica" not in server.get("-n", namespace, "deployment", "app")["spec"]


def test_events(server: Any, namespace: str) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "e-", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "app",
            "namespace": namespace,
        },
        "type": "Warning",
        "reason": "Broken",
        "message": "it broke",
    }
    path = f"/api/v1/namespaces/{namespace}/events"
    assert server.request("POST", path, event).status == 201
    assert "it broke" in server.kubectl("-n", namespace, "get", "events")
    assert "it broke" in server.kubectl("-n", namespace, "events", "--for", "deployment/app")
    none = server.kubectl(
        *("-n", namespace, "get", "events", "--field-selector", "involvedObject.name=other")
    )
    assert "No resources found" in none
