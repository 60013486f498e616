"""The cluster's DNS: answers, and one question over UDP."""

import asyncio

import msgspec
import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from serinus.lab.kubelet.dns import Zone, answer, serve
from serinus.lab.kubelet.manifest import EndpointSlice, Service


@pytest.fixture
def zone() -> Zone:
    services = [
        {
            "metadata": {"name": "podinfo", "namespace": "test"},
            "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 9898, "name": "http"}]},
        },
        {
            "metadata": {"name": "db", "namespace": "test"},
            "spec": {"clusterIP": "None", "ports": [{"port": 5432}]},
        },
    ]
    slices = [
        {
            "metadata": {
                "name": "db-1",
                "namespace": "test",
                "labels": {"kubernetes.io/service-name": "db"},
            },
            "endpoints": [
                {"addresses": ["10.244.0.5"], "conditions": {"ready": True}, "hostname": "db-0"},
                {"addresses": ["10.244.0.6"], "conditions": {"ready": True}},
                {"addresses": ["10.244.0.7"], "conditions": {"ready": False}},
            ],
            "ports": [{"port": 5432}],
        }
    ]
    return Zone.of(
        msgspec.convert(services, list[Service]), msgspec.convert(slices, list[EndpointSlice])
    )


def asked(zone: Zone, name: str, kind: str = "A") -> tuple[int, list[str]]:
    reply = answer(zone, DNSRecord.question(name, kind))
    return reply.header.rcode, [str(record.rdata) for record in reply.rr]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("podinfo.test.svc.cluster.local", ["10.96.0.10"]),
        ("podinfo.test.svc", ["10.96.0.10"]),
        ("PodInfo.Test", ["10.96.0.10"]),
        ("db.test.svc.cluster.local", ["10.244.0.5", "10.244.0.6"]),
        ("db-0.db.test.svc.cluster.local", ["10.244.0.5"]),
    ],
)
def test_names_of_services(zone: Zone, name: str, addresses: list[str]) -> None:
    assert asked(zone, name) == (RCODE.NOERROR, addresses)


@pytest.mark.parametrize(
    "name", ["example.org", "podinfo", "podinfo.other", "podinfo.test.test.svc.cluster.local"]
)
def test_nothing_else_exists(zone: Zone, name: str) -> None:
    assert asked(zone, name) == (RCODE.NXDOMAIN, [])


def test_a_name_has_no_ipv6_address_but_exists(zone: Zone) -> None:
    assert asked(zone, "podinfo.test", "AAAA") == (RCODE.NOERROR, [])


def test_named_ports_have_srv_records(zone: Zone) -> None:
    code, records = asked(zone, "_http._tcp.podinfo.test.svc.cluster.local", "SRV")
    assert code == RCODE.NOERROR
    assert records == ["0 100 9898 podinfo.test.svc.cluster.local."]


class Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answer.set_result(data)


async def test_over_udp_garbage_is_skipped(zone: Zone) -> None:
    server = await serve(lambda: zone, "127.0.0.1", 0)
    asker, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Asker, remote_addr=server.get_extra_info("sockname")
    )
    asker.sendto(b"garbage")
    asker.sendto(DNSRecord.question("podinfo.test").pack())
    reply = DNSRecord.parse(await asyncio.wait_for(protocol.answer, 60))
    assert [str(record.rdata) for record in reply.rr] == ["10.96.0.10"]
    assert QTYPE[reply.rr[0].rtype] == "A"
    asker.close()
    server.close()
