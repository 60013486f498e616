"""The guide's story on a real API server under exactly the chart's rights, and none of them idle.

The same operator plays it in the world of each Kuma, which is upgraded under it from the oldest to
the newest. There is no data plane: the kubelet is played, Prometheus and the hook are scripted. The
API server enforces owners' permissions, which is what the right to update finalizers is there for.
"""

import asyncio
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import ControlPlane, Missing, program
from controlplane.plane import ADMIN
from deploy.features import keda, others
from executor.process import REPOSITORY, Operator
from executor.scene import Scene
from executor.scene import scene as new_scene
from faults.proxy import Refuse, Rule
from faults.real_cluster import RealCluster
from lab.controllers.played_cluster import deployment
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.crds.gateway import gateway_definitions
from serinus.lab.mesh.defaults import mesh, namespaces
from serinus.lab.mesh.versions import PLAYED, SYSTEM_NAMESPACE, played
from serinus.routing.kuma.discovery import CONTROL_PLANES, CRD_NAMES, KumaKinds, discover

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]
Right = tuple[str, str, str, str]
"""Verb, group, resource with its subresource, and name where RBAC can be bound to one."""

HOME = "serinus-system"
ACCOUNT = f"system:serviceaccount:{HOME}:flagger"
SOMEBODY = "somebody"
"""Who is known to the API server and has no rights."""

OLDEST, *LATER = PLAYED
DIALECTS = {
    "1.8": "TrafficRoute",
    "2.7": "MeshHTTPRoute by service tag",
    "2.14": "MeshHTTPRoute by MeshService name",
    "3.0": "MeshHTTPRoute by labels",
}
COLLECTION = 60.0
"""Seconds in which Kubernetes has collected what an owner left: its collector looks twice a minute
which kinds there are, and does nothing meanwhile."""

FINALIZERS: Right = ("update", "flagger.app", "canaries/finalizers", "")


class Installed(RealCluster):
    """The chart is applied as ``helm template`` prints it, with an election."""

    def __init__(self, root: Path, version: str) -> None:
        super().__init__(root, version)
        self.plane = ControlPlane(
            root,
            audit=True,
            users={SOMEBODY: ()},
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
        self.apply(keda(), *gateway_definitions(), *namespaces(), kumas_control_plane())
        return self.plane.token(HOME, "flagger")

    def upgrade(self, version: str) -> None:
        """With what a person does: the mesh is freed of TrafficRoutes, which Kuma makes no more,
        and begins with MeshServices where it may choose."""
        self.kubectl("delete", "trafficroutes", "--all")
        self.apply(mesh(played(version)))
        super().upgrade(version)

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


def kumas_control_plane() -> Object:
    """By which one sees where it is: Kuma up to 2.8 wants routes there."""
    made = deployment(CONTROL_PLANES[0], "v1", replicas=0)
    made["metadata"] |= {"namespace": SYSTEM_NAMESPACE, "labels": {"app": CONTROL_PLANES[0]}}
    return made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Of the default Kuma."""
    try:
        with Installed(tmp_path_factory.mktemp("installed"), "2.14") as started:
            yield started
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Installed]:
    """Of the oldest Kuma, which may be upgraded."""
    try:
        with Installed(tmp_path, OLDEST) as started:
            yield started
    except Missing as missing:
        pytest.skip(str(missing))


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
    if scene.by_tag:
        scene.apply(scene.dataplane())
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

    def gone() -> bool:
        marks = [
            (route["metadata"].get("annotations") or {}).get("flagger.app/canary")
            for route in list(scene.routes.latest.values())
        ]
        return ours not in marks

    scene.routes.until(gone, "no route", COLLECTION)
    if scene.by_traffic_route or scene.by_tag:
        # Such a route has no owner that could take it along: that was the operator.
        return
    scene.services.until(
        lambda: "podinfo-primary" not in scene.services.latest, "no Service", COLLECTION
    )


def notice(operator: Operator, scene: Scene) -> None:
    """Wait until the operator goes by the kinds of the Kuma that there is now."""
    names = {each["metadata"]["name"] for each in definitions(played(scene.cluster.version))}
    crds = sorted(names.intersection(CRD_NAMES))

    def leads() -> bool:
        since: list[Object] | None = None
        for line in operator.log():
            if line["msg"] == "the cluster's kinds have changed":
                since = [] if line["crds"] == crds else None
            elif since is not None:
                since.append(line)
        return since is not None and any(line["msg"] == "leading" for line in since)

    scene.cluster.plane.until(leads)


def kinds(cluster: Installed, user: str) -> KumaKinds:
    """What somebody sees of the Kuma that there is."""

    async def seen() -> KumaKinds:
        async with cluster.plane.client(user) as client:
            return await discover(client, system_namespace=SYSTEM_NAMESPACE)

    return asyncio.run(seen())


@pytest.mark.timeout(400)
def test_the_story_asks_for_all_that_the_chart_allows_and_for_no_more(upgraded: Installed) -> None:
    cluster = upgraded
    with new_scene(cluster) as home:
        operator = home.start(*cluster.flags, everywhere=True)
        for version in (OLDEST, *LATER):
            if version != OLDEST:
                cluster.upgrade(version)
                notice(operator, home)
            with new_scene(cluster) as scene:
                _ = scene.routes, scene.events, scene.services
                promotion(scene)
                rollback(scene)
                upkeep(scene)
                deletion(scene)
                if version == "2.14":
                    others(scene)
            # An operator of one namespace has to go by what everybody is told.
            cluster.plane.until(lambda: kinds(cluster, SOMEBODY) == kinds(cluster, ADMIN))
        assert operator.stop() == 0
        log = operator.log()
    assert [line for line in log if line["level"] == "error"] == []
    assert [line for line in log if line["msg"] == "object cannot be read"] == []
    chosen = {line["dialect"] for line in log if line["msg"] == "routes"}
    assert chosen == set(DIALECTS.values()), "a story was not played in its own dialect"

    granted, asked = cluster.granted(), set[Right]()
    for right, event in cluster.asked():
        assert event.get("responseStatus", {}).get("code") != 403, event
        asked.add(right)
    # Nobody asks for this one: it is looked up when an object with an owner is written.
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
def deprived(cluster: Installed, request: pytest.FixtureRequest) -> Iterator[tuple[Installed, str]]:
    """The cluster whose operator lacks a right, and the API server's words for what it lacks."""
    right = request.param
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
