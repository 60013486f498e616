"""The node's columns."""

from typing import Any

from serinus.lab.apiserver.tables.column import (
    AGE,
    NAME,
    NONE,
    Object,
    at,
    computed,
    condition,
    joined,
    shown,
    wide,
)


def _node_status(node: Object) -> str:
    ready = condition(node, "Ready").get("status")
    words = ["Ready" if ready == "True" else "NotReady"] if ready else ["Unknown"]
    if at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = at(node, "metadata", "labels") or {}
    return joined(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix)))


def _node_address(kind: str) -> Any:
    def cell(node: Object) -> str:
        addresses = at(node, "status", "addresses") or []
        return next((str(a.get("address")) for a in addresses if a.get("type") == kind), NONE)

    return cell


NODE = (
    NAME,
    computed("Status", _node_status),
    computed("Roles", _node_roles),
    AGE,
    shown("Version", "status", "nodeInfo", "kubeletVersion", default=""),
    wide(computed("Internal-IP", _node_address("InternalIP"))),
    wide(computed("External-IP", _node_address("ExternalIP"))),
    wide(shown("OS-Image", "status", "nodeInfo", "osImage", default="<unknown>")),
    wide(shown("Kernel-Version", "status", "nodeInfo", "kernelVersion", default="<unknown>")),
    wide(
        shown(
            "Container-Runtime",
            "status",
            "nodeInfo",
            "containerRuntimeVersion",
            default="<unknown>",
        )
    ),
)
