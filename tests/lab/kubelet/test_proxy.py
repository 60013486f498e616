"""Service rules as text."""

from typing import Any

import msgspec

from serinus.lab.kubelet.manifest import EndpointSlice, Service
from serinus.lab.kubelet.proxy import Redirection, base_rules, frontends, service_rules


def service(name: str, ip: str, port: str = "") -> Service:
    body: dict[str, Any] = {
        "metadata": {"name": name, "namespace": "test"},
        "spec": {"clusterIP": ip, "ports": [{"port": 9898, "name": port}]},
    }
    return msgspec.convert(body, Service)


def behind(name: str, *addresses: str, ready: bool = True, port: str = "") -> EndpointSlice:
    body = {
        "metadata": {
            "name": f"{name}-x",
            "namespace": "test",
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [{"addresses": [one], "conditions": {"ready": ready}} for one in addresses],
        "ports": [{"port": 8080, "name": port, "protocol": "TCP"}],
    }
    return msgspec.convert(body, EndpointSlice)


def test_rules_for_services_with_many_one_and_no_pods() -> None:
    services = [
        service("many", "10.96.0.10"),
        service("one", "10.96.0.11", port="http"),
        service("none", "10.96.0.12"),
        service("headless", "None"),
    ]
    slices = [
        behind("many", "10.244.0.3", "10.244.0.2", "10.244.0.4"),
        behind("one", "10.244.0.5", port="http"),
        behind("none", "10.244.0.6", ready=False),
        behind("headless", "10.244.0.7"),
    ]
    to = "/32 -p tcp -m tcp --dport 9898"
    random = "-m statistic --mode random --probability"
    assert service_rules(frontends(services, slices)).splitlines() == [
        "*filter",
        ":LAB-REJECT - [0:0]",
        f"-A LAB-REJECT -d 10.96.0.12{to} -j REJECT --reject-with icmp-port-unreachable",
        "COMMIT",
        "*nat",
        ":LAB-SERVICES - [0:0]",
        "-A LAB-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 "
        "-j DNAT --to-destination 10.244.0.1:6443",
        f"-A LAB-SERVICES -d 10.96.0.10{to} {random} 0.33333333 "
        "-j DNAT --to-destination 10.244.0.2:8080",
        f"-A LAB-SERVICES -d 10.96.0.10{to} {random} 0.50000000 "
        "-j DNAT --to-destination 10.244.0.3:8080",
        f"-A LAB-SERVICES -d 10.96.0.10{to} -j DNAT --to-destination 10.244.0.4:8080",
        f"-A LAB-SERVICES -d 10.96.0.11{to} -j DNAT --to-destination 10.244.0.5:8080",
        "COMMIT",
    ]


def test_a_pod_without_sidecar_only_goes_to_services() -> None:
    assert Redirection.of({}) is None
    assert base_rules(None).splitlines() == [
        "*filter",
        ":LAB-REJECT - [0:0]",
        "-A OUTPUT -j LAB-REJECT",
        "COMMIT",
        "*nat",
        ":LAB-SERVICES - [0:0]",
        "-A OUTPUT -j LAB-SERVICES",
        "COMMIT",
    ]


def test_a_pod_with_sidecar_goes_through_it() -> None:
    annotations = {
        "kuma.io/transparent-proxying": "enabled",
        "kuma.io/transparent-proxying-inbound-port": "15006",
        "kuma.io/transparent-proxying-outbound-port": "15001",
        "traffic.kuma.io/exclude-outbound-ports": "8443, 25",
        "traffic.kuma.io/exclude-inbound-ports": "7070",
    }
    lines = base_rules(Redirection.of(annotations)).splitlines()
    assert lines[lines.index("*nat") :] == [
        "*nat",
        ":LAB-SERVICES - [0:0]",
        ":LAB-OUT - [0:0]",
        ":LAB-IN - [0:0]",
        "-A OUTPUT -p tcp -j LAB-OUT",
        "-A PREROUTING -p tcp -j LAB-IN",
        "-A LAB-OUT -m mark --mark 0x6b -j RETURN",
        "-A LAB-OUT -d 127.0.0.0/8 -j RETURN",
        "-A LAB-OUT -o lo -j RETURN",
        "-A LAB-OUT -p tcp -m tcp --dport 8443 -j RETURN",
        "-A LAB-OUT -p tcp -m tcp --dport 25 -j RETURN",
        "-A LAB-OUT -p tcp -j REDIRECT --to-ports 15001",
        "-A LAB-IN -s 10.244.0.1/32 -j RETURN",
        "-A LAB-IN -p tcp -m tcp --dport 5670 -j RETURN",
        "-A LAB-IN -p tcp -m tcp --dport 7070 -j RETURN",
        "-A LAB-IN -p tcp -j REDIRECT --to-ports 15006",
        "-A OUTPUT -j LAB-SERVICES",
        "COMMIT",
    ]
