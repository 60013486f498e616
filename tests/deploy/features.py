"""Canaries side by side that ask for what the guide's story does not.

``shop`` has ConfigMaps and Secrets, a ScaledObject, cookies, a timeout, retries, and an apex that
was there before it and gets its selector back; ``agent`` is a DaemonSet; ``tagged`` is led to by
service tags, ``gated`` by an HTTPRoute, ``piped`` by a MeshTCPRoute.
"""

from typing import Any

from executor.scene import Scene
from faults.proxy import Refuse, Rule
from serinus.cluster.kinds import SCALEDOBJECTS
from serinus.routing.kuma.dialect import ANNOTATION

Object = dict[str, Any]
POLICIES = ("meshtimeout/shop", "meshretry/shop", "meshproxypatch/shop-primary-affinity")
HIDDEN = {"red": "cmVk", "blue": "Ymx1ZQ=="}


def keda() -> Object:
    """KEDA's kind, with any content."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"kind": SCALEDOBJECTS.kind, "plural": SCALEDOBJECTS.plural}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything}}}
    version = {"name": SCALEDOBJECTS.version, "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{SCALEDOBJECTS.plural}.{SCALEDOBJECTS.group}"},
        "spec": {
            "group": SCALEDOBJECTS.group,
            "scope": "Namespaced",
            "names": {**names, "singular": "scaledobject", "listKind": "ScaledObjectList"},
            "versions": [version],
        },
    }


def settings(color: str) -> list[Object]:
    """A ConfigMap and a Secret that may change, and one of each that may not."""
    maps: list[Object] = [
        {"kind": "ConfigMap", "metadata": {"name": "ui"}, "data": {"color": color}},
        {"kind": "ConfigMap", "metadata": {"name": "fixed"}, "data": {"color": color}},
    ]
    secrets: list[Object] = [
        {"kind": "Secret", "metadata": {"name": "ui"}, "data": {"color": HIDDEN[color]}},
        {"kind": "Secret", "metadata": {"name": "fixed"}, "data": {"color": HIDDEN[color]}},
    ]
    return [
        {"apiVersion": "v1", **each, "immutable": each["metadata"]["name"] == "fixed"}
        for each in (*maps, *secrets)
    ]


def shop(scene: Scene) -> list[Object]:
    target = scene.target("shop")
    (container,) = target["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [
        {kind: {"name": name}} for kind in ("configMapRef", "secretRef") for name in ("ui", "fixed")
    ]
    port = {"name": "http", "port": 9898, "appProtocol": "http"}
    apex = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "shop"}, "ports": [port]},
    }
    trigger = {"type": "cron", "metadata": {"desiredReplicas": "1"}}
    scaler = {"apiVersion": SCALEDOBJECTS.api_version, "kind": SCALEDOBJECTS.kind}
    scaled = {"scaleTargetRef": {"name": "shop"}, "minReplicaCount": 1, "triggers": [trigger]}
    affinity = {"cookieName": "side", "primaryCookieName": "rest"}
    canary = scene.canary("shop", "shop", threshold=10_000, stepWeight=10, sessionAffinity=affinity)
    canary["spec"]["service"] |= {"timeout": "15s", "retries": {"attempts": 2}}
    canary["spec"] |= {"revertOnDeletion": True, "autoscalerRef": {**scaler, "name": "shop"}}
    return [
        *settings("red"),
        apex,
        {**scaler, "metadata": {"name": "shop"}, "spec": scaled},
        target,
        *scene.mesh_services("shop"),
        canary,
    ]


def agent(scene: Scene) -> list[Object]:
    target = scene.target("agent")
    spec = {key: target["spec"][key] for key in ("selector", "template")}
    canary = scene.canary("agent", "agent", threshold=10_000)
    canary["spec"]["targetRef"]["kind"] = "DaemonSet"
    return [
        {**target, "kind": "DaemonSet", "spec": spec},
        *scene.mesh_services("agent"),
        canary,
    ]


def tagged(scene: Scene) -> list[Object]:
    canary = scene.canary("tagged", "tagged")
    canary["metadata"]["annotations"] = {ANNOTATION: "service-tag"}
    return [scene.target("tagged"), scene.dataplane("tagged"), canary]


def gated(scene: Scene) -> list[Object]:
    canary = scene.canary("gated", "gated")
    canary["spec"]["provider"] = "gatewayapi:v1"
    canary["spec"]["service"]["gatewayRefs"] = [{"group": "", "kind": "Service", "name": "gated"}]
    return [scene.target("gated"), *scene.mesh_services("gated"), canary]


def piped(scene: Scene) -> list[Object]:
    canary = scene.canary("piped", "piped", metrics=[])
    canary["spec"]["service"]["appProtocol"] = "tcp"
    return [scene.target("piped"), *scene.mesh_services("piped"), canary]


def others(scene: Scene) -> None:
    """Each write is asked for, and where a conflict has it done anew, the reading before that."""
    conflicts = [
        Rule(Refuse(409), f"/{plural}\\b", ("POST",), times=1)
        for plural in (
            "meshtimeouts",
            "meshretries",
            "meshproxypatches",
            "httproutes",
            "meshtcproutes",
        )
    ]
    scene.peers.rules.extend(conflicts)
    scene.apply(*shop(scene), *agent(scene), *tagged(scene), *gated(scene), *piped(scene))
    for name in ("shop", "agent", "tagged", "gated", "piped"):
        scene.await_phase("Initialized", name)
    for name in ("tagged", "gated", "piped"):
        scene.release("v2", name)
        scene.await_phase("Succeeded", name)

    scene.within("delete", "configmap,secret", "fixed")
    scene.apply(*settings("blue"))
    scene.within("set", "image", "daemonset/agent", "app=play:v2")
    scene.canaries.until(lambda: scene.status("shop").get("canaryWeight", 0) > 0)
    scene.peers.success = 0.0
    failed = scene.status("shop").get("failedChecks", 0)
    scene.canaries.until(lambda: scene.status("shop").get("failedChecks", 0) > failed)
    for policy in POLICIES:
        kind, _, name = policy.partition("/")
        scene.patch(kind, name, {"metadata": {"annotations": {"flagger.app/canary": None}}})
    scene.peers.success = 100.0
    for name in ("shop", "agent"):
        scene.await_phase("Succeeded", name)
    assert [rule.used for rule in conflicts] == [1] * 5
    for kind, value in (("configmap", "blue"), ("secret", HIDDEN["blue"])):
        for name in ("ui-primary", "fixed-primary"):
            shown = scene.within("get", kind, name, "-o", "jsonpath={.data.color}")
            assert shown == value

    scene.within("delete", "canary", "shop", "agent", "tagged", "gated", "piped")
    scene.services.until(
        lambda: scene.services.latest["shop"]["spec"]["selector"] == {"app": "shop"}
    )
