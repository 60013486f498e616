"""How routes are written for each Kuma that the lab plays, and what their parts are called in a
caller's Envoy: by service tag, by the MeshService's name, by its labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.mesh.mesh_objects import Obj, mesh, meshhttproute, podinfo_world, rule
from serinus.lab.mesh.model import World, observe
from serinus.lab.mesh.proxy import Resources, resources
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7, V2_14, V3_0, KumaVersion


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write routes, on one Kuma."""

    name: str
    version: KumaVersion
    mode: str | None

    @property
    def by_tag(self) -> bool:
        return self.mode != "Exclusive" and self.version is not V3_0

    def ref(self, service: str, namespace: str = "test") -> Obj:
        """What leads to port 9898 of a service, for `to`."""
        if self.by_tag:
            return {"kind": "MeshService", "name": f"{service}_{namespace}_svc_9898"}
        if self.version is V3_0:
            labels = {"kuma.io/display-name": service, "k8s.kuma.io/namespace": namespace}
            return {"kind": "MeshService", "labels": labels}
        return {"kind": "MeshService", "name": service, "namespace": namespace}

    def backend(self, service: str, weight: int = 1, namespace: str = "test") -> Obj:
        """The same, for `backendRefs`."""
        port = {} if self.by_tag else {"port": 9898}
        return {**self.ref(service, namespace), **port, "weight": weight}

    def route(self, *rules: Obj, to: Obj | None = None, **where: Any) -> Obj:
        """A route to podinfo, from where it is for callers of every namespace."""
        if self.version is V2_7:
            where.setdefault("namespace", SYSTEM_NAMESPACE)
        return {
            "kind": "MeshHTTPRoute",
            **meshhttproute(list(rules), to or self.ref("podinfo"), **where),
        }

    def split(self, primary: int, canary: int, **where: Any) -> Obj:
        """The usual route: weights and nothing else."""
        return self.route(self.weights(primary, canary), **where)

    def weights(self, primary: int, canary: int) -> Obj:
        """Its only rule."""
        return rule(
            self.backend("podinfo-primary", primary), self.backend("podinfo-canary", canary)
        )

    def cluster(self, service: str) -> str:
        """The caller's cluster for a backendRef; for the service itself, see ``own``."""
        if self.by_tag:
            return f"{service}_test_svc_9898"
        if self.version is V3_0:
            return f"kri_msvc_default_default_test_{service}_9898"
        return f"default_{service}_test_default_msvc_9898"

    @property
    def own(self) -> str:
        """The caller's cluster for podinfo where no route says otherwise."""
        if self.version is V3_0:
            return "kri_msvc_default_default_test_podinfo_http"
        return self.cluster("podinfo")

    @property
    def apex(self) -> str:
        """The caller's listener for podinfo."""
        return self.own if self.version is V3_0 else "outbound:10.96.0.10:9898"

    def world(self, policies: Sequence[Obj], **objects: Any) -> World:
        """podinfo's, with these policies; ``objects`` take the place of its own."""
        found: dict[str, Any] = {**podinfo_world(), "meshes": [mesh(self.mode)], **objects}

        def of(kind: str) -> list[Obj]:
            return [policy for policy in policies if policy["kind"] == kind]

        return observe(
            self.version,
            **found,
            traffic_routes=of("TrafficRoute"),
            http_routes=of("MeshHTTPRoute"),
            tcp_routes=of("MeshTCPRoute"),
            timeouts=of("MeshTimeout"),
            retries=of("MeshRetry"),
            proxy_patches=of("MeshProxyPatch"),
        )

    def config(
        self, policies: Sequence[Obj], who: str = "client-1.test", **objects: Any
    ) -> Resources:
        """What one proxy is told in that world."""
        world = self.world(policies, **objects)
        proxy = next(p for p in world.proxies if f"{p.name}.{p.namespace}" == who)
        return resources(world, proxy)

    def routes(
        self, policies: Sequence[Obj], who: str = "client-1.test", **objects: Any
    ) -> list[Obj]:
        """Its routes to podinfo."""
        return routes_of(self.config(policies, who, **objects), self.apex)


def routes_of(config: Resources, listener: str) -> list[Obj]:
    """The routes of a listener that speaks HTTP."""
    manager = config.listeners[listener]["filterChains"][0]["filters"][0]["typedConfig"]
    found: list[Obj] = manager["routeConfig"]["virtualHosts"][0]["routes"]
    return found


def leads_to(route: Obj) -> list[tuple[str, int]]:
    """The clusters of a route's action or of a proxy of connections, with their weights."""
    action = route.get("route", route)
    if "cluster" in action:
        return [(action["cluster"], 100)]
    return [(c["name"], c["weight"]) for c in action["weightedClusters"]["clusters"]]


DIALECTS = (
    Dialect("2.7", V2_7, None),
    Dialect("2.14-disabled", V2_14, "Disabled"),
    Dialect("2.14", V2_14, "Exclusive"),
    Dialect("3.0", V3_0, None),
)
TAGS_2_7, TAGS_2_14, NAMES, LABELS = DIALECTS
