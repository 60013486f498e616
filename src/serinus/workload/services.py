"""The apex, ``-primary`` and ``-canary`` Services of a canary.

The apex is what callers use; it selects the primary's pods, so that without any route they get
the tried version. The other two name the two sides of the split.
"""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from serinus.api.canary import Canary
from serinus.api.service import CustomMetadata
from serinus.cluster.kinds import SERVICES
from serinus.cluster.ownership import UNMANAGED_BY_FLUX, owner_reference
from serinus.workload.labels import PodSelector
from serinus.workload.views import LAST_APPLIED, PodsView, ServicePort, ServiceView

Json = dict[str, Any]

SIDECARS = frozenset({"istio-proxy", "envoy", "kuma-sidecar"})
"""Containers whose ports are a proxy's, not the application's."""

INGRESS_HINTS = frozenset(
    {
        "ingress.kubernetes.io/service-upstream",
        "nginx.ingress.kubernetes.io/service-upstream",
    }
)
"""Annotations that Kuma's control plane writes onto every Service of a mesh."""

PROTOCOL_ANNOTATION = ".service.kuma.io/protocol"
"""``<port>`` before it: how a port's protocol was told to Kuma before appProtocol."""


class Role(enum.Enum):
    """Which of a canary's Services."""

    APEX = "apex"
    PRIMARY = "primary"
    CANARY = "canary"

    def service_name(self, canary: Canary) -> str:
        """The name of that Service."""
        if self is Role.APEX:
            return canary.apex_name
        return canary.primary_service if self is Role.PRIMARY else canary.canary_service

    def selector(self, pods: PodSelector) -> dict[str, str]:
        """The pods that it selects."""
        return pods.target if self is Role.CANARY else pods.primary


def desired_service(canary: Canary, role: Role, target: PodsView, pods: PodSelector) -> Json:
    """The Service to create for that role."""
    service = canary.spec.service
    name = role.service_name(canary)
    spec: Json = {
        "type": "ClusterIP",
        "selector": role.selector(pods),
        "ports": _encoded(_ports(canary, role, target)),
    }
    if service.headless:
        spec["clusterIP"] = "None"
    if service.traffic_distribution:
        spec["trafficDistribution"] = service.traffic_distribution
    labels, annotations = _metadata(canary, role)
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": name,
            "namespace": canary.namespace,
            "labels": {pods.key: name, **labels},
            "annotations": annotations,
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": spec,
    }


def service_patch(canary: Canary, live: ServiceView, desired: Json) -> Json | None:
    """The merge patch that brings ``live`` to ``desired``, or None when nothing is to be done.

    Of a Service that the canary does not own, only selector, ports and a trafficDistribution that
    the canary asks for are touched: it was there before, and its metadata are its maker's. Of one
    that it owns, labels and annotations that nobody may have put there go away, but for those that
    `service.unmanagedMetadata` names and those that Kuma writes.
    """
    spec: Json = {}
    selector = _mapping_patch(desired["spec"]["selector"], live.spec.selector)
    if selector:
        spec["selector"] = selector
    ports = tuple(msgspec.convert(desired["spec"]["ports"], tuple[ServicePort, ...]))
    if _comparable(ports) != _comparable(live.spec.ports):
        spec["ports"] = _encoded(_with_node_ports(ports, live.spec.ports))
    metadata: Json = {}
    distribution = desired["spec"].get("trafficDistribution")
    owned = live.metadata.owned_by(canary.metadata.uid)
    if live.spec.traffic_distribution != distribution and (distribution or owned):
        spec["trafficDistribution"] = distribution
    if owned:
        unmanaged = canary.spec.service.unmanaged_metadata
        for field, found in (
            ("labels", live.metadata.labels),
            ("annotations", live.metadata.annotations),
        ):
            wanted = desired["metadata"][field]
            kumas = {key for key in found if _written_by_kuma(key) and key not in wanted}
            changes = _mapping_patch(wanted, found, kumas.union(getattr(unmanaged, field)))
            if changes:
                metadata[field] = changes
    patch = {key: value for key, value in (("metadata", metadata), ("spec", spec)) if value}
    return patch or None


def apex_return(
    canary: Canary, apex: ServiceView, selector_before: Mapping[str, str]
) -> Json | None:
    """The merge patch that leads an apex to where it led before and, where it is the Canary's,
    takes it from it; None when nothing is to be done."""
    patch: Json = {}
    selector = _mapping_patch(selector_before, apex.spec.selector)
    if selector:
        patch["spec"] = {"selector": selector}
    if apex.metadata.owned_by(canary.metadata.uid):
        others = [
            msgspec.to_builtins(owner)
            for owner in apex.metadata.owner_references
            if owner.uid != canary.metadata.uid
        ]
        patch["metadata"] = {"ownerReferences": others}
    return patch or None


def applied_selector(service: Json) -> dict[str, str] | None:
    """The selector of the manifest that kubectl applied last to a Service, given whole; None
    where kubectl has not kept one that can be read."""
    annotations = (service.get("metadata") or {}).get("annotations") or {}
    try:
        manifest = _manifest.decode(annotations.get(LAST_APPLIED, "{}"))
    except msgspec.DecodeError:
        return None
    return manifest.spec.selector or None


class _AppliedSpec(msgspec.Struct, frozen=True):
    selector: dict[str, str] | None = None


class _Applied(msgspec.Struct, frozen=True):
    spec: _AppliedSpec = _AppliedSpec()


_manifest = msgspec.json.Decoder(_Applied)


def selects_primary(service: ServiceView, pods: PodSelector) -> bool:
    """Whether a Service leads to the primary's pods."""
    return service.spec.selector == pods.primary


def _metadata(canary: Canary, role: Role) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations that the canary asks for in that role."""
    asked: CustomMetadata = getattr(canary.spec.service, role.value)
    return dict(asked.labels), {**asked.annotations, **UNMANAGED_BY_FLUX}


def _ports(canary: Canary, role: Role, target: PodsView) -> tuple[ServicePort, ...]:
    service = canary.spec.service
    annotations = _metadata(canary, role)[1]
    main = ServicePort(
        port=service.port,
        name=service.port_name_or_default,
        target_port=service.target_port_or_default,
        app_protocol=service.app_protocol or annotated_protocol(annotations, service.port),
    )
    return (main, *_discovered(main, target, annotations)) if service.port_discovery else (main,)


def annotated_protocol(annotations: Mapping[str, str], port: int) -> str | None:
    """The protocol that Kuma's annotation gives to a port.

    Kuma derives a MeshService's protocol from appProtocol alone; with the annotation alone, as
    Flagger's examples have it, the port would count as TCP and no HTTP route would ever apply.
    """
    return annotations.get(f"{port}{PROTOCOL_ANNOTATION}") or None


def _discovered(
    main: ServicePort, target: PodsView, annotations: Mapping[str, str]
) -> list[ServicePort]:
    """The other ports of the pods' containers."""
    found: dict[tuple[int, str], ServicePort] = {}
    names = {main.name}
    for container in (target.template().get("spec") or {}).get("containers") or ():
        if container.get("name") in SIDECARS:
            continue
        for index, port in enumerate(container.get("ports") or ()):
            number, protocol = port["containerPort"], port.get("protocol") or "TCP"
            name = port.get("name") or f"tcp-{container['name']}-{index}"
            served = number in (main.port, main.target_port) or name == main.target_port
            if served or name in names or (number, protocol) in found:
                continue
            names.add(name)
            found[number, protocol] = ServicePort(
                port=number,
                name=name,
                protocol=protocol,
                target_port=number,
                app_protocol=annotated_protocol(annotations, number),
            )
    return list(found.values())


def _comparable(ports: Sequence[ServicePort]) -> list[tuple[Any, ...]]:
    """What two lists of ports have to agree in."""
    return sorted(
        (
            port.port,
            port.protocol,
            port.name,
            str(port.port if port.target_port is None else port.target_port),
            port.app_protocol or "",
        )
        for port in ports
    )


def _with_node_ports(
    ports: Sequence[ServicePort], live: Sequence[ServicePort]
) -> list[ServicePort]:
    """The ports with the node ports that the live Service was given."""
    given = {(port.port, port.protocol): port.node_port for port in live}
    return [
        msgspec.structs.replace(port, node_port=given.get((port.port, port.protocol), 0))
        for port in ports
    ]


def _encoded(ports: Iterable[ServicePort]) -> list[Json]:
    return [msgspec.to_builtins(port) for port in ports]


def _mapping_patch(
    wanted: Mapping[str, str], found: Mapping[str, str], kept: Collection[str] = ()
) -> dict[str, str | None]:
    """The merge patch from one mapping to another, without the keys that are kept as found."""
    patch: dict[str, str | None] = {
        key: value
        for key, value in wanted.items()
        if key not in found or (found[key] != value and key not in kept)
    }
    patch.update({key: None for key in found if key not in wanted and key not in kept})
    return patch


def _written_by_kuma(key: str) -> bool:
    if key in INGRESS_HINTS:
        return True
    domain, _, name = key.rpartition("/")
    return domain in ("kuma.io", "k8s.kuma.io") and bool(name)
