"""What real control planes made of some objects, beside what the lab makes of the same.

Each file in ``observed/`` is one case: kuma-cp 2.7.29, 2.14.3 (MeshServices Disabled and Exclusive)
and 3.0-dev on a real API server with their webhooks, only what concerns podinfo. Both sides are
brought into one form; put aside on both are addresses (a listener is called by the service that it
leads to), uids, generations, and the name of the system namespace. A route is the one that
was applied then, as kubectl kept it, where it was accepted.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.mesh.mesh_objects import (
    ROUTE_ALL,
    Obj,
    form_a,
    form_b,
    form_c,
    mesh,
    podinfo_world,
    trafficroute,
)
from serinus.lab.apiserver.rest.body import objections
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.mesh import admission, objects
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.model import Proxy, World, observe
from serinus.lab.mesh.prometheus import labels
from serinus.lab.mesh.proxy import Resources, resources
from serinus.lab.mesh.versions import SYSTEM_NAMESPACE, V2_7, V2_14, V3_0, KumaVersion

OBSERVED = Path(__file__).parent / "observed"

_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"
SPLIT = trafficroute(
    "podinfo",
    "podinfo_test_svc_9898",
    [("podinfo-primary_test_svc_9898", 95), ("podinfo-canary_test_svc_9898", 5)],
)
_TRAFFICROUTES = {
    "trafficroute-alone": [SPLIT],
    "trafficroute-with-route-all": [SPLIT, ROUTE_ALL],
}
_REFUSED = {
    "form-a-app-namespace": form_a(95, 5),
    "form-a-system-namespace": form_a(95, 5, name="podinfo-test", namespace=SYSTEM_NAMESPACE),
    "form-b": form_b(95, 5),
    "form-c": form_c(95, 5),
}


@dataclass(frozen=True, slots=True)
class Plane:
    """One of the control planes that were observed."""

    prefix: str
    version: KumaVersion
    mode: str | None

    def world(self, routes: list[Obj]) -> World:
        found = podinfo_world()
        for service in found["services"]:
            if service["metadata"]["name"] == "client":
                service["metadata"]["labels"] = {}
        return observe(
            self.version,
            **found,
            meshes=[mesh(self.mode)],
            traffic_routes=[route for route in routes if route["kind"] == "TrafficRoute"],
            http_routes=[route for route in routes if route["kind"] == "MeshHTTPRoute"],
        )

    def config(self, routes: list[Obj], who: str) -> Resources:
        world = self.world(routes)
        return resources(world, _proxy(world, who))

    def completed(self, route: Obj) -> Obj:
        """A route as it is kept, with what the webhooks add."""
        return admission.completed(self.version, route, "")


PLANES = (
    Plane("2.7.29", V2_7, None),
    Plane("2.14.3-disabled", V2_14, "Disabled"),
    Plane("2.14.3-exclusive", V2_14, "Exclusive"),
    Plane("3.0-dev", V3_0, None),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One observation: how to read it, and the lab's own."""

    name: str
    theirs: Callable[[], Any] = field(repr=False)
    ours: Callable[[], Any] = field(repr=False)


def cases() -> Iterator[Case]:
    """All of them, in the order of their names."""
    for file in sorted(OBSERVED.iterdir()):
        plane = next(one for one in PLANES if file.name.startswith(one.prefix + "-"))
        yield _case(plane, file, file.name.removeprefix(plane.prefix + "-"))


def _case(plane: Plane, file: Path, what: str) -> Case:
    text = file.read_text().replace("kuma-system", SYSTEM_NAMESPACE)
    name, _, ending = what.partition(".")
    if ending == "refused.txt":
        return Case(file.name, lambda: _refused(text), lambda: _refusal(plane, _REFUSED[name]))
    if name == "canary-metrics":
        return Case(file.name, lambda: _series(text), lambda: _our_series(plane))
    loaded = json.loads(text)
    if name == "meshservices":
        return Case(file.name, lambda: _by_name(loaded), lambda: _our_mesh_services(plane))
    if name == "dataplanes":
        return Case(file.name, lambda: _by_name(loaded), lambda: _our_dataplanes(plane))
    if name.endswith("-metadata"):
        route = _applied(loaded)
        return Case(
            file.name,
            lambda: _metadata(loaded),
            lambda: _metadata(plane.completed(route)["metadata"]),
        )
    direction, who = "outbound", "client-1.test"
    if name == "canary-inbound":
        direction, who = "inbound", "podinfo-1.test"
    elif name.endswith("-client-in-other-namespace"):
        who = "client-1.other"
    return Case(
        file.name,
        lambda: envoys(loaded, direction),
        lambda: envoys(as_dump(plane.config(_routes(plane, name), who)), direction),
    )


def _routes(plane: Plane, name: str) -> list[Obj]:
    """What was there when a proxy's configuration was read."""
    if name in _TRAFFICROUTES:
        return [{"kind": "TrafficRoute", **route} for route in _TRAFFICROUTES[name]]
    kept = name.removesuffix("-client-in-other-namespace")
    file = OBSERVED / f"{plane.prefix}-{kept}-metadata.json"
    if not file.exists():
        return []
    text = file.read_text().replace("kuma-system", SYSTEM_NAMESPACE)
    return [plane.completed(_applied(json.loads(text)))]


def _applied(metadata: Obj) -> Obj:
    applied: Obj = json.loads(metadata["annotations"][_KUBECTL])
    return applied


def _proxy(world: World, who: str) -> Proxy:
    return next(p for p in world.proxies if f"{p.name}.{p.namespace}" == who)


def as_dump(config: Resources) -> Obj:
    return {
        "Listener": config.listeners,
        "Cluster": config.clusters,
        "ClusterLoadAssignment": config.assignments,
    }


def envoys(dump: Obj, direction: str) -> Obj:
    """What both sides can say of a proxy's configuration: podinfo's listeners, clusters, and
    endpoints; of the way in, what belongs to it."""
    listeners = {}
    for listener in dump.get("Listener", {}).values():
        if listener.get("trafficDirection", "").lower() != direction or "metadata" not in listener:
            if listener["name"] == "kuma:dns":
                listeners["kuma:dns"] = listener
            continue
        tags = listener["metadata"]["filterMetadata"]["io.kuma.tags"]
        service = tags.get("kuma.io/service") or tags.get("kuma.io/unified-name") or tags["app"]
        address = listener["address"]["socketAddress"]
        if direction == "outbound" and "podinfo" in service:
            virtual = address["address"].startswith("240.")
            listeners[f"{service} by its virtual address" if virtual else service] = {
                **listener,
                "name": listener["name"].replace(address["address"], "ADDRESS"),
                "address": {"socketAddress": {**address, "address": "ADDRESS"}},
            }
        elif direction == "inbound":
            listeners[listener["name"]] = listener
    return {
        "Listener": listeners,
        "Cluster": {
            name: cluster
            for name, cluster in dump.get("Cluster", {}).items()
            if (
                "podinfo" in name
                if direction == "outbound"
                else name.startswith(("localhost", "self_inbound", "self_transparentproxy_no"))
            )
        },
        "ClusterLoadAssignment": {
            name: assignment
            for name, assignment in dump.get("ClusterLoadAssignment", {}).items()
            if direction == "outbound" and "podinfo" in name
        },
    }


def _metadata(metadata: Obj) -> Obj:
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(_KUBECTL, None)
    return {
        "labels": metadata["labels"],
        "annotations": annotations,
        "ownerReferences": [{**owner, "uid": ""} for owner in metadata["ownerReferences"]],
    }


def _by_name(listed: list[Obj]) -> Obj:
    found = {}
    for obj in listed:
        meta = {key: value for key, value in obj["metadata"].items() if key != "generation"}
        owners = [{**owner, "uid": ""} for owner in meta["ownerReferences"]]
        one = {**obj, "metadata": {**meta, "ownerReferences": owners}}
        if "vips" in one.get("status", {}):
            one["status"] = {**one["status"], "vips": [{"ip": "ADDRESS"}]}
        found[meta["name"]] = one
    return found


def _our_mesh_services(plane: Plane) -> Obj:
    made = objects.mesh_services(plane.world([]))
    return _by_name([obj for obj in made if obj["metadata"]["namespace"] == "test"])


def _our_dataplanes(plane: Plane) -> Obj:
    world = plane.world([])
    return _by_name(
        [objects.dataplane(world, p, "") for p in world.proxies if p.namespace == "test"]
    )


def _series(text: str) -> Obj:
    """The labels of a canary's series; all lines have the same."""
    found = {tuple(re.findall(r'(\w+)="([^"]*)"', line)) for line in text.splitlines()}
    (one,) = found
    return dict(one)


def _our_series(plane: Plane) -> Obj:
    world = plane.world([])
    proxy = _proxy(world, "podinfo-1.test")
    (cluster,) = (
        cluster.get("altStatName", name)
        for name, cluster in resources(world, proxy).clusters.items()
        if name.startswith(("localhost", "self_inbound"))
    )
    return {**labels(plane.version, proxy), "envoy_cluster_name": cluster}


def _refused(text: str) -> Obj:
    """kubectl's words, from which the API server's answer can be told."""
    found = re.fullmatch(
        r'Error from server \((\w+)\): error when creating "STDIN": '
        r'(?:admission webhook "[^"]+" denied the request: )?(.*)',
        text.strip(),
    )
    assert found is not None
    return {"reason": found[1], "message": found[2]}


def _refusal(plane: Plane, route: Obj) -> Obj:
    """The lab's answer: its API server objects to what the schema does not know, then its webhook
    is asked."""
    registry = Registry()
    for definition in definitions(plane.version):
        registry.add_crd(definition)
    kind = registry.by_kind("kuma.io", "v1alpha1", "MeshHTTPRoute")
    assert kind is not None
    full = {"apiVersion": "kuma.io/v1alpha1", "kind": "MeshHTTPRoute", **route}
    if unknown := objections(kind, full, []):
        message = (
            'MeshHTTPRoute in version "v1alpha1" cannot be handled as a MeshHTTPRoute: '
            f"strict decoding error: {', '.join(unknown)}"
        )
        return {"reason": "BadRequest", "message": message}
    refusal = admission.refusal(plane.version, full, {"default": mesh(plane.mode)})
    assert refusal is not None
    return {"reason": refusal.reason, "message": refusal.message}
