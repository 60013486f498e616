"""Which pods stand behind a Service: its Endpoints and EndpointSlices."""

from serinus.cluster.cache import Change, Key
from serinus.cluster.kinds import ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from serinus.lab.controllers.backends import (
    MANAGED_BY,
    MANAGER,
    SERVICE_NAME,
    Backend,
    backends,
    selects,
    slice_contents,
    subsets,
)
from serinus.lab.controllers.ownership import controller_reference, labels_of
from serinus.lab.controllers.queue import Queue
from serinus.lab.controllers.view import Object, View

HEADLESS = "service.kubernetes.io/headless"
_ENDPOINTS_MANAGED_BY = "endpoints.kubernetes.io/managed-by"


class EndpointsController:
    """Keeps both kinds current from Services and pods. A Service without a selector is left
    alone: its endpoints are somebody else's."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._queue: Queue[Key] = Queue("endpoints", self._reconcile)
        self._services = view.cache(SERVICES)
        self._pods = view.cache(PODS)
        self._endpoints = view.cache(ENDPOINTS)
        self._slices = view.cache(ENDPOINTSLICES)
        self._services.subscribe(lambda change: self._queue.add(change.key))
        self._pods.subscribe(self._pod_changed)
        self._endpoints.subscribe(lambda change: self._queue.add(change.key))
        self._slices.subscribe(self._slice_changed)

    async def run(self) -> None:
        await self._queue.run()

    def _pod_changed(self, change: Change[Object]) -> None:
        for service in self._services.values():
            metadata = service["metadata"]
            if metadata["namespace"] == change.key[0] and any(
                pod is not None and selects(service, pod) for pod in (change.old, change.new)
            ):
                self._queue.add((metadata["namespace"], metadata["name"]))

    def _slice_changed(self, change: Change[Object]) -> None:
        for obj in (change.old, change.new):
            if obj is not None and (service := labels_of(obj).get(SERVICE_NAME)):
                self._queue.add((change.key[0], service))

    async def _reconcile(self, key: Key) -> float | None:
        namespace, name = key
        service = self._services.get(namespace, name)
        endpoints = self._endpoints.get(namespace, name)
        if service is None:
            # Endpoints have no owner reference; slices have one and are collected.
            if endpoints is not None and labels_of(endpoints).get(_ENDPOINTS_MANAGED_BY):
                await self._view.delete(ENDPOINTS, endpoints)
            return None
        spec = service["spec"]
        named_only = spec.get("type") == "ExternalName" or not spec.get("selector")
        if named_only or self._view.leaving(service):
            return None
        pods = [pod for pod in self._pods.values() if pod["metadata"]["namespace"] == namespace]
        behind = backends(service, pods)
        await self._keep_endpoints(service, endpoints, behind)
        await self._keep_slices(service, behind)
        return None

    async def _keep_endpoints(
        self, service: Object, endpoints: Object | None, behind: list[Backend]
    ) -> None:
        metadata = service["metadata"]
        labels = {**labels_of(service), _ENDPOINTS_MANAGED_BY: "endpoint-controller"}
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        wanted = subsets(service, behind)
        if endpoints is None:
            body = {
                "metadata": {
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "labels": labels,
                },
                "subsets": wanted,
            }
            await self._view.create(ENDPOINTS, metadata["namespace"], body)
        elif (endpoints.get("subsets") or []) != wanted or labels_of(endpoints) != labels:
            removed = {label: None for label in labels_of(endpoints) if label not in labels}
            patch = {"metadata": {"labels": {**labels, **removed}}, "subsets": wanted or None}
            await self._view.patch(ENDPOINTS, endpoints, patch)

    async def _keep_slices(self, service: Object, behind: list[Backend]) -> None:
        metadata = service["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        labels = {**labels_of(service), SERVICE_NAME: name, MANAGED_BY: MANAGER}
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        mine = [
            obj
            for obj in self._slices.values()
            if obj["metadata"]["namespace"] == namespace
            and labels_of(obj).get(SERVICE_NAME) == name
            and labels_of(obj).get(MANAGED_BY) == MANAGER
            and not self._view.leaving(obj)
        ]
        mine.sort(key=lambda obj: str(obj["metadata"]["name"]))
        wanted = slice_contents(service, behind)
        for content in list(wanted):
            kept = next((s for s in mine if (s.get("ports") or []) == content["ports"]), None)
            if kept is None:
                continue
            mine.remove(kept)
            wanted.remove(content)
            if (kept.get("endpoints") or []) != content["endpoints"] or labels_of(kept) != labels:
                removed = {label: None for label in labels_of(kept) if label not in labels}
                patch = {**content, "metadata": {"labels": {**labels, **removed}}}
                await self._view.patch(ENDPOINTSLICES, kept, patch)
        for content in wanted:
            body = {
                "metadata": {
                    "generateName": f"{name}-",
                    "namespace": namespace,
                    "labels": labels,
                    "ownerReferences": [controller_reference(SERVICES, service)],
                },
                "addressType": "IPv4",
                **content,
            }
            await self._view.create(ENDPOINTSLICES, namespace, body)
        for superfluous in mine:
            await self._view.delete(ENDPOINTSLICES, superfluous)
