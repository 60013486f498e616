"""The objects of the guide, as an API server gives them."""

from copy import deepcopy
from typing import Any

import msgspec

from serinus.api.canary import Canary

Json = dict[str, Any]

ANNOTATIONS = {"9898.service.kuma.io/protocol": "http"}

CANARY: Json = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {
        "name": "podinfo",
        "namespace": "test",
        "uid": "canary-uid",
        "annotations": {"kuma.io/mesh": "default"},
    },
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "progressDeadlineSeconds": 60,
        "service": {
            "port": 9898,
            "targetPort": 9898,
            "apex": {"annotations": ANNOTATIONS},
            "canary": {"annotations": ANNOTATIONS},
            "primary": {"annotations": ANNOTATIONS},
        },
        "analysis": {"interval": "30s", "threshold": 5, "maxWeight": 50, "stepWeight": 5},
    },
}

DEPLOYMENT: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "podinfo",
        "namespace": "test",
        "uid": "target-uid",
        "generation": 1,
        "labels": {
            "app": "podinfo",
            "app.kubernetes.io/part-of": "shop",
            "kustomize.toolkit.fluxcd.io/name": "apps",
        },
        "annotations": {
            "deployment.kubernetes.io/revision": "3",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "team": "web",
        },
    },
    "spec": {
        "replicas": 2,
        "minReadySeconds": 3,
        "revisionHistoryLimit": 5,
        "progressDeadlineSeconds": 60,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
        "selector": {"matchLabels": {"app": "podinfo"}},
        "template": {
            "metadata": {
                "labels": {"app": "podinfo", "tier": "front"},
                "annotations": {"prometheus.io/scrape": "true"},
            },
            "spec": {
                "serviceAccountName": "podinfo",
                "containers": [
                    {
                        "name": "podinfod",
                        "image": "ghcr.io/stefanprodan/podinfo:6.0.0",
                        "ports": [
                            {"name": "http", "containerPort": 9898, "protocol": "TCP"},
                            {"name": "http-metrics", "containerPort": 9797, "protocol": "TCP"},
                            {"name": "grpc", "containerPort": 9999, "protocol": "TCP"},
                        ],
                        "env": [
                            {
                                "name": "COLOR",
                                "valueFrom": {"configMapKeyRef": {"name": "ui", "key": "color"}},
                            }
                        ],
                        "resources": {"limits": {"cpu": "2", "memory": "512Mi"}},
                    }
                ],
                "volumes": [{"name": "tls", "secret": {"secretName": "podinfo-tls"}}],
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "zone",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"app": "podinfo"}},
                    }
                ],
                "affinity": {
                    "podAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "topologyKey": "zone",
                                "labelSelector": {"matchLabels": {"app": "podinfo"}},
                            }
                        ]
                    },
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 100,
                                "podAffinityTerm": {
                                    "topologyKey": "kubernetes.io/hostname",
                                    "labelSelector": {
                                        "matchExpressions": [
                                            {
                                                "key": "app",
                                                "operator": "In",
                                                "values": ["podinfo", "backend"],
                                            }
                                        ]
                                    },
                                },
                            }
                        ]
                    },
                },
            },
        },
    },
}

HPA: Json = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {
        "name": "podinfo",
        "namespace": "test",
        "labels": {"helm.toolkit.fluxcd.io/name": "podinfo", "team": "web"},
    },
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "minReplicas": 2,
        "maxReplicas": 4,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 99},
                },
            }
        ],
    },
}


def deployment() -> Json:
    """A copy of the target, to be changed."""
    return deepcopy(DEPLOYMENT)


def canary(**changes: Any) -> Canary:
    """The guide's canary; ``service__portName=...`` changes a field of the spec."""
    raw = deepcopy(CANARY)
    for path, value in changes.items():
        holder = raw["spec"]
        *steps, last = path.split("__")
        for step in steps:
            holder = holder.setdefault(step, {})
        holder[last] = value
    return msgspec.convert(raw, Canary)


def encoded(item: Json) -> bytes:
    """As bytes, as the API server sends it."""
    return msgspec.json.encode(item)
