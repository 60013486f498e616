"""How requests and answers are changed on their way: `spec.service.headers` and `rewrite`, as the
filters of our rules in a MeshHTTPRoute."""

import re
from collections.abc import Iterator
from typing import Any

from serinus.api.canary import Canary
from serinus.api.http import HeaderOperations, HttpRewrite
from serinus.api.problem import Problem
from serinus.routing.kuma.matches import header_names, service_matches

Json = dict[str, Any]

FILTERS = "serinus.dev/filters"
"""Annotation of a route: the types of the filters that Serinus put into its rules there. So one
that is no longer asked for is known, and taken away."""

PREFIX, FULL = "ReplacePrefixMatch", "ReplaceFullPath"

AT_MOST = 16
"""How many headers Kuma takes in each list of a filter."""

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_HEADERS, _REWRITE = "spec.service.headers", "spec.service.rewrite"


def service_filters(canary: Canary) -> list[Json]:
    """The filters that the canary's service asks for; of each type there is at most one."""
    service = canary.spec.service
    found: list[Json] = []
    if service.headers is not None:
        for side, asked in (
            ("request", service.headers.request),
            ("response", service.headers.response),
        ):
            modifier = {} if asked is None else _modifier(asked)
            if modifier:
                kind = f"{side.capitalize()}HeaderModifier"
                found.append({"type": kind, f"{side}HeaderModifier": modifier})
    rewrite = {} if service.rewrite is None else _rewrite(service.rewrite)
    if rewrite:
        found.append({"type": "URLRewrite", "urlRewrite": rewrite})
    return found


def types(canary: Canary) -> str:
    """What `FILTERS` says of the filters that the canary asks for."""
    return ",".join(str(one["type"]) for one in service_filters(canary))


def problems(canary: Canary) -> Iterator[Problem]:
    """What Kuma or Envoy would refuse, or silently not do."""
    headers = canary.spec.service.headers
    if headers is not None:
        for side, asked in (("request", headers.request), ("response", headers.response)):
            if asked is not None:
                yield from _header_problems(f"{_HEADERS}.{side}", asked)
    rewrite = canary.spec.service.rewrite
    if rewrite is not None:
        yield from _rewrite_problems(canary, rewrite)


def _modifier(asked: HeaderOperations) -> Json:
    modifier: Json = {}
    for field, pairs in (("set", asked.set), ("add", asked.add)):
        if pairs:
            modifier[field] = [{"name": key.lower(), "value": pairs[key]} for key in pairs]
    if asked.remove:
        modifier["remove"] = [name.lower() for name in asked.remove]
    return modifier


def _rewrite(asked: HttpRewrite) -> Json:
    rewrite: Json = {}
    if asked.authority:
        rewrite["hostname"] = asked.authority
    if asked.uri and asked.type == PREFIX:
        # Envoy puts what follows the prefix and its slash right behind this.
        uri = f"{asked.uri.rstrip('/')}/"
        rewrite["path"] = {"type": PREFIX, "replacePrefixMatch": uri}
    elif asked.uri:
        rewrite["path"] = {"type": FULL, "replaceFullPath": asked.uri}
    return rewrite


def _header_problems(path: str, asked: HeaderOperations) -> Iterator[Problem]:
    for field, pairs in (("set", asked.set), ("add", asked.add)):
        yield from header_names(f"{path}.{field}", pairs)
        for name, value in pairs.items():
            if "%" in value:
                yield Problem(
                    f"{path}.{field}[{name}]",
                    f'"{value}" has a percent sign, which begins a variable to Envoy; write it '
                    "without",
                )
    yield from header_names(f"{path}.remove", asked.remove)
    for field, many in (("set", asked.set), ("add", asked.add), ("remove", asked.remove)):
        if len(many) > AT_MOST:
            yield Problem(
                f"{path}.{field}", f"has {len(many)} headers; Kuma takes {AT_MOST}, remove others"
            )


def _rewrite_problems(canary: Canary, rewrite: HttpRewrite) -> Iterator[Problem]:
    if not rewrite.uri and not rewrite.authority:
        yield Problem(_REWRITE, "changes nothing; give it uri or authority, or remove it")
    if rewrite.uri and not rewrite.uri.startswith("/"):
        yield Problem(f"{_REWRITE}.uri", f'"{rewrite.uri}" is no path; begin it with a slash')
    if rewrite.uri and "\\" in rewrite.uri:
        yield Problem(
            f"{_REWRITE}.uri", f'"{rewrite.uri}" has a backslash, which no path has; remove it'
        )
    if rewrite.authority and not _HOST.fullmatch(rewrite.authority):
        yield Problem(
            f"{_REWRITE}.authority",
            f'"{rewrite.authority}" is no host name to Kuma; use lower-case letters, digits, '
            "dashes and dots, and no port",
        )
    if rewrite.type not in ("", PREFIX, FULL):
        yield Problem(f"{_REWRITE}.type", f'"{rewrite.type}" is unknown; use {FULL} or {PREFIX}')
    paths = {match["path"]["type"] for match in service_matches(canary)}
    if rewrite.type == PREFIX and paths != {"PathPrefix"}:
        yield Problem(
            f"{_REWRITE}.type",
            "a prefix is replaced only where each spec.service.match[].uri is a prefix; use "
            f"{FULL}, or match by prefix",
        )
