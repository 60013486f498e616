"""The caches that the workload's side of a tick reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import (
    CONFIGMAPS,
    DAEMONSETS,
    DEPLOYMENTS,
    HPAS,
    SCALEDOBJECTS,
    SECRETS,
    SERVICES,
)
from serinus.workload.config_view import (
    WITHOUT_RELEASES,
    ConfigView,
    decode_configmap,
    decode_secret,
)
from serinus.workload.views import (
    DaemonSetView,
    DeploymentView,
    HPAView,
    ScaledObjectView,
    ServiceView,
    decode_daemonset,
    decode_deployment,
    decode_hpa,
    decode_scaled_object,
    decode_service,
)


@dataclass(frozen=True, slots=True)
class ConfigCaches:
    """ConfigMaps and Secrets, without their data."""

    config_maps: Cache[ConfigView]
    secrets: Cache[ConfigView]

    @classmethod
    def of(cls, client: Client, namespace: str | None) -> Self:
        """For one namespace, or all."""
        return cls(
            Cache(client, CONFIGMAPS, decode_configmap, namespace=namespace),
            Cache(
                client,
                SECRETS,
                decode_secret,
                namespace=namespace,
                field_selector=WITHOUT_RELEASES,
            ),
        )

    def kind(self, kind: str) -> Cache[ConfigView]:
        """The cache of ConfigMap or Secret."""
        return self.config_maps if kind == CONFIGMAPS.kind else self.secrets


@dataclass(frozen=True, slots=True)
class WorkloadCaches:
    """All namespaces that the operator watches, one cache per kind. ``configs`` is None where
    ConfigMaps and Secrets are not tracked,
    ``scaled_objects`` where the cluster has no KEDA."""

    deployments: Cache[DeploymentView]
    services: Cache[ServiceView]
    hpas: Cache[HPAView]
    daemonsets: Cache[DaemonSetView]
    configs: ConfigCaches | None = None
    scaled_objects: Cache[ScaledObjectView] | None = None

    @classmethod
    def of(
        cls, client: Client, namespace: str | None, *, configs: bool = False, keda: bool = False
    ) -> Self:
        """For one namespace, or all; ``configs`` and ``keda`` tell whether to have those."""
        return cls(
            Cache(client, DEPLOYMENTS, decode_deployment, namespace=namespace),
            Cache(client, SERVICES, decode_service, namespace=namespace),
            Cache(client, HPAS, decode_hpa, namespace=namespace),
            Cache(client, DAEMONSETS, decode_daemonset, namespace=namespace),
            ConfigCaches.of(client, namespace) if configs else None,
            Cache(client, SCALEDOBJECTS, decode_scaled_object, namespace=namespace)
            if keda
            else None,
        )

    def all(self) -> Iterator[Cache[Any]]:
        """Those that there are, to be run."""
        yield from (self.deployments, self.services, self.hpas, self.daemonsets)
        if self.scaled_objects is not None:
            yield self.scaled_objects
        if self.configs is not None:
            yield from (self.configs.config_maps, self.configs.secrets)
