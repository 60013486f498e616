"""The API server as a process: ``python -m serinus.lab.apiserver --root DIR --fd N``.

``--fd`` is a listening socket that the parent opened, perhaps in another network namespace;
``--listen`` an address of this one, which need not exist yet. It prints nothing but its log
(stderr), and stops cleanly on SIGTERM and SIGINT.
"""

import argparse
import asyncio
import gc
import logging
import signal
import socket
import ssl
from pathlib import Path
from typing import Final

from aiohttp import web

from serinus.lab import pki
from serinus.lab.apiserver import bootstrap, crds, events
from serinus.lab.apiserver.access.authorizer import Authorizer
from serinus.lab.apiserver.access.tokens import Authenticator, TokenIssuer, load_signing_key
from serinus.lab.apiserver.admission import Admission
from serinus.lab.apiserver.backends import Backends
from serinus.lab.apiserver.kubelet import Kubelet
from serinus.lab.apiserver.rest.call import Api
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.server import Server
from serinus.lab.apiserver.store import Store
from serinus.lab.paths import LabPaths

log = logging.getLogger(__name__)

IP_FREEBIND: Final = 15
"""Linux: bind to an address before it is there. Not in Python's socket module."""

_BACKLOG: Final = 256
_STOP_SECONDS: Final = 0.5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="serinus.lab.apiserver", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the lab's directory")
    parser.add_argument(
        "--fd", type=int, action="append", default=[], help="an inherited listening socket"
    )
    parser.add_argument(
        "--listen", action="append", default=[], metavar="ADDRESS:PORT", help="an IPv4 address"
    )
    arguments = parser.parse_args()
    if not arguments.fd and not arguments.listen:
        parser.error("nothing to listen on: give --fd N or --listen ADDRESS:PORT")
    return arguments


def _listen(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    listener.bind((host, int(port)))
    return listener


def build(paths: LabPaths) -> Api:
    """The server's parts over the lab's files; what a cluster starts with is made."""
    keys = pki.ensure(paths.pki)
    store = Store(paths.state)
    issuer = TokenIssuer(store, load_signing_key(keys.service_account_key))
    api = Api(
        store=store,
        registry=Registry.builtin(),
        authenticator=Authenticator(paths.tokens, issuer),
        authorizer=Authorizer(store),
        issuer=issuer,
        admission=Admission(store),
        kubelet=Kubelet(store, keys),
        backends=Backends(store),
    )
    crds.load(api)
    bootstrap.ensure(api)
    return api


async def serve(paths: LabPaths, listeners: list[socket.socket]) -> None:
    """Serves until SIGTERM or SIGINT."""
    api = build(paths)
    keys = pki.Pki(paths.pki)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(keys.api_server.cert, keys.api_server.key)
    tls.set_alpn_protocols(["http/1.1"])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # A client that goes away ends its watch: its handler is cancelled.
    server = Server(api)
    web_server = web.Server(server.handle, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(web_server, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    runner_sites = [
        web.SockSite(runner, listener, ssl_context=tls, backlog=_BACKLOG) for listener in listeners
    ]
    for site in runner_sites:
        await site.start()
    chores = [asyncio.create_task(chore) for chore in (_expire_events(api), bootstrap.keep(api))]
    gc.collect()
    gc.freeze()
    log.info("serving on %s", [listener.getsockname() for listener in listeners])
    await stop.wait()
    for chore in chores:
        chore.cancel()
    server.cancel()
    await runner.cleanup()
    await api.admission.close()
    await api.kubelet.close()
    await api.backends.close()
    api.store.close()


async def _expire_events(api: Api) -> None:
    """Events live an hour, as in Kubernetes."""
    while True:
        events.expire(api.store)
        await asyncio.sleep(events.SWEEP_SECONDS)


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    listeners = [socket.socket(fileno=number) for number in arguments.fd]
    listeners += [_listen(where) for where in arguments.listen]
    asyncio.run(serve(LabPaths(arguments.root), listeners))


if __name__ == "__main__":
    main()
