"""The columns of Services and what surrounds them."""

from typing import Any

from serinus.lab.apiserver.tables.column import (
    AGE,
    NAME,
    NONE,
    Object,
    at,
    computed,
    joined,
    labels_text,
    selector_text,
    shown,
    wide,
)


def _external_ip(service: Object) -> Any:
    kind = at(service, "spec", "type") or "ClusterIP"
    if kind == "ExternalName":
        return at(service, "spec", "externalName") or NONE
    addresses = list(at(service, "spec", "externalIPs") or [])
    if kind == "LoadBalancer":
        addresses = _load_balancers(service) + addresses
        return ",".join(addresses) or "<pending>"
    return joined(addresses)


def _load_balancers(obj: Object) -> list[str]:
    return [
        str(entry.get("ip") or entry.get("hostname"))
        for entry in at(obj, "status", "loadBalancer", "ingress") or []
    ]


def _service_ports(service: Object) -> str:
    return joined(
        f"{port.get('port')}"
        + (f":{port['nodePort']}" if port.get("nodePort") else "")
        + f"/{port.get('protocol') or 'TCP'}"
        for port in at(service, "spec", "ports") or []
    )


SERVICE = (
    NAME,
    shown("Type", "spec", "type", default="ClusterIP"),
    shown("Cluster-IP", "spec", "clusterIP"),
    computed("External-IP", _external_ip),
    computed("Port(s)", _service_ports),
    AGE,
    wide(computed("Selector", lambda service: labels_text(at(service, "spec", "selector")))),
)


def _first_three(values: list[str], empty: str) -> str:
    if not values:
        return empty
    more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
    return ",".join(values[:3]) + more


def _host_port(address: str, port: Any) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoints(obj: Object) -> str:
    pairs: list[str] = []
    for subset in obj.get("subsets") or []:
        addresses = [a.get("ip", "") for a in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        if ports:
            pairs += [_host_port(a, port.get("port")) for port in ports for a in addresses]
        else:
            pairs += addresses
    return _first_three(pairs, NONE)


ENDPOINTS = (NAME, computed("Endpoints", _endpoints), AGE)


def _slice_ports(obj: Object) -> str:
    return _first_three([str(p.get("port", "*")) for p in obj.get("ports") or []], "<unset>")


def _slice_endpoints(obj: Object) -> str:
    endpoints = obj.get("endpoints") or []
    return _first_three([a for e in endpoints for a in e.get("addresses") or []], "<unset>")


ENDPOINT_SLICE = (
    NAME,
    shown("AddressType", "addressType", default=""),
    computed("Ports", _slice_ports),
    computed("Endpoints", _slice_endpoints),
    AGE,
)


def _hosts(ingress: Object) -> str:
    hosts = [rule["host"] for rule in at(ingress, "spec", "rules") or [] if rule.get("host")]
    return _first_three(hosts, "*")


INGRESS = (
    NAME,
    shown("Class", "spec", "ingressClassName"),
    computed("Hosts", _hosts),
    computed("Address", lambda ingress: ",".join(_load_balancers(ingress))),
    computed("Ports", lambda ingress: "80, 443" if at(ingress, "spec", "tls") else "80"),
    AGE,
)
INGRESS_CLASS = (
    NAME,
    shown("Controller", "spec", "controller", default=""),
    computed("Parameters", lambda o: _parameters(at(o, "spec", "parameters"))),
    AGE,
)


def _parameters(reference: Object | None) -> str:
    if not reference:
        return NONE
    group = f".{reference['apiGroup']}" if reference.get("apiGroup") else ""
    return f"{reference.get('kind', '')}{group}/{reference.get('name', '')}"


NETWORK_POLICY = (
    NAME,
    computed("Pod-Selector", lambda policy: selector_text(at(policy, "spec", "podSelector"))),
    AGE,
)
