"""JSON, merge and strategic merge patches."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.patch.json_patch import REFUSED, json_patch
from serinus.lab.apiserver.patch.merge_patch import merge_patch
from serinus.lab.apiserver.patch.strategic import strategic_merge
from serinus.lab.apiserver.schema.registry import Registry

KIND = Registry.builtin().by_kind("apps", "v1", "Deployment")
POD = Registry.builtin().by_kind("", "v1", "Pod")
assert KIND is not None
assert POD is not None

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=2), part, max_size=3)
    ),
    max_leaves=12,
)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return value


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_rfc_s_own_merge_examples(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@given(JSON, JSON)
def test_a_merge_patch_twice_is_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(JSON)
def test_a_merge_patch_on_nothing_is_itself_without_nulls(patch: Any) -> None:
    assert merge_patch(None, patch) == without_nulls(patch)


def test_json_patch_leaves_its_target_alone() -> None:
    target = {"spec": {"list": [1, 2]}}
    operations = [
        {"op": "test", "path": "/spec/list/0", "value": 1},
        {"op": "add", "path": "/spec/list/-", "value": 3},
        {"op": "remove", "path": "/spec/list/0"},
        {"op": "add", "path": "/a~1b", "value": None},
    ]
    assert json_patch(target, operations) == {"spec": {"list": [2, 3]}, "a/b": None}
    assert target == {"spec": {"list": [1, 2]}}


@pytest.mark.parametrize(
    ("operation", "message", "code"),
    [
        ({"op": "test", "path": "/a", "value": 2}, REFUSED, 422),
        ({"op": "remove", "path": "/x"}, REFUSED, 422),
        ({"op": "replace", "path": "/x/y", "value": 1}, REFUSED, 422),
        ({"op": "add", "path": "/x/y", "value": 1}, REFUSED, 422),
        ({"op": "fly", "path": "/x"}, REFUSED, 422),
        ("fly", "an operation must be an object", 400),
    ],
)
def test_json_patch_says_what_failed(operation: Any, message: str, code: int) -> None:
    with pytest.raises(PatchError) as caught:
        json_patch({"a": 1}, [operation])
    assert message in caught.value.message
    assert caught.value.code == code


def test_json_patch_replaces_even_what_is_not_there() -> None:
    assert json_patch({"a": 1}, [{"op": "replace", "path": "/x", "value": 2}]) == {"a": 1, "x": 2}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


APP = {"name": "app", "image": "a:1", "env": [{"name": "X", "value": "1"}]}
SIDECAR = {"name": "sidecar", "image": "s:1"}


@pytest.mark.parametrize(
    ("live", "patch", "result"),
    [
        pytest.param(
            pod(APP, SIDECAR),
            pod({"name": "app", "image": "a:2"}),
            pod({**APP, "image": "a:2"}, SIDECAR),
            id="an item merges by name",
        ),
        pytest.param(pod(APP), pod(SIDECAR), pod(SIDECAR, APP), id="a new item comes first"),
        pytest.param(
            pod(APP, SIDECAR), pod({"$patch": "delete", "name": "app"}), pod(SIDECAR), id="delete"
        ),
        pytest.param(
            pod(APP, SIDECAR),
            pod({"$patch": "replace"}, {"name": "x"}),
            pod({"name": "x"}),
            id="replace the list",
        ),
        pytest.param(
            pod(APP, SIDECAR),
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "sidecar"}, {"name": "new"}],
                    "containers": [{"name": "new"}],
                }
            },
            pod(APP, SIDECAR, {"name": "new"}),
            id="an order keeps others where they stood",
        ),
        pytest.param(
            pod(APP, SIDECAR),
            {"spec": {"$setElementOrder/containers": [{"name": "sidecar"}, {"name": "app"}]}},
            pod(SIDECAR, APP),
            id="an order alone",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"finalizers": ["c", "a"]}},
            {"metadata": {"finalizers": ["c", "a", "b"]}},
            id="plain values merge as a set",
        ),
        pytest.param(
            {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
            {"metadata": {"finalizers": ["b"]}},
            id="plain values are taken out",
        ),
        pytest.param(
            pod(APP, tolerations=[{"key": "a"}]),
            {"spec": {"tolerations": [{"key": "b"}]}},
            pod(APP, tolerations=[{"key": "b"}]),
            id="a list without a merge key is replaced",
        ),
        pytest.param(
            pod(APP, volumes=[{"name": "v", "emptyDir": {}}]),
            {
                "spec": {
                    "volumes": [
                        {"name": "v", "$retainKeys": ["name", "secret"], "secret": {"a": None}}
                    ]
                }
            },
            pod(APP, volumes=[{"name": "v", "secret": {}}]),
            id="retain keys of a union",
        ),
        pytest.param(
            pod(APP, nodeSelector={"a": "b", "c": "d"}),
            {"spec": {"nodeSelector": {"a": None, "e": "f"}}},
            pod(APP, nodeSelector={"c": "d", "e": "f"}),
            id="maps merge",
        ),
        pytest.param(
            pod(APP, nodeSelector={"a": "b"}),
            {"spec": {"nodeSelector": {"$patch": "replace", "e": "f"}}},
            pod(APP, nodeSelector={"e": "f"}),
            id="replace a map",
        ),
    ],
)
def test_strategic_merge(live: Any, patch: Any, result: Any) -> None:
    assert strategic_merge(POD.schema, live, patch) == result


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (pod({"image": "x"}), "does not contain declared merge key: name"),
        ({"spec": {"$patch": "fly"}}, "unrecognized patch directive: fly"),
        ([], "must be an object"),
        ({"spec": {"containers": ["x"]}}, "expected a list of objects"),
    ],
)
def test_a_wrong_strategic_patch_says_why(patch: Any, message: str) -> None:
    with pytest.raises(PatchError, match=message):
        strategic_merge(POD.schema, pod(APP), patch)


NAMES = st.lists(st.sampled_from("abcde"), unique=True, max_size=4)
CONTAINERS = NAMES.map(lambda names: [{"name": name, "image": name} for name in names])


@given(CONTAINERS, st.dictionaries(st.sampled_from("abc"), st.text(max_size=2)), NAMES)
def test_an_object_laid_over_itself_is_itself(containers: Any, labels: Any, names: Any) -> None:
    whole = {
        "metadata": {"labels": labels, "finalizers": names},
        "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}},
    }
    assert strategic_merge(KIND.schema, whole, whole) == whole


@given(CONTAINERS, CONTAINERS)
def test_all_items_of_both_are_there_once(live: Any, patch: Any) -> None:
    merged = strategic_merge(POD.schema, pod(*live), pod(*patch))["spec"]["containers"]
    names = [item["name"] for item in merged]
    assert len(names) == len(set(names))
    assert set(names) == {item["name"] for item in [*live, *patch]}
    wanted = [item["name"] for item in patch]
    assert [name for name in names if name in wanted] == wanted
