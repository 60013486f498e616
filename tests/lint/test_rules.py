"""Each rule of lint, by files that walk into its trap and by files that do not."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lint import cases_canary, cases_gateway, cases_mesh
from lint.manifests import (
    CANARY,
    DEPLOYMENT,
    MARK,
    MESH,
    METRIC,
    NAMESPACE,
    ROUTE,
    TRAFFIC_ROUTE,
    Case,
    added,
    edited,
)
from serinus.lint.check import check, declared
from serinus.lint.finding import Finding, Level
from serinus.lint.kuma import groups

CASES = (*cases_canary.CASES, *cases_gateway.CASES, *cases_mesh.CASES)


def found(text: str, kuma: tuple[str, ...] = (), mode: str = "") -> tuple[Finding, ...]:
    return check([("f.yaml", text, True)], groups(kuma, mode))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_trap_is_told_at_its_line(case: Case) -> None:
    mode = case.mode if case.kuma == ("2.14",) else ""
    told = [one for one in found(case.text, case.kuma, mode) if one.rule == case.rule]
    lines = [at for at, line in enumerate(case.text.splitlines(), 1) if MARK in line]
    level = Level.WARNING if case.warning else Level.ERROR
    places = [(one.line, one.path, one.level) for one in told]
    assert (lines[0], case.path, level) in places, places
    for one in told:
        assert one.reason
        assert one.fix


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in declared()}


@pytest.mark.parametrize("kuma", ["1.8", "2.7", "2.14", "3.0"])
def test_what_is_well_is_not_told(kuma: str) -> None:
    assert found("---\n".join([CANARY, NAMESPACE, DEPLOYMENT]), (kuma,)) == ()
    if kuma != "1.8":
        assert found("---\n".join([cases_gateway.GATED, NAMESPACE, DEPLOYMENT]), (kuma,)) == ()


def test_the_routes_of_others_are_well_where_they_belong() -> None:
    in_system = edited(ROUTE, ("namespace: test", "namespace: kuma-system"))
    by_labels = edited(
        ROUTE,
        ("name: backend_test_svc_80", "labels: {kuma.io/display-name: backend}"),
        ("name: backend-v1_test_svc_80", "labels: {kuma.io/display-name: backend-v1}"),
        ("name: backend-v2_test_svc_80", "labels: {kuma.io/display-name: backend-v2}"),
    )
    assert found(in_system, ("2.7", "2.14")) == ()
    assert found(ROUTE, ("2.14",)) == ()
    assert found(by_labels, ("3.0",)) == ()
    assert found(METRIC, ("2.7", "2.14", "3.0")) == ()
    assert found(TRAFFIC_ROUTE, ("1.8",)) == ()


def test_traffic_routes_are_well_beside_one_for_all() -> None:
    every = edited(TRAFFIC_ROUTE, ("backend\nspec", "route-all\nspec"))
    every = every.replace("backend_test_svc_80", "'*'")
    both = f"{TRAFFIC_ROUTE}---\n{every}"
    assert found(both, ("2.7",)) == ()
    assert {one.rule for one in found(both, ("2.14",), "exclusive")} == {"kuma/first-trafficroute"}


def test_an_annotation_for_injection_is_well_before_kuma_2_2() -> None:
    old = edited(NAMESPACE, ("labels", "annotations"))
    assert found(f"{CANARY}---\n{old}", ("1.8",)) == ()


def test_annotations_for_all_three_services_are_as_good_as_app_protocol() -> None:
    annotated = "".join(
        f"    {role}:\n      annotations:\n        9898.service.kuma.io/protocol: http\n"
        for role in ("apex", "primary", "canary")
    )
    assert found(edited(CANARY, ("    appProtocol: http\n", annotated)), ("2.14", "3.0")) == ()


def test_canaries_of_no_mesh_are_left_alone() -> None:
    plain = added(
        edited(CANARY, ("    appProtocol: http\n", "")), "spec:", "  provider: kubernetes"
    )
    assert found(plain, ("2.14",)) == ()


def test_what_only_some_kumas_refuse_says_which() -> None:
    mirrored = added(CANARY, "    interval: 30s", "    mirror: true")
    (told,) = [one for one in found(mirrored) if one.path == "spec.analysis.mirror"]
    assert told.level is Level.WARNING
    assert told.reason.startswith("with Kuma 1.8: ")
    (asked,) = [one for one in found(mirrored, ("1.8", "2.14")) if one.path == told.path]
    assert asked.level is Level.ERROR
    assert asked.reason == told.reason
    (alone,) = found(mirrored, ("1.8",))
    assert "with Kuma" not in alone.reason


def test_a_mode_that_nobody_told_makes_a_warning() -> None:
    (told,) = [one for one in found(TRAFFIC_ROUTE, ("2.14",)) if "all other" in one.reason]
    assert told.level is Level.WARNING
    assert told.reason.startswith("with Kuma 2.14 with MeshServices Disabled: ")


def test_a_mesh_in_the_files_tells_its_mode() -> None:
    mesh = MESH.replace("Exclusive", "Disabled").replace("  # <-", "")
    (told,) = found(f"{TRAFFIC_ROUTE}---\n{mesh}", ("2.14",))
    assert (told.level, told.rule) == (Level.ERROR, "kuma/first-trafficroute")
    assert "all other" in told.reason
    assert "with Kuma" not in told.reason


def test_routes_that_are_weaker_or_narrower_override_nothing() -> None:
    to_apex = edited(ROUTE, ("name: backend_test_svc_80", "name: podinfo_test_svc_9898"))
    weaker = edited(to_apex, ("  name: backend\n", "  name: zebra\n"))
    narrower = edited(to_apex, ("value: /", "value: /api"))
    for route in (weaker, narrower):
        assert found(f"{CANARY}---\n{route}", ("2.14",)) == ()
    (told,) = found(f"{CANARY}---\n{to_apex}", ("2.14",))
    assert "decides where requests go" in told.reason


def test_a_canary_of_the_gateway_api_is_told_what_that_cannot_do() -> None:
    refs = "    gatewayRefs:\n    - {group: '', kind: Service, name: podinfo}"
    gateway = added(CANARY, "spec:", "  provider: gatewayapi:v1")
    gateway = added(gateway, "    port: 9898", refs)
    assert found(gateway, ("2.14",)) == ()
    affinity = "    sessionAffinity:\n      cookieName: c"
    (told,) = found(added(gateway, "    interval: 30s", affinity), ("2.14",))
    assert (told.rule, told.path) == ("gateway-api/route", "spec.analysis.sessionAffinity")


JUNK: tuple[object, ...] = (None, -1, "http://[", [None], {"name": {}})


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a document, with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in list(keys):
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize(
    "text",
    [CANARY, NAMESPACE, DEPLOYMENT, ROUTE, TRAFFIC_ROUTE, METRIC],
    ids=lambda text: str(yaml.safe_load(text)["kind"]),
)
def test_nothing_that_a_field_may_hold_breaks_a_rule(text: str) -> None:
    document = yaml.safe_load(text)
    for container, key in list(places(document)):
        kept = container[key]
        for junk in JUNK:
            container[key] = junk
            for one in found(f"{CANARY}---\n{yaml.safe_dump(document)}"):
                assert str(one)
        container[key] = kept


@pytest.mark.parametrize(
    ("kuma", "mode", "text"),
    [("1.0", "", "use 1.8 or 2.7 or 2.14 or 3.0"), ("2.14", "on", "use exclusive or disabled")],
)
def test_kumas_that_are_not_known_are_refused(kuma: str, mode: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        groups([kuma], mode)
