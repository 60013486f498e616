"""The lab's mesh beside what real control planes made of the same objects, field by field.

The run tells at its end how much was compared, and which differences are left.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from conformance.comparison import differences
from lab.mesh.mesh_objects import ROUTE_ALL
from lab.mesh.observations import PLANES, SPLIT, Case, Plane, cases
from lab.mesh.observed_differences import KNOWN
from serinus.lab.mesh.versions import V1_8, V2_7
from telling import section

CASES = {case.name: case for case in cases()}

_Differing = list[tuple[str, Any, Any]]

_compared: set[str] = set()


@cache
def _differing(name: str) -> tuple[int, _Differing]:
    """How many fields of an observation there are in the lab just so, and where the two differ, as
    (path, theirs, ours)."""
    case: Case = CASES[name]
    theirs = case.theirs()
    found = [
        (path.removeprefix("0").removeprefix("."), said, ours)
        for path, said, ours in differences([theirs], [case.ours()])
    ]
    lost = sum(_fields(said) for _, said, _ in found if said != "(absent)")
    return _fields(theirs) - lost, found


def _fields(value: Any) -> int:
    if isinstance(value, dict) and value:
        return sum(_fields(one) for one in value.values())
    if isinstance(value, list) and value:
        return sum(_fields(one) for one in value)
    return 1


def _places(name: str) -> Iterator[tuple[str | None, str]]:
    """Where a case differs, each with the place in the list that covers it."""
    for path, theirs, ours in _differing(name)[1]:
        covering = (one.covering(name, path) for one in KNOWN)
        place = next((one for one in covering if one), None)
        yield place, f"{path}: {theirs!r} there, {ours!r} here"


def _lines() -> list[str]:
    if not _compared:
        return []
    equal = Counter[str]()
    number = Counter[str]()
    places = Counter[str | None]()
    for name in _compared:
        plane = next(one.prefix for one in PLANES if name.startswith(one.prefix))
        equal[plane] += _differing(name)[0]
        number[plane] += 1
        places.update(place for place, _ in _places(name))
    told = [
        f"{number[one.prefix]} observations of Kuma {one.prefix}: {equal[one.prefix]} fields equal"
        for one in PLANES
        if number[one.prefix]
    ]
    told.append(f"{number.total()} in all: {equal.total()} fields equal")
    told.append("differences left, and in how many places:")
    for known in KNOWN:
        told.append(f"  {sum(places[one] for one in known.places):2} {known.reason}")
    return told


section("the lab's mesh beside real control planes", _lines)


@pytest.mark.parametrize("name", CASES)
def test_the_lab_makes_what_the_real_control_plane_made(name: str) -> None:
    _compared.add(name)
    assert not [words for place, words in _places(name) if place is None]


def test_known_differences_exist() -> None:
    """The list has no place that has been mended."""
    seen = {place for name in CASES for place, _ in _places(name)}
    assert not {place for one in KNOWN for place in one.places} - seen


@pytest.mark.parametrize("routes", [[SPLIT], [SPLIT, ROUTE_ALL]], ids=["alone", "with-route-all"])
@pytest.mark.parametrize("who", ["client-1.test", "podinfo-1.test"])
def test_1_8_is_as_2_7_under_trafficroutes(routes: list[Any], who: str) -> None:
    """It was never observed."""
    traffic = [{"kind": "TrafficRoute", **route} for route in routes]
    old, new = (Plane("", version, None).config(traffic, who) for version in (V1_8, V2_7))
    assert old == new
