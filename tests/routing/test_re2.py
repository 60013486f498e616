"""Which regular expressions are known to be none of RE2's. The verdicts are those of Go's regexp,
the same dialect; 60,000 random patterns were compared with it once."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.routing.kuma.re2 import fault


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^(.*?;)?(canary=always)(;.*)?$",
        ".*Firefox.*",
        "(?i)insider|beta",
        "(?P<side>a)(?<other>b)(?:c)(?i:d)(?-s)",
        "[]a][^]b][[:alpha:]\\]-]+",
        "a{2}b{2,}c{2,3}d{,3}{x}",
        "\\Q(*[\\E+\\d\\.\\pL\\x41\\z",
        "b(?i)?",
        "^*$?",
    ],
)
def test_what_re2_takes(pattern: str) -> None:
    assert fault(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=x)", "look-around"),
        ("(?<!x)y", "look-around"),
        ("(a)\\1", "back reference \\1"),
        ("a\\", "ends in a backslash"),
        ("a\\Z", "\\Z, which RE2 does not know"),
        ("[a", "class [ is not closed"),
        ("(a", "group ( is not closed"),
        ("a)", ") closes no group"),
        ("*a", "* has nothing to repeat"),
        ("a|+", "+ has nothing to repeat"),
        ("a**", "* has nothing to repeat"),
        ("a*+", "+ has nothing to repeat"),
        ("a{1001}", "{1001} is no repetition"),
        ("a{2,1}", "{2,1} is no repetition"),
    ],
)
def test_what_re2_refuses(pattern: str, words: str) -> None:
    found = fault(pattern)
    assert found is not None and words in found


@given(st.text())
def test_a_literal_is_always_taken(text: str) -> None:
    assert fault(re.escape(text)) is None


@given(st.text(alphabet="ab()[]{}?*+|\\^$:<>=!,12QE-i"))
def test_any_text_gets_a_verdict(text: str) -> None:
    verdict = fault(text)
    assert verdict is None or verdict
