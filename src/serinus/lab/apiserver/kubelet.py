"""How the API server reaches the kubelets."""

import ssl
from typing import Final

import aiohttp

from serinus.lab.addresses import KUBELET_PORT
from serinus.lab.apiserver import errors
from serinus.lab.apiserver.store import Store
from serinus.lab.pki import Pki

_CONNECT_SECONDS: Final = 10


class Kubelet:
    """The API server's connection to the kubelets, with its client certificate."""

    def __init__(self, store: Store, pki: Pki) -> None:
        self._store = store
        self._pki = pki
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._pki.ca.cert))
            pair = self._pki.kubelet_client
            context.load_cert_chain(pair.cert, pair.key)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def url(self, node: str) -> str:
        """``https://ADDRESS:PORT`` of a node's kubelet."""
        entry = self._store.get(("", "nodes"), "", node)
        if entry is None:
            raise errors.not_found("", "nodes", node)
        status = entry.decode().get("status") or {}
        for address in status.get("addresses") or ():
            if address["type"] == "InternalIP":
                endpoints = status.get("daemonEndpoints") or {}
                port = (endpoints.get("kubeletEndpoint") or {}).get("Port") or KUBELET_PORT
                return f"https://{address['address']}:{port}"
        raise errors.internal(f"no preferred addresses found for node {node}; known: []")
