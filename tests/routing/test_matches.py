"""An A/B test's requests in Kuma's words, and what Kuma cannot match."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.routing.kuma.matches import conf_match, problems, route_matches
from workload.guide import Json, canary

CASES: list[tuple[Json, Json]] = [
    ({"exact": "insider"}, {"type": "Exact", "value": "insider"}),
    ({"prefix": "in."}, {"type": "Prefix", "value": "in."}),
    ({"suffix": "r.x"}, {"type": "RegularExpression", "value": ".*r\\.x"}),
    ({"regex": "in.*"}, {"type": "RegularExpression", "value": "in.*"}),
]


def entries_of(*entries: Json) -> Any:
    return canary(analysis__match=list(entries)).spec.analysis.match


@pytest.mark.parametrize(("asked", "written"), CASES)
def test_headers(asked: Json, written: Json) -> None:
    (match,) = route_matches(entries_of({"headers": {"X-Canary": asked}}))
    assert match == {
        "path": {"type": "PathPrefix", "value": "/"},
        "headers": [{"name": "x-canary", **written}],
    }


def test_headers_of_a_traffic_route() -> None:
    asked = {f"X-{index}": condition for index, (condition, _) in enumerate(CASES)}
    (entry,) = entries_of({"headers": asked})
    assert conf_match(entry)["headers"] == {
        "x-0": {"exact": "insider"},
        "x-1": {"prefix": "in."},
        "x-2": {"regex": ".*r\\.x"},
        "x-3": {"regex": "in.*"},
    }


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ({"exact": "a"}, {"type": "Exact", "value": "a"}),
        ({"prefix": "a."}, {"type": "RegularExpression", "value": "a\\..*"}),
        ({"regex": "a."}, {"type": "RegularExpression", "value": "a."}),
        ({}, {"type": "RegularExpression", "value": ".*"}),
    ],
)
def test_query_parameters(asked: Json, written: Json) -> None:
    (match,) = route_matches(entries_of({"queryParams": {"Beta": asked}}))
    assert match["queryParams"] == [{"name": "Beta", **written}]


def test_entries_are_alternatives() -> None:
    both = {"headers": {"a": {"exact": "1"}}, "queryParams": {"b": {"exact": "2"}}}
    first, second = route_matches(entries_of(both, {"headers": {"c": {"exact": "3"}}}))
    assert len(first["headers"]) == len(first["queryParams"]) == len(second["headers"]) == 1


@given(suffix=st.text(), value=st.text())
def test_a_suffix_is_what_the_value_ends_with(suffix: str, value: str) -> None:
    (match,) = route_matches(entries_of({"headers": {"x": {"suffix": suffix}}}))
    pattern = match["headers"][0]["value"]
    assert bool(re.fullmatch(pattern, value, re.DOTALL)) == value.endswith(suffix)


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ({}, "spec.analysis.match[1]", "every request would match"),
        ({"sourceLabels": {"a": "b"}}, "spec.analysis.match[1].sourceLabels", "use headers"),
        (
            {"headers": {":authority": {"exact": "x"}}},
            "spec.analysis.match[1].headers[:authority]",
            "no header of the name",
        ),
        (
            {"headers": {"X-A": {"exact": "x"}, "x-a": {"exact": "y"}}},
            "spec.analysis.match[1].headers[x-a]",
            "the same header as X-A",
        ),
        (
            {"headers": {"x": {"regex": "(?!y)"}}},
            "spec.analysis.match[1].headers[x].regex",
            "no RE2 expression",
        ),
        (
            {"queryParams": {"x": {"regex": "("}}},
            "spec.analysis.match[1].queryParams[x].regex",
            "not closed",
        ),
    ],
)
def test_what_kuma_cannot_match(entry: Json, path: str, words: str) -> None:
    good = {"headers": {"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}}
    (problem,) = problems(canary(analysis__match=[good, entry]))
    assert problem.path == path
    assert words in problem.message
