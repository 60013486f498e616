"""What an object has when its author does not say: schema defaults, and those of built-in kinds.

A custom resource's defaults stand in its schema. Those of built-in types live in Kubernetes' code;
here they are two tables by type: plain values, and rules for what follows from other fields. One
walk from the outside in applies both, so that what a rule adds gets its own defaults in turn.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from serinus.lab.apiserver.schema import workload_defaults as workload
from serinus.lab.apiserver.schema.prune import child_schema
from serinus.lab.apiserver.schema.quantity import QUANTITY, canonical
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.schema.schema import UNSET, Schema

Object = dict[str, Any]

_WEBHOOK: Final[Object] = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}

_WORKLOADS: Final = tuple(
    f"apps.v1.{kind}" for kind in ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
)

VALUES: Final[Mapping[str, Object]] = {
    **workload.VALUES,
    **{name: {"spec": {}} for name in _WORKLOADS},
    "core.v1.Service": {"status": {"loadBalancer": {}}},
    "core.v1.ServiceSpec": {"sessionAffinity": "None", "type": "ClusterIP"},
    "core.v1.ServicePort": {"protocol": "TCP"},
    "core.v1.EndpointPort": {"protocol": "TCP"},
    "core.v1.ClientIPConfig": {"timeoutSeconds": 10800},
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.NamespaceStatus": {"phase": "Active"},
    "core.v1.PersistentVolumeSpec": {
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    },
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "networking.v1.NetworkPolicyPort": {"protocol": "TCP"},
    "discovery.v1.EndpointPort": {"name": "", "protocol": "TCP"},
    "rbac.v1.RoleRef": {"apiGroup": "rbac.authorization.k8s.io"},
    "storage.v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "admissionregistration.v1.ValidatingWebhook": _WEBHOOK,
    "admissionregistration.v1.MutatingWebhook": {**_WEBHOOK, "reinvocationPolicy": "Never"},
    "admissionregistration.v1.RuleWithOperations": {"scope": "*"},
    "admissionregistration.v1.ServiceReference": {"port": 443},
}


def _service(spec: Object) -> None:
    kind = spec.get("type")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec.get("clusterIP"):
            spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec.get("sessionAffinity") == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec.get("sessionAffinity") == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {}})


def _service_port(port: Object) -> None:
    if port.get("targetPort") in (None, 0, "") and "port" in port:
        port["targetPort"] = port["port"]


def _namespace(namespace: Object) -> None:
    metadata = namespace.get("metadata")
    if isinstance(metadata, dict) and metadata.get("name"):
        labels = metadata.get("labels")
        name = {"kubernetes.io/metadata.name": metadata["name"]}
        metadata["labels"] = {**labels, **name} if isinstance(labels, dict) else name


def _subject(subject: Object) -> None:
    if subject.get("kind") in ("User", "Group"):
        subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _network_policy(spec: Object) -> None:
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _node_status(status: Object) -> None:
    if status.get("capacity"):
        status.setdefault("allocatable", status["capacity"])


def _definition(spec: Object) -> None:
    spec.setdefault("conversion", {"strategy": "None"})
    names = spec.get("names")
    if isinstance(names, dict) and isinstance(names.get("kind"), str):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")


RULES: Final[Mapping[str, Callable[[Object], None]]] = {
    **workload.RULES,
    "core.v1.ServiceSpec": _service,
    "core.v1.ServicePort": _service_port,
    "core.v1.Namespace": _namespace,
    "core.v1.NodeStatus": _node_status,
    "rbac.v1.Subject": _subject,
    "networking.v1.NetworkPolicySpec": _network_policy,
    "apiextensions.v1.CustomResourceDefinitionSpec": _definition,
}

_PREFIXES: Final = (
    "io.k8s.api.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
)


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""


def apply_defaults(kind: Kind, obj: Object) -> None:
    """Fills ``obj`` in place, and writes quantities in their canonical form. What is of the wrong
    type is left for validation to find."""
    _apply(kind.schema, obj)


def _apply(schema: Schema, value: Any) -> None:
    if isinstance(value, list):
        if schema.items is not None:
            for item in value:
                _apply(schema.items, item)
        return
    if not isinstance(value, dict):
        return
    short = _short(schema.name)
    _set_values(schema, short, value)
    if short in RULES:
        RULES[short](value)
    for key in list(value):
        below = child_schema(schema, key)
        if below is None:
            continue
        if short and value[key] == {} and below.additional is not None:
            # An empty map of a built-in type is as good as none.
            if key not in schema.required:
                del value[key]
        else:
            value[key] = _applied(below, value[key])


def _set_values(schema: Schema, short: str, value: Object) -> None:
    for key, default in VALUES.get(short, {}).items():
        if _is_absent(value, key, default):
            value[key] = copy.deepcopy(default)
    for key, child in schema.properties.items():
        if child.default is not UNSET and (
            key not in value or (value[key] is None and not child.nullable)
        ):
            value[key] = copy.deepcopy(child.default)


def _applied(schema: Schema, value: Any) -> Any:
    if schema.name == QUANTITY:
        return canonical(value)
    if isinstance(value, dict | list):
        _apply(schema, value)
    return value


def _is_absent(value: Object, key: str, default: Any) -> bool:
    """Go cannot tell an empty string from none."""
    given = value.get(key)
    return given is None or (given == "" and default != "")
