"""POST serviceaccounts/token: a token for an account, on demand."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.rest import body, reading
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.rest.lifecycle import now
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.registry import Kind

_SHORTEST: Final = 600
_USUAL: Final = 3600
"""Seconds, as in Kubernetes."""


async def token(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """Answers the TokenRequest with its status."""
    account = reading.find(api, call, kind)
    request, _ = await body.read(call)
    spec: dict[str, Any] = request.setdefault("spec", {})
    seconds = spec.get("expirationSeconds") or _USUAL
    if seconds < _SHORTEST:
        wrong = field_errors.invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 10 minutes",
        )
        raise errors.invalid("authentication.k8s.io", "TokenRequest", "", [wrong])
    bound = _bound(api, call, spec.get("boundObjectRef"))
    signed, expiry = api.issuer.issue(account, list(spec.get("audiences") or ()), seconds, bound)
    end = datetime.fromtimestamp(expiry, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec["expirationSeconds"] = seconds
    request.setdefault("metadata", {}).update(
        name=account.name, namespace=account.namespace, creationTimestamp=now()
    )
    request["status"] = {"token": signed, "expirationTimestamp": end}
    return call.plain(request, HTTPStatus.CREATED)


def _bound(api: Api, call: Call, ref: Obj | None) -> Obj | None:
    """The pod or secret that the token lives as long as; it must exist."""
    if ref is None:
        return None
    plural = {"Pod": "pods", "Secret": "secrets"}.get(ref.get("kind", ""))
    if plural is None:
        raise errors.bad_request(
            f"cannot bind token to object of type {ref.get('kind')}: Pod and Secret can be bound to"
        )
    entry = api.store.get(("", plural), call.info.namespace, ref.get("name", ""))
    if entry is None:
        raise errors.not_found("", plural, ref.get("name", ""))
    uid = entry.decode()["metadata"]["uid"]
    if ref.get("uid") and ref["uid"] != uid:
        raise errors.conflict(
            *("", plural, entry.name),
            f"the UID in the bound object reference ({ref['uid']}) does not match the UID in "
            f"record ({uid}). The object might have been deleted and then recreated",
        )
    return {"kind": ref["kind"], "name": entry.name, "uid": uid}
