"""The Prometheus of the mesh: whom it asks, under which labels, and where it runs.

A real sidecar (or a real scrape configuration) puts the labels on each series. Here they are
labels of the target, which comes to the same in every query.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serinus.lab.mesh.model import Proxy, World
from serinus.lab.mesh.transparent import METRICS_PORT
from serinus.lab.mesh.versions import ZONE, KumaVersion

Json = dict[str, Any]

NAMESPACE = "mesh-observability"
SERVER = "prometheus-server"
PORT = 9090
_TARGETS = "sidecars.json"
_CONFIG = "prometheus.yml"
_NOT_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def labels(version: KumaVersion, proxy: Proxy) -> dict[str, str]:
    """The labels that every series of a sidecar carries when this Kuma is played."""
    values: dict[str, set[str]] = {}
    for inbound in proxy.inbounds:
        for key, value in inbound.tags.items():
            values.setdefault(_NOT_A_LABEL.sub("_", key), set()).add(value)
    found = {}
    for key, several in values.items():
        found[key] = min(several)
        found[f"{key}s"] = f",{','.join(sorted(several))},"
    found |= {
        "mesh": proxy.mesh,
        "dataplane": f"{proxy.name}.{proxy.namespace}",
        "k8s_kuma_io_name": proxy.name,
        "k8s_kuma_io_namespace": proxy.namespace,
        "pod": proxy.name,
        "namespace": proxy.namespace,
    }
    if version.service_label:
        found["service"] = proxy.inbounds[0].service
    if version.metrics_labels:
        found |= {
            "zone": ZONE,
            "kuma_proxy_role": "sidecar",
            "kuma_workload": proxy.service_account,
            "otel_scope_name": "kuma",
            "otel_scope_version": version.release,
        }
    return dict(sorted(found.items()))


def targets(world: World) -> list[Json]:
    """Every sidecar, as file-based service discovery reads it."""
    return [
        {
            "targets": [f"{proxy.address}:{METRICS_PORT}"],
            "labels": labels(world.version, proxy),
        }
        for proxy in world.proxies
    ]


class Targets:
    """The file of targets, replaced when they change."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _TARGETS
        self._written = ""

    def write(self, found: Iterable[Json]) -> bool:
        """Whether anything changed."""
        text = json.dumps(list(found))
        if text == self._written:
            return False
        temporary = self._path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self._path)
        self._written = text
        return True


def write_config(directory: Path) -> None:
    """The configuration that Prometheus is started with."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _CONFIG).write_text(
        f"""\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
scrape_configs:
- job_name: kuma-dataplanes
  metrics_path: /metrics
  file_sd_configs:
  - files: [/etc/prometheus/{_TARGETS}]
    refresh_interval: 30s
  metric_relabel_configs:
  - source_labels: [envoy_cluster_name]
    regex: kuma_envoy_admin
    action: drop
  - source_labels: [envoy_http_conn_manager_prefix]
    regex: _kuma.*
    action: drop
"""
    )


def manifests(directory: Path) -> list[Json]:
    """The Deployment and Service that people know as ``prometheus-server.mesh-observability``."""
    app = {"app": "prometheus", "component": "server"}
    meta = {"name": SERVER, "namespace": NAMESPACE, "labels": app}
    container = {
        "name": SERVER,
        "image": "prom/prometheus:v2.42.0",
        "args": [
            f"--config.file=/etc/prometheus/{_CONFIG}",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=2h",
            f"--web.listen-address=0.0.0.0:{PORT}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/-/ready", "port": PORT},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus", "readOnly": True},
            {"name": "data", "mountPath": "/prometheus"},
        ],
    }
    volumes = [
        {"name": "config", "hostPath": {"path": str(directory), "type": "DirectoryOrCreate"}},
        {"name": "data", "emptyDir": {}},
    ]
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": app},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": app},
                    "spec": {
                        "containers": [container],
                        "volumes": volumes,
                        "terminationGracePeriodSeconds": 5,
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "selector": app,
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": PORT}],
            },
        },
    ]
