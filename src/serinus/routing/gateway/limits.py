"""What the Gateway API's own rules refuse in an HTTPRoute, told before one is written.

Source: the CRD of Gateway API 1.4 (bounds and its rules in CEL), as an API server applies it.
"""

import re
from collections.abc import Iterator, Mapping

from serinus.api.analysis import HeaderMatch, QueryMatch, TrafficMatch
from serinus.api.canary import Canary
from serinus.api.http import HttpMatch, StringMatch
from serinus.api.problem import Problem
from serinus.routing.gateway.rules import ab_matches, split_matches
from serinus.routing.kuma import filters

_NO_PATH = re.compile(r"//|/\.{1,2}(/|$)|%2[fF]|#")

_Conditions = Mapping[str, HeaderMatch | QueryMatch | StringMatch]


def problems(canary: Canary) -> Iterator[Problem]:
    """What an API server would refuse, and other providers take."""
    yield from _rewrite(canary)
    for index, entry in enumerate(canary.spec.analysis.match):
        yield from _empty(f"spec.analysis.match[{index}]", entry)
    for index, asked in enumerate(canary.spec.service.match):
        path = f"spec.service.match[{index}]"
        yield from _empty(path, asked)
        for kind in ("exact", "prefix"):
            value = getattr(asked.uri, kind, None) or ""
            if _NO_PATH.search(value):
                yield Problem(
                    f"{path}.uri.{kind}",
                    f'"{value}" is no path to the Gateway API, which takes no "//", "/./", "/../", '
                    '"%2f" and "#" in one; write it without, or use uri.regex',
                )


def _rewrite(canary: Canary) -> Iterator[Problem]:
    rewrite = canary.spec.service.rewrite
    if rewrite is None or not rewrite.uri or rewrite.type != filters.PREFIX:
        return
    if max(len(split_matches(canary)), len(ab_matches(canary))) > 1:
        yield Problem(
            "spec.service.rewrite.type",
            "an HTTPRoute replaces a prefix only in a rule with a single match; keep one entry in "
            f"spec.service.match and in spec.analysis.match, or use {filters.FULL}",
        )


def _empty(path: str, entry: TrafficMatch | HttpMatch) -> Iterator[Problem]:
    fields: tuple[tuple[str, _Conditions], ...] = (
        ("headers", entry.headers),
        ("queryParams", entry.query_params),
    )
    for field, conditions in fields:
        for name, condition in conditions.items():
            if condition.exact == "" or condition.regex == "":
                yield Problem(
                    f"{path}.{field}[{name}]",
                    'an HTTPRoute matches no empty value; use regex: "^$"',
                )
