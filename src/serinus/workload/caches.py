"""The caches that the workload's side of a tick reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from serinus.cluster.cache import Cache
from serinus.cluster.client import Client
from serinus.cluster.kinds import CONFIGMAPS, SECRETS
from serinus.workload.config_view import (
    WITHOUT_RELEASES,
    ConfigView,
    decode_configmap,
    decode_secret,
)
from serinus.workload.views import DeploymentView, HPAView, ServiceView


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
    ConfigMaps and Secrets are not tracked."""

    deployments: Cache[DeploymentView]
    services: Cache[ServiceView]
    hpas: Cache[HPAView]
    configs: ConfigCaches | None = None

    def all(self) -> Iterator[Cache[Any]]:
        """Those that there are, to be run."""
        yield from (self.deployments, self.services, self.hpas)
        if self.configs is not None:
            yield from (self.configs.config_maps, self.configs.secrets)
