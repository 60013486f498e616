"""The guide's story on a real API server under exactly the chart's rights, and none of them idle.

There is no data plane: the kubelet is played, Prometheus and the hook are scripted. The API server
enforces owners' permissions, which is what the right to update finalizers is there for.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane, Missing, program
from deploy.features import keda, others
from executor.process import REPOSITORY, Operator
from executor.scene import Scene
from executor.scene import scene as new_scene
from faults.proxy import Refuse, Rule
from faults.real_cluster import RealCluster
from serinus.lab.mesh.crds.gateway import gateway_definitions

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]
Right = tuple[str, str, str, str]
"""Verb, group, resource with its subresource, and name where RBAC can be bound to one."""

HOME = "serinus-system"
ACCOUNT = f"system:serviceaccount:{HOME}:flagger"
BOTH = ("1.8", "2.14")
FINALIZERS: Right = ("update", "flagger.app", "canaries/finalizers", "")


class Installed(RealCluster):
    """The chart is applied as ``helm template`` prints it, with an election."""

    def __init__(self, root: Path, version: str) -> None:
        super().__init__(root, version)
        self.plane = ControlPlane(
            root,
            audit=True,
            api_server_flags=["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"],
        )

    def install(self) -> str:
        values = f"metricsServer={self.peers.http},leaderElection.enabled=true"
        command = [program("helm"), "template", REPOSITORY / "deploy/chart", "-n", HOME]
        text = subprocess.run(
            [*command, "--set", values], capture_output=True, text=True, check=True
        ).stdout
        self.chart: list[Object] = [each for each in yaml.safe_load_all(text) if each]
        self.kubectl("create", "namespace", HOME)
        self.kubectl("apply", "-f", "-", stdin=text)
        self.apply(keda(), *gateway_definitions())
        return self.plane.token(HOME, "flagger")

    @property
    def flags(self) -> list[str]:
        """Those that the chart gives to the operator."""
        (deployment,) = (each for each in self.chart if each["kind"] == "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        return [*container["args"], f"-leader-election-namespace={HOME}"]

    def granted(self) -> set[Right]:
        """What the chart's roles allow."""
        rules = [rule for each in self.chart for rule in each.get("rules", ())]
        return {
            (verb, group, resource, name)
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
            for name in rule.get("resourceNames", [""])
        }

    def asked(self) -> Iterator[tuple[Right, Object]]:
        """What the operator has asked of the API server, and what was written down of it."""
        granted = self.granted()
        for event in self.plane.audited():
            about = event.get("objectRef", {})
            if event["user"].get("username") == ACCOUNT and "resource" in about:
                resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
                right = (event["verb"], about.get("apiGroup", ""), resource)
                named = (*right, about.get("name", ""))
                yield (named if named in granted else (*right, "")), event


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Installed]]:
    started: dict[str, Installed] = {}
    try:
        for version in BOTH:
            root = tmp_path_factory.mktemp("installed")
            started[version] = Installed(root, version).__enter__()
        yield started
    except Missing as missing:
        pytest.skip(str(missing))
    finally:
        for one in started.values():
            one.stop()


def autoscaler(most: int) -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "podinfo"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": most},
    }


def promotion(scene: Scene) -> None:
    scene.apply(autoscaler(2))
    hook = {"name": "gate", "type": "pre-rollout", "url": f"{scene.peers.http}/hook"}
    canary = scene.canary(webhooks=[hook])
    reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    canary["spec"]["autoscalerRef"] = {**reference, "name": "podinfo"}
    scene.begin(canary)
    scene.release("v2")
    scene.await_phase("Succeeded")
    assert scene.weights() == [(100, 0), (75, 25), (50, 50), (100, 0)]
    assert scene.image("podinfo-primary") == "play:v2"
    assert [hook["phase"] for hook in scene.peers.hooks] == ["Progressing"]
    scene.await_message("Promotion completed! Scaling down podinfo." + scene.namespace)


def rollback(scene: Scene) -> None:
    scene.peers.success = 90.0
    scene.release("v3")
    scene.await_phase("Failed")
    assert scene.weights()[-2:] == [(75, 25), (100, 0)]
    assert scene.image("podinfo-primary") == "play:v2"
    scene.await_message("success rate 90.00% < 99%")
    scene.await_message(f"Rolling back podinfo.{scene.namespace} failed checks threshold reached 2")


def upkeep(scene: Scene) -> None:
    """What is deleted or changed is put back; a write that meets a conflict is done anew."""
    uid = scene.services.latest["podinfo-primary"]["metadata"]["uid"]
    scene.within("delete", "service", "podinfo-primary")
    scene.services.until(
        lambda: (
            scene.services.latest.get("podinfo-primary", {}).get("metadata", {}).get("uid", uid)
            != uid
        )
    )
    scene.patch("service", "podinfo", {"spec": {"selector": {"app": "podinfo"}}})
    scene.services.until(
        lambda: scene.services.latest["podinfo"]["spec"]["selector"] == {"app": "podinfo-primary"}
    )
    scene.apply(autoscaler(3))
    scalers = scene.watch("apis/autoscaling/v2/horizontalpodautoscalers")
    scene.peers.success = 100.0
    conflict = Rule(Refuse(409), "/(trafficroutes|meshhttproutes)/", ("PATCH",), times=1)
    scene.peers.rules.append(conflict)
    scene.release("v4")
    scene.await_phase("Succeeded")
    assert conflict.used == 1
    scalers.until(lambda: scalers.latest["podinfo-primary"]["spec"]["maxReplicas"] == 3)


def deletion(scene: Scene) -> None:
    scene.within("delete", "canary", "podinfo")
    ours = f"{scene.namespace}/podinfo"
    scene.routes.until(
        lambda: (
            ours
            not in [
                (route["metadata"].get("annotations") or {}).get("flagger.app/canary")
                for route in list(scene.routes.latest.values())
            ]
        )
    )
    scene.services.until(lambda: "podinfo-primary" not in scene.services.latest)


@pytest.mark.timeout(300)
def test_the_story_asks_for_all_that_the_chart_allows_and_for_no_more(
    clusters: dict[str, Installed],
) -> None:
    asked: set[Right] = set()
    for cluster in clusters.values():
        with new_scene(cluster) as scene:
            operator = scene.start(*cluster.flags, everywhere=True)
            _ = scene.routes, scene.events, scene.services
            promotion(scene)
            rollback(scene)
            upkeep(scene)
            deletion(scene)
            if not scene.by_traffic_route:
                others(scene)
            assert operator.stop() == 0
            assert [line for line in operator.log() if line["level"] == "error"] == []
        for right, event in cluster.asked():
            assert event.get("responseStatus", {}).get("code") != 403, event
            asked.add(right)
    # Nobody asks for this one: it is looked up when an object with an owner is written.
    granted = clusters["2.14"].granted()
    assert FINALIZERS in granted
    assert sorted(granted - {FINALIZERS} - asked) == [], "rights that nothing needs"
    assert sorted(asked - granted) == [], "rights that others give it"


def without(rights: Iterable[Object], lacking: Right) -> Iterator[Object]:
    """Roles without one right."""
    verb, group, resource, name = lacking
    for role in rights:
        rules = [
            {**rule, "verbs": [each for each in rule["verbs"] if each != verb]}
            if (group in rule["apiGroups"] and resource in rule["resources"])
            and name in rule.get("resourceNames", [""])
            else rule
            for rule in role["rules"]
        ]
        yield {**role, "rules": [rule for rule in rules if rule["verbs"]]}


@pytest.fixture
def deprived(
    clusters: dict[str, Installed], request: pytest.FixtureRequest
) -> Iterator[tuple[Installed, str]]:
    """The cluster whose operator lacks a right, and the API server's words for what it lacks."""
    cluster, right = clusters["2.14"], request.param
    verb, group, resource, _ = right
    roles = [each for each in cluster.chart if "rules" in each]
    cluster.apply(*without(roles, right))

    def allowed() -> bool:
        plural, _, subresource = resource.partition("/")
        said = cluster.kubectl(
            *("auth", "can-i", verb, f"{plural}.{group}", f"--subresource={subresource}"),
            *(f"--as={ACCOUNT}", "-n", HOME),
            check=False,
        )
        return said.strip().endswith("yes")

    cluster.plane.until(lambda: not allowed())
    yield cluster, f'cannot {verb} resource "{resource}"'
    cluster.apply(*roles)
    cluster.plane.until(allowed)


@pytest.mark.parametrize(
    "deprived",
    [
        ("list", "flagger.app", "canaries", ""),
        ("list", "apps", "deployments", ""),
        ("create", "coordination.k8s.io", "leases", ""),
    ],
    ids=" ".join,
    indirect=True,
)
def test_an_operator_that_cannot_begin_says_which_right_it_lacks(
    deprived: tuple[Installed, str], tmp_path: Path
) -> None:
    cluster, words = deprived
    cluster.kubectl("-n", HOME, "delete", "lease", "--all")
    operator = Operator(cluster.account, tmp_path / "log", *cluster.flags)

    def told() -> bool:
        try:
            status, text = operator.get("/readyz")
        except OSError:
            return False
        return status == 503 and words in text

    try:
        cluster.plane.until(told)
    finally:
        operator.stop()


@pytest.mark.parametrize(
    "deprived",
    [
        ("create", "", "services", ""),
        ("patch", "kuma.io", "meshhttproutes", ""),
        FINALIZERS,
    ],
    ids=" ".join,
    indirect=True,
)
def test_a_canary_that_cannot_go_on_says_which_right_the_operator_lacks(
    deprived: tuple[Installed, str],
) -> None:
    cluster, words = deprived
    if words.endswith('finalizers"'):
        words = "cannot set blockOwnerDeletion"
    with new_scene(cluster) as scene:
        scene.start(*cluster.flags, everywhere=True)
        scene.apply(scene.target(), *scene.mesh_services(), scene.canary())
        if "meshhttproutes" in words:
            scene.await_phase("Initialized")
            scene.release("v2")
        scene.await_message(words)
