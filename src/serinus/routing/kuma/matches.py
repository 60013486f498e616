"""The requests of an A/B test, `spec.analysis.match`, in Kuma's words."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from serinus.api.analysis import HeaderMatch, QueryMatch, TrafficMatch
from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.routing.kuma import re2

Json = dict[str, Any]
Kind = Literal["exact", "prefix", "regex"]

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]{1,256}")
"""The names that Kuma takes for a header in a match: lower-case tokens."""

EVERY_PATH: Json = {"type": "PathPrefix", "value": "/"}

_HEADER_TYPES = {"exact": "Exact", "prefix": "Prefix", "regex": "RegularExpression"}


def route_matches(match: tuple[TrafficMatch, ...]) -> list[Json]:
    """The `matches` of a MeshHTTPRoute's rule: any of them may hold, all of one of them must."""
    return [_route_match(entry) for entry in match]


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
        yield from _header_names(f"{path}.headers", entry)
        for field, conditions in (("headers", entry.headers), ("queryParams", entry.query_params)):
            for name, value in conditions.items():
                found = re2.fault(value.regex) if value.regex is not None else None
                if found is not None:
                    yield Problem(
                        f"{path}.{field}[{name}].regex",
                        f'"{value.regex}" is no RE2 expression: {found}; correct it',
                    )


def condition(match: HeaderMatch | QueryMatch) -> tuple[Kind, str]:
    """The way to compare, and what with; anything at all will do where the entry says nothing."""
    if match.exact is not None:
        return "exact", match.exact
    if match.prefix is not None:
        return "prefix", match.prefix
    if isinstance(match, HeaderMatch) and match.suffix is not None:
        return "regex", f".*{re.escape(match.suffix)}"
    return "regex", ".*" if match.regex is None else match.regex


def _route_match(entry: TrafficMatch) -> Json:
    match: Json = {"path": EVERY_PATH}
    if entry.headers:
        match["headers"] = [_header(name, header) for name, header in entry.headers.items()]
    if entry.query_params:
        match["queryParams"] = [_query(name, query) for name, query in entry.query_params.items()]
    return match


def _header(name: str, match: HeaderMatch) -> Json:
    kind, value = condition(match)
    return {"type": _HEADER_TYPES[kind], "name": name.lower(), "value": value}


def _query(name: str, match: QueryMatch) -> Json:
    kind, value = condition(match)
    if kind == "exact":
        return {"type": "Exact", "name": name, "value": value}
    pattern = f"{re.escape(value)}.*" if kind == "prefix" else value
    return {"type": "RegularExpression", "name": name, "value": pattern}


def _header_names(path: str, entry: TrafficMatch) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name in entry.headers:
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(lower):
            yield Problem(
                f"{path}[{name}]",
                f'Kuma matches no header of the name "{name}"; use letters, digits and dashes',
            )
        if lower in seen:
            yield Problem(
                f"{path}[{name}]",
                f"is the same header as {seen[lower]}, since case does not matter; keep one",
            )
        seen[lower] = name
