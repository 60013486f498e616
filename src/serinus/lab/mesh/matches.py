"""Matches and filters of MeshHTTPRoute, translated to Envoy and ordered as Kuma orders them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Obj

BARE = ({"path": {"type": "PathPrefix", "value": "/"}},)
"""The match of a rule that takes everything."""

_TEN_THOUSAND = 10_000


def precedence(match: Obj) -> tuple[int, int, bool, int, int]:
    """Sort key, the first to be tried being the smallest: exact path, longest prefix, regular
    expression; then with a method, more headers, more query parameters."""
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    kind = {"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}[path["type"]]
    return (
        kind,
        -len(path["value"]),
        "method" not in match,
        -len(match.get("headers") or ()),
        -len(match.get("queryParams") or ()),
    )


def to_envoy(match: Obj) -> Iterator[Json]:
    """Envoy's matches for one of Kuma's; a prefix that ends inside a path segment must not match,
    so a prefix becomes two: the path itself, and what lies below it."""
    path = match.get("path") or {"type": "PathPrefix", "value": "/"}
    value = path["value"]
    rest = _headers_and_query(match)
    match path["type"]:
        case "Exact":
            yield {"path": value, **rest}
        case "RegularExpression":
            yield {"safeRegex": {"regex": value}, **rest}
        case _ if value == "/":
            yield {"prefix": "/", **rest}
        case _:
            yield {"path": value, **rest}
            yield {"prefix": value + "/", **rest}


def _headers_and_query(match: Obj) -> Json:
    headers = [_header(header) for header in match.get("headers") or ()]
    if method := match.get("method"):
        headers.append({"name": ":method", "stringMatch": {"exact": method}})
    query = [
        {"name": one["name"], "stringMatch": _string(one.get("type", "Exact"), one["value"])}
        for one in match.get("queryParams") or ()
    ]
    result: Json = {}
    if headers:
        result["headers"] = headers
    if query:
        result["queryParameters"] = query
    return result


def _header(header: Obj) -> Json:
    name = header["name"]
    match header.get("type", "Exact"):
        case "Present":
            return {"name": name, "presentMatch": True}
        case "Absent":
            return {"name": name, "presentMatch": True, "invertMatch": True}
        case kind:
            return {"name": name, "stringMatch": _string(kind, header["value"])}


def _string(kind: str, value: str) -> Json:
    if kind == "RegularExpression":
        return {"safeRegex": {"regex": value}}
    return {{"Exact": "exact", "Prefix": "prefix"}[kind]: value}


def filter_fields(filters: Sequence[Obj], mirror: Callable[[Obj], str | None]) -> tuple[Json, Json]:
    """What the filters of a rule add to the route, and what to its action.

    ``mirror`` gives the cluster of a mirror's backendRef.
    """
    route: Json = {}
    action: Json = {}
    for one in filters:
        match one["type"]:
            case "RequestHeaderModifier":
                _modify(route, "request", one["requestHeaderModifier"])
            case "ResponseHeaderModifier":
                _modify(route, "response", one["responseHeaderModifier"])
            case "URLRewrite":
                action |= _rewrite(one["urlRewrite"])
            case "RequestRedirect":
                route["redirect"] = _redirect(one["requestRedirect"])
            case "RequestMirror":
                said = one["requestMirror"]
                if cluster := mirror(said["backendRef"]):
                    policies = action.setdefault("requestMirrorPolicies", [])
                    fraction = _fraction(said.get("percentage", 100))
                    policies.append(
                        {"cluster": cluster, "runtimeFraction": {"defaultValue": fraction}}
                    )
    return route, action


def some_of(match: Json, percentage: float) -> Json:
    """An Envoy's match that takes only so many per cent of what it matches."""
    return {**match, "runtimeFraction": {"defaultValue": _fraction(percentage)}}


def _fraction(percentage: float | str) -> Json:
    number = float(percentage)
    if number == int(number):
        return {"numerator": int(number)}
    return {"numerator": round(number * _TEN_THOUSAND / 100), "denominator": "TEN_THOUSAND"}


def _modify(route: Json, side: str, modifier: Mapping[str, Any]) -> None:
    add = [
        {"header": {"key": one["name"], "value": one["value"]}, "appendAction": action}
        for key, action in (
            ("set", "OVERWRITE_IF_EXISTS_OR_ADD"),
            ("add", "APPEND_IF_EXISTS_OR_ADD"),
        )
        for one in modifier.get(key) or ()
    ]
    if add:
        route.setdefault(f"{side}HeadersToAdd", []).extend(add)
    if remove := modifier.get("remove"):
        route.setdefault(f"{side}HeadersToRemove", []).extend(remove)


def _rewrite(rewrite: Obj) -> Json:
    action: Json = {}
    path = rewrite.get("path") or {}
    if path.get("type") == "ReplaceFullPath":
        action["regexRewrite"] = {
            "pattern": {"regex": "^/.*$"},
            "substitution": path["replaceFullPath"],
        }
    elif path.get("type") == "ReplacePrefixMatch":
        action["prefixRewrite"] = path["replacePrefixMatch"]
    if hostname := rewrite.get("hostname"):
        action["hostRewriteLiteral"] = hostname
    elif rewrite.get("hostToBackendHostname"):
        action["autoHostRewrite"] = True
    return action


def _redirect(redirect: Obj) -> Json:
    codes = {
        301: "MOVED_PERMANENTLY",
        302: "FOUND",
        303: "SEE_OTHER",
        307: "TEMPORARY_REDIRECT",
        308: "PERMANENT_REDIRECT",
    }
    result: Json = {"responseCode": codes[redirect.get("statusCode", 302)]}
    for theirs, ours in (
        ("scheme", "schemeRedirect"),
        ("hostname", "hostRedirect"),
        ("port", "portRedirect"),
    ):
        if theirs in redirect:
            result[ours] = redirect[theirs]
    path = redirect.get("path") or {}
    if path.get("type") == "ReplaceFullPath":
        result["pathRedirect"] = path["replaceFullPath"]
    elif path.get("type") == "ReplacePrefixMatch":
        result["prefixRewrite"] = path["replacePrefixMatch"]
    return result
