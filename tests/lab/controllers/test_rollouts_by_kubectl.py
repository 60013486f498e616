"""Deployments as a person sees them through kubectl."""

import json
from typing import Any

from lab.controllers.played_cluster import Cluster, deployment


def conditions(cluster: Cluster, name: str) -> dict[str, tuple[str, str, str]]:
    found = cluster.get("deployment", name)
    return {
        c["type"]: (c["status"], c["reason"], c["message"])
        for c in found["status"].get("conditions", [])
    }


def image(cluster: Cluster, name: str) -> str:
    containers: list[dict[str, Any]] = cluster.get("deployment", name)["spec"]["template"]["spec"][
        "containers"
    ]
    return str(containers[0]["image"])


def events(cluster: Cluster, name: str) -> list[str]:
    listed = cluster.kubectl(
        "get", "events", "-o", "json", "--field-selector", f"involvedObject.name={name}"
    )
    return [event["message"] for event in json.loads(listed)["items"]]


def test_a_rollout_its_history_and_the_way_back(cluster: Cluster) -> None:
    cluster.apply(deployment("web", replicas=2))
    printed = cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert 'deployment "web" successfully rolled out' in printed
    [first] = cluster.all("replicasets", selector="app=web")
    digest = first["metadata"]["labels"]["pod-template-hash"]
    assert first["metadata"]["name"] == f"web-{digest}"
    pods = cluster.all("pods", selector=f"pod-template-hash={digest}")
    assert len(pods) == 2
    assert all(len(p["metadata"]["name"]) == len(f"web-{digest}-12345") for p in pods)
    assert pods[0]["metadata"]["ownerReferences"][0]["uid"] == first["metadata"]["uid"]
    assert conditions(cluster, "web") == {
        "Available": (
            "True", "MinimumReplicasAvailable", "Deployment has minimum availability.",
        ),
        "Progressing": (
            "True", "NewReplicaSetAvailable",
            f'ReplicaSet "web-{digest}" has successfully progressed.',
        ),
    }  # fmt: skip
    status = cluster.get("deployment", "web")["status"]
    assert {key: status[key] for key in status if key.endswith("eplicas")} == {
        "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "terminatingReplicas": 0,
    }  # fmt: skip

    cause = "kubernetes.io/change-cause=image v2"
    cluster.kubectl("set", "image", "deployment/web", "app=play:v2")
    cluster.kubectl("annotate", "deployment/web", cause)
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    history = cluster.kubectl("rollout", "history", "deployment/web")
    assert [line.split(maxsplit=1) for line in history.splitlines()[2:] if line] == [
        ["1", "<none>"],
        ["2", "image v2"],
    ]
    assert "play:v1" in cluster.kubectl("rollout", "history", "deployment/web", "--revision=1")

    assert "rolled back" in cluster.kubectl("rollout", "undo", "deployment/web")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert image(cluster, "web") == "play:v1"
    annotations = cluster.get("replicaset", first["metadata"]["name"])["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert cluster.get("deployment", "web")["metadata"]["annotations"][
        "deployment.kubernetes.io/revision"
    ] == "3"  # fmt: skip
    cluster.until(
        lambda: f"Scaled up replica set web-{digest} from 0 to 2" in events(cluster, "web")
    )


def test_restart_scale_and_adoption_of_nothing_new(cluster: Cluster) -> None:
    cluster.apply(deployment("shop"))
    cluster.kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    cluster.kubectl("rollout", "restart", "deployment/shop")
    cluster.kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    assert len(cluster.all("replicasets", selector="app=shop")) == 2
    cluster.kubectl("scale", "deployment/shop", "--replicas=3")
    cluster.kubectl("wait", "deployment/shop", "--for=jsonpath={.status.readyReplicas}=3")
    cluster.kubectl("scale", "deployment/shop", "--replicas=0")
    cluster.until(lambda: not cluster.all("pods", selector="app=shop"))
    printed = cluster.kubectl("get", "deployment", "shop")
    assert printed.splitlines()[1].split()[:4] == ["shop", "0/0", "0", "0"]


def test_a_rollout_that_does_not_come_up_keeps_the_old_pods(cluster: Cluster) -> None:
    cluster.apply(deployment("stuck", replicas=2, progressDeadlineSeconds=2, minReadySeconds=1))
    cluster.kubectl("rollout", "status", "deployment/stuck", "--timeout=60s")
    cluster.kubectl("set", "image", "deployment/stuck", "app=play:unready")
    printed = cluster.kubectl("rollout", "status", "deployment/stuck", "--timeout=60s", check=False)
    assert "exceeded its progress deadline" in printed
    found = conditions(cluster, "stuck")
    assert found["Available"][0] == "True"
    assert found["Progressing"][:2] == ("False", "ProgressDeadlineExceeded")
    assert cluster.get("deployment", "stuck")["status"]["unavailableReplicas"] == 1
    cluster.kubectl("rollout", "undo", "deployment/stuck")
    cluster.kubectl("rollout", "status", "deployment/stuck", "--timeout=60s")
    assert conditions(cluster, "stuck")["Progressing"][1] == "NewReplicaSetAvailable"


def test_a_paused_rollout_waits(cluster: Cluster) -> None:
    cluster.apply(deployment("calm"))
    cluster.kubectl("rollout", "status", "deployment/calm", "--timeout=60s")
    cluster.kubectl("rollout", "pause", "deployment/calm")
    cluster.kubectl("set", "image", "deployment/calm", "app=play:v2")
    cluster.until(lambda: conditions(cluster, "calm")["Progressing"][1] == "DeploymentPaused")
    assert len(cluster.all("replicasets", selector="app=calm")) == 1
    cluster.kubectl("rollout", "resume", "deployment/calm")
    cluster.kubectl("rollout", "status", "deployment/calm", "--timeout=60s")
    assert len(cluster.all("replicasets", selector="app=calm")) == 2


def test_recreate_and_a_short_history(cluster: Cluster) -> None:
    fresh = {"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 1}
    cluster.apply(deployment("fresh", **fresh))
    cluster.kubectl("rollout", "status", "deployment/fresh", "--timeout=60s")
    for tag in ("v2", "v3", "v4"):
        cluster.kubectl("set", "image", "deployment/fresh", f"app=play:{tag}")
        cluster.kubectl("rollout", "status", "deployment/fresh", "--timeout=60s")
    cluster.until(lambda: len(cluster.all("replicasets", selector="app=fresh")) == 2)


def test_a_pod_that_is_taken_away_comes_back(cluster: Cluster) -> None:
    cluster.apply(deployment("back"))
    cluster.kubectl("rollout", "status", "deployment/back", "--timeout=60s")
    [pod] = cluster.all("pods", selector="app=back")
    cluster.kubectl("delete", "pod", pod["metadata"]["name"])
    cluster.until(
        lambda: (
            [
                p["metadata"]["uid"] != pod["metadata"]["uid"]
                for p in cluster.all("pods", selector="app=back")
            ]
            == [True]
        )
    )
    # One that loses its label is let go and replaced.
    [pod] = cluster.all("pods", selector="app=back")
    cluster.kubectl("label", "pod", pod["metadata"]["name"], "app=free", "--overwrite")
    cluster.until(lambda: len(cluster.all("pods", selector="app=back")) == 1)
    [free] = cluster.all("pods", selector="app=free")
    assert "ownerReferences" not in free["metadata"]
