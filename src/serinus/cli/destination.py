"""Which pod and port `serinus lab forward` leads to."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from serinus.api.meta import ObjectMeta
from serinus.api.resource import Resource
from serinus.cluster.client import Client
from serinus.cluster.kinds import DEPLOYMENTS, PODS, SERVICES

_KINDS = {
    **dict.fromkeys(("pod", "pods", "po"), "pod"),
    **dict.fromkeys(("svc", "service", "services"), "service"),
    **dict.fromkeys(("deployment", "deployments", "deploy"), "deployment"),
}


class DestinationError(ValueError):
    """There is no such destination; the text says what there is, or how to write one."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a person named. ``kind`` is pod, service or deployment."""

    namespace: str
    kind: str
    name: str

    @classmethod
    def parse(cls, namespace: str, text: str) -> "Target":
        """``KIND/NAME`` in kubectl's words; a name alone is a pod's."""
        kind, slash, name = text.rpartition("/")
        found = _KINDS.get(kind if slash else "pod")
        if found is None or not name:
            raise DestinationError(
                f'"{text}" is not a target; write pod/NAME, svc/NAME or deployment/NAME'
            )
        return cls(namespace, found, name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name} in namespace {self.namespace}"


@dataclass(frozen=True, slots=True)
class Destination:
    """A port of a pod."""

    namespace: str
    pod: str
    port: int


def parse_ports(text: str) -> tuple[int, str]:
    """The local port and the remote one of ``[LOCAL:]REMOTE``; 0 is any free port."""
    local, colon, remote = text.rpartition(":")
    local = (local or "0") if colon else (remote if remote.isdecimal() else "0")
    if not remote or not (local.isascii() and local.isdecimal() and int(local) < 65536):
        raise DestinationError(f'"{text}" is not a pair of ports; write for example 8080:9898')
    return int(local), remote


class _ContainerPort(Resource, frozen=True, kw_only=True):
    container_port: int
    name: str = ""


class _Container(Resource, frozen=True, kw_only=True):
    ports: tuple[_ContainerPort, ...] = ()


class _Condition(Resource, frozen=True, kw_only=True):
    type: str
    status: str


class _PodSpec(Resource, frozen=True, kw_only=True):
    containers: tuple[_Container, ...] = ()


class _PodStatus(Resource, frozen=True, kw_only=True):
    phase: str = ""
    conditions: tuple[_Condition, ...] = ()


class _Pod(Resource, frozen=True, kw_only=True):
    metadata: ObjectMeta
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()

    @property
    def ready(self) -> bool:
        going = self.metadata.deletion_timestamp is not None
        return not going and any(
            condition.type == "Ready" and condition.status == "True"
            for condition in self.status.conditions
        )

    def port(self, wanted: str) -> int | None:
        """The number of a port that is given by number or by name."""
        if wanted.isdecimal():
            return int(wanted)
        ports = (port for container in self.spec.containers for port in container.ports)
        return next((port.container_port for port in ports if port.name == wanted), None)


class _PodList(Resource, frozen=True, kw_only=True):
    items: tuple[_Pod, ...]


class _ServicePort(Resource, frozen=True, kw_only=True):
    port: int
    name: str = ""
    target_port: int | str = 0


class _ServiceSpec(Resource, frozen=True, kw_only=True):
    selector: Mapping[str, str] = {}
    ports: tuple[_ServicePort, ...] = ()


class _Service(Resource, frozen=True, kw_only=True):
    spec: _ServiceSpec


class _Selector(Resource, frozen=True, kw_only=True):
    match_labels: Mapping[str, str] = {}


class _DeploymentSpec(Resource, frozen=True, kw_only=True):
    selector: _Selector


class _Deployment(Resource, frozen=True, kw_only=True):
    spec: _DeploymentSpec


async def find(client: Client, target: Target, remote: str) -> Destination:
    """The port of a pod that ``remote`` of the target is now.

    Raises `DestinationError`, and the API's errors (such as NotFound).
    """
    namespace, wanted = target.namespace, remote
    if target.kind == "pod":
        raw = await client.get(PODS, namespace, target.name)
        pod = msgspec.json.decode(raw, type=_Pod)
    else:
        if target.kind == "service":
            raw = await client.get(SERVICES, namespace, target.name)
            service = msgspec.json.decode(raw, type=_Service).spec
            selector, wanted = service.selector, _target_port(target, service, remote)
        else:
            raw = await client.get(DEPLOYMENTS, namespace, target.name)
            selector = msgspec.json.decode(raw, type=_Deployment).spec.selector.match_labels
        pod = await _ready_pod(client, target, selector)
    port = pod.port(wanted)
    if port is None:
        raise DestinationError(f'pod {pod.metadata.name} has no port named "{wanted}"')
    return Destination(namespace, pod.metadata.name, port)


def _target_port(target: Target, service: _ServiceSpec, wanted: str) -> str:
    for port in service.ports:
        if wanted in {str(port.port), port.name}:
            return str(port.target_port or port.port)
    listed = ", ".join(f"{port.port} {port.name}".strip() for port in service.ports)
    raise DestinationError(f'{target} has no port "{wanted}"; it has {listed or "none"}')


async def _ready_pod(client: Client, target: Target, labels: Mapping[str, str]) -> _Pod:
    if not labels:
        raise DestinationError(f"{target} selects no pods by labels; name a pod instead")
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    raw = await client.list(PODS, target.namespace, selector)
    pods = msgspec.json.decode(raw, type=_PodList).items
    ready = [pod for pod in pods if pod.ready]
    if not ready:
        raise DestinationError(f"{target} has no pod that is ready ({len(pods)} are there)")
    return min(ready, key=lambda pod: pod.metadata.name)
