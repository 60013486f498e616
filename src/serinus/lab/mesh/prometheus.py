"""The Prometheus of the mesh: whom it asks, under which labels, and where it runs.

A real sidecar (or a real scrape configuration) puts the labels on each series. Here they are
labels of the target, which comes to the same in every query.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from serinus.lab.mesh.metering import Exposure, exposure
from serinus.lab.mesh.model import Proxy, World
from serinus.lab.mesh.transparent import METRICS_PORT
from serinus.lab.mesh.versions import ZONE, KumaVersion

Json = dict[str, Any]

NAMESPACE = "mesh-observability"
SERVER = "prometheus-server"
PORT = 9090
_TARGETS = "sidecars.json"
_CONFIG = "prometheus.yml"
_RULE, _KEPT = "lab_exposure", "__tmp_kept"
"""Labels for relabelling alone, that no series keeps."""
_NOT_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def labels(version: KumaVersion, proxy: Proxy) -> dict[str, str]:
    """The labels that every series of a sidecar carries when this Kuma is played.

    The pod and its namespace are of the scrape configuration: until 2.14 of the one that Kuma
    installs, from 3.0 on of kubernetes_sd_configs.
    """
    found = {"mesh": proxy.mesh, "pod": proxy.name, "namespace": proxy.namespace}
    if version.tags_in_metrics:
        found |= _tags(proxy)
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


def _tags(proxy: Proxy) -> dict[str, str]:
    """What a sidecar of Kuma 2 tells of its Dataplane: of a tag with several values the first."""
    values: dict[str, set[str]] = {}
    for inbound in proxy.inbounds:
        for key, value in inbound.tags.items():
            values.setdefault(_NOT_A_LABEL.sub("_", key), set()).add(value)
    found = {
        "dataplane": f"{proxy.name}.{proxy.namespace}",
        "k8s_kuma_io_name": proxy.name,
        "k8s_kuma_io_namespace": proxy.namespace,
    }
    for key, several in values.items():
        found[key] = min(several)
        found[f"{key}s"] = f",{','.join(sorted(several))},"
    return found


def targets(world: World) -> list[Json]:
    """Every sidecar that shows its metrics, as file-based service discovery reads it."""
    rules = {exposure: str(number) for number, exposure in enumerate(exposures(world), 1)}
    found = []
    for proxy in world.proxies:
        shown = exposure(world, proxy)
        if shown is None:
            continue
        marked = labels(world.version, proxy)
        if shown in rules:
            marked[_RULE] = rules[shown]
        found.append({"targets": [f"{proxy.address}:{METRICS_PORT}"], "labels": marked})
    return found


def exposures(world: World) -> list[Exposure]:
    """The ways, other than everything, in which sidecars show their metrics."""
    found = {exposure(world, proxy) for proxy in world.proxies}
    return sorted(one for one in found if one is not None and one.dropped)


class Files:
    """What Prometheus reads, replaced when it changes: the targets, which it watches, and its
    configuration, which it has to be told to read again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, str] = {}

    def write_targets(self, found: Iterable[Json]) -> bool:
        """Whether anything changed."""
        return self._write(_TARGETS, json.dumps(list(found)))

    def write_config(self, found: Iterable[Exposure] = ()) -> bool:
        """Whether anything changed. ``found`` are the exposures that targets are marked with."""
        return self._write(_CONFIG, _config(found))

    def _write(self, name: str, text: str) -> bool:
        if text == self._written.get(name):
            return False
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / name
        temporary = path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(path)
        self._written[name] = text
        return True


def _config(found: Iterable[Exposure]) -> str:
    relabelings = [
        {"source_labels": ["envoy_cluster_name"], "regex": "kuma_envoy_admin", "action": "drop"},
        {
            "source_labels": ["envoy_http_conn_manager_prefix"],
            "regex": "_kuma.*|system_.*",
            "action": "drop",
        },
    ]
    for number, shown in enumerate(found, 1):
        if shown.kept:
            relabelings.append(
                {
                    "source_labels": [_RULE, "__name__"],
                    "regex": f"{number};(?:{shown.kept})",
                    "target_label": _KEPT,
                    "replacement": "yes",
                }
            )
        relabelings.append(
            {
                "source_labels": [_RULE, "__name__", _KEPT],
                "regex": f"{number};(?:{shown.dropped});",
                "action": "drop",
            }
        )
    relabelings.append({"regex": f"{_RULE}|{_KEPT}", "action": "labeldrop"})
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": "kuma-dataplanes",
                "metrics_path": "/metrics",
                "file_sd_configs": [
                    {"files": [f"/etc/prometheus/{_TARGETS}"], "refresh_interval": "30s"}
                ],
                "metric_relabel_configs": relabelings,
            }
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


async def reload(pods: Iterable[Mapping[str, Any]]) -> None:
    """Have every Prometheus among the pods read its configuration again; one that does not answer
    is only beginning, and will have read it. Raises `OSError` when one refuses."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for pod in pods:
            address = (pod.get("status") or {}).get("podIP")
            if pod["metadata"]["namespace"] != NAMESPACE or not address:
                continue
            try:
                async with session.post(f"http://{address}:{PORT}/-/reload") as answer:
                    words = await answer.text()
            except (aiohttp.ClientError, TimeoutError):
                continue
            if answer.status != 200:
                raise OSError(f"Prometheus refused its configuration: {words.strip()}")


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
