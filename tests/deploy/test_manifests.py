"""The folders that the guide's `kubectl apply -k` is pointed at, and the guide's Canary."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import serinus
from serinus.api.canary import Canary
from serinus.api.crd import crd_documents
from serinus.api.decode import decode_canary
from serinus.api.support import unsupported
from serinus.api.validation import problems
from serinus.cluster import kinds
from serinus.cluster.resource import Resource
from serinus.loadtester.settings import parse as loadtester_flags
from serinus.operator.settings import parse as operator_flags

ROOT = Path(__file__).parents[2]
KUBECTL = Path(sys.executable).parent / "kubectl"


@cache
def rendered(folder: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would apply."""
    done = subprocess.run(
        [KUBECTL, "kustomize", ROOT / "deploy" / "kustomize" / folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(folder: str, kind: str) -> dict[str, Any]:
    (found,) = [each for each in rendered(folder) if each["kind"] == kind]
    return found


def container(folder: str) -> dict[str, Any]:
    (found,) = one(folder, "Deployment")["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        (
            "kuma",
            {
                "CustomResourceDefinition alertproviders.flagger.app",
                "CustomResourceDefinition canaries.flagger.app",
                "CustomResourceDefinition metrictemplates.flagger.app",
                "ServiceAccount kong-mesh-system/flagger",
                "ClusterRole flagger",
                "ClusterRoleBinding flagger",
                "Role kong-mesh-system/flagger",
                "RoleBinding kong-mesh-system/flagger",
                "Deployment kong-mesh-system/flagger",
            },
        ),
        (
            "tester",
            {
                "ServiceAccount test/flagger-loadtester",
                "Role test/flagger-loadtester",
                "RoleBinding test/flagger-loadtester",
                "ConfigMap test/flagger-loadtester-gates",
                "Service test/flagger-loadtester",
                "Deployment test/flagger-loadtester",
            },
        ),
        ("podinfo", {"Deployment test/podinfo", "HorizontalPodAutoscaler test/podinfo"}),
    ],
)
def test_what_a_folder_holds(folder: str, names: set[str]) -> None:
    found = set()
    for each in rendered(folder):
        metadata = each["metadata"]
        prefix = f"{metadata['namespace']}/" if "namespace" in metadata else ""
        found.add(f"{each['kind']} {prefix}{metadata['name']}")
    assert found == names


def test_the_custom_resources_are_the_generated_ones() -> None:
    applied = [each for each in rendered("kuma") if each["kind"] == "CustomResourceDefinition"]
    by_name = {each["metadata"]["name"]: each for each in applied}
    assert by_name == {each["metadata"]["name"]: each for each in crd_documents()}


def test_the_namespace_of_the_operator_is_one_line_of_a_folder() -> None:
    named = {
        file.parent.name: [line for line in file.read_text().splitlines() if "kong-mesh" in line]
        for file in (ROOT / "deploy").rglob("*.yaml")
        if "kong-mesh-system" in file.read_text()
    }
    line = "namespace: kong-mesh-system"
    assert named == {"kuma": [line], "replicated": [line]}
    (subject,) = one("kuma", "ClusterRoleBinding")["subjects"]
    assert subject == {
        "kind": "ServiceAccount",
        "name": "flagger",
        "namespace": "kong-mesh-system",
    }


@pytest.mark.parametrize("folder", ["kuma", "tester", "podinfo"])
def test_selectors_find_the_pods_and_ports_have_names(folder: str) -> None:
    deployment = one(folder, "Deployment")
    template = deployment["spec"]["template"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= template["metadata"]["labels"].items()
    ports = {port["name"] for port in container(folder)["ports"]}
    for each in rendered(folder):
        if each["kind"] == "Service":
            assert each["spec"]["selector"].items() <= template["metadata"]["labels"].items()
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports


def test_the_flags_are_flags_of_our_programs() -> None:
    operator = operator_flags(container("kuma")["args"], {})
    assert operator.mesh_provider == "kuma"
    assert operator.metrics_server == "http://prometheus-server.mesh-observability:80"
    assert operator.include_label_prefix == ("app.kubernetes.io",)
    tester = loadtester_flags(container("tester")["args"])
    assert tester.port == 8080
    assert tester.gates_configmap == one("tester", "ConfigMap")["metadata"]["name"]
    assert one("tester", "Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [tester.gates_configmap],
            "verbs": ["get", "patch"],
        }
    ]


@pytest.mark.parametrize("folder", ["kuma", "tester"])
def test_images_are_of_this_version(folder: str) -> None:
    assert container(folder)["image"].rpartition(":")[2] == serinus.__version__


def test_the_role_names_kinds_that_there_are() -> None:
    known = {
        (kind.group, kind.plural) for kind in vars(kinds).values() if isinstance(kind, Resource)
    }
    verbs = {"get", "list", "watch", "create", "update", "patch", "delete"}
    for rule in one("kuma", "ClusterRole")["rules"]:
        assert set(rule["verbs"]) <= verbs
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert (group, resource.partition("/")[0]) in known


def guide_canary() -> Canary:
    text = (ROOT / "examples" / "guide" / "podinfo-canary.yaml").read_text()
    canary = decode_canary(msgspec.json.encode(yaml.safe_load(text)))
    assert isinstance(canary, Canary)
    return canary


def test_the_guides_canary_is_obeyed_whole() -> None:
    canary = guide_canary()
    assert problems(canary) == ()
    assert unsupported(canary, "kuma") == ()


def test_the_guides_canary_fits_the_folders() -> None:
    canary = guide_canary()
    deployment = one("podinfo", "Deployment")
    assert (canary.namespace, canary.target_name) == ("test", deployment["metadata"]["name"])
    assert canary.spec.service.port in {
        port["containerPort"] for port in container("podinfo")["ports"]
    }
    assert "replicas" not in deployment["spec"]
    service = one("tester", "Service")["metadata"]
    for hook in canary.spec.analysis.webhooks:
        assert hook.url == f"http://{service['name']}.{service['namespace']}/"
