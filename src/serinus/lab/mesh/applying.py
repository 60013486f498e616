"""Writing objects so that what is wanted is there, whatever was there before."""

from collections.abc import Iterable, Mapping
from typing import Any

from serinus.cluster import kinds
from serinus.cluster.client import Client, PatchKind
from serinus.cluster.errors import AlreadyExists, NotFound
from serinus.cluster.resource import Resource
from serinus.cluster.written import Written, written

Json = dict[str, Any]

_BUILT_IN = {
    resource.kind: resource
    for resource in (
        kinds.NAMESPACES,
        kinds.SERVICES,
        kinds.DEPLOYMENTS,
        kinds.CRDS,
        kinds.MUTATING_WEBHOOKS,
        kinds.VALIDATING_WEBHOOKS,
    )
}


def resource_of(obj: Mapping[str, Any], definitions: Iterable[Json]) -> Resource:
    """Where an object is served; Kuma's own kinds are found in their definitions."""
    kind = obj["kind"]
    if kind in _BUILT_IN:
        return _BUILT_IN[kind]
    spec = next(d["spec"] for d in definitions if d["spec"]["names"]["kind"] == kind)
    plural, namespaced = spec["names"]["plural"], spec["scope"] == "Namespaced"
    return Resource("kuma.io", "v1alpha1", plural, kind, namespaced=namespaced)


async def ensure(client: Client, resource: Resource, obj: Json) -> Written:
    """Make ``obj`` what is there, by server-side apply; a status goes where statuses go."""
    meta = obj["metadata"]
    namespace, name = meta.get("namespace"), meta["name"]
    wanted = {key: value for key, value in obj.items() if key != "status"}
    answer = await client.patch(resource, namespace, name, wanted, PatchKind.APPLY, force=True)
    if "status" in obj:
        status = {"status": obj["status"]}
        answer = await client.patch(resource, namespace, name, status, subresource="status")
    return written(resource, answer)


async def create_once(client: Client, resource: Resource, obj: Json) -> Written | None:
    """Make ``obj`` unless one of its name is there: what people changed stays changed."""
    try:
        return written(
            resource, await client.create(resource, obj["metadata"].get("namespace"), obj)
        )
    except AlreadyExists:
        return None


async def remove(
    client: Client,
    resource: Resource,
    namespace: str | None,
    name: str,
    *,
    at_once: bool = False,
) -> None:
    """Make sure that there is no such object; ``at_once`` gives a pod no time to end."""
    try:
        await client.delete(resource, namespace, name, grace_period_seconds=0 if at_once else None)
    except NotFound:
        return
