"""A lab on Kubernetes' own control plane: up, used, stopped, up again, down."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.kubelet.running_lab import (
    PODINFO,
    Lab,
    alive,
    built,
    descendants,
    eventually,
    pod,
    shell,
)
from serinus.lab import world
from serinus.lab.requirements import lacking
from serinus.lab.world import LabError

pytestmark = [
    pytest.mark.lab,
    pytest.mark.controlplane,
    pytest.mark.skipif(bool(lacking()), reason=f"this machine lacks {[str(x) for x in lacking()]}"),
]

PROGRAMS = {"etcd", "kube-apiserver", "kube-controller-manager"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    plane = built()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        try:
            yield Lab(world.up("real", "1.8", control_plane=plane))
        finally:
            world.down("real")


def deployment(name: str, **template: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {**PODINFO, "resources": {"requests": {"cpu": "50m"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, **template},
                "spec": {"containers": [container]},
            },
        },
    }


def test_it_says_which_kubernetes_it_is(lab: Lab) -> None:
    version = lab.kubectl("version")
    assert "Server Version: v1." in version
    assert "serinus" not in version
    [node] = lab.get("nodes")["items"]
    assert "taints" not in node["spec"]
    assert set(programs(lab)) >= PROGRAMS


def programs(lab: Lab) -> dict[str, int]:
    """The names of the lab's processes."""
    found = {}
    for pid in descendants(lab.info.pid):
        try:
            found[Path(f"/proc/{pid}/exe").readlink().name] = pid
        except OSError:
            continue
    return found


def test_a_deployment_becomes_pods_with_sidecars_that_services_lead_to(lab: Lab) -> None:
    lab.apply(deployment("front", annotations={"kuma.io/sidecar-injection": "enabled"}))
    lab.kubectl("rollout", "status", "deployment/front", "--timeout=60s")
    [front] = lab.get("pods", "-l", "app=front")["items"]
    names = [one["name"] for one in front["spec"]["containers"]]
    assert names == ["podinfod", "kuma-sidecar"]
    lab.kubectl("expose", "deployment/front", "--port=80", "--target-port=http")
    lab.apply(pod("caller", shell("c", "sleep 1000")))
    lab.ready("caller")
    assert "6.0.0" in lab.shell("caller", "curl -sS --retry 9 --retry-all-errors front/version")


def test_a_pod_asks_the_api_with_its_own_account(lab: Lab) -> None:
    lab.apply(pod("asks", shell("c", "sleep 1000")))
    lab.ready("asks")
    ask = (
        "cd /var/run/secrets/kubernetes.io/serviceaccount && "
        'curl -sS --cacert ca.crt -H "Authorization: Bearer $(cat token)" '
        "https://kubernetes.default.svc/api/v1/namespaces/default/pods"
    )
    refused = lab.shell("asks", ask)
    assert '"system:serviceaccount:default:default\\" cannot list' in refused
    view = ("--clusterrole=view", "--serviceaccount=default:default")
    lab.kubectl("create", "rolebinding", "sees", *view)
    eventually(lambda: '"PodList"' in lab.shell("asks", ask), "its account may list pods")


def test_our_autoscaler_scales_by_what_the_kubelet_measures(lab: Lab) -> None:
    lab.apply(deployment("scaled"))
    lab.kubectl("autoscale", "deployment/scaled", "--min=2", "--max=3", "--cpu=99%")
    lab.kubectl("rollout", "status", "deployment/scaled", "--timeout=60s")
    eventually(lambda: len(lab.get("pods", "-l", "app=scaled")["items"]) == 2, "two pods")

    def measured() -> bool:
        status = lab.get("hpa", "scaled").get("status") or {}
        return any(
            (metric.get("resource") or {}).get("current", {}).get("averageUtilization") is not None
            for metric in status.get("currentMetrics") or []
        )

    eventually(measured, "a CPU utilization in the autoscaler's status")


def test_jobs_end_and_namespaces_go(lab: Lab) -> None:
    lab.kubectl("create", "namespace", "brief")
    lab.kubectl(
        "-n", "brief", "create", "job", "sum", "--image=busybox", "--", "expr", "1", "+", "2"
    )
    lab.kubectl("-n", "brief", "wait", "--for=condition=complete", "job/sum", "--timeout=60s")
    assert lab.kubectl("-n", "brief", "logs", "job/sum") == "3\n"
    lab.kubectl("delete", "namespace", "brief", "--timeout=60s")


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_that_is_killed_comes_back(lab: Lab, name: str) -> None:
    before = programs(lab)[name]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: programs(lab).get(name, before) != before, f"another {name}")

    def works() -> bool:
        wanted = lab.kubectl("get", "--raw", "/readyz", status=None)
        return wanted == "ok"

    eventually(works, "the API server is ready")
    lab.kubectl("create", "deployment", f"after-{name}", "--image=stefanprodan/podinfo:6.0.0")
    lab.kubectl("wait", "--for=condition=Available", f"deployment/after-{name}", "--timeout=60s")


def test_a_stopped_one_comes_up_again_the_same_way_and_goes_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    plane = built()
    lab = Lab(world.up("stopped", control_plane=plane))
    lab.kubectl("create", "configmap", "kept")
    lab.apply(pod("again", shell("c", "sleep 1000")))
    lab.ready("again")
    pids = descendants(lab.info.pid)
    os.kill(lab.info.pid, signal.SIGKILL)
    eventually(lambda: alive(pids) == set(), "all processes have ended")
    lab = Lab(world.up("stopped"))
    assert lab.info.control_plane == str(plane)
    lab.kubectl("get", "configmap", "kept")
    lab.ready("again")
    pids = descendants(lab.info.pid)
    assert set(programs(lab)) >= PROGRAMS
    assert world.down("stopped")
    assert alive(pids) == set()
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_cannot_start_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, broken = tmp_path / "state", tmp_path / "broken"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.setattr(world, "START_SECONDS", 8.0)
    broken.mkdir()
    for name in PROGRAMS:
        (broken / name).symlink_to(built() / name)
    (broken / "kube-apiserver").unlink()
    (broken / "kube-apiserver").write_text("#!/bin/sh\necho I want to be built anew\nexit 1\n")
    (broken / "kube-apiserver").chmod(0o755)
    with pytest.raises(LabError, match="I want to be built anew"):
        world.up("broken", control_plane=broken)
    assert list(state.iterdir()) == []
