"""What stands behind a Service or in a pod, and how the API server reaches it.

As in Kubernetes, a Service or a pod is asked for as ``NAME``, ``NAME:PORT`` or
``SCHEME:NAME:PORT``, and of a Service's Endpoints only the addresses of its namespace's pods count.
"""

import random
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, NamedTuple

import aiohttp
from yarl import URL

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.store import Store

_CONNECT_SECONDS: Final = 30
_BROADCAST: Final = "255.255.255.255"


class _Wanted(NamedTuple):
    """What is asked for. A ``port`` is a number, a name, or empty; a ``scheme`` may be empty."""

    scheme: str
    name: str
    port: str


class Backends:
    """The API server's connection to the programs that the cluster runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """One that passes on what it is told: no cookies, no redirects, no decompression. Who
        answers is known by address, so that certificates are not looked at."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=False, limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def of_service(self, namespace: str, asked: str) -> URL:
        """``http://ADDRESS:PORT`` of a ready pod behind a Service, a random one.

        404 where there is no such Service or no Endpoints of it, 503 where it has no such port or
        no such pod.
        """
        wanted = _taken_apart(asked, "service")
        port = wanted.port
        if port.isdecimal():
            port = self._port_name(namespace, wanted.name, int(port))
        subsets = self._endpoints(namespace, wanted.name).get("subsets") or ()
        found = [
            (address["ip"], entry["port"])
            for subset in subsets
            for address in subset.get("addresses") or ()
            for entry in subset.get("ports") or ()
            if entry.get("name", "") == port and self._is_pod(namespace, address)
        ]
        if not found:
            told = asked if subsets else wanted.name
            raise errors.service_unavailable(f'no endpoints available for service "{told}"')
        host, number = random.choice(found)
        return URL.build(scheme=wanted.scheme or "http", host=host, port=number)

    def of_pod(self, namespace: str, asked: str) -> URL:
        """``http://ADDRESS:PORT`` of a pod; without a port, the first that it declares.

        404 where there is no such pod, 400 where it has no address that may be asked.
        """
        wanted = _taken_apart(asked, "pod")
        if wanted.port and not wanted.port.isdecimal():
            raise errors.bad_request(f'invalid pod request "{asked}": a port is a number')
        pod = self._get("pods", namespace, wanted.name)
        addresses = _addresses(pod)
        if not addresses or not _is_global_unicast(addresses[0]):
            raise errors.bad_request("address not allowed")
        port = int(wanted.port) if wanted.port else next(_declared_ports(pod), None)
        return URL.build(scheme=wanted.scheme or "http", host=addresses[0], port=port)

    def _port_name(self, namespace: str, name: str, number: int) -> str:
        for port in self._get("services", namespace, name)["spec"].get("ports") or ():
            if port["port"] == number:
                return str(port.get("name", ""))
        raise errors.service_unavailable(f'no service port {number} found for service "{name}"')

    def _endpoints(self, namespace: str, service: str) -> Obj:
        entry = self._store.get(("", "endpoints"), namespace, service)
        if entry is None:
            # In Kubernetes' words: what was asked for was a Service.
            raise errors.not_found("", "services", service)
        return entry.decode()

    def _is_pod(self, namespace: str, address: Obj) -> bool:
        ref = address.get("targetRef") or {}
        if ref.get("namespace") != namespace:
            return False
        pod = self._store.get(("", "pods"), namespace, ref.get("name", ""))
        return pod is not None and address["ip"] in _addresses(pod.decode())

    def _get(self, plural: str, namespace: str, name: str) -> Obj:
        entry = self._store.get(("", plural), namespace, name)
        if entry is None:
            raise errors.not_found("", plural, name)
        return entry.decode()


def _taken_apart(asked: str, what: str) -> _Wanted:
    match asked.split(":"):
        case [name]:
            wanted = _Wanted("", name, "")
        case [name, port]:
            wanted = _Wanted("", name, port)
        case [scheme, name, port]:
            wanted = _Wanted(scheme, name, port)
        case _:
            wanted = _Wanted("", "", "")
    if not wanted.name or wanted.scheme not in ("", "http", "https"):
        raise errors.bad_request(f'invalid {what} request "{asked}"')
    return wanted


def _addresses(pod: Obj) -> list[str]:
    return [entry["ip"] for entry in (pod.get("status") or {}).get("podIPs") or ()]


def _declared_ports(pod: Obj) -> Iterator[int]:
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            yield port["containerPort"]


def _is_global_unicast(address: str) -> bool:
    """As Go has it: private addresses are."""
    ip = ip_address(address)
    special = ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local
    return not special and address != _BROADCAST
