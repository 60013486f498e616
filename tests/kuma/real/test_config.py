"""What real sidecars are told when Serinus' objects are there, beside what the lab's are told.

Pods are injected by Kuma and made ready by the kubelet that is played; their Envoys' configuration
is read from Kuma's API, which makes it as for a sidecar that is connected. The lab is given the
same namespaces, Services and pods, and the policies as Kuma has kept them. Compared is, field by
field, what concerns podinfo.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.comparison import Difference, differences
from kuma.real.peer import RealKuma
from kuma.test_golden import GOLDEN
from lab.controllers.played_cluster import deployment
from lab.mesh.observations import as_dump, envoys
from serinus.lab.mesh import gamma
from serinus.lab.mesh.model import observe
from serinus.lab.mesh.proxy import resources
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE

pytestmark = pytest.mark.realkuma

Object = dict[str, Any]

RELEASE = "2.7.20"
NAMESPACE = "test"
SELECTORS = {
    "podinfo": "podinfo-primary",
    "podinfo-primary": "podinfo-primary",
    "podinfo-canary": "podinfo",
    "client": "client",
}
ARGUMENTS = {
    "MeshHTTPRoute": "http_routes",
    "MeshTCPRoute": "tcp_routes",
    "MeshProxyPatch": "proxy_patches",
    "MeshTimeout": "timeouts",
    "MeshRetry": "retries",
    "TrafficRoute": "traffic_routes",
}
KNOWN = (
    Difference(
        "a service tag has a virtual address beside its ClusterIP, with listeners of its own that"
        " say the same; the lab's DNS knows the names of Services alone, so nobody gets there",
        ("* Listener.* by its virtual address",),
    ),
    Difference(
        "a route's name is a hash of its matches that only Kuma itself can make where there is a"
        " header or a method among them",
        ("* Listener.*.routes.*.name",),
    ),
    Difference(
        "the action that is Envoy's default, which Kuma leaves out",
        ("* Listener.*.appendAction",),
    ),
    Difference(
        "a whole path is replaced by `.*` in 2.7.20, by `^/.*$` later; to a path both say the same",
        ("headers-rewrite-match * Listener.*.regexRewrite.pattern.regex",),
    ),
    Difference(
        "a regular expression in the words of older Envoys, which say the same",
        ("ab * Listener.*.safeRegexMatch", "ab * Listener.*.stringMatch"),
    ),
    Difference(
        "two Services lead to the primary's port, and either may give the way in its name",
        (
            "* podinfo-primary Listener.inbound:*.routeConfig.name",
            "* podinfo-primary Listener.inbound:*.virtualHosts.0.name",
            "* podinfo-primary Listener.inbound:*.io.kuma.tags.k8s.kuma.io/service-name",
            "* podinfo-primary Listener.inbound:*.io.kuma.tags.kuma.io/service",
        ),
    ),
)
WRITTEN = [
    file
    for dialect in ("service-tag-system", "trafficroute")
    for file in sorted(GOLDEN.glob(f"{dialect}/*"))
    # For Services that speak no HTTP; those here do.
    if file.stem != "tcp"
]
SEEN_SECONDS = 8.0


class Stage:
    """A caller, a primary and a canary in a real mesh."""

    def __init__(self, kuma: RealKuma) -> None:
        self.kuma = kuma
        plane = kuma.plane
        if not plane.get("namespace", NAMESPACE):
            plane.kubectl("create", "namespace", NAMESPACE)
        injected = "kuma.io/sidecar-injection=enabled"
        plane.kubectl("label", "namespace", NAMESPACE, injected, "--overwrite")
        apps = sorted(set(SELECTORS.values()))
        plane.apply(*(_service(*one) for one in SELECTORS.items()), *map(_deployment, apps))
        kuma.until(lambda: sorted(self._ready()) == apps, lambda: str(self._dataplanes()))
        self._pods = {one["metadata"]["labels"]["app"]: one for one in self.all("pods")}
        self._cluster = {
            "namespaces": [plane.get("namespace", NAMESPACE)],
            "services": self.all("services"),
            "pods": list(self._pods.values()),
            "meshes": [plane.get("mesh", "default")],
        }

    def all(self, kind: str) -> list[Object]:
        return self.kuma.plane.all(kind, NAMESPACE)

    def _dataplanes(self) -> list[Object]:
        return self.all("dataplanes.kuma.io")

    def _ready(self) -> Iterator[str]:
        """The applications whose Dataplane says that it can be called."""
        for one in self._dataplanes():
            inbounds = one["spec"]["networking"]["inbound"]
            if all(inbound.get("health", {}).get("ready", True) for inbound in inbounds):
                yield inbounds[0]["tags"]["app"]

    def _name(self, app: str) -> str:
        return str(self._pods[app]["metadata"]["name"])

    def real(self, app: str, direction: str) -> Object:
        return _unhashed(envoys(self.kuma.config(self._name(app), NAMESPACE), direction))

    def lab(self, policies: list[Object], app: str, direction: str) -> Object:
        by_kind: dict[str, list[Object]] = {}
        for policy in policies:
            by_kind.setdefault(ARGUMENTS[policy["kind"]], []).append(policy)
        world = observe(self.kuma.lab, **self._cluster, **by_kind)
        name = self._name(app)
        (proxy,) = (one for one in world.proxies if one.name == name)
        return _unhashed(envoys(as_dump(resources(world, proxy)), direction))

    def differing(
        self, case: str, policies: list[Object], app: str, direction: str
    ) -> list[tuple[str, Any, Any]]:
        """Where the two differ, but for what is known."""
        found = differences([self.real(app, direction)], [self.lab(policies, app, direction)])
        where = f"{case} {app}"
        return [
            (path, theirs, ours)
            for path, theirs, ours in found
            if not any(one.covering(where, path.removeprefix("0.")) for one in KNOWN)
        ]

    def same(self, case: str, policies: list[Object], app: str, direction: str) -> None:
        """Fails the test if the two do not come to be the same; Kuma sees a policy in a while."""
        self.kuma.until(
            lambda: not self.differing(case, policies, app, direction),
            lambda: "\n".join(map(str, self.differing(case, policies, app, direction))),
            SEEN_SECONDS,
        )


def _unhashed(dump: Object) -> Object:
    """Without the hash of tags at the end of a cluster's name, which only Kuma itself can make."""
    plain: Object = json.loads(re.sub(r"(_svc_\d+)-[0-9a-f]{16}\b", r"\1", json.dumps(dump)))
    return plain


def _service(name: str, app: str) -> Object:
    port = {"name": "http", "port": 9898, "targetPort": 9898, "appProtocol": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": app}, "ports": [port]},
    }


def _deployment(app: str) -> Object:
    made = deployment(app)
    made["metadata"]["namespace"] = NAMESPACE
    return made


@pytest.fixture(scope="module")
def stage(kumas: Callable[[str], RealKuma]) -> Iterator[Stage]:
    made = Stage(kumas(RELEASE))
    yield made
    made.kuma.plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_sidecars_are_told_what_the_lab_tells_them(stage: Stage, file: Path) -> None:
    written = list(yaml.safe_load_all(file.read_text()))
    kept = [stage.kuma.create(item) for item in written]
    try:
        for app in ("client", "podinfo"):
            stage.same(file.stem, kept, app, "outbound")
        for app in ("podinfo", "podinfo-primary"):
            stage.same(file.stem, kept, app, "inbound")
    finally:
        for item in written:
            stage.kuma.delete(item)


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("gatewayapi/*")), ids=lambda file: file.stem)
def test_a_route_of_the_gateway_api_is_obeyed_as_in_the_lab(stage: Stage, file: Path) -> None:
    item = yaml.safe_load(file.read_text())
    kept = stage.kuma.create(item)
    services = {("test", one["metadata"]["name"]): one for one in stage.all("services")}
    namespaces = {"test": stage.kuma.plane.get("namespace", "test")}
    told = gamma.translate(stage.kuma.lab, kept, gamma.Cluster(services, namespaces))
    try:
        stage.same(file.stem, list(told.routes), "client", "outbound")
        plane = stage.kuma.plane
        (made,) = plane.all("meshhttproutes", SYSTEM_NAMESPACE)
        (wanted,) = told.routes
        assert made["metadata"]["name"] == wanted["metadata"]["name"]
        assert made["spec"] == wanted["spec"]
        (parent,) = plane.get("httproute", "podinfo", NAMESPACE)["status"]["parents"]
        for condition in parent["conditions"]:
            del condition["lastTransitionTime"]
        assert [parent] == list(told.parents)
    finally:
        stage.kuma.delete(item)
        stage.kuma.until(lambda: not stage.kuma.plane.all("meshhttproutes", SYSTEM_NAMESPACE))
