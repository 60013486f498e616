"""The caches that the workload's side of a tick reads."""

from dataclasses import dataclass

from serinus.cluster.cache import Cache
from serinus.workload.views import DeploymentView, HPAView, ServiceView


@dataclass(frozen=True, slots=True)
class WorkloadCaches:
    """All namespaces that the operator watches, one cache per kind."""

    deployments: Cache[DeploymentView]
    services: Cache[ServiceView]
    hpas: Cache[HPAView]
