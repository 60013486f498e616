"""What every namespace has: the ServiceAccount ``default`` and the cluster's CA certificate."""

from collections.abc import Callable

import structlog

from serinus.cluster.cache import Change
from serinus.cluster.errors import AlreadyExists, Forbidden, NotFound
from serinus.cluster.kinds import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.view import Object, View

ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"

log = structlog.get_logger(__name__)

_WHAT = "kubernetes.io/description"
_ABOUT_CA = (
    "The certificate authority that signed the API server's certificate, "
    "for pods in this namespace to verify it by."
)


class NamespaceContents:
    """Puts both into each namespace, and back when somebody takes them away."""

    def __init__(self, view: View, ca_pem: str | None) -> None:
        self._view = view
        self._ca_pem = ca_pem
        self._queue: Queue[str] = Queue("serviceaccount", self._reconcile)
        self._namespaces = view.cache(NAMESPACES)
        self._accounts = view.cache(SERVICEACCOUNTS)
        self._config = view.cache(CONFIGMAPS)
        self._namespaces.subscribe(lambda change: self._queue.add(change.key[1]))
        self._accounts.subscribe(self._when_named(ACCOUNT))
        self._config.subscribe(self._when_named(ROOT_CA))

    async def run(self) -> None:
        await self._queue.run()

    def _when_named(self, name: str) -> Callable[[Change[Object]], None]:
        def changed(change: Change[Object]) -> None:
            if change.key[1] == name and change.kind != "ADDED":
                self._queue.add(change.key[0])

        return changed

    async def _reconcile(self, name: str) -> float | None:
        namespace = self._namespaces.get(None, name)
        if namespace is None or self._view.leaving(namespace):
            return None
        try:
            await self._keep(name)
        except AlreadyExists:
            return 0.1
        except (Forbidden, NotFound):
            log.debug("namespace is ending", namespace=name)
        return None

    async def _keep(self, namespace: str) -> None:
        if self._accounts.get(namespace, ACCOUNT) is None:
            account = {"metadata": {"name": ACCOUNT}}
            await self._view.create(SERVICEACCOUNTS, namespace, account)
        if self._ca_pem is None:
            return
        data = {"ca.crt": self._ca_pem}
        config = self._config.get(namespace, ROOT_CA)
        if config is None:
            metadata = {"name": ROOT_CA, "annotations": {_WHAT: _ABOUT_CA}}
            await self._view.create(CONFIGMAPS, namespace, {"metadata": metadata, "data": data})
        elif config.get("data") != data:
            others = {key: None for key in config.get("data") or {} if key not in data}
            await self._view.patch(CONFIGMAPS, config, {"data": {**others, **data}})
