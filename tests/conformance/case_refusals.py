"""Names, labels, unknown fields, validation, dry runs: the words of a refusal."""

import json
import re

from conformance.cases import case
from conformance.objects import config_map, deployment, pod
from conformance.talk import Talk

LONG = "a" * 254


@case
def names(t: Talk) -> None:
    for name in ("Upper", "under_score", "-dash", "dash-", "dots.are.fine", "a..b", LONG, "sp ace"):
        t.post(f"{t.core}/configmaps", config_map(name))


@case
def names_of_namespaces(t: Talk) -> None:
    for name in ("Upper", "a.b", "a" * 64):
        t.post("/api/v1/namespaces", {"metadata": {"name": name}})


@case
def generated_names(t: Talk) -> None:
    made = config_map()
    del made["metadata"]["name"]
    made["metadata"]["generateName"] = "made-"
    t.post(f"{t.core}/configmaps", made, keep=lambda one: one["metadata"]["name"][:5])
    made["metadata"]["generateName"] = "Wrong-"
    refused = t.quietly("POST", f"{t.core}/configmaps", made).json
    t.note("refused", re.sub(r"Wrong-\w{5}", "Wrong-CHANCE", json.dumps(refused, sort_keys=True)))


@case
def labels(t: Talk) -> None:
    for label in (
        {"a b": "c"}, {"a": "b c"}, {"a": "x" * 64}, {"a" * 64: "b"}, {"/a": "b"}, {"A/b": "c"},
        {"a/b/c": "d"}, {"": "x"}, {"a": "-b"},
    ):  # fmt: skip
        t.post(f"{t.core}/configmaps", config_map(labels=label))


@case
def annotations(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(annotations={"a b": "c"}))
    t.post(f"{t.core}/configmaps", config_map("upper", annotations={"UPPER.example/b": "c d"}))
    t.post(f"{t.core}/configmaps", config_map("large", annotations={"a": "x" * 262145}))


@case
def keys_of_config_maps(t: Talk) -> None:
    for key in ("a b", "", "..", "x" * 254, "fine_KEY.1"):
        t.post(f"{t.core}/configmaps", config_map(data={key: "v"}), keep=lambda one: one["data"])


@case
def keys_like_paths_and_twice(t: Talk) -> None:
    for key in (".", "..a", ".a"):
        t.post(f"{t.core}/configmaps", config_map(data={key: "v"}), keep=lambda one: one["data"])
    t.post(f"{t.core}/configmaps", {**config_map("two"), "binaryData": {"a": "dg=="}})


@case
def unknown_fields_warn(t: Talk) -> None:
    made = deployment(replicaz=2)
    made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "x"
    t.post(f"{t.apps}/deployments?fieldValidation=Warn", made)
    t.get(f"{t.apps}/deployments/app")


@case
def unknown_fields_by_default(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", {**config_map(), "wheels": 4})


@case
def unknown_fields_strictly(t: Talk) -> None:
    made = deployment(replicaz=2)
    made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "x"
    made["metadata"]["wheels"] = 4
    t.post(f"{t.apps}/deployments?fieldValidation=Strict", made)
    t.post(f"{t.apps}/deployments", deployment())
    path = f"{t.apps}/deployments/app?fieldValidation=Strict"
    t.merge(path, {"spec": {"replicaz": 2}})
    t.strategic(path, {"spec": {"replicaz": 2}})
    t.json_patch(path, {"op": "add", "path": "/spec/replicaz", "value": 2})


@case
def unknown_fields_ignored(t: Talk) -> None:
    t.post(f"{t.core}/configmaps?fieldValidation=Ignore", {**config_map(), "wheels": 4})
    t.post(f"{t.core}/configmaps?fieldValidation=Other", config_map("two"))


@case
def doubled_fields(t: Talk) -> None:
    body = b'{"metadata": {"name": "one"}, "data": {"a": "1"}, "data": {"b": "2"}}'
    t.post(f"{t.core}/configmaps?fieldValidation=Strict", body)
    t.post(f"{t.core}/configmaps?fieldValidation=Warn", body)


@case
def dry_runs(t: Talk) -> None:
    t.post(f"{t.core}/configmaps?dryRun=All", config_map())
    t.get(f"{t.core}/configmaps/one")
    t.post(f"{t.core}/configmaps", config_map())
    t.post(f"{t.core}/configmaps?dryRun=All", config_map())
    t.merge(f"{t.core}/configmaps/one?dryRun=All", {"data": {"b": "2"}})
    t.put(f"{t.core}/configmaps/one?dryRun=All", config_map(data={"c": "3"}))
    t.post(f"{t.core}/configmaps?dryRun=Some", config_map("two"))
    t.get(f"{t.core}/configmaps/one")


@case
def deployments(t: Talk) -> None:
    path = f"{t.apps}/deployments"
    t.post(path, {"metadata": {"name": "app"}})
    t.post(path, deployment(selector={"matchLabels": {"app": "other"}}))
    t.post(path, deployment(selector={"matchLabels": {}}))
    t.post(path, deployment(selector={"matchExpressions": [{"key": "a", "operator": "Is"}]}))
    t.post(path, deployment(replicas=-1, minReadySeconds=-1, revisionHistoryLimit=-1))
    t.post(path, deployment(progressDeadlineSeconds=5, minReadySeconds=5))


@case
def containers(t: Talk) -> None:
    for change in (
        {"name": "Upper"}, {"name": ""}, {"image": ""}, {"image": " x"},
        {"imagePullPolicy": "Some"}, {"ports": [{"containerPort": 0}]},
        {"ports": [{"containerPort": 1, "name": "Too_Long_For_A_Port"}]},
        {"ports": [{"containerPort": 1, "protocol": "X"}]},
        {"env": [{"name": ""}]}, {"env": [{"name": "A", "value": "1", "valueFrom": {}}]},
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        {"resources": {"requests": {"cpu": "nonsense"}}},
        {"resources": {"requests": {"cpu": "-1"}}},
        {"volumeMounts": [{"name": "none", "mountPath": "/x"}]},
        {"livenessProbe": {"periodSeconds": 5}},
        {"livenessProbe": {"httpGet": {"port": 0}}},
        {"readinessProbe": {"tcpSocket": {"port": 1}, "timeoutSeconds": -1}},
    ):  # fmt: skip
        made = deployment()
        made["spec"]["template"]["spec"]["containers"][0] |= change
        t.post(f"{t.apps}/deployments?dryRun=All", made, keep=lambda _: "accepted")


@case
def pods(t: Talk) -> None:
    path = f"{t.core}/pods?dryRun=All"
    double = [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]
    t.post(path, pod(containers=double))
    t.post(path, pod(containers=[]))
    t.post(path, pod(restartPolicy="Sometimes"))
    t.post(path, pod(volumes=[{"name": "a"}, {"name": "a"}]), keep=lambda _: "accepted")
    t.post(path, pod(serviceAccountName="none"))
    t.post(path, pod(terminationGracePeriodSeconds=-1), keep=lambda _: "accepted")
    t.post(path, pod(priorityClassName="none"))
    t.post(path, pod(dnsPolicy="Other"))


@case
def too_large(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(data={"a": "x" * 1048577}))


@case
def far_too_large(t: Talk) -> None:
    t.post(f"{t.core}/configmaps", config_map(data={"a": "x" * 4 * 1024 * 1024}))


@case
def evictions(t: Talk) -> None:
    t.quietly("POST", f"{t.core}/pods", pod())
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod"}}
    t.post(f"{t.core}/pods/pod/eviction", eviction)
    t.post(f"{t.core}/pods/none/eviction", {**eviction, "metadata": {"name": "none"}})


@case
def bindings(t: Talk) -> None:
    t.quietly("POST", f"{t.core}/pods", pod())
    target = {"apiVersion": "v1", "kind": "Node", "name": "x"}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "pod"}, "target": target}
    t.post(f"{t.core}/pods/pod/binding", binding)
    t.post(f"{t.core}/pods/pod/binding", binding)
    t.get(
        f"{t.core}/pods/pod",
        keep=lambda one: [one["spec"]["nodeName"], one["status"]["conditions"][0]["type"]],
    )
