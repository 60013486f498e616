"""The caches that the workload's side of a tick reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serinus.cluster.cache import Cache
from serinus.workload.views import DeploymentView, HPAView, ServiceView


@dataclass(frozen=True, slots=True)
class WorkloadCaches:
    """All namespaces that the operator watches, one cache per kind."""

    deployments: Cache[DeploymentView]
    services: Cache[ServiceView]
    hpas: Cache[HPAView]

    def all(self) -> Iterator[Cache[Any]]:
        """Those that there are, to be run."""
        yield from (self.deployments, self.services, self.hpas)
