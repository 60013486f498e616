"""A namespace of a played cluster with Kuma in it, an operator, and a person with kubectl."""

import contextlib
import itertools
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from executor.peers import Peers
from executor.process import REPOSITORY, Operator
from executor.watching import Watch
from lab.controllers.played_cluster import TOKEN, Cluster, deployment
from serinus.lab.mesh.crds import definitions, foreign
from serinus.lab.mesh.defaults import mesh, namespaces, policies
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, played
from serinus.routing.kuma.addressing import DISPLAY_NAME

Object = dict[str, Any]
_NUMBERS = itertools.count(1)
ROLES = ("podinfo", "podinfo-primary", "podinfo-canary")


class Furnished:
    """A cluster with Kuma's kinds and Mesh, the canaries' kinds, and the operator's account; no
    control plane of Kuma's. ``token`` is an administrator's."""

    root: Path
    version: str
    token: str
    peers: Peers

    def furnish(self, peers: Peers) -> None:
        """Put everything there; ``peers`` are begun here, and end with the cluster."""
        self.peers = peers.__enter__()
        kuma = played(self.version)
        self.apply(*definitions(kuma))
        token = self.install()
        self.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        routes = [one for one in policies(kuma) if one["kind"] == "TrafficRoute"]
        self.apply(*namespaces(), mesh(kuma), *routes)
        self.write_account(token)

    def write_account(self, token: str) -> None:
        """The operator's kubeconfig, which leads it through the peers."""
        self.account = self.root / "operator.kubeconfig"
        self.account.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "operator",
                    "contexts": [{"name": "operator", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": {"server": self.peers.api}}],
                    "users": [{"name": "u", "user": {"token": token}}],
                }
            )
        )

    def upgrade(self, version: str) -> None:
        """Have the kinds of another Kuma, as far as an operator sees that: the definitions are
        replaced, and those of old kinds go."""
        wanted = definitions(played(version))
        found = json.loads(self.kubectl("get", "crd", "-o", "json"))["items"]
        self.apply(*wanted)
        for name in foreign(wanted, found):
            self.kubectl("delete", "crd", name)
        self.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        self.version = version

    def install(self) -> str:
        """The canaries' kinds and the operator's account, as shipped; returns a token of it."""
        for path in sorted((REPOSITORY / "deploy/crds").glob("*s.yaml")):
            self.kubectl("apply", "--server-side", "-f", str(path))
        account = REPOSITORY / "deploy/kustomize/kuma/account.yaml"
        self.kubectl("apply", "-n", "default", "-f", str(account))
        return self.kubectl("create", "token", "flagger").strip()


class KumaCluster(Cluster, Furnished):
    """On the lab's API server."""

    token = TOKEN

    def __init__(self, root: Path, version: str) -> None:
        super().__init__(root)
        self.root = root
        self.version = version

    def start(self) -> None:
        super().start()
        self.furnish(Peers(self.address))

    @property
    def address(self) -> str:
        return self._address

    def stop(self) -> None:
        if hasattr(self, "peers"):
            self.peers.__exit__()
        super().stop()

    def kill_server(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGKILL)
        self._server.wait()

    def start_server(self) -> None:
        """The same server again, over the same files."""
        listener = socket.create_server(("127.0.0.1", int(self._address.rpartition(":")[2])))
        log = (self.root / "apiserver.log").open("ab")
        self._server = subprocess.Popen(
            [
                *(sys.executable, "-m", "serinus.lab.apiserver", "--root", str(self.root)),
                *("--fd", str(listener.fileno())),
            ],
            pass_fds=[listener.fileno()],
            stderr=log,
        )
        listener.close()


class Scene:
    """One test's namespace. Everything that it starts ends with `close`."""

    def __init__(self, cluster: Any, name: str = "") -> None:
        self.cluster = cluster
        self.peers = cluster.peers
        self.namespace = name or f"test-{next(_NUMBERS)}"
        self._watches: dict[str, Watch] = {}
        self._operators: list[Operator] = []
        peers = self.peers
        peers.success, peers.prometheus, peers.hook_status, peers.cut = 100.0, None, 200, None
        peers.refused = ""
        for seen in (peers.requests, peers.hooks, peers.queries):
            seen.clear()
        self.kubectl("create", "namespace", self.namespace)

    @property
    def by_traffic_route(self) -> bool:
        return self.cluster.version == "1.8"

    @property
    def by_tag(self) -> bool:
        """Whether routes lead to service tags, in the namespace of Kuma's control plane."""
        return not (self.by_traffic_route or played(self.cluster.version).has_meshservice)

    # -- the operator ----------------------------------------------------------------------

    def start(self, *flags: str, everywhere: bool = False) -> Operator:
        """An operator that is ready, of this namespace or of all."""
        if not everywhere:
            flags = (f"-namespace={self.namespace}", *flags)
        operator = Operator(
            self.cluster.account,
            self.cluster.root / f"{self.namespace}.log",
            "-minimum-interval=100ms",
            "-route-propagation=50ms",
            f"-metrics-server={self.peers.http}",
            "-include-label-prefix=app.kubernetes.io",
            *flags,
        )
        self._operators.append(operator)
        operator.wait_ready()
        return operator

    def close(self) -> None:
        for operator in self._operators:
            if operator.runs:
                operator.stop()
        for watch in self._watches.values():
            watch.stop()
        self.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")
        if self.by_traffic_route or self.by_tag:
            # Those that do not go with the namespace.
            kind = "trafficroute" if self.by_traffic_route else "meshhttproute"
            for route in self.cluster.all(kind, SYSTEM_NAMESPACE):
                if self._is_ours(route):
                    where = ("-n", SYSTEM_NAMESPACE, kind, route["metadata"]["name"])
                    self.kubectl("delete", *where, "--ignore-not-found")

    # -- what a person does ----------------------------------------------------------------

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.cluster.kubectl(*arguments, stdin=stdin, check=check)

    def within(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """kubectl in the scene's namespace."""
        return self.kubectl("-n", self.namespace, *arguments, stdin=stdin, check=check)

    def apply(self, *objects: Object) -> None:
        self.within("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    def target(self, name: str = "podinfo", tag: str = "v1", **spec: Any) -> Object:
        made = deployment(name, tag, **spec)
        made["metadata"]["namespace"] = self.namespace
        return made

    def canary(self, name: str = "podinfo", target: str = "podinfo", **analysis: Any) -> Object:
        """Two steps of 25 to 50 percent, 3 times a second, and two failures allowed."""
        return {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
                "progressDeadlineSeconds": 60,
                "service": {"port": 9898, "appProtocol": "http"},
                "analysis": {
                    "interval": "300ms",
                    "threshold": 2,
                    "maxWeight": 50,
                    "stepWeight": 25,
                    "metrics": [
                        {
                            "name": "request-success-rate",
                            "thresholdRange": {"min": 99},
                            "interval": "1m",
                        }
                    ],
                    **analysis,
                },
            },
        }

    def mesh_services(self, apex: str = "podinfo") -> list[Object]:
        """What Kuma makes of the Services; made at once here."""
        if not played(self.cluster.version).has_meshservice:
            return []
        port = {"port": 9898, "targetPort": 9898, "name": "http", "appProtocol": "http"}

        def selector(app: str) -> Object:
            if played(self.cluster.version).inbound_tags:
                return {"dataplaneTags": {"app": app}}
            return {"dataplaneLabels": {"matchLabels": {"app": app}}}

        return [
            {
                "apiVersion": "kuma.io/v1alpha1",
                "kind": "MeshService",
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "labels": {"kuma.io/mesh": "default"},
                },
                "spec": {"ports": [port], "selector": selector(name)},
            }
            for name in (apex, f"{apex}-primary", f"{apex}-canary")
        ]

    def dataplane(self, apex: str = "podinfo") -> Object:
        """What Kuma makes of a pod of the canary's."""
        tag = f"{apex}-canary_{self.namespace}_svc_9898"
        inbound = {"port": 9898, "tags": {"kuma.io/service": tag}, "health": {"ready": True}}
        return {
            "apiVersion": "kuma.io/v1alpha1",
            "kind": "Dataplane",
            "mesh": "default",
            "metadata": {"name": apex, "namespace": self.namespace},
            "spec": {"networking": {"address": "10.244.1.99", "inbound": [inbound]}},
        }

    def begin(self, canary: Object | None = None, tag: str = "v1") -> None:
        """Have a canary that is initialized; an operator has to run."""
        canary = canary or self.canary()
        target = canary["spec"]["targetRef"]["name"]
        self.apply(self.target(target, tag), *self.mesh_services(target), canary)
        self.await_phase("Initialized", canary["metadata"]["name"])

    def release(self, tag: str, target: str = "podinfo") -> None:
        self.within("set", "image", f"deployment/{target}", f"app=play:{tag}")

    def hold(self, canary: Object | None = None) -> None:
        """From Initialized, go to 25 percent with v2 and stay there: every check fails, and may."""
        self.begin(canary or self.canary(threshold=10_000))
        self.release("v2")
        self.await_weight(25)
        self.peers.success = 0.0
        self.canaries.until(lambda: self.status().get("failedChecks", 0) > 0)

    def patch(self, kind: str, name: str, change: Object | list[Object]) -> None:
        how = "json" if isinstance(change, list) else "merge"
        self.within("patch", kind, name, f"--type={how}", "-p", json.dumps(change))

    # -- what a person sees ----------------------------------------------------------------

    def watch(self, resource: str, namespace: str = "") -> Watch:
        """``resource`` as in a path: ``apis/flagger.app/v1beta1/canaries``; in the scene's
        namespace if in no other."""
        group, _, plural = resource.rpartition("/")
        space = f"/namespaces/{namespace or self.namespace}"
        path = f"/{group}{'' if plural == 'trafficroutes' else space}/{plural}"
        if path not in self._watches:
            self._watches[path] = Watch(self.cluster.address, self.cluster.token, path)
        return self._watches[path]

    @property
    def canaries(self) -> Watch:
        return self.watch("apis/flagger.app/v1beta1/canaries")

    @property
    def events(self) -> Watch:
        return self.watch("api/v1/events")

    @property
    def deployments(self) -> Watch:
        return self.watch("apis/apps/v1/deployments")

    @property
    def services(self) -> Watch:
        return self.watch("api/v1/services")

    @property
    def routes(self) -> Watch:
        plural = "trafficroutes" if self.by_traffic_route else "meshhttproutes"
        home = SYSTEM_NAMESPACE if self.by_tag else ""
        return self.watch(f"apis/kuma.io/v1alpha1/{plural}", home)

    def status(self, name: str = "podinfo") -> Object:
        found: Object = self.canaries.latest.get(name, {}).get("status") or {}
        return found

    def phase(self, name: str = "podinfo") -> str:
        return str(self.status(name).get("phase", ""))

    def await_phase(self, phase: str, name: str = "podinfo") -> None:
        self.canaries.until(lambda: self.phase(name) == phase, phase)

    def await_weight(self, weight: int, name: str = "podinfo") -> None:
        self.canaries.until(lambda: self.status(name).get("canaryWeight") == weight)

    def condition(self, kind: str, name: str = "podinfo") -> Object:
        conditions = self.status(name).get("conditions") or []
        return next((one for one in conditions if one["type"] == kind), {})

    def await_ready(self, value: str, *words: str, name: str = "podinfo") -> None:
        def holds() -> bool:
            found = self.condition("Ready", name)
            message = found.get("message", "")
            return found.get("status") == value and all(word in message for word in words)

        self.canaries.until(holds, words)

    def messages(self, name: str = "podinfo") -> Counter[str]:
        """How often each thing was said about a canary."""
        told: Counter[str] = Counter()
        for event in list(self.events.latest.values()):
            if (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == (
                "Canary",
                name,
            ):
                told[event["message"]] += event["count"]
        return told

    def await_message(self, words: str, name: str = "podinfo") -> None:
        self.events.until(lambda: any(words in told for told in self.messages(name)), words)

    def image(self, name: str) -> str:
        """What a Deployment runs."""
        found = json.loads(self.within("get", "deployment", name, "-o", "json"))
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def images(self, name: str) -> list[str]:
        """Each image that a Deployment was to run, in order, without repetitions."""
        found = [
            one["spec"]["template"]["spec"]["containers"][0]["image"]
            for one in list(self.deployments.history)
            if one["metadata"]["name"] == name
        ]
        return [one for one, before in zip(found, [None, *found], strict=False) if one != before]

    def weights(self, apex: str = "podinfo") -> list[tuple[int, int]]:
        """Each split that the route has carried, in order, without repetitions. What Kuma 3 leaves
        of references by name carries none."""
        splits = (
            _split(route)
            for route in list(self.routes.history)
            if route["metadata"]["name"] in (apex, f"{apex}-{self.namespace}")
            and self._leads_here(route)
        )
        found = [split for split in splits if split is not None]
        return [one for one, before in zip(found, [None, *found], strict=False) if one != before]

    def _leads_here(self, route: Object) -> bool:
        """Whether a route is about a Service here; some dialects' stand beside those of others."""
        about = route["spec"].get("destinations") or route["spec"]["to"]
        elsewhere = self.by_traffic_route or self.by_tag
        return not elsewhere or f"_{self.namespace}_svc_" in json.dumps(about)

    def _is_ours(self, route: Object) -> bool:
        """Whether a route was made for a canary here."""
        marks = route["metadata"].get("annotations") or {}
        return str(marks.get("flagger.app/canary", "")).startswith(f"{self.namespace}/")

    def phases(self, name: str = "podinfo") -> list[str]:
        found = [
            (one.get("status") or {}).get("phase", "")
            for one in list(self.canaries.history)
            if one["metadata"]["name"] == name
        ]
        return [one for one, before in zip(found, [None, *found], strict=False) if one != before]

    def generated(self) -> dict[str, str]:
        """The versions of what Serinus made, as `kubectl get` shows them."""
        kinds = "deployments,services," + (
            "trafficroutes" if self.by_traffic_route else "meshhttproutes"
        )
        items = json.loads(self.within("get", kinds, "-o", "json"))["items"]
        return {
            f"{item['kind']}/{item['metadata']['name']}": _content(item)
            for item in items
            if item["kind"] == "TrafficRoute" or item["metadata"].get("ownerReferences")
        }


def _content(item: Object) -> str:
    """Everything but the status, and the version only where status does not share it."""
    made = deepcopy(item)
    made.pop("status", None)
    if item["kind"] == "Deployment":
        del made["metadata"]["resourceVersion"]
        made["metadata"]["annotations"].pop("deployment.kubernetes.io/revision", None)
    return json.dumps(made, sort_keys=True)


def _split(route: Object) -> tuple[int, int] | None:
    if route["kind"] == "TrafficRoute":
        primary, canary = (one["weight"] for one in route["spec"]["conf"]["split"])
        return primary, canary
    refs = route["spec"]["to"][0]["rules"][0]["default"]["backendRefs"]
    shares = {service_of(ref): ref["weight"] for ref in refs}
    if set(shares) == {""}:
        return None
    return shares["podinfo-primary"], shares["podinfo-canary"]


def service_of(ref: Object) -> str:
    """The Service that a reference of a MeshHTTPRoute leads to, by labels, service tag or name;
    empty for none."""
    named: str = ref.get("labels", {}).get(DISPLAY_NAME) or ref.get("name", "")
    return named.partition("_")[0]


@contextlib.contextmanager
def scene(cluster: Any) -> Iterator[Scene]:
    made = Scene(cluster)
    try:
        yield made
    finally:
        made.close()
