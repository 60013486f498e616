"""Service traffic of pods: iptables in each pod's own network namespace.

LAB-SERVICES (from nat OUTPUT) sends a connection to a ClusterIP to one of the Service's ready
pods, each as likely; LAB-REJECT (from filter OUTPUT) refuses it when there is none. A pod with a
sidecar first goes Kuma's way: everything that leaves is redirected to Envoy's port for that, unless
Envoy itself (mark 0x6b) sends it, and everything that arrives to its inbound port, unless the node
sends it (probes).
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from serinus.lab.addresses import (
    API_SERVER_PORT,
    KUBERNETES_SERVICE_IP,
    KUBERNETES_SERVICE_PORT,
    NODE_IP,
)
from serinus.lab.kubelet.manifest import EndpointSlice, Pod, Service
from serinus.lab.kubelet.network import NODE, PodNetwork
from serinus.lab.kubelet.process import CommandFailed, run

ENVOY_MARK = "0x6b"
METRICS_PORT = 5670
SERVICE_LABEL = "kubernetes.io/service-name"

DEBOUNCE = 0.02
"""Seconds in which several changes become one."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Frontend:
    """A ClusterIP and port, and the pods (address, port) behind it."""

    address: str
    port: int
    protocol: str
    backends: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Redirection:
    """A sidecar's ports, and the ports that go past it."""

    inbound: int
    outbound: int
    exclude_inbound: tuple[str, ...] = ()
    exclude_outbound: tuple[str, ...] = ()

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> "Redirection | None":
        """From an injected pod's annotations; None for a pod without transparent proxying."""
        if annotations.get("kuma.io/transparent-proxying") not in {"enabled", "true"}:
            return None
        excluded = annotations.get("traffic.kuma.io/exclude-inbound-ports", "")
        return cls(
            int(annotations.get("kuma.io/transparent-proxying-inbound-port", "15006")),
            int(annotations.get("kuma.io/transparent-proxying-outbound-port", "15001")),
            (str(METRICS_PORT), *_ports(excluded)),
            _ports(annotations.get("traffic.kuma.io/exclude-outbound-ports", "")),
        )


def _ports(text: str) -> tuple[str, ...]:
    return tuple(port for word in text.split(",") if (port := word.strip()).isdecimal())


def frontends(services: Sequence[Service], slices: Sequence[EndpointSlice]) -> list[Frontend]:
    """All ClusterIPs, sorted."""
    by_service: dict[tuple[str, str], list[EndpointSlice]] = {}
    for one in slices:
        name = one.metadata.labels.get(SERVICE_LABEL, "")
        by_service.setdefault((one.metadata.namespace, name), []).append(one)
    found = [
        Frontend(
            str(KUBERNETES_SERVICE_IP),
            KUBERNETES_SERVICE_PORT,
            "tcp",
            ((str(NODE_IP), API_SERVER_PORT),),
        )
    ]
    for service in services:
        address = service.spec.cluster_ip
        if address in {"", "None", str(KUBERNETES_SERVICE_IP)}:
            continue
        mine = by_service.get((service.metadata.namespace, service.metadata.name), [])
        for port in service.spec.ports:
            backends = sorted(
                (pod, target.port)
                for one in mine
                for target in one.ports or []
                if (target.name or "") == port.name and target.port
                for endpoint in one.endpoints or []
                if endpoint.conditions.ready is not False
                for pod in endpoint.addresses
            )
            found.append(Frontend(address, port.port, port.protocol.lower(), tuple(backends)))
    return sorted(found)


def service_rules(services: Sequence[Frontend]) -> str:
    """What iptables-restore (--noflush) is told when Services change: the two chains anew."""
    nat, rejects = [], []
    for one in services:
        to = f"-d {one.address}/32 -p {one.protocol} -m {one.protocol} --dport {one.port}"
        if not one.backends:
            rejects.append(f"-A LAB-REJECT {to} -j REJECT --reject-with icmp-port-unreachable")
        for index, (address, port) in enumerate(one.backends):
            left = len(one.backends) - index
            chance = f" -m statistic --mode random --probability {1 / left:.8f}" if left > 1 else ""
            target = f"-j DNAT --to-destination {address}:{port}"
            nat.append(f"-A LAB-SERVICES {to}{chance} {target}")
    lines = ["*filter", ":LAB-REJECT - [0:0]", *rejects, "COMMIT"]
    lines += ["*nat", ":LAB-SERVICES - [0:0]", *nat, "COMMIT"]
    return "\n".join(lines) + "\n"


def base_rules(redirection: Redirection | None) -> str:
    """What a new pod's namespace is told once."""
    lines = ["*filter", ":LAB-REJECT - [0:0]", "-A OUTPUT -j LAB-REJECT", "COMMIT"]
    lines += ["*nat", ":LAB-SERVICES - [0:0]"]
    if redirection is not None:
        lines += [":LAB-OUT - [0:0]", ":LAB-IN - [0:0]"]
        lines += ["-A OUTPUT -p tcp -j LAB-OUT", "-A PREROUTING -p tcp -j LAB-IN"]
        lines.append(f"-A LAB-OUT -m mark --mark {ENVOY_MARK} -j RETURN")
        lines.append("-A LAB-OUT -d 127.0.0.0/8 -j RETURN")
        lines.append("-A LAB-OUT -o lo -j RETURN")
        lines.extend(
            f"-A LAB-OUT -p tcp -m tcp --dport {port} -j RETURN"
            for port in redirection.exclude_outbound
        )
        lines.append(f"-A LAB-OUT -p tcp -j REDIRECT --to-ports {redirection.outbound}")
        lines.append(f"-A LAB-IN -s {NODE_IP}/32 -j RETURN")
        lines.extend(
            f"-A LAB-IN -p tcp -m tcp --dport {port} -j RETURN"
            for port in redirection.exclude_inbound
        )
        lines.append(f"-A LAB-IN -p tcp -j REDIRECT --to-ports {redirection.inbound}")
    lines += ["-A OUTPUT -j LAB-SERVICES", "COMMIT"]
    return "\n".join(lines) + "\n"


async def restore(where: PodNetwork, rules: str) -> None:
    """Load rules into a pod's namespace; raises `CommandFailed`."""
    # The usual lock file belongs to root of the machine, and is one for all namespaces.
    environment = {**os.environ, "XTABLES_LOCKFILE": f"/run/xtables-{where.namespace}.lock"}
    enter = ["nsenter", f"--net={where.path}"]
    await run([*enter, "iptables-restore", "--noflush"], given=rules, env=environment)


@dataclass(slots=True)
class ServiceProxy:
    """Keeps every pod's rules. Call `update` when Services or endpoints changed."""

    _rules: str = field(default_factory=lambda: service_rules(frontends([], [])))
    _loaded: dict[PodNetwork, str] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def add(self, pod: Pod, where: PodNetwork) -> None:
        """Set a new pod's rules up; its containers start after that."""
        await self._add(Redirection.of(pod.metadata.annotations), where)

    async def add_node(self) -> None:
        """Let the node itself reach Services too."""
        await self._add(None, NODE)

    async def _add(self, redirection: Redirection | None, where: PodNetwork) -> None:
        rules = self._rules
        await restore(where, base_rules(redirection) + rules)
        self._loaded[where] = rules
        self._changed.set()

    def remove(self, where: PodNetwork) -> None:
        """The pod's namespace is going."""
        self._loaded.pop(where, None)

    def update(self, services: Sequence[Service], slices: Sequence[EndpointSlice]) -> None:
        """Have every pod follow, soon."""
        rules = service_rules(frontends(services, slices))
        if rules != self._rules:
            self._rules = rules
            self._changed.set()

    async def run(self) -> None:
        """Bring the pods' rules up to date whenever they are not, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(DEBOUNCE)
            self._changed.clear()
            stale = [where for where, loaded in self._loaded.items() if loaded != self._rules]
            await asyncio.gather(*(self._load(where, self._rules) for where in stale))

    async def _load(self, where: PodNetwork, rules: str) -> None:
        try:
            await restore(where, rules)
        except CommandFailed as error:
            if where in self._loaded:
                log.warning("service rules not loaded", pod=where.namespace, error=str(error))
                await asyncio.sleep(1.0)
                self._changed.set()
            return
        if where in self._loaded:
            self._loaded[where] = rules
