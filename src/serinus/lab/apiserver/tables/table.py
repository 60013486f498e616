"""A list of objects as the Table that kubectl prints."""

import json
from datetime import datetime
from typing import Any, Protocol

from serinus.lab.apiserver.tables import cluster, network, nodes, pods, workloads
from serinus.lab.apiserver.tables.age import age
from serinus.lab.apiserver.tables.column import NAME, Column, Object
from serinus.lab.apiserver.tables.jsonpath import find

Columns = tuple[Column, ...]


class GroupKind(Protocol):
    """What a table needs to know of a kind."""

    @property
    def group(self) -> str: ...

    @property
    def kind(self) -> str: ...


_COLUMNS: dict[tuple[str, str], Columns] = {
    ("", "Pod"): pods.POD,
    ("", "Node"): nodes.NODE,
    ("", "Service"): network.SERVICE,
    ("", "Endpoints"): network.ENDPOINTS,
    ("", "ConfigMap"): cluster.CONFIG_MAP,
    ("", "Secret"): cluster.SECRET,
    ("", "ServiceAccount"): cluster.SERVICE_ACCOUNT,
    ("", "Namespace"): cluster.NAMESPACE,
    ("", "Event"): cluster.EVENT,
    ("", "ResourceQuota"): cluster.RESOURCE_QUOTA,
    ("", "LimitRange"): cluster.CREATED,
    ("", "PersistentVolume"): cluster.VOLUME,
    ("", "PersistentVolumeClaim"): cluster.CLAIM,
    ("", "ReplicationController"): workloads.REPLICASET,
    ("apps", "Deployment"): workloads.DEPLOYMENT,
    ("apps", "ReplicaSet"): workloads.REPLICASET,
    ("apps", "DaemonSet"): workloads.DAEMONSET,
    ("apps", "StatefulSet"): workloads.STATEFULSET,
    ("apps", "ControllerRevision"): cluster.CONTROLLER_REVISION,
    ("batch", "Job"): workloads.JOB,
    ("batch", "CronJob"): workloads.CRONJOB,
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.AUTOSCALER,
    ("policy", "PodDisruptionBudget"): workloads.DISRUPTION_BUDGET,
    ("discovery.k8s.io", "EndpointSlice"): network.ENDPOINT_SLICE,
    ("networking.k8s.io", "Ingress"): network.INGRESS,
    ("networking.k8s.io", "IngressClass"): network.INGRESS_CLASS,
    ("networking.k8s.io", "NetworkPolicy"): network.NETWORK_POLICY,
    ("rbac.authorization.k8s.io", "Role"): cluster.CREATED,
    ("rbac.authorization.k8s.io", "ClusterRole"): cluster.CREATED,
    ("rbac.authorization.k8s.io", "RoleBinding"): cluster.BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): cluster.BINDING,
    ("coordination.k8s.io", "Lease"): cluster.LEASE,
    ("events.k8s.io", "Event"): cluster.EVENT,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): cluster.CREATED,
    ("apiregistration.k8s.io", "APIService"): cluster.API_SERVICE,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): cluster.WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): cluster.WEBHOOKS,
    ("storage.k8s.io", "StorageClass"): cluster.STORAGE_CLASS,
    ("scheduling.k8s.io", "PriorityClass"): cluster.PRIORITY_CLASS,
}


def table(
    kind: GroupKind, crd_columns: list[Object] | None, objects: list[Object], now: datetime
) -> dict[str, Any]:
    """``columnDefinitions`` and ``rows`` for ``objects`` of ``kind``.

    ``crd_columns`` are the version's ``additionalPrinterColumns``, for a custom resource. Each
    row carries its object as PartialObjectMetadata, as ``includeObject=Metadata`` (the default)
    asks.
    """
    if crd_columns:
        columns: Columns = (NAME, *map(_custom, crd_columns))
    else:
        columns = _COLUMNS.get((kind.group, kind.kind), cluster.DEFAULT)
    return {
        "columnDefinitions": [column.definition() for column in columns],
        "rows": [
            {"cells": [column.cell(obj, now) for column in columns], "object": _partial(obj)}
            for obj in objects
        ],
    }


def _partial(obj: Object) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj.get("metadata") or {},
    }


def _custom(spec: Object) -> Column:
    path, kind = spec["jsonPath"], spec.get("type", "string")

    def cell(obj: Object, now: datetime) -> Any:
        found = find(path, obj)
        return _typed(kind, found[0], now) if found else None

    priority = spec.get("priority") or 0
    return Column(
        spec["name"],
        cell,
        kind,
        wide=priority > 0,
        format=spec.get("format") or "",
        description=spec.get("description")
        or f"Custom resource definition column (in JSONPath format): {path}",
        priority=priority,
    )


def _typed(kind: str, value: Any, now: datetime) -> Any:
    """The value if it is of the column's type, else an empty cell; a date is shown as an age."""
    if value is None:
        return None
    match kind:
        case "date":
            return age(value, now)
        case "string" if isinstance(value, str):
            return value
        case "string":
            return json.dumps(value, separators=(",", ":"))
        case "boolean":
            return value if isinstance(value, bool) else None
        case "integer" if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return value
    return None
