"""Connections from a kubeconfig file, or from inside a pod.

A kubeconfig may name exec plugins, OIDC providers, token files and certificates in half a dozen
forms; the official `kubernetes` package knows them all, and is imported here alone and only when
there is such a file, because its import costs 50 MB and half a second. Inside a pod there are just
two files to read, which takes fewer lines than the package would; so an operator in a cluster
never pays for it.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import Any

from serinus.cluster.connection import AuthorityFile, Connection

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

TOKEN_AGE = 60.0
"""Seconds after which the files are read anew: the kubelet rotates tokens at 80 % of their
life, which is 10 minutes at the least."""


class NoConnection(Exception):
    """There is no usable way to an API server; the message says what is missing."""


async def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Connection:
    """The connection that kubectl would use: ``kubeconfig``, else ``$KUBECONFIG``, else the pod's
    own service account, else ``~/.kube/config``."""
    paths = kubeconfig or environ.get("KUBECONFIG")
    if paths:
        return await from_kubeconfig(paths, context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ)
    return await from_kubeconfig("~/.kube/config", context)


def in_cluster(
    environ: Mapping[str, str] = os.environ, account: Path = SERVICE_ACCOUNT
) -> Connection:
    """The connection of the pod's service account. Its token and its authorities are read anew as
    they are rotated."""
    host = environ.get("KUBERNETES_SERVICE_HOST")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise NoConnection("this is no pod: KUBERNETES_SERVICE_HOST is not set")
    try:
        context = create_default_context(cafile=str(account / "ca.crt"))
        credentials = _Account(account, context)
    except OSError as error:
        raise NoConnection(
            f"the pod's service account in {account} cannot be read: {error};"
            " is automountServiceAccountToken false?"
        ) from error
    namespace_file = account / "namespace"
    namespace = namespace_file.read_text().strip() if namespace_file.exists() else "default"
    name = f"[{host}]" if ":" in host else host
    return Connection(f"https://{name}:{port}", context, credentials.headers, namespace)


class _Account:
    """A pod's service account: its token, and the authorities that its connections trust."""

    def __init__(self, directory: Path, trust: SSLContext) -> None:
        self._directory = directory
        self._authorities = AuthorityFile(directory / "ca.crt", trust)
        self._read()

    def _read(self) -> None:
        token = (self._directory / "token").read_text().strip()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._due = time.monotonic() + TOKEN_AGE

    async def headers(self) -> Mapping[str, str]:
        self._authorities.refresh()
        if time.monotonic() >= self._due:
            self._read()
        return self._headers


async def from_kubeconfig(paths: str, context: str | None = None) -> Connection:
    """The connection of a kubeconfig's ``context`` (by default its current one).

    ``paths`` are separated as in ``$KUBECONFIG``. Credentials of exec plugins are renewed when
    they expire.
    """
    existing = _existing(paths)
    if not existing:
        raise NoConnection(f"there is no kubeconfig at {paths}")

    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import ConfigException, load_kube_config

    configuration = Configuration()
    try:
        loader = await load_kube_config(  # type: ignore[no-untyped-call]
            config_file=os.pathsep.join(existing),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, OSError) as error:
        raise NoConnection(f"the kubeconfig {paths} cannot be used: {error}") from error
    trust = _trust(configuration)
    return Connection(
        configuration.host.rstrip("/"),
        trust,
        _Credentials(loader, configuration, trust).headers,
        loader.current_context["context"].get("namespace") or "default",
        configuration.proxy,
        configuration.tls_server_name,
        loader.current_context["context"].get("user") or "",
    )


def _existing(paths: str) -> list[str]:
    return [
        str(path)
        for path in (Path(text).expanduser() for text in paths.split(os.pathsep) if text)
        if path.exists()
    ]


def _trust(configuration: Any) -> SSLContext | None:
    if not configuration.host.startswith("https://"):
        return None
    context = create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    return context


class _Credentials:
    """What the package found to authenticate with, renewed through it."""

    def __init__(self, loader: Any, configuration: Any, trust: SSLContext | None) -> None:
        self._loader = loader
        self._configuration = configuration
        # The package writes an authority that is in the kubeconfig itself to a file, too.
        path = configuration.ssl_ca_cert
        self._authorities = AuthorityFile(Path(path), trust) if trust and path else None
        self._lock = asyncio.Lock()
        self._due = time.monotonic() + TOKEN_AGE

    async def headers(self) -> Mapping[str, str]:
        if self._authorities is not None:
            self._authorities.refresh()
        if time.monotonic() >= self._due:
            async with self._lock:
                if time.monotonic() >= self._due:
                    # The package runs a plugin only when its last answer has expired.
                    await self._loader.load_and_set(self._configuration)
                    self._due = time.monotonic() + TOKEN_AGE
        authorization = self._configuration.api_key.get("BearerToken")
        return {"Authorization": authorization} if authorization else {}
