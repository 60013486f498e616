"""What is installed in a cluster: Kubernetes, Kuma, Serinus' own kinds, the operator.

All of it is read as anybody with a kubeconfig may; nothing is asked of Kuma's control plane.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from serinus.api.crd import VERSION, crd_documents
from serinus.api.meta import ObjectMeta
from serinus.cluster.client import Client
from serinus.cluster.errors import NotFound
from serinus.cluster.kinds import CRDS, DEPLOYMENTS, PODS
from serinus.operator.settings import Settings, SettingsError, parse
from serinus.routing.kuma.dialect import MESH_HTTP_ROUTES, MESHES
from serinus.routing.kuma.discovery import KumaKinds

CONTROL_PLANES = "app in (kuma-control-plane, kong-mesh-control-plane)"
OPERATORS = "app.kubernetes.io/part-of=serinus"
CONTAINER = "flagger"
"""The operator's container, in the kustomization and in the chart."""

SIDECAR = "kuma-sidecar"
AT_MOST = 500
"""Pods of a namespace that are looked at for their sidecars."""


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class _Container(msgspec.Struct):
    name: str = ""
    image: str = ""
    args: tuple[str, ...] = ()
    env: tuple[_Variable, ...] = ()


class _Pod(msgspec.Struct, rename="camel"):
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] = ()


class _Template(msgspec.Struct):
    spec: _Pod = msgspec.field(default_factory=_Pod)


class _DeploymentSpec(msgspec.Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class _Deployment(msgspec.Struct):
    metadata: ObjectMeta
    spec: _DeploymentSpec = msgspec.field(default_factory=_DeploymentSpec)


class _Deployments(msgspec.Struct):
    items: tuple[_Deployment, ...] = ()


class _PodObject(msgspec.Struct):
    spec: _Pod = msgspec.field(default_factory=_Pod)


class _Pods(msgspec.Struct):
    items: tuple[_PodObject, ...] = ()


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    """A Deployment of Serinus, and what it was told; ``wrong`` says why that cannot be obeyed."""

    name: str
    image: str
    settings: Settings
    wrong: str = ""


async def kubernetes(client: Client) -> str:
    """The API server's version. Raises `ApiError` and `Unreachable`, as all here do."""
    return msgspec.json.decode(await client.request("GET", "/version"), type=_Version).git_version


async def operators(client: Client) -> list[Operator]:
    """The operators of the cluster; there should be one, or one for each namespace."""
    listed = await client.list(DEPLOYMENTS, None, OPERATORS)
    return [
        _operator(one, container)
        for one in msgspec.json.decode(listed, type=_Deployments).items
        for container in one.spec.template.spec.containers
        if container.name == CONTAINER
    ]


async def control_planes(client: Client) -> list[str]:
    """Kuma's control planes: version, namespace and name of each."""
    listed = await client.list(DEPLOYMENTS, None, CONTROL_PLANES)
    return [
        f"{_tag(container.image)} ({one.metadata.namespace}/{one.metadata.name})"
        for one in msgspec.json.decode(listed, type=_Deployments).items
        for container in one.spec.template.spec.containers[:1]
    ]


async def sidecars(client: Client, namespaces: Iterable[str]) -> Mapping[str, int]:
    """How many pods of these namespaces have a sidecar of each version."""
    found: Counter[str] = Counter()
    for namespace in sorted(set(namespaces)):
        listed = await client.list(PODS, namespace, limit=AT_MOST)
        for pod in msgspec.json.decode(listed, type=_Pods).items:
            found.update(
                _tag(container.image)
                for container in (*pod.spec.init_containers, *pod.spec.containers)
                if container.name == SIDECAR
            )
    return dict(sorted(found.items()))


async def outdated_crds(client: Client) -> dict[str, str]:
    """What is wrong with the CRDs of Serinus' own kinds, by their names; empty when all are there
    and know every field."""
    wrong: dict[str, str] = {}
    for document in crd_documents():
        name = document["metadata"]["name"]
        try:
            live: dict[str, Any] = msgspec.json.decode(await client.get(CRDS, None, name))
        except NotFound:
            wrong[name] = "is not installed"
            continue
        missing = sorted(_fields(_schema(document)) - _fields(_schema(live)))
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            wrong[name] = f"is of another release: it does not know {missing[0]}{more}"
    return wrong


def era(kinds: KumaKinds) -> str:
    """The releases of Kuma that have these kinds."""
    if MESHES not in kinds.crds:
        return "none"
    if MESH_HTTP_ROUTES not in kinds.crds:
        return "before 2.1"
    if not kinds.refs_by_name:
        return "3.x"
    if kinds.no_path_prefix:
        return "2.1 or 2.2"
    return "2.9 to 2.14" if kinds.policies_in_app_namespaces else "2.3 to 2.8"


def _operator(deployment: _Deployment, container: _Container) -> Operator:
    told = {variable.name: variable.value for variable in container.env if variable.value}
    name = f"{deployment.metadata.namespace}/{deployment.metadata.name}"
    try:
        return Operator(name, container.image, parse(container.args, told))
    except SettingsError as error:
        return Operator(name, container.image, Settings(), str(error))


def _tag(image: str) -> str:
    """An image's tag, its version; the whole image where it has none."""
    name = image.partition("@")[0]
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or image


def _schema(document: Mapping[str, Any]) -> dict[str, Any]:
    versions = document["spec"]["versions"]
    found: dict[str, Any] = next((one for one in versions if one["name"] == VERSION), {})
    schema: dict[str, Any] = (found.get("schema") or {}).get("openAPIV3Schema") or {}
    return schema


def _fields(schema: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_paths(schema, ""))


def _paths(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, child in (schema.get("properties") or {}).items():
        here = f"{path}.{name}" if path else name
        yield here
        yield from _paths(child, here)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _paths(inner, f"{path}[]")
