"""The cookies that hold callers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.routing.kuma.cookies import held, holding, problems, set_cookie
from serinus.routing.kuma.re2 import fault
from workload.guide import Json, canary

TOKEN = st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", fullmatch=True)
OTHERS = st.lists(st.from_regex(r"[a-c]{1,3}=[x-z]{0,3}", fullmatch=True), max_size=2)


def shows(header: str, cookie: str) -> bool:
    return re.fullmatch(holding(cookie)["headers"][0]["value"], header) is not None


@given(name=TOKEN, value=TOKEN, before=OTHERS, after=OTHERS)
def test_a_cookie_is_known_among_others(
    name: str, value: str, before: list[str], after: list[str]
) -> None:
    cookie = f"{name}={value}"
    assert shows("; ".join([*before, cookie, *after]), cookie)
    assert shows(";".join([*before, cookie, *after]), cookie)
    others = [each for each in [*before, *after] if each != cookie]
    assert not shows("; ".join([f"not{cookie}", *others, f"{cookie}x"]), cookie)
    assert held([holding(cookie)]) == cookie
    assert fault(holding(cookie)["headers"][0]["value"]) is None


@pytest.mark.parametrize(
    "matches",
    [
        None,
        [],
        [{"path": {"type": "PathPrefix", "value": "/"}}],
        [holding("a=b"), holding("a=c")],
        [holding("a=b"), {"path": {"type": "PathPrefix", "value": "/"}}],
        [{"headers": [{"type": "Exact", "name": "cookie", "value": "a=b"}]}],
        [{"headers": [{"type": "RegularExpression", "name": "cookie", "value": "(.*;)?a=b"}]}],
    ],
)
def test_what_holds_nobody(matches: object) -> None:
    assert held(matches) is None


def test_other_conditions_leave_a_holding_rule_known() -> None:
    narrowed = {**holding("a=b"), "method": "GET", "path": {"type": "Exact", "value": "/x"}}
    assert held([narrowed, holding("a=b")]) == "a=b"


@pytest.mark.parametrize(
    ("attributes", "header"),
    [
        ({}, "side=x; Max-Age=86400"),
        (
            {
                "domain": "example.com",
                "httpOnly": True,
                "maxAge": 60,
                "partitioned": True,
                "path": "/shop",
                "sameSite": "None",
                "secure": True,
            },
            "side=x; Domain=example.com; HttpOnly; Max-Age=60; Partitioned; Path=/shop; "
            "SameSite=None; Secure",
        ),
    ],
)
def test_attributes(attributes: Json, header: str) -> None:
    asked = canary(analysis__sessionAffinity={"cookieName": "side", **attributes})
    affinity = asked.spec.analysis.session_affinity
    assert affinity is not None
    assert set_cookie("side=x", affinity) == header


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"cookieName": "a b"}, "spec.analysis.sessionAffinity.cookieName"),
        ({"cookieName": ""}, "spec.analysis.sessionAffinity.cookieName"),
        (
            {"cookieName": "a", "primaryCookieName": "b;"},
            "spec.analysis.sessionAffinity.primaryCookieName",
        ),
        ({"cookieName": "a", "domain": "x; Secure"}, "spec.analysis.sessionAffinity.domain"),
        ({"cookieName": "a", "path": "/\r\n"}, "spec.analysis.sessionAffinity.path"),
    ],
)
def test_what_makes_no_cookie(attributes: Json, path: str) -> None:
    (problem,) = problems(canary(analysis__sessionAffinity=attributes))
    assert problem.path == path


def test_an_ab_test_holds_nobody_by_cookie() -> None:
    (problem,) = problems(
        canary(
            analysis__match=[{"headers": {"x": {"exact": "y"}}}],
            analysis__sessionAffinity={"cookieName": "a"},
        )
    )
    assert problem.path == "spec.analysis.sessionAffinity"
    assert "remove match" in problem.message
