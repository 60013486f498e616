"""The arithmetic of a Deployment's rollout."""

from typing import Any

import pytest

from serinus.lab.controllers.revisions import (
    HASH_LABEL,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    new_annotations,
    of_template,
    template_hash,
    with_label,
    without_hash,
)
from serinus.lab.controllers.rolling import (
    Fences,
    fences,
    new_size,
    old_sizes,
    proportional_sizes,
    wanted,
)


def deployment(replicas: int, surge: Any = "25%", unavailable: Any = "25%") -> dict[str, Any]:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"spec": {"replicas": replicas, "strategy": strategy}}


def rs(name: str, size: int, available: int, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "annotations": annotations, "creationTimestamp": name},
        "spec": {"replicas": size},
        "status": {"availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", Fences(4, 1, 1)),
        (1, "25%", "25%", Fences(1, 1, 0)),
        (2, "25%", "25%", Fences(2, 1, 0)),
        (10, "25%", "25%", Fences(10, 3, 2)),
        (10, 0, "5%", Fences(10, 0, 1)),
        (3, 0, 0, Fences(3, 0, 1)),
        (0, 0, 0, Fences(0, 0, 0)),
        (2, 1, 5, Fences(2, 1, 2)),
    ],
)
def test_bounds(replicas: int, surge: Any, unavailable: Any, expected: Fences) -> None:
    assert fences(deployment(replicas, surge, unavailable)) == expected


def test_replicas_are_one_unless_given_and_zero_stays_zero() -> None:
    assert wanted({"spec": {}}) == 1
    assert wanted({"spec": {"replicas": 0}}) == 0


@pytest.mark.parametrize(
    ("bounds", "new", "old", "size"),
    [
        (Fences(3, 1, 0), None, [3], 1),
        (Fences(3, 1, 0), 1, [3], 1),
        (Fences(3, 1, 0), 1, [2], 2),
        (Fences(3, 1, 0), 5, [0], 3),
        (Fences(3, 0, 1), 0, [3], 0),
        (Fences(3, 0, 1), 0, [2], 1),
        (Fences(0, 1, 0), None, [], 0),
    ],
)
def test_the_new_one_grows_into_the_room_there_is(
    bounds: Fences, new: int | None, old: list[int], size: int
) -> None:
    newest = None if new is None else rs("new", new, new)
    others = [rs(f"old{i}", n, n) for i, n in enumerate(old)]
    assert new_size(bounds, newest, [*others, *([newest] if newest else [])]) == size


@pytest.mark.parametrize(
    ("bounds", "new", "old", "sizes"),
    [
        # No pod may be missing: an old one goes for each new one that is available.
        (Fences(3, 1, 0), (1, 0), [(3, 3)], {}),
        (Fences(3, 1, 0), (1, 1), [(3, 3)], {"old0": 2}),
        (Fences(3, 1, 0), (3, 3), [(1, 1)], {"old0": 0}),
        # One may be missing: one goes at once.
        (Fences(3, 0, 1), (0, 0), [(3, 3)], {"old0": 2}),
        # Those that do not work go first, of the oldest first.
        (Fences(3, 1, 0), (1, 1), [(1, 0), (2, 2)], {"old0": 0}),
        (Fences(2, 1, 0), (1, 0), [(2, 0)], {}),
        (Fences(2, 1, 1), (1, 0), [(2, 0)], {"old0": 1}),
        (Fences(3, 1, 0), (3, 3), [], {}),
        # One that was made smaller has not counted its pods since.
        (Fences(2, 1, 1), (1, 0), [(2, 3)], {}),
    ],
)
def test_old_ones_shrink_as_far_as_nobody_misses_them(
    bounds: Fences, new: tuple[int, int], old: list[tuple[int, int]], sizes: dict[str, int]
) -> None:
    others = [rs(f"old{i}", *counts) for i, counts in enumerate(old)]
    assert old_sizes(bounds, rs("new", *new), others) == sizes


@pytest.mark.parametrize(
    ("bounds", "sizes", "expected"),
    [
        (Fences(20, 5, 0), {"a": 8, "b": 4}, {"a": 17, "b": 8}),
        (Fences(5, 2, 0), {"a": 8, "b": 4}, {"a": 5, "b": 2}),
        (Fences(0, 0, 0), {"a": 8, "b": 4}, {"a": 0, "b": 0}),
        (Fences(10, 2, 0), {"a": 8, "b": 4}, {"a": 8, "b": 4}),
    ],
)
def test_scaling_amid_a_rollout_is_shared(
    bounds: Fences, sizes: dict[str, int], expected: dict[str, int]
) -> None:
    active = [rs(name, size, size, **{MAX_REPLICAS: "12"}) for name, size in sizes.items()]
    assert proportional_sizes(bounds, active) == expected


TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"image": "i:1"}]}}


def test_the_hash_names_the_template() -> None:
    other = {**TEMPLATE, "spec": {"containers": [{"image": "i:2"}]}}
    digest = template_hash(TEMPLATE)
    assert digest == template_hash(dict(reversed(TEMPLATE.items())))
    assert len({digest, template_hash(other), template_hash(TEMPLATE, 1)}) == 3
    assert len(digest) == 10
    assert not set(digest) & set("aeiou013")


def test_the_replicaset_of_a_template_is_found_again() -> None:
    labelled = with_label(TEMPLATE, HASH_LABEL, "abc")
    assert without_hash(labelled) == TEMPLATE
    mine = {"metadata": {"name": "a"}, "spec": {"template": labelled}}
    other = {"metadata": {"name": "b"}, "spec": {"template": {**labelled, "spec": {}}}}
    assert of_template({"spec": {"template": TEMPLATE}}, [other, mine]) is mine
    assert of_template({"spec": {"template": TEMPLATE}}, [other]) is None


def test_a_revision_that_comes_back_becomes_the_newest() -> None:
    owner = {"metadata": {"annotations": {"kubernetes.io/change-cause": "undo", REVISION: "2"}}}
    back = rs("a", 0, 0, **{REVISION: "1"})
    last = rs("b", 1, 1, **{REVISION: "2"})
    assert new_annotations(owner, back, [last]) == {
        REVISION: "3",
        REVISION_HISTORY: "1",
        "kubernetes.io/change-cause": "undo",
    }
    assert new_annotations(owner, None, []) == {
        REVISION: "1",
        "kubernetes.io/change-cause": "undo",
    }
