"""Admission webhooks: what others may change or refuse before an object is stored.

Mutating webhooks are called one after another by name, validating ones all at once, as
Kubernetes does it. A webhook is reached by URL, or by its Service: the address of a ready
endpoint, with the Service's DNS name checked against the certificate.
"""

import asyncio
import base64
import ssl
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import aiohttp
import msgspec

from serinus.lab.apiserver import errors, selectors
from serinus.lab.apiserver.access.tokens import User
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.patch.json_patch import json_patch
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Store, encode

GROUP: Final = "admissionregistration.k8s.io"
DEFAULT_TIMEOUT: Final = 10
"""Seconds."""

_KEPT: Final = 8
"""How many connections in a row may turn out to have been closed before a call fails."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is about to happen to an object; ``old`` and ``new`` may be absent."""

    verb: str
    """CREATE, UPDATE or DELETE."""
    kind: Kind
    namespace: str
    name: str
    subresource: str
    user: User
    dry_run: bool
    old: Obj | None


class WebhookUnreachable(Exception):
    """The webhook could not be asked, or its answer was none."""


class Admission:
    """Calls the webhooks that are configured in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None
        self._webhooks: dict[str, tuple[int, list[Obj]]] = {}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def mutate(self, operation: Operation, new: Obj, warnings: list[str]) -> Obj:
        """``new`` after all mutating webhooks."""
        for webhook in list(self._matching("mutatingwebhookconfigurations", operation, new)):
            answer = await self._ask(webhook, operation, new, warnings)
            if answer is None or not answer.get("patch"):
                continue
            try:
                operations = msgspec.json.decode(base64.b64decode(answer["patch"]))
                new = json_patch(new, operations)
            except (PatchError, ValueError) as error:
                raise errors.internal(
                    f'admission webhook "{webhook["name"]}" answered a patch that does not apply: '
                    f"{error}"
                ) from error
        return new

    async def validate(self, operation: Operation, new: Obj | None, warnings: list[str]) -> None:
        """All validating webhooks agree, or the first refusal is raised."""
        found = list(
            self._matching("validatingwebhookconfigurations", operation, new or operation.old or {})
        )
        if found:
            await asyncio.gather(
                *(self._ask(webhook, operation, new, warnings) for webhook in found)
            )

    def _matching(self, plural: str, operation: Operation, obj: Obj) -> Iterator[Obj]:
        if operation.kind.group == GROUP:
            return
        for webhook in self._configured(plural):
            if self._concerns(webhook, operation, obj):
                yield webhook

    def _configured(self, plural: str) -> list[Obj]:
        """The webhooks by configuration and place in it, read anew only when they have changed."""
        version = self._store.collection((GROUP, plural)).version
        known = self._webhooks.get(plural)
        if known is None or known[0] != version:
            entries = self._store.list((GROUP, plural))
            found = [hook for entry in entries for hook in entry.decode().get("webhooks") or ()]
            known = self._webhooks[plural] = (version, found)
        return known[1]

    def _concerns(self, webhook: Obj, operation: Operation, obj: Obj) -> bool:
        if not any(_covers(rule, operation) for rule in webhook.get("rules") or ()):
            return False
        labels = (obj.get("metadata") or {}).get("labels") or {}
        if not selectors.from_object(webhook.get("objectSelector") or {})(labels):
            return False
        name = operation.namespace
        if (operation.kind.group, operation.kind.plural) == ("", "namespaces"):
            space = labels
        elif name:
            entry = self._store.get(("", "namespaces"), "", name)
            space = entry.labels if entry else {}
        else:
            return True
        return selectors.from_object(webhook.get("namespaceSelector") or {})(space)

    async def _ask(
        self, webhook: Obj, operation: Operation, new: Obj | None, warnings: list[str]
    ) -> Obj | None:
        """The webhook's answer; None if it failed and may (``failurePolicy: Ignore``)."""
        name = webhook["name"]
        try:
            answer = await self._post(webhook, _review(operation, new))
        except WebhookUnreachable as error:
            if webhook.get("failurePolicy") == "Ignore":
                return None
            raise errors.internal(f'failed calling webhook "{name}": {error}') from error
        warnings.extend(answer.get("warnings") or ())
        if answer.get("allowed"):
            return answer
        status = answer.get("status") or {}
        said = status.get("message") or status.get("reason")
        text = f'admission webhook "{name}" denied the request'
        text += f": {said}" if said else " without explanation"
        raise ApiError(status.get("code") or 400, status.get("reason") or "BadRequest", text)

    async def _post(self, webhook: Obj, review: Obj) -> Obj:
        config = webhook["clientConfig"]
        timeout = webhook.get("timeoutSeconds") or DEFAULT_TIMEOUT
        url, server_name = self._address(config)
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        send = partial(
            self._session.post,
            url,
            params={"timeout": f"{timeout}s"},
            data=encode(review),
            headers={"Content-Type": "application/json"},
            ssl=_tls(config.get("caBundle")),
            server_hostname=server_name,
            timeout=aiohttp.ClientTimeout(total=timeout),
        )
        try:
            async with await _posted(send) as response:
                if response.status != 200:
                    text = (await response.text())[:200]
                    raise WebhookUnreachable(
                        f"failed to call webhook: the server answered {response.status}: {text}"
                    )
                body = await response.json(content_type=None)
                answer: Obj = body["response"]
                return answer
        except TimeoutError as error:
            raise WebhookUnreachable(
                f'failed to call webhook: Post "{url}": context deadline exceeded'
            ) from error
        except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as error:
            raise WebhookUnreachable(
                f'failed to call webhook: Post "{url}": {error or type(error).__name__}'
            ) from error

    def _address(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Where the webhook is, and the name that its certificate must carry."""
        if url := config.get("url"):
            return url, None
        service = config["service"]
        namespace, name = service["namespace"], service["name"]
        port, path = service.get("port") or 443, service.get("path") or "/"
        host, target = self._endpoint(namespace, name, port)
        return f"https://{host}:{target}/{path.lstrip('/')}", f"{name}.{namespace}.svc"

    def _endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        service = self._store.get(("", "services"), namespace, name)
        if service is None:
            raise WebhookUnreachable(f'failed to call webhook: service "{name}" not found')
        ports = service.decode()["spec"].get("ports") or ()
        wanted = next((entry for entry in ports if entry["port"] == port), None)
        if wanted is None:
            raise WebhookUnreachable(
                f'failed to call webhook: no service port {port} found for service "{name}"'
            )
        endpoints = self._store.get(("", "endpoints"), namespace, name)
        for subset in (endpoints.decode().get("subsets") or ()) if endpoints else ():
            for target in subset.get("ports") or ():
                if target.get("name", "") == wanted.get("name", "") and subset.get("addresses"):
                    return subset["addresses"][0]["ip"], target["port"]
        raise WebhookUnreachable(
            f'failed to call webhook: no endpoints available for service "{name}"'
        )


async def _posted(send: Callable[[], Awaitable[aiohttp.ClientResponse]]) -> aiohttp.ClientResponse:
    """The beginning of an answer. A kept connection may be found closed, by a webhook that was
    started anew; as many of them are given up."""
    for _ in range(_KEPT):
        try:
            return await send()
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            continue
    return await send()


@lru_cache(maxsize=16)
def _tls(bundle: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=base64.b64decode(bundle).decode() if bundle else None)


def _covers(rule: Obj, operation: Operation) -> bool:
    kind = operation.kind
    resource = kind.plural + (f"/{operation.subresource}" if operation.subresource else "")
    resources = rule.get("resources") or ()
    named = (
        resource in resources
        or "*/*" in resources
        or ("*" in resources and not operation.subresource)
        or f"{kind.plural}/*" in resources
        or (bool(operation.subresource) and f"*/{operation.subresource}" in resources)
    )
    scope = rule.get("scope") or "*"
    return (
        named
        and _any(rule.get("operations"), operation.verb)
        and _any(rule.get("apiGroups"), kind.group)
        and _any(rule.get("apiVersions"), kind.version)
        and (scope == "*" or (scope == "Namespaced") is kind.namespaced)
    )


def _any(values: list[str] | None, wanted: str) -> bool:
    return wanted in (values or ()) or "*" in (values or ())


def _review(operation: Operation, new: Obj | None) -> Obj:
    kind = operation.kind
    request: Obj = {
        "uid": str(uuid.uuid4()),
        "kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "resource": {"group": kind.group, "version": kind.version, "resource": kind.plural},
        "requestKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "requestResource": {
            "group": kind.group,
            "version": kind.version,
            "resource": kind.plural,
        },
        "name": operation.name,
        "operation": operation.verb,
        "userInfo": operation.user.info(),
        "object": new,
        "oldObject": operation.old,
        "dryRun": operation.dry_run,
        "options": None,
    }
    if operation.namespace:
        request["namespace"] = operation.namespace
    if operation.subresource:
        request["subResource"] = operation.subresource
        request["requestSubResource"] = operation.subresource
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
