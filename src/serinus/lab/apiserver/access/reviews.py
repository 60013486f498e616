"""Questions about access: `kubectl auth can-i`, `auth whoami`, and the reviews of tokens."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.access.authorizer import Attributes
from serinus.lab.apiserver.access.tokens import User
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.rest import body
from serinus.lab.apiserver.rest.call import Api, Call


def wanted(spec: Mapping[str, Any], namespace: str = "") -> Attributes:
    """What a SubjectAccessReview asks about."""
    if path := spec.get("nonResourceAttributes"):
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    said = spec.get("resourceAttributes") or {}
    return Attributes(
        said.get("verb", ""),
        said.get("group", ""),
        said.get("resource", "") or "*",
        said.get("subresource", ""),
        said.get("namespace", "") or namespace,
        said.get("name", ""),
    )


def _status(api: Api, user: User, attributes: Attributes) -> Obj:
    reason = api.authorizer.why(user, attributes)
    return {"allowed": True, "reason": reason} if reason else {"allowed": False}


def _self_access(api: Api, call: Call, review: Obj) -> Obj:
    return _status(api, call.user, wanted(review.get("spec") or {}))


def _access(api: Api, call: Call, review: Obj) -> Obj:
    spec = review.get("spec") or {}
    groups = tuple(spec.get("groups") or ())
    return _status(api, User(spec.get("user", ""), groups), wanted(spec, call.info.namespace))


def _rules(api: Api, call: Call, review: Obj) -> Obj:
    namespace = (review.get("spec") or {}).get("namespace", "")
    rules = api.authorizer.rules(call.user, namespace)
    names = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    plain = [{name: list(rule[name]) for name in names if rule.get(name)} for rule in rules]
    return {
        "resourceRules": [rule for rule in plain if "resources" in rule],
        "nonResourceRules": [rule for rule in plain if "nonResourceURLs" in rule],
        "incomplete": False,
    }


def _whoami(_: Api, call: Call, __: Obj) -> Obj:
    return {"userInfo": call.user.info()}


def _token(api: Api, _: Call, review: Obj) -> Obj:
    spec = review.get("spec") or {}
    try:
        user, audiences = api.authenticator.by_token(
            spec.get("token", ""), list(spec.get("audiences") or ())
        )
    except ApiError:
        return {"authenticated": False, "user": {}, "error": "the token is not valid"}
    return {"authenticated": True, "user": user.info(), "audiences": audiences}


_ANSWERS = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): _self_access,
    ("authorization.k8s.io", "subjectaccessreviews"): _access,
    ("authorization.k8s.io", "localsubjectaccessreviews"): _access,
    ("authorization.k8s.io", "selfsubjectrulesreviews"): _rules,
    ("authentication.k8s.io", "selfsubjectreviews"): _whoami,
    ("authentication.k8s.io", "tokenreviews"): _token,
}


def is_review(group: str, plural: str) -> bool:
    """Whether a resource is a question, answered and not stored."""
    return (group, plural) in _ANSWERS


async def answer(api: Api, call: Call) -> web.StreamResponse:
    """POST of a review: the same object with its status."""
    if call.info.verb != "create":
        raise errors.method_not_allowed()
    review, _ = await body.read(call)
    review.setdefault("metadata", {})
    review["status"] = _ANSWERS[call.info.group, call.info.resource](api, call, review)
    return call.plain(review, HTTPStatus.CREATED)
