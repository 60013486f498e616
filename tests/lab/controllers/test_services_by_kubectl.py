"""Services' endpoints, namespaces, ownership, autoscaling, daemons and jobs through kubectl."""

import json
from typing import Any

from lab.controllers.played_cluster import Cluster, deployment


def service(name: str, **spec: Any) -> dict[str, Any]:
    port = {"name": "http", "port": 80, "targetPort": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"of": name}},
        "spec": {"selector": {"app": name}, "ports": [port], **spec},
    }


def ready_addresses(cluster: Cluster, name: str) -> list[str]:
    subsets = cluster.get("endpoints", name).get("subsets") or []
    return [a["ip"] for subset in subsets for a in subset.get("addresses") or []]


def test_endpoints_follow_pods(cluster: Cluster) -> None:
    cluster.apply(service("api"), deployment("api", replicas=2))
    cluster.until(lambda: len(ready_addresses(cluster, "api")) == 2)
    ips = sorted(p["status"]["podIP"] for p in cluster.all("pods", selector="app=api"))
    assert sorted(ready_addresses(cluster, "api")) == ips

    def slices() -> list[dict[str, Any]]:
        return cluster.all("endpointslices", selector="kubernetes.io/service-name=api")

    cluster.until(lambda: len(slices()) == 1 and len(slices()[0].get("endpoints") or []) == 2)
    [found] = slices()
    assert found["ports"][0]["port"] == 9898
    assert found["metadata"]["labels"]["of"] == "api"
    cluster.kubectl("set", "image", "deployment/api", "app=play:unready")
    cluster.kubectl("scale", "deployment/api", "--replicas=1")
    cluster.until(lambda: len(ready_addresses(cluster, "api")) == 1)
    cluster.kubectl("delete", "service", "api")
    cluster.until(lambda: not cluster.get("endpoints", "api") and not slices())


def test_a_pod_that_fits_nowhere_says_why(cluster: Cluster) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "choosy", "namespace": "default"},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "app", "image": "play:v1"}],
        },
    }
    cluster.apply(pod)
    why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    cluster.until(lambda: why in cluster.kubectl("describe", "pod", "choosy"))
    cluster.kubectl("label", "node", "lab", "disk=ssd")
    cluster.kubectl("wait", "pod/choosy", "--for=condition=Ready", "--timeout=60s")
    cluster.kubectl("delete", "pod", "choosy")


def test_a_namespace_has_its_things_and_takes_them_along(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", "brief")
    cluster.until(lambda: cluster.get("serviceaccount", "default", "brief"))
    cluster.until(lambda: cluster.get("configmap", "kube-root-ca.crt", "brief"))
    ca = cluster.get("configmap", "kube-root-ca.crt", "brief")["data"]["ca.crt"]
    assert ca.startswith("-----BEGIN CERTIFICATE-----")
    inside = deployment("inside", replicas=2)
    inside["metadata"]["namespace"] = "brief"
    cluster.apply(inside)
    cluster.kubectl("rollout", "status", "-n", "brief", "deployment/inside", "--timeout=60s")
    cluster.kubectl("delete", "namespace", "brief", "--timeout=60s")
    assert cluster.get("namespace", "brief") == {}
    everywhere = json.loads(cluster.kubectl("get", "pods,rs,deploy,sa,cm", "-A", "-o", "json"))
    assert not [i for i in everywhere["items"] if i["metadata"]["namespace"] == "brief"]


def test_deleting_takes_what_was_owned_along(cluster: Cluster) -> None:
    cluster.apply(deployment("gone"))
    cluster.kubectl("rollout", "status", "deployment/gone", "--timeout=60s")
    cluster.kubectl("delete", "deployment", "gone")
    cluster.until(
        lambda: (
            not cluster.all("pods", selector="app=gone")
            and not cluster.all("replicasets", selector="app=gone")
        )
    )


def test_in_the_foreground_the_owner_goes_last(cluster: Cluster) -> None:
    cluster.apply(deployment("front"))
    cluster.kubectl("rollout", "status", "deployment/front", "--timeout=60s")
    cluster.kubectl("delete", "deployment", "front", "--cascade=foreground", "--timeout=60s")
    assert cluster.all("replicasets", selector="app=front") == []
    assert cluster.all("pods", selector="app=front") == []


def test_orphans_live_on_and_are_adopted(cluster: Cluster) -> None:
    cluster.apply(deployment("heir"))
    cluster.kubectl("rollout", "status", "deployment/heir", "--timeout=60s")
    [pod] = cluster.all("pods", selector="app=heir")
    cluster.kubectl("delete", "deployment", "heir", "--cascade=orphan", "--timeout=60s")
    [orphan] = cluster.all("replicasets", selector="app=heir")
    assert "ownerReferences" not in orphan["metadata"]
    cluster.apply(deployment("heir"))
    cluster.kubectl("rollout", "status", "deployment/heir", "--timeout=60s")
    [adopted] = cluster.all("replicasets", selector="app=heir")
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert [p["metadata"]["uid"] for p in cluster.all("pods", selector="app=heir")] == [
        pod["metadata"]["uid"]
    ]


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nests.play.example"},
    "spec": {
        "group": "play.example",
        "scope": "Namespaced",
        "names": {"plural": "nests", "singular": "nest", "kind": "Nest", "listKind": "NestList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


def test_custom_owners_own_too(cluster: Cluster) -> None:
    cluster.apply(CRD)
    cluster.kubectl("wait", "crd/nests.play.example", "--for=condition=Established")
    nest = {
        "apiVersion": "play.example/v1",
        "kind": "Nest",
        "metadata": {"name": "mine", "namespace": "default"},
    }
    cluster.apply(nest)
    uid = cluster.get("nests.play.example", "mine")["metadata"]["uid"]
    reference = {"apiVersion": "play.example/v1", "kind": "Nest", "name": "mine", "uid": uid}
    egg = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "egg", "namespace": "default", "ownerReferences": [reference]},
    }
    lost = json.loads(json.dumps(egg))
    lost["metadata"]["name"] = "lost"
    lost["metadata"]["ownerReferences"][0]["uid"] = "00000000-0000-0000-0000-000000000000"
    cluster.apply(egg, lost)
    # An owner of that name is there, but it is another one.
    cluster.until(lambda: not cluster.get("configmap", "lost"))
    assert cluster.get("configmap", "egg")
    cluster.kubectl("delete", "nests.play.example", "mine")
    cluster.until(lambda: not cluster.get("configmap", "egg"))


def autoscaler(name: str, low: int, high: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 50}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def test_an_autoscaler_keeps_bounds_and_follows_use(cluster: Cluster) -> None:
    assert cluster.kubelet is not None
    cluster.kubelet.cpu = 50_000_000
    cluster.apply(deployment("busy"), autoscaler("busy", 2, 4))
    cluster.until(lambda: cluster.get("deployment", "busy")["spec"]["replicas"] == 2)

    def condition(kind: str) -> tuple[str, str]:
        status = cluster.get("hpa", "busy").get("status") or {}
        found = [c for c in status.get("conditions") or [] if c["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    cluster.until(lambda: condition("ScalingActive") == ("True", "ValidMetricFound"))
    cluster.until(lambda: "cpu: 50%/50%" in cluster.kubectl("get", "hpa", "busy"))
    cluster.kubelet.cpu = 150_000_000
    cluster.until(lambda: cluster.get("deployment", "busy")["spec"]["replicas"] == 4)
    cluster.until(lambda: condition("ScalingLimited") == ("True", "TooManyReplicas"))
    cluster.kubectl("scale", "deployment/busy", "--replicas=0")
    cluster.until(lambda: condition("ScalingActive") == ("False", "ScalingDisabled"))
    assert cluster.get("deployment", "busy")["spec"]["replicas"] == 0
    cluster.kubectl("scale", "deployment/busy", "--replicas=1")
    cluster.until(lambda: cluster.get("deployment", "busy")["spec"]["replicas"] >= 2)
    cluster.kubectl("delete", "hpa", "busy")
    cluster.kubectl("delete", "deployment", "busy")


def test_daemons_and_jobs(cluster: Cluster) -> None:
    daemons = deployment("daemon")
    daemons["kind"] = "DaemonSet"
    cluster.apply(daemons)
    cluster.kubectl("rollout", "status", "daemonset/daemon", "--timeout=60s")
    cluster.kubectl("set", "image", "daemonset/daemon", "app=play:v2")
    cluster.kubectl("rollout", "status", "daemonset/daemon", "--timeout=60s")
    [pod] = cluster.all("pods", selector="app=daemon")
    assert pod["spec"]["containers"][0]["image"] == "play:v2"
    cluster.kubectl("create", "job", "good", "--image=play:succeeds")
    cluster.kubectl("wait", "job/good", "--for=condition=Complete", "--timeout=60s")
    cluster.kubectl("delete", "job", "good")
    cluster.until(lambda: not cluster.all("pods", selector="job-name=good"))


def test_evictions_keep_to_budgets(cluster: Cluster) -> None:
    cluster.apply(deployment("guarded", replicas=2))
    cluster.kubectl("rollout", "status", "deployment/guarded", "--timeout=60s")
    cluster.kubectl("create", "pdb", "guard", "--selector=app=guarded", "--min-available=2")
    cluster.until(lambda: cluster.get("pdb", "guard")["status"].get("currentHealthy") == 2)
    assert cluster.get("pdb", "guard")["status"]["disruptionsAllowed"] == 0
    drain = ("drain", "lab", "--pod-selector=app=guarded", "--timeout=1s")
    said = cluster.kubectl(*drain, check=False)
    assert "Cannot evict pod as it would violate the pod's disruption budget." in said
    cluster.kubectl("patch", "pdb", "guard", "-p", '{"spec":{"minAvailable":1}}')
    cluster.until(lambda: cluster.get("pdb", "guard")["status"]["disruptionsAllowed"] == 1)
    cluster.kubectl("uncordon", "lab")
    cluster.kubectl("delete", "pdb,deployment", "guard", "guarded", "--ignore-not-found")
