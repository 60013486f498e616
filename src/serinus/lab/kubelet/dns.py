"""The cluster's DNS: names of Services, and nothing else.

Every question has its answer here: a name that is no Service's does not exist, at once, so that
nothing of the lab ever asks a server outside of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from dnslib import QTYPE, RCODE, RR, SRV, A, DNSError, DNSRecord

from serinus.lab.addresses import CLUSTER_DOMAIN
from serinus.lab.kubelet.manifest import EndpointSlice, Service
from serinus.lab.kubelet.proxy import SERVICE_LABEL

TTL = 1
"""Seconds; a Service of the lab may be made anew at any time."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Records:
    """What one name stands for."""

    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, str, int], ...] = ()
    """Name, protocol and number of each port, for SRV."""


@dataclass(slots=True)
class Zone:
    """The names of a cluster, below ``svc.cluster.local``."""

    names: dict[str, Records] = field(default_factory=dict)

    @classmethod
    def of(cls, services: list[Service], slices: list[EndpointSlice]) -> "Zone":
        """The zone of these objects."""
        ready: dict[tuple[str, str], list[tuple[str, str | None]]] = {}
        for one in slices:
            key = (one.metadata.namespace, one.metadata.labels.get(SERVICE_LABEL, ""))
            for endpoint in one.endpoints or []:
                if endpoint.conditions.ready is not False:
                    pairs = [(address, endpoint.hostname) for address in endpoint.addresses]
                    ready.setdefault(key, []).extend(pairs)
        zone = cls()
        for service in services:
            meta, spec = service.metadata, service.spec
            base = f"{meta.name}.{meta.namespace}.svc.{CLUSTER_DOMAIN}"
            ports = tuple((port.name, port.protocol.lower(), port.port) for port in spec.ports)
            if spec.cluster_ip and spec.cluster_ip != "None":
                zone.names[base] = Records((spec.cluster_ip,), ports)
            elif spec.cluster_ip == "None":
                pods = ready.get((meta.namespace, meta.name), [])
                addresses = tuple(sorted({address for address, _ in pods}))
                zone.names[base] = Records(addresses, ports)
                for address, hostname in pods:
                    if hostname:
                        zone.names[f"{hostname}.{base}"] = Records((address,), ports)
        return zone

    def find(self, name: str) -> tuple[str, Records] | None:
        """The records of a name, with the zone's own spelling of it.

        ``NAME.NS`` and ``NAME.NS.svc`` are known too: the search list of a pod makes the whole
        name of them, and programs that do not use it still find their way.
        """
        name = name.rstrip(".").lower()
        candidates = [name, f"{name}.{CLUSTER_DOMAIN}", f"{name}.svc.{CLUSTER_DOMAIN}"]
        for candidate in candidates:
            if candidate in self.names:
                return candidate, self.names[candidate]
        return None


def answer(zone: Zone, question: DNSRecord) -> DNSRecord:
    """The reply to a question."""
    reply = question.reply(aa=1, ra=1)
    name = str(question.q.qname)
    wanted = QTYPE[question.q.qtype]
    labels = name.rstrip(".").split(".")
    service = labels[:2] if len(labels) > 2 and labels[0].startswith("_") else None
    found = zone.find(".".join(labels[2:]) if service else name)
    if found is None:
        reply.header.rcode = RCODE.NXDOMAIN
        return reply
    full, records = found
    if service:
        for port_name, protocol, port in records.ports:
            if service == [f"_{port_name}", f"_{protocol}"] and wanted in {"SRV", "ANY"}:
                reply.add_answer(RR(name, QTYPE.SRV, rdata=SRV(0, 100, port, full), ttl=TTL))
        return reply
    if wanted in {"A", "ANY"}:
        for address in records.addresses:
            reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=TTL))
    return reply


class DnsServer(asyncio.DatagramProtocol):
    """Answers on UDP. ``zone`` is asked for at each question."""

    def __init__(self, zone: Callable[[], Zone]) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            reply = answer(self._zone(), DNSRecord.parse(data))
        except DNSError as error:
            log.info("a question that is no DNS", peer=addr[0], error=str(error))
            return
        if self._transport is not None:
            self._transport.sendto(reply.pack(), addr)


async def serve(zone: Callable[[], Zone], host: str, port: int) -> asyncio.DatagramTransport:
    """Start the server; close the transport to end it."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: DnsServer(zone), (host, port)
    )
    return transport
