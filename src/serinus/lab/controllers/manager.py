"""All controllers in one process, over the same caches."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from serinus.cluster.client import Client
from serinus.lab.controllers.daemonset import DaemonSetController
from serinus.lab.controllers.deployment import DeploymentController
from serinus.lab.controllers.disruption import DisruptionController
from serinus.lab.controllers.endpoints import EndpointsController
from serinus.lab.controllers.garbage import GarbageCollector
from serinus.lab.controllers.hpa import PERIOD, AutoscalerController
from serinus.lab.controllers.inventory import Inventory
from serinus.lab.controllers.job import JobController
from serinus.lab.controllers.kinds import Kinds
from serinus.lab.controllers.namespace import NamespaceController
from serinus.lab.controllers.replicaset import ReplicaSetController
from serinus.lab.controllers.scheduler import Scheduler
from serinus.lab.controllers.serviceaccount import NamespaceContents
from serinus.lab.controllers.view import View


async def run_controllers(
    client: Client, *, ca_pem: str | None = None, autoscaler_period: float = PERIOD
) -> None:
    """Run every controller until cancelled.

    ``ca_pem`` is the certificate that namespaces publish as ``kube-root-ca.crt`` (none without
    it); ``autoscaler_period`` is in seconds. At rest nothing is asked of the server but watches,
    and metrics once per period while an autoscaler is active.
    """
    view = View(client)
    inventory = Inventory(view)
    controllers: list[Callable[[], Coroutine[Any, Any, None]]] = [
        DeploymentController(view).run,
        ReplicaSetController(view).run,
        DaemonSetController(view).run,
        JobController(view).run,
        DisruptionController(view).run,
        Scheduler(view).run,
        EndpointsController(view).run,
        NamespaceContents(view, ca_pem).run,
        GarbageCollector(view, inventory).run,
        NamespaceController(view, inventory).run,
        AutoscalerController(view, inventory, autoscaler_period).run,
    ]
    await _run(view, inventory, controllers)


async def run_beside_real_ones(client: Client) -> None:
    """Run, until cancelled, what kube-controller-manager does not do in a lab.

    There is no kube-scheduler, and the real autoscaler wants an API of an add-on for its metrics.
    """
    view = View(client)
    kinds = Kinds(view)
    await _run(view, kinds, [Scheduler(view).run, AutoscalerController(view, kinds).run])


async def _run(
    view: View, kinds: Kinds, controllers: list[Callable[[], Coroutine[Any, Any, None]]]
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(view.run())
        # What a cache does not show yet would look as if it were not there.
        await view.synced()
        group.create_task(kinds.run())
        for run in controllers:
            group.create_task(run())
