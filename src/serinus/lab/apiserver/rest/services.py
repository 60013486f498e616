"""Addresses and node ports of Services: unique in the lab, stable for a Service's life."""

import secrets
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from serinus.lab.addresses import NODE_PORTS, SERVICE_NETWORK
from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.store import Store

_SERVICES = ("", "services")


def _specs(store: Store) -> Iterable[dict[str, Any]]:
    return (entry.decode()["spec"] for entry in store.list(_SERVICES))


def allocate(store: Store, service: Obj, live: Obj | None) -> None:
    """Gives ``service`` what its type needs and it does not have; keeps what ``live`` has."""
    spec = service.setdefault("spec", {})
    if spec.get("type") == "ExternalName":
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)
        return
    _allocate_address(store, service, (live or {}).get("spec") or {})
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        _allocate_ports(store, service, (live or {}).get("spec") or {})
    else:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)


def keep_address(live: Obj, new: Obj) -> None:
    """An update that does not mention the address means the one that is there."""
    spec, before = new.get("spec") or {}, live.get("spec") or {}
    if "ExternalName" in (spec.get("type"), before.get("type")):
        return
    for name in ("clusterIP", "clusterIPs"):
        if not spec.get(name) and before.get(name):
            spec[name] = before[name]


def drop_ports(live: Obj, new: Obj) -> None:
    """A Service that needs no ports of the node any more loses those that it had been given."""
    was, spec = live.get("spec") or {}, new.get("spec") or {}
    by_node = ("NodePort", "LoadBalancer")
    if was.get("type") not in by_node or spec.get("type", "ClusterIP") in by_node:
        return
    before, ports = was.get("ports") or [], spec.get("ports") or []
    if [port.get("nodePort") for port in before] == [port.get("nodePort") for port in ports]:
        for port in ports:
            port.pop("nodePort", None)
    if spec.get("externalTrafficPolicy") == was.get("externalTrafficPolicy"):
        spec.pop("externalTrafficPolicy", None)


def _allocate_address(store: Store, service: Obj, live: dict[str, Any]) -> None:
    spec = service["spec"]
    kept = live.get("clusterIP")
    asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), None)
    name = service["metadata"]["name"]
    if kept and live.get("type") != "ExternalName":
        if asked and asked != kept:
            wrong = field_errors.immutable("spec.clusterIPs[0]", [asked])
            raise errors.invalid("", "Service", name, [wrong])
        address = kept
    elif asked == "None":
        address = asked
    else:
        used = {other.get("clusterIP") for other in _specs(store)}
        address = asked or _free_address(used)
        if asked and (asked in used or not _in_network(asked)):
            why = (
                "provided IP is already allocated"
                if asked in used
                else "the provided network does not match the current range"
            )
            wrong = field_errors.invalid(
                "spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {why}"
            )
            raise errors.invalid("", "Service", name, [wrong])
    spec["clusterIP"] = address
    spec["clusterIPs"] = [address]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _in_network(text: str) -> bool:
    try:
        return IPv4Address(text) in SERVICE_NETWORK
    except ValueError:
        return False


def _free_address(used: set[Any]) -> str:
    """At random, so that a deleted Service's address does not come back at once."""
    while True:
        address = str(SERVICE_NETWORK[secrets.randbelow(SERVICE_NETWORK.num_addresses - 257) + 256])
        if address not in used:
            return address


def _allocate_ports(store: Store, service: Obj, live: dict[str, Any]) -> None:
    metadata = service["metadata"]
    used: set[int] = set()
    for entry in store.list(_SERVICES):
        if (entry.namespace, entry.name) != (metadata.get("namespace"), metadata["name"]):
            ports = entry.decode()["spec"].get("ports") or ()
            used.update(port["nodePort"] for port in ports if port.get("nodePort"))
    before = {
        (port.get("name"), port["port"]): port.get("nodePort") for port in live.get("ports") or ()
    }
    for index, port in enumerate(service["spec"].get("ports") or ()):
        asked = port.get("nodePort") or before.get((port.get("name"), port["port"]))
        why = _refusal(asked, used) if asked else ""
        if why:
            wrong = field_errors.invalid(f"spec.ports[{index}].nodePort", asked, why)
            raise errors.invalid("", "Service", metadata["name"], [wrong])
        port["nodePort"] = asked or next(free for free in NODE_PORTS if free not in used)
        used.add(port["nodePort"])


def _refusal(port: int, used: set[int]) -> str:
    if port not in NODE_PORTS:
        return (
            "provided port is not in the valid range. The range of valid ports is "
            f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
        )
    return "provided port is already allocated" if port in used else ""
