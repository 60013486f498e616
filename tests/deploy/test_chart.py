"""The charts make what the kustomize folders make, and refuse values that would not work."""

import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import serinus
from controlplane.programs import Missing, program
from serinus.api.support import PROVIDERS
from serinus.loadtester.settings import parse as load_tester_flags
from serinus.operator.settings import MESH_SERVICES_MODES, Settings
from serinus.operator.settings import parse as operator_flags
from serinus.routing.kuma.dialect import WORDS

pytestmark = pytest.mark.controlplane

ROOT = Path(__file__).parents[2]
KUBECTL = Path(sys.executable).parent / "kubectl"
CHART, TESTER = "chart", "chart-loadtester"

Object = dict[str, Any]

OF_HELM = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}
"""Labels that say who applied an object; those are Helm's alone."""

ALL = (
    "leaderElection.replicaCount=3",
    "podMonitor.enabled=true",
    "podMonitor.additionalLabels.release=prometheus",
    "networkPolicy.enabled=true",
    "networkPolicy.egress[0].ports[0].port=443",
    "image.pullSecrets[0].name=registry",
    "env[0].name=GREETING",
    "env[0].value=hello",
    "extraArgs[0]=-minimum-interval=30s",
    "clusterName=east",
    "selectorLabels=app",
    "podPriorityClassName=system-cluster-critical",
    "serviceAccount.annotations.team=mesh",
    "nodeSelector.disk=ssd",
    "tolerations[0].operator=Exists",
)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        binary = program("helm")
    except Missing as missing:
        pytest.skip(str(missing))
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)


def objects(text: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(text) if each]


def chart(name: str, *values: str, namespace: str = "kong-mesh-system") -> list[Object]:
    sets = [word for value in values for word in ("--set", value)]
    done = helm("template", "flagger", str(ROOT / "deploy" / name), "-n", namespace, *sets)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


@cache
def kustomized(folder: str) -> str:
    command = [KUBECTL, "kustomize", ROOT / "deploy" / "kustomize" / folder]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def one(found: Iterable[Object], kind: str) -> Object:
    (only,) = [each for each in found if each["kind"] == kind]
    return only


def container(found: Iterable[Object]) -> Object:
    (only,) = one(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(only)


def grants(rules: Iterable[Object]) -> set[tuple[str, str, str, str]]:
    """Each single right that rules give, however they are grouped."""
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ["*"])
        for verb in rule["verbs"]
    }


def compared(found: Iterable[Object]) -> dict[str, Object]:
    """By kind and name, without what says who applied it."""
    by_name = {}
    for each in found:
        metadata = each["metadata"]
        templates = [each]
        if each["kind"] == "Deployment":
            templates.append(each["spec"]["template"])
        for template in templates:
            labels = template["metadata"].get("labels", {})
            template["metadata"]["labels"] = {
                key: value for key, value in labels.items() if key not in OF_HELM
            }
        if "rules" in each:
            each["rules"] = sorted(grants(each["rules"]))
        by_name[f"{each['kind']} {metadata.get('namespace', '')}/{metadata['name']}"] = each
    return by_name


@pytest.mark.parametrize(
    ("name", "values", "namespace", "folder"),
    [
        (CHART, [], "kong-mesh-system", "kuma"),
        (CHART, ["leaderElection.replicaCount=2"], "kong-mesh-system", "replicated"),
        (TESTER, [], "test", "tester"),
    ],
)
def test_chart_and_folder_are_equal(
    name: str, values: list[str], namespace: str, folder: str
) -> None:
    made = compared(chart(name, *values, namespace=namespace))
    assert made == compared(objects(kustomized(folder)))


def test_chart_and_folder_are_equal_for_one_namespace() -> None:
    values = ("namespace=test", "meshServicesMode=Exclusive", "crd.create=false")
    made = compared(chart(CHART, *values, namespace="test"))
    applied = compared(objects(kustomized("namespaced")))
    # The folder's operator asks its pod for the name, the chart knows it.
    for found in (made, applied):
        env = container(found.values())["env"]
        (watched,) = [each for each in env if each["name"] == "NAMESPACE"]
        env.remove(watched)
    assert made == applied


def test_a_role_of_one_namespace_gives_the_cluster_roles_namespaced_rights() -> None:
    """What it lacks is cluster-scoped."""
    (everywhere,) = (
        grants(each["rules"]) for each in chart(CHART) if each["kind"] == "ClusterRole"
    )
    (within,) = (
        each
        for each in objects(kustomized("namespaced"))
        if each["kind"] == "Role" and each["metadata"]["name"] == "flagger-canaries"
    )
    lacking = {(group, resource) for group, resource, *_ in everywhere - grants(within["rules"])}
    assert grants(within["rules"]) < everywhere
    assert lacking == {
        ("kuma.io", "meshes"),
        ("kuma.io", "trafficroutes"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
    }


@pytest.mark.parametrize("name", [CHART, TESTER])
def test_lint_finds_nothing(name: str) -> None:
    done = helm("lint", "--strict", str(ROOT / "deploy" / name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout and "[ERROR]" not in done.stdout


@pytest.mark.parametrize("name", [CHART, TESTER])
def test_versions_are_this_version(name: str) -> None:
    facts = yaml.safe_load((ROOT / "deploy" / name / "Chart.yaml").read_text())
    assert facts["version"] == facts["appVersion"] == serinus.__version__


def test_every_option_at_once() -> None:
    found = chart(CHART, *ALL)
    kinds = {each["kind"] for each in found}
    assert {"PodMonitor", "NetworkPolicy", "PodDisruptionBudget"} <= kinds
    deployment = one(found, "Deployment")
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    settings = operator_flags(container(found)["args"], {})
    assert settings.leader_election and settings.minimum_interval == 30.0
    assert settings.cluster_name == "east"
    policy = one(found, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]


def told(*values: str) -> Settings:
    """The settings of an operator that the chart installs with these values."""
    made = container(chart(CHART, *values))
    variables = {each["name"]: each["value"] for each in made["env"] if "value" in each}
    return operator_flags(made["args"], variables)


def test_values_that_are_a_choice_allow_what_the_operator_allows() -> None:
    schema = json.loads((ROOT / "deploy" / CHART / "values.schema.json").read_text())
    offered = {name: each["enum"] for name, each in schema["properties"].items() if "enum" in each}
    assert offered["meshProvider"] == list(PROVIDERS)
    assert offered["meshServicesMode"] == list(MESH_SERVICES_MODES)
    assert offered["kumaDialect"] == ["", *WORDS]


def test_how_routes_are_to_be_written_reaches_the_operator() -> None:
    assert [told(f"meshProvider={each}").mesh_provider for each in PROVIDERS] == list(PROVIDERS)
    assert [told(f"kumaDialect={each}").kuma_dialect for each in WORDS] == list(WORDS)
    settings = told("kumaSystemNamespace=mesh", "meshServicesMode=Everywhere")
    assert settings.kuma_system_namespace == "mesh"
    assert settings.mesh_services_mode == "Everywhere"
    assert (told().kuma_dialect, told().kuma_system_namespace) == ("", "")


def test_a_load_tester_with_gates_in_memory_has_no_right_at_all() -> None:
    found = chart(TESTER, "gates.store=memory", "cmd.namespaceRegexp=^team-", "cmd.maxTasks=8")
    assert {each["kind"] for each in found} == {"Deployment", "Service"}
    assert one(found, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is (
        False
    )
    settings = load_tester_flags(container(found)["args"])
    assert settings.gates_configmap == "" and settings.tasks == 8
    assert settings.namespaces is not None and settings.namespaces.pattern == "^team-"


def test_custom_resources_are_kept_when_a_release_goes() -> None:
    found = [each for each in chart(CHART) if each["kind"] == "CustomResourceDefinition"]
    assert len(found) == 3
    for each in found:
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not [each for each in chart(CHART, "crd.create=false") if "Custom" in each["kind"]]


@pytest.mark.parametrize(
    "found",
    [chart, lambda name: objects(kustomized({CHART: "replicated", TESTER: "tester"}[name]))],
)
@pytest.mark.parametrize("name", [CHART, TESTER])
def test_pods_obey_the_restricted_standard(found: Any, name: str) -> None:
    """Kubernetes' Pod Security Standard of that name, each of its demands."""
    made = found(name)
    pod = one(made, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all(set(volume) <= {"name", "emptyDir"} for volume in pod.get("volumes", []))
    context = container(made)["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (CHART, "meshProvider=istio", "meshProvider"),
        (CHART, "kumaDialect=tags", "kumaDialect"),
        (CHART, "leaderElection.replicas=2", "replicas"),
        (CHART, "metricsServer=prometheus", "metricsServer"),
        (CHART, "logLevel=loud", "logLevel"),
        (TESTER, "service.port=0", "port"),
        (TESTER, "color=red", "color"),
        (TESTER, "gates.store=file", "store"),
    ],
)
def test_values_that_would_not_work_are_refused_by_name(name: str, value: str, words: str) -> None:
    done = helm("template", "flagger", str(ROOT / "deploy" / name), "--set", value)
    assert done.returncode != 0
    assert words in done.stderr
