"""`serinus check` against the lab's API server, as a person runs it."""

import json
import os
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cli.test_canaries import PROGRAMS, kubeconfig, write_status
from executor.scene import Object, Scene
from serinus.operator.checkup import proxied

REPOSITORY = Path(__file__).parents[2]


def run(scene: Scene, *words: str, prometheus: bool = True) -> subprocess.CompletedProcess[str]:
    asked = ["--metrics-server", scene.peers.http] if prometheus else []
    return subprocess.run(
        [
            *(PROGRAMS / "serinus", "check", "-n", scene.namespace, *asked, *words),
            *("--kubeconfig", kubeconfig(scene)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "COLUMNS": "200"},
    )


def operator(**args: str) -> Object:
    """The operator's Deployment as it is shipped, with other flags; and without pods."""
    path = REPOSITORY / "deploy/kustomize/kuma/deployment.yaml"
    made: Object = yaml.safe_load(path.read_text())
    made["spec"]["replicas"] = 0
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["args"] += [f"-{name.replace('_', '-')}={value}" for name, value in args.items()]
    return made


@pytest.fixture
def installed(scene: Scene) -> Scene:
    """A cluster in which nothing is to be mended: operator, target, canary, Kuma's MeshServices."""
    scene.apply(operator(), scene.target(), *scene.mesh_services(), scene.canary())
    return scene


def test_all_is_well(installed: Scene) -> None:
    done = run(installed)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Kubernetes  v1.")
    assert "Kuma        2.9 to 2.14 by its CRDs; no control plane to be seen" in lines
    assert f"Serinus     {installed.namespace}/flagger (serinus/serinus:0.1.0)" in lines
    assert "Mesh default: MeshServices Exclusive" in lines
    assert (
        "  MeshHTTPRoute by MeshService name: mesh default has spec.meshServices.mode Exclusive"
        in lines
    )
    assert "  Prometheus: has series of the sidecars of mesh default" in lines
    assert f"Canary {installed.namespace}/podinfo: well" in lines
    assert lines[-1] == "All is well."


def test_the_same_as_data(installed: Scene) -> None:
    done = run(installed, "-o", "json", "podinfo")
    report = json.loads(done.stdout)
    assert report["kuma"] == "2.9 to 2.14"
    assert "meshhttproutes.kuma.io" in report["crds"]
    assert report["to_mend"] == []
    (canary,) = report["canaries"]
    assert canary == {
        "namespace": installed.namespace,
        "name": "podinfo",
        "mesh": "default",
        "phase": "",
        "dialect": "MeshHTTPRoute by MeshService name",
        "chosen_by": "",
        "to_mend": [],
        "unprepared": [],
    }


def test_nothing_is_written(installed: Scene) -> None:
    before = installed.within("get", "canary,deployment,service", "-o", "json")
    run(installed)
    assert installed.within("get", "canary,deployment,service", "-o", "json") == before


def test_versions_are_told_by_images(installed: Scene) -> None:
    plane = installed.target("kuma-control-plane")
    plane["metadata"]["labels"] = {"app": "kuma-control-plane"}
    plane["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/kumahq/kuma-cp:2.14.3"
    sidecar = {"name": "kuma-sidecar", "image": "kuma/kuma-dp:2.14.2", "restartPolicy": "Always"}
    app = {"name": "app", "image": "play:v1"}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {"containers": [app], "initContainers": [sidecar]},
    }
    installed.apply(plane, pod)
    report = json.loads(run(installed, "-o", "json").stdout)
    assert f"2.14.3 ({installed.namespace}/kuma-control-plane)" in report["control_planes"]
    assert report["sidecars"] == {"2.14.2": 1}


def mended(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of what there is to mend; the exit status and the count say so, too."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ! ")]
    assert done.returncode == 1
    count = f"{len(lines)} thing{'s' if len(lines) > 1 else ''} to mend."
    assert done.stdout.splitlines()[-1] == count
    return lines


def edited(scene: Scene, **service: Any) -> Object:
    canary = deepcopy(scene.canary())
    canary["spec"]["service"] |= service
    return canary


def test_what_the_operator_refuses_is_told(installed: Scene) -> None:
    installed.apply(edited(installed, headless=True))
    done = run(installed)
    (line,) = mended(done)
    assert line.startswith("  ! spec.service.headless: ")
    assert f"Canary {installed.namespace}/podinfo: refused" in done.stdout


def test_a_target_that_is_not_there_is_told(installed: Scene) -> None:
    installed.within("delete", "deployment", "podinfo")
    (line,) = mended(run(installed))
    where = f"Deployment podinfo.{installed.namespace}"
    assert line == f"  ! spec.targetRef.name: {where} does not exist; create it"


def test_what_preflight_finds_is_told(installed: Scene) -> None:
    write_status(installed, phase="Initialized")
    installed.within("delete", "meshservice", "podinfo-canary")
    done = run(installed)
    (line,) = mended(done)
    assert f"there is no MeshService podinfo-canary.{installed.namespace}" in line
    assert (
        f"Canary {installed.namespace}/podinfo, Initialized: not ready for traffic" in done.stdout
    )


def test_a_route_that_takes_the_place_of_the_canarys_is_told(installed: Scene) -> None:
    write_status(installed, phase="Initialized")
    rival: Object = {
        "apiVersion": "kuma.io/v1alpha1",
        "kind": "MeshHTTPRoute",
        "metadata": {"name": "another", "labels": {"kuma.io/mesh": "default"}},
        "spec": {
            "targetRef": {"kind": "Mesh"},
            "to": [
                {
                    "targetRef": {"kind": "MeshService", "name": "podinfo"},
                    "rules": [
                        {
                            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                            "default": {"backendRefs": [{"kind": "MeshService", "name": "x"}]},
                        }
                    ],
                }
            ],
        },
    }
    installed.apply(rival)
    (line,) = mended(run(installed))
    assert f"MeshHTTPRoute another.{installed.namespace} decides where requests go" in line


def test_a_canary_that_cannot_be_read_hides_no_other(installed: Scene) -> None:
    broken = deepcopy(installed.canary("broken", "other"))
    broken["spec"]["progressDeadlineSeconds"] = 1.5
    installed.apply(broken)
    done = run(installed)
    (line,) = mended(done)
    assert line.startswith("  ! spec.progressDeadlineSeconds: ")
    assert f"Canary {installed.namespace}/podinfo: well" in done.stdout


def test_a_mesh_that_is_not_there_is_told(installed: Scene) -> None:
    canary = installed.canary()
    canary["metadata"]["annotations"] = {"kuma.io/mesh": "blue"}
    installed.apply(canary)
    lines = mended(run(installed))
    assert len(lines) == 2, "of the mesh and of the canary"
    assert all("mesh blue does not exist" in line for line in lines)


def test_a_dialect_that_a_person_chose_is_told(installed: Scene) -> None:
    canary = installed.canary()
    canary["metadata"]["annotations"] = {"serinus.dev/kuma-dialect": "service-tag"}
    installed.apply(canary)
    done = run(installed)
    assert done.returncode == 0, done.stdout
    chosen = "MeshHTTPRoute by service tag, as its annotation says: service-tag"
    assert f"  mesh default, {chosen}" in done.stdout.splitlines()


def test_canaries_of_another_provider_have_no_dialect(installed: Scene) -> None:
    canary = installed.canary()
    canary["spec"]["provider"] = "kubernetes"
    installed.apply(canary)
    (one,) = json.loads(run(installed, "-o", "json").stdout)["canaries"]
    assert (one["mesh"], one["dialect"], one["to_mend"]) == ("", "", [])


def test_the_flags_of_the_operator_count(installed: Scene) -> None:
    installed.apply(operator(mesh_provider="kubernetes", metrics_server="http://prom.tools:90"))
    report = json.loads(run(installed, "-o", "json", prometheus=False).stdout)
    assert report["metrics_server"] == "http://prom.tools:90"
    assert report["canaries"][0]["dialect"] == ""
    installed.apply(operator(port="x"))
    (line,) = mended(run(installed))
    assert line.startswith(f"  ! operator {installed.namespace}/flagger: -port must be a number")


def test_no_operator_is_told(scene: Scene) -> None:
    (line,) = mended(run(scene))
    assert "no Deployment with the label app.kubernetes.io/part-of=serinus" in line


def test_crds_of_another_release_are_told(installed: Scene) -> None:
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/proxy"
    patch = json.dumps([{"op": "remove", "path": path}])
    crd = "alertproviders.flagger.app"
    try:
        installed.kubectl("patch", "crd", crd, "--type=json", "-p", patch)
        (line,) = mended(run(installed))
        assert line.startswith(f"  ! {crd}: is of another release: it does not know spec.proxy;")
    finally:
        shipped = REPOSITORY / "deploy/crds/alertproviders.yaml"
        installed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(shipped))


def test_a_prometheus_without_sidecars_is_told(installed: Scene) -> None:
    done = run(installed, "--metrics-server", "http://127.0.0.1:1", prometheus=False)
    (line,) = mended(done)
    assert line.startswith("  ! Prometheus: not reached: ")


def test_the_operators_prometheus_is_reached_through_the_api_server(installed: Scene) -> None:
    address = urlsplit(installed.peers.http)
    namespace = installed.namespace
    container = {"name": "prometheus", "image": "prom/prometheus:v3"}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "prometheus"},
        "spec": {"containers": [container]},
    }
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "prometheus"},
        "spec": {"ports": [{"port": 80}]},
    }
    ref = {"kind": "Pod", "namespace": namespace, "name": "prometheus"}
    subset = {
        "addresses": [{"ip": address.hostname, "targetRef": ref}],
        "ports": [{"port": address.port}],
    }
    endpoints: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "prometheus"},
        "subsets": [subset],
    }
    deployment = operator(metrics_server=f"http://prometheus.{namespace}")
    installed.apply(pod, service, endpoints, deployment)
    status = json.dumps({"status": {"podIPs": [{"ip": address.hostname}]}})
    installed.within("patch", "pod", "prometheus", "--subresource=status", "-p", status)
    done = run(installed, prometheus=False)
    assert done.returncode == 0, done.stdout
    assert "  Prometheus: has series of the sidecars of mesh default" in done.stdout


def test_a_prometheus_that_only_the_operator_reaches_is_no_fault(installed: Scene) -> None:
    done = run(installed, prometheus=False)
    assert done.returncode == 0, done.stdout
    assert "  Prometheus: not reached: " in done.stdout


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("http://prometheus.tools:9090", "tools/services/http:prometheus:9090/proxy"),
        ("http://prometheus.tools", "tools/services/http:prometheus:80/proxy"),
        ("https://prometheus.tools.svc/a", "tools/services/https:prometheus:443/proxy/a"),
        ("http://prometheus.tools.svc.cluster.local:1", "tools/services/http:prometheus:1/proxy"),
        ("http://prometheus:9090", "own/services/http:prometheus:9090/proxy"),
    ],
)
def test_services_are_reached_through_the_api_server(address: str, path: str) -> None:
    assert proxied("https://api", address, "own") == f"https://api/api/v1/namespaces/{path}"


@pytest.mark.parametrize("address", ["http://prometheus.example.com", "http://10.0.0.1:9090", ""])
def test_what_is_no_service_is_not_asked(address: str) -> None:
    assert proxied("https://api", address, "") is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nobody"], "there is no canary nobody"),
        (["--context", "none"], "none"),
        (["-o", "yaml"], '"yaml" is not a format; write one of text, json'),
        (["--metrics-server", "x"], '"x" is no address; write http://HOST:PORT'),
    ],
    ids=str,
)
def test_what_cannot_be_looked_at_is_said_in_a_line(
    scene: Scene, words: list[str], text: str
) -> None:
    done = run(scene, *words, prometheus=False)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "a", "user": {}}],
            }
        )
    )
    command = [PROGRAMS / "serinus", "check", "--kubeconfig", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "http://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
