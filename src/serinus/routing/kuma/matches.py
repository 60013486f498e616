"""Which requests, in Kuma's words: those of an A/B test (`spec.analysis.match`), and those that are
led by the route at all (`spec.service.match`)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from serinus.api.analysis import HeaderMatch, QueryMatch, TrafficMatch
from serinus.api.canary import Canary
from serinus.api.http import HttpMatch, StringMatch
from serinus.api.problem import Problem
from serinus.routing.kuma import re2

Json = dict[str, Any]
Kind = Literal["exact", "prefix", "regex"]

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]{1,256}")
"""The names that Kuma takes for a header in a match: lower-case tokens."""

EVERY_PATH: Json = {"type": "PathPrefix", "value": "/"}

EVERY_REQUEST: list[Json] = [{"path": EVERY_PATH}]
"""The matches of the rule that all requests take which no narrower one takes."""

_METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")

_HEADER_TYPES = {"exact": "Exact", "prefix": "Prefix", "regex": "RegularExpression"}


def route_matches(match: tuple[TrafficMatch, ...]) -> list[Json]:
    """The `matches` of a MeshHTTPRoute's rule: any of them may hold, all of one of them must."""
    return [_route_match(entry) for entry in match]


def service_matches(canary: Canary) -> list[Json]:
    """The `matches` of the rule that splits: every request, or those of `spec.service.match`. The
    others go to the apex, whose pods are the primary's."""
    asked = canary.spec.service.match
    return [_service_match(entry) for entry in asked] or EVERY_REQUEST


def within(outer: list[Json], inner: list[Json]) -> list[Json]:
    """The `matches` for what one of each list takes. ``inner`` has no paths and no methods.

    Each has more conditions than the entry of ``outer`` that it is made of, and the same path. So
    whatever ``outer`` takes first of all, Kuma tries this one before it.
    """
    return [_both(one, other) for other in inner for one in outer]


def conf_match(entry: TrafficMatch) -> Json:
    """The `match` of an entry in a TrafficRoute's `conf.http`; it knows of headers only."""
    conditions = {name.lower(): condition(header) for name, header in entry.headers.items()}
    return {"headers": {name: {kind: value} for name, (kind, value) in conditions.items()}}


def problems(canary: Canary) -> Iterator[Problem]:
    """What no dialect of Kuma can match."""
    for index, entry in enumerate(canary.spec.analysis.match):
        path = f"spec.analysis.match[{index}]"
        if entry.source_labels:
            yield Problem(
                f"{path}.sourceLabels",
                "Kuma does not match requests by the caller's labels; use headers",
            )
        elif not entry.headers and not entry.query_params:
            yield Problem(
                path,
                "has no condition, so every request would match; give it headers, or remove it",
            )
        yield from _conditions(path, entry)
    for index, asked in enumerate(canary.spec.service.match):
        yield from _service_problems(f"spec.service.match[{index}]", asked)


def header_names(path: str, names: Iterable[str]) -> Iterator[Problem]:
    """Names that are no header's to Kuma, or the same header's as another."""
    seen: dict[str, str] = {}
    for name in names:
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(lower):
            yield Problem(
                f"{path}[{name}]",
                f'Kuma knows no header of the name "{name}"; use letters, digits and dashes',
            )
        if lower in seen:
            yield Problem(
                f"{path}[{name}]",
                f"is the same header as {seen[lower]}, since case does not matter; keep one",
            )
        seen[lower] = name


def condition(match: HeaderMatch | QueryMatch | StringMatch) -> tuple[Kind, str]:
    """The way to compare, and what with; anything at all will do where the entry says nothing."""
    if match.exact is not None:
        return "exact", match.exact
    if match.prefix is not None:
        return "prefix", match.prefix
    if isinstance(match, HeaderMatch) and match.suffix is not None:
        return "regex", f".*{re.escape(match.suffix)}"
    return "regex", ".*" if match.regex is None else match.regex


def _route_match(entry: TrafficMatch | HttpMatch) -> Json:
    match: Json = {"path": EVERY_PATH}
    if entry.headers:
        match["headers"] = [_header(name, header) for name, header in entry.headers.items()]
    if entry.query_params:
        match["queryParams"] = [_query(name, query) for name, query in entry.query_params.items()]
    return match


def _service_match(entry: HttpMatch) -> Json:
    match = _route_match(entry)
    if entry.uri is not None:
        match["path"] = _path(entry.uri)
    if entry.method is not None and entry.method.exact is not None:
        match["method"] = entry.method.exact
    return match


def _path(uri: StringMatch) -> Json:
    kind, value = condition(uri)
    if kind == "prefix":
        # Kuma's prefixes end where a segment of the path does, and are written without the slash.
        return {"type": "PathPrefix", "value": value.rstrip("/") or "/"}
    return {"type": {"exact": "Exact", "regex": "RegularExpression"}[kind], "value": value}


def _both(one: Json, other: Json) -> Json:
    match = dict(one)
    for field in ("headers", "queryParams"):
        conditions = [*one.get(field, ()), *other.get(field, ())]
        if conditions:
            match[field] = conditions
    return match


def _header(name: str, match: HeaderMatch | StringMatch) -> Json:
    kind, value = condition(match)
    return {"type": _HEADER_TYPES[kind], "name": name.lower(), "value": value}


def _query(name: str, match: QueryMatch | StringMatch) -> Json:
    kind, value = condition(match)
    if kind == "exact":
        return {"type": "Exact", "name": name, "value": value}
    pattern = f"{re.escape(value)}.*" if kind == "prefix" else value
    return {"type": "RegularExpression", "name": name, "value": pattern}


def _service_problems(path: str, entry: HttpMatch) -> Iterator[Problem]:
    uri = entry.uri
    for kind in ("exact", "prefix"):
        value = getattr(uri, kind, None)
        if value is not None and not value.startswith("/"):
            yield Problem(
                f"{path}.uri.{kind}", f'"{value}" begins no path; write it from the first slash on'
            )
    if uri is not None and uri.regex is not None:
        yield from _expression(f"{path}.uri.regex", uri.regex)
    method = entry.method.exact if entry.method is not None else None
    if method is not None and method not in _METHODS:
        yield Problem(
            f"{path}.method.exact",
            f'Kuma matches no method "{method}"; use one of {", ".join(_METHODS)}',
        )
    yield from _conditions(path, entry)


def _conditions(path: str, entry: TrafficMatch | HttpMatch) -> Iterator[Problem]:
    yield from header_names(f"{path}.headers", entry.headers)
    fields: tuple[tuple[str, Mapping[str, HeaderMatch | QueryMatch | StringMatch]], ...] = (
        ("headers", entry.headers),
        ("queryParams", entry.query_params),
    )
    for field, conditions in fields:
        for name, value in conditions.items():
            if value.regex is not None:
                yield from _expression(f"{path}.{field}[{name}].regex", value.regex)


def _expression(path: str, regex: str) -> Iterator[Problem]:
    found = re2.fault(regex)
    if found is not None:
        yield Problem(path, f'"{regex}" is no RE2 expression: {found}; correct it')
