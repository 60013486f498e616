"""From a MetricTemplate's provider to the server that it means."""

import base64
from collections.abc import Mapping

import aiohttp
from yarl import URL

from serinus.api.metrictemplate import MetricProvider
from serinus.cluster.credentials import Credentials, NoCredentials
from serinus.metrics.prometheus import Prometheus, shown

PROMETHEUS = "prometheus"


def provider_problem(provider: MetricProvider) -> str | None:
    """Why this provider cannot be asked, or None when it can."""
    if provider.type != PROMETHEUS:
        return (
            f"provider {provider.type} is not supported by this release; use {PROMETHEUS}"
            if provider.type
            else f"provider has no type; use {PROMETHEUS}"
        )
    if not provider.address:
        return "provider prometheus has no address; write http://HOST or https://HOST"
    try:
        url = URL(provider.address)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        return f'"{shown(provider.address)}" is not an address; write http://HOST or https://HOST'
    return None


async def prometheus(
    provider: MetricProvider,
    namespace: str,
    credentials: Credentials,
    session: aiohttp.ClientSession,
) -> Prometheus:
    """The server of a template in ``namespace``, with its Secret as it is now.

    Raises `NoCredentials`.
    """
    headers = [(name, value) for name, values in provider.headers.items() for value in values]
    if provider.secret_ref is not None:
        name = provider.secret_ref.name
        secret = await credentials.get(namespace, name)
        headers = [pair for pair in headers if pair[0].lower() != "authorization"]
        headers.append(("Authorization", _authorization(secret, f"{name}.{namespace}")))
    return Prometheus(
        provider.address, session, headers=headers, verify=not provider.insecure_skip_verify
    )


def _authorization(secret: Mapping[str, str], name: str) -> str:
    # A token has no white space around it; a file that a Secret was made of has.
    token = secret.get("token", "").strip()
    if token:
        return f"Bearer {token}"
    missing = [key for key in ("username", "password") if key not in secret]
    if missing:
        raise NoCredentials(
            f"Secret {name} has no {' and no '.join(missing)}; give it a token, or a username and"
            " a password"
        )
    pair = f"{secret['username']}:{secret['password']}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
