"""Gates in a ConfigMap of the pod's own namespace, which replicas share.

The few lines that talk to the API server are here, and not those of the operator: the load tester
is to stay small, and needs two requests.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from serinus.loadtester.gates import OPEN, GatesUnavailable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

ANSWER_SECONDS = 5.0
"""Longest wait for the API server; less than Prometheus waits for `/metrics`, which asks it."""


class _ConfigMap(msgspec.Struct, frozen=True):
    data: dict[str, str] | None = None


class _Status(msgspec.Struct, frozen=True):
    message: str = ""


class ConfigMapGates:
    """Gates in the ConfigMap ``name``, one key each: `podinfo.test: open`.

    It has to be there: the right to create one cannot be bound to a name, so the load tester has
    no such right. Each question is asked of the API server, so what one replica was told all know.
    A change is a patch of its one key: replicas that change different gates at a time cannot undo
    each other, as those could that write the whole object, and the API server itself
    repeats a patch whose resourceVersion was overtaken.

    Raises `GatesUnavailable` when this process is in no pod that has a ServiceAccount's token.
    """

    def __init__(
        self,
        name: str,
        environ: Mapping[str, str] = os.environ,
        account: Path = SERVICE_ACCOUNT,
    ) -> None:
        host = environ.get("KUBERNETES_SERVICE_HOST")
        if not host:
            raise GatesUnavailable(
                f"gates cannot be kept in the ConfigMap {name} outside of a pod:"
                " KUBERNETES_SERVICE_HOST is not set"
            )
        port = environ.get("KUBERNETES_SERVICE_PORT", "443")
        address = f"[{host}]" if ":" in host else host
        self._account = account
        try:
            self._trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
        except OSError as error:
            raise self._no_account(error) from error
        self._authorization()
        namespace = self._of_account("namespace")
        self.place = f"the ConfigMap {namespace}/{name}"
        self._url = f"https://{address}:{port}/api/v1/namespaces/{namespace}/configmaps/{name}"
        self._session: aiohttp.ClientSession | None = None

    async def opened(self) -> frozenset[str]:
        body = await self._ask("GET")
        try:
            kept = msgspec.json.decode(body, type=_ConfigMap).data or {}
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise GatesUnavailable(f"{self.place} cannot be read: {error}") from error
        return frozenset(key for key, text in kept.items() if text == OPEN)

    async def put(self, key: str, is_open: bool) -> None:
        await self._ask("PATCH", {"data": {key: OPEN if is_open else None}})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, patch: Mapping[str, Any] | None = None) -> bytes:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        headers = {"Authorization": self._authorization()}
        if patch is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            async with self._session.request(
                method,
                self._url,
                data=None if patch is None else msgspec.json.encode(patch),
                params={} if patch is None else {"fieldManager": "serinus-loadtester"},
                headers=headers,
                ssl=self._trust,
            ) as answer:
                body = await answer.read()
        except TimeoutError:
            raise GatesUnavailable(
                f"{self.place}: the API server did not answer in {ANSWER_SECONDS:g}s"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise GatesUnavailable(f"{self.place}: {error or type(error).__name__}") from error
        if answer.status != 200:
            raise GatesUnavailable(f"{self.place}: {_reason(answer.status, body)}")
        return body

    def _authorization(self) -> str:
        """The token, and with it the authorities to trust, as they are now: both are rotated."""
        token = self._of_account("token")
        try:
            self._trust.load_verify_locations(cafile=str(self._account / "ca.crt"))
        except OSError as error:
            raise self._no_account(error) from error
        return f"Bearer {token}"

    def _of_account(self, file: str) -> str:
        try:
            return (self._account / file).read_text().strip()
        except OSError as error:
            raise self._no_account(error) from error

    def _no_account(self, error: OSError) -> GatesUnavailable:
        return GatesUnavailable(
            f"the pod's ServiceAccount in {self._account} cannot be read: {error};"
            " is automountServiceAccountToken false?"
        )


def _reason(status: int, body: bytes) -> str:
    try:
        said = msgspec.json.decode(body, type=_Status).message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = body[:300].decode(errors="replace").strip()
    remedies = {
        401: "; the ServiceAccount's token is not accepted",
        403: "; its Role must allow get and patch, see deploy/kustomize/tester",
        404: "; create it, empty: kubectl create configmap",
    }
    return f"HTTP {status}: {said}{remedies.get(status, '')}"
