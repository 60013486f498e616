"""Every dialect with every strategy, in a lab of its Kuma: no caller's request fails, and nobody
sees a side that is not for them. At the end the run tells how many requests came to which side.

A dialect that has no such strategy says so, by field, and changes nothing.
"""

import itertools

import pytest

from kuma.stage import APP, DIALECTS, ENOUGH, FIELDS, Act, Dialect, Played
from story.callers import Answer, course

pytestmark = [pytest.mark.story, pytest.mark.lab, pytest.mark.timeout(600)]

EVERY = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
OLD = "primary 6.0.0"


def stretches(answers: list[Answer]) -> list[str]:
    """The course of a caller's sides; while a primary rolls, its old and new pods both answer."""
    return [side for side, _ in itertools.groupby(answer.side for answer in answers)]


def those_with(strategy: str) -> pytest.MarkDecorator:
    chosen = [dialect for dialect in DIALECTS if strategy not in dialect.refuses]
    return pytest.mark.parametrize("dialect", chosen, ids=lambda dialect: dialect.name)


def canary_shares(act: Act) -> tuple[float, float]:
    """The canary's share of what users were answered while it had a weight: in the first half of
    that time, and in the second."""
    halves: tuple[list[bool], list[bool]] = ([], [])
    for answers in act.seen.values():
        by_canary = [answer.side == "canary" for answer in answers]
        first, last = by_canary.index(True), len(by_canary) - by_canary[::-1].index(True)
        middle = (first + last) // 2
        halves[0].extend(by_canary[first:middle])
        halves[1].extend(by_canary[middle:last])
    first_half, second_half = (sum(half) / len(half) for half in halves)
    return first_half, second_half


@EVERY
def test_weights(dialect: Dialect, played: Played) -> None:
    """From 10 to 50 percent: fewer at first, more later, and never most of them."""
    act = played.act("weights")
    assert act.none_failed()
    for weight in (10, 20, 30, 40, 50):
        namespace = f"{dialect.prefix}weights"
        assert f"Advance podinfo.{namespace} canary weight {weight}" in act.told
    first, second = canary_shares(act)
    assert 0.05 < first < second < 0.6
    for answers in act.seen.values():
        assert str(answers[0]) == OLD
        assert answers[-1] == Answer("primary", "6.0.1"), "until the next version comes"
    kind, home = dialect.home
    namespace = f"{dialect.prefix}weights"
    assert act.found["routes"] == {(kind, namespace if home == APP else home)}
    if dialect.spoken:
        assert act.found["spoken"] == {dialect.spoken}


@EVERY
def test_rollback(dialect: Dialect, played: Played) -> None:
    """The new version is bad, yet no user is answered badly, and all return to the old one."""
    act = played.act("rollback")
    assert act.none_failed()
    assert 0.05 < max(canary_shares(act)) < 0.5
    for answers in act.seen.values():
        assert set(answers) == {Answer("primary", "6.0.1"), Answer("canary", "6.0.2")}
        assert answers[-1] == Answer("primary", "6.0.1")
    assert any("failed checks threshold reached" in told for told in act.told)


@EVERY
def test_as_many_requests_as_it_takes(dialect: Dialect, played: Played) -> None:
    acts = [played.act(name) for name in ("weights", "rollback")]
    assert sum(len(act.all) for act in acts) >= ENOUGH


@EVERY
def test_ab_testing(dialect: Dialect, played: Played) -> None:
    """Who matches sees the canary as long as there is one; nobody else ever does."""
    act = played.act("ab")
    assert act.none_failed()
    for name in ("header", "cookie"):
        assert course(act.seen[name]) == [OLD, "canary 6.0.1", "primary 6.0.1"]
    for name in ("no-header", "other-header"):
        assert stretches(act.seen[name]) == ["primary"]
        assert act.seen[name][-1] == Answer("primary", "6.0.1")


@those_with("mirror")
def test_mirror(dialect: Dialect, played: Played) -> None:
    """While requests are mirrored, users see the primary alone, and the canary gets copies."""
    act = played.act("mirror")
    assert act.none_failed()
    assert course(act.seen["mirrored"]) == ["primary 6.0.1", "canary 6.0.2", "primary 6.0.2"]
    assert act.found["copies"] > 0
    assert "Stop traffic mirroring and route all traffic to canary" in act.told


@those_with("affinity")
def test_session_affinity(dialect: Dialect, played: Played) -> None:
    """Who came to the canary stays there to the end; with the next rollout all start anew."""
    act = played.act("affinity")
    assert act.none_failed()
    held = [name for name in act.seen if name.startswith("held-")]
    for name, jar in zip(held, act.found["jars"], strict=True):
        assert stretches(act.seen[name]) == ["primary", "canary", "primary"], name
        assert act.seen[name][-1] == Answer("primary", "6.0.3")
        assert act.found["first"].partition("=")[2] in jar
    assert len(course(act.seen["no-cookies"])) > 3, "the weights are for those without a cookie"
    assert act.found["first"] != act.found["second"]
    assert Answer("primary", "6.0.3") in act.found["stale"]
    assert set(act.found["stale"]) <= {Answer("primary", "6.0.3"), Answer("canary", "6.0.4")}
    assert set(act.found["fresh"]) == {Answer("canary", "6.0.4")}
    kinds = {kind for kind, _ in act.found["routes"]}
    assert kinds == {"MeshHTTPRoute", "MeshProxyPatch", "MeshTimeout", "MeshRetry"}


@pytest.mark.parametrize(
    ("dialect", "strategy"),
    [(dialect, strategy) for dialect in DIALECTS for strategy in sorted(dialect.refuses)],
    ids=lambda one: one if isinstance(one, str) else one.name,
)
def test_what_a_dialect_cannot_do(dialect: Dialect, strategy: str, played: Played) -> None:
    """The field is named, with what to do; meanwhile a version that is released reaches nobody."""
    act = played.act(strategy)
    assert act.none_failed()
    assert act.found["refusal"].startswith(FIELDS[strategy])
    assert "remove it" in act.found["refusal"]
    assert course(act.seen[f"not-{strategy}"]) == ["primary 6.0.1"]


@pytest.mark.parametrize(
    "dialect", [one for one in DIALECTS if one.provider], ids=lambda dialect: dialect.name
)
def test_tcp(dialect: Dialect, played: Played) -> None:
    """Connections are shared out by weights, when the port speaks no HTTP to Kuma."""
    act = played.act("tcp")
    assert act.none_failed()
    (answers,) = act.seen.values()
    assert answers[-1] == Answer("primary", "6.0.5")
    # Few answers, since it is soon over: what a fair split of so many strays to.
    assert 0.05 < sum(canary_shares(act)) / 2 < 0.8
    assert act.found["routes"] == {("MeshTCPRoute", f"{dialect.prefix}others")}


@EVERY
def test_finalise(dialect: Dialect, played: Played) -> None:
    """Deleted in mid-rollout, it gives the apex back to the target, and no caller notices."""
    act = played.act("finalise")
    assert act.none_failed()
    assert act.found["phase"] == "Progressing"
    assert act.found["before"], "there was nothing to take away"
    assert act.found["selector"] == {"app": "podinfo"}
    for answers in act.seen.values():
        assert answers[-1].side == "canary", "the target's own pods"
    assert played.act("deletion").ended == "gone"
