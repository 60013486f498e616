"""Server-side apply and the books that plain writes keep for it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.lab.apiserver.patch.apply import ApplyConflict, server_side_apply, track_update
from serinus.lab.apiserver.patch.errors import PatchError
from serinus.lab.apiserver.patch.fieldset import from_fields_v1, to_fields_v1
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.schema.schema import from_crd

KIND = Registry.builtin().by_kind("apps", "v1", "Deployment")
assert KIND is not None
DEPLOYMENT = KIND.schema
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 3, 5, 0, tzinfo=UTC)


def apply(
    live: dict[str, Any] | None,
    applied: dict[str, Any],
    manager: str = "finch",
    *,
    force: bool = False,
    now: datetime = THEN,
) -> dict[str, Any]:
    whole = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, **applied}
    return server_side_apply(
        DEPLOYMENT, live, whole, manager=manager, force=force, api_version="apps/v1", now=now
    )


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(items)}}}}


def owned_by(obj: dict[str, Any], manager: str) -> Any:
    entries = obj["metadata"]["managedFields"]
    return next((entry["fieldsV1"] for entry in entries if entry["manager"] == manager), None)


def test_what_is_written_in_managed_fields() -> None:
    port = {"containerPort": 80, "name": "http"}
    web = apply(None, containers({"name": "app", "image": "a", "args": ["x"], "ports": [port]}))
    assert web["metadata"]["managedFields"] == [
        {
            "manager": "finch",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": "2026-01-02T03:04:05Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:template": {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"app"}': {
                                    ".": {},
                                    "f:args": {},
                                    "f:image": {},
                                    "f:name": {},
                                    "f:ports": {
                                        'k:{"containerPort":80,"protocol":"TCP"}': {
                                            ".": {},
                                            "f:containerPort": {},
                                            "f:name": {},
                                        }
                                    },
                                }
                            }
                        }
                    }
                }
            },
        }
    ]


def test_applying_twice_changes_nothing() -> None:
    wish = {"spec": {"replicas": 2}, "metadata": {"name": "web", "labels": {"a": "b"}}}
    once = apply(None, wish)
    assert apply(once, wish, now=LATER) == once


def test_a_field_that_is_no_longer_applied_goes() -> None:
    app, sidecar = {"name": "app", "image": "a"}, {"name": "sidecar", "image": "s"}
    live = apply(None, {**containers(app, sidecar)})
    live["spec"]["replicas"] = 1
    after = apply(live, containers(app))
    assert after["spec"]["template"]["spec"]["containers"] == [app]
    assert after["spec"]["replicas"] == 1, "what nobody applied stays"


def test_a_label_that_was_the_only_one_goes_and_the_name_stays() -> None:
    live = apply(None, {"metadata": {"name": "web", "labels": {"a": "b"}}})
    after = apply(live, {"spec": {"replicas": 1}})
    assert after["metadata"]["name"] == "web"
    assert "labels" not in after["metadata"]


def test_a_field_that_another_applies_too_stays_when_one_lets_go() -> None:
    live = apply(None, {"spec": {"replicas": 2, "paused": True}})
    live = apply(live, {"spec": {"replicas": 2}}, "siskin")
    after = apply(live, {"spec": {"paused": True}})
    assert after["spec"] == {"replicas": 2, "paused": True}
    assert owned_by(after, "siskin") == {"f:spec": {"f:replicas": {}}}


def test_a_conflict_names_the_other_and_the_field() -> None:
    live = apply(None, {"spec": {"replicas": 2}}, "siskin")
    with pytest.raises(ApplyConflict) as caught:
        apply(live, {"spec": {"replicas": 3}})
    assert caught.value.conflicts == [('"siskin"', ".spec.replicas")]
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "siskin": .spec.replicas'
    )
    assert caught.value.causes == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "siskin"',
            "field": ".spec.replicas",
        }
    ]


def test_several_conflicts_are_listed_by_manager() -> None:
    live = {"metadata": {"name": "web"}, **containers({"name": "app", "image": "a"})}
    live["spec"]["replicas"] = 1
    live["metadata"]["managedFields"] = track_update(
        DEPLOYMENT, None, live, manager="kubectl", api_version="apps/v1", subresource="", now=THEN
    )
    with pytest.raises(ApplyConflict) as caught:
        apply(live, {"spec": {"replicas": 3, **containers({"name": "app", "image": "b"})["spec"]}})
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl" using apps/v1:\n'
        "- .spec.replicas\n"
        '- .spec.template.spec.containers[name="app"].image'
    )


def test_force_takes_the_field() -> None:
    live = apply(None, {"spec": {"replicas": 2, "paused": True}}, "siskin")
    after = apply(live, {"spec": {"replicas": 3}}, force=True, now=LATER)
    assert after["spec"] == {"replicas": 3, "paused": True}
    assert owned_by(after, "siskin") == {"f:spec": {"f:paused": {}}}
    assert owned_by(after, "finch") == {"f:spec": {"f:replicas": {}}}


def test_an_object_without_books_belongs_to_before_first_apply() -> None:
    live = {"metadata": {"name": "web"}, "spec": {"replicas": 1, "paused": True}}
    with pytest.raises(ApplyConflict, match="before-first-apply"):
        apply(live, {"spec": {"replicas": 3}})


def test_a_plain_write_takes_what_it_changes() -> None:
    live = apply(None, {"spec": {"replicas": 2, "paused": True}})
    scaled = {**live, "spec": {"replicas": 5, "paused": True}}
    entries = track_update(
        DEPLOYMENT,
        live,
        scaled,
        manager="hpa",
        api_version="apps/v1",
        subresource="scale",
        now=LATER,
    )
    assert [(entry["manager"], entry["fieldsV1"]) for entry in entries] == [
        ("finch", {"f:spec": {"f:paused": {}}}),
        ("hpa", {"f:spec": {"f:replicas": {}}}),
    ]
    assert entries[1]["subresource"] == "scale"


def test_a_write_that_changes_nothing_keeps_the_books() -> None:
    live = apply(None, {"spec": {"replicas": 2}})
    entries = track_update(
        DEPLOYMENT, live, live, manager="x", api_version="apps/v1", subresource="", now=LATER
    )
    assert entries == live["metadata"]["managedFields"]


def test_books_can_be_thrown_away() -> None:
    live = apply(None, {"spec": {"replicas": 2}})
    after = {**live, "metadata": {"name": "web", "managedFields": [{}]}}
    entries = track_update(
        DEPLOYMENT, live, after, manager="x", api_version="apps/v1", subresource="", now=LATER
    )
    assert entries == []


@pytest.mark.parametrize("spoilt", [["x"], [{"manager": "y", "fieldsV1": {"q:a": {}}}]])
def test_books_that_cannot_be_read_do_not_count(spoilt: list[Any]) -> None:
    live = apply(None, {"spec": {"replicas": 2}})
    after = {**live, "metadata": {"name": "web", "managedFields": spoilt}}
    entries = track_update(
        DEPLOYMENT, live, after, manager="x", api_version="apps/v1", subresource="", now=LATER
    )
    assert entries == live["metadata"]["managedFields"]


def test_an_empty_struct_is_owned_and_one_that_holds_others_is_not() -> None:
    pod = {"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}}
    web = {"metadata": {"name": "web"}, "spec": pod}
    [entry] = track_update(
        DEPLOYMENT, None, web, manager="x", api_version="apps/v1", subresource="", now=THEN
    )
    volume = {".": {}, "f:name": {}, "f:emptyDir": {}}
    volumes = {"f:volumes": {".": {}, 'k:{"name":"v"}': volume}}
    assert entry["fieldsV1"] == {"f:spec": {"f:template": {"f:spec": volumes}}}


def test_managed_fields_cannot_be_applied() -> None:
    with pytest.raises(PatchError, match="must be nil"):
        apply(None, {"metadata": {"name": "web", "managedFields": [{"manager": "x"}]}})


def test_custom_resources_merge_by_their_own_lists() -> None:
    schema = from_crd(
        {
            "type": "object",
            "properties": {
                "names": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
                "free": {"x-kubernetes-preserve-unknown-fields": True, "type": "object"},
            },
        }
    )

    def put(live: Any, applied: Any, manager: str) -> Any:
        return server_side_apply(
            schema, live, applied, manager=manager, force=False, api_version="a/v1", now=THEN
        )

    live = put(None, {"names": ["a", "b"], "free": {"x": {"y": 1}}}, "finch")
    live = put(live, {"names": ["c", "a"], "free": {"x": {"z": 2}}}, "siskin")
    assert sorted(live["names"]) == ["a", "b", "c"]
    assert live["free"] == {"x": {"y": 1, "z": 2}}
    live = put(live, {"free": {"x": {"y": 1}}}, "finch")
    assert live["names"] == ["c", "a"]


LABELS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2"]), max_size=4)


@given(LABELS, LABELS)
def test_two_managers_with_different_fields_keep_both(one: Any, two: Any) -> None:
    two = {f"{key}2": value for key, value in two.items()}
    live = apply(None, {"metadata": {"name": "web", "labels": one}}, "finch")
    live = apply(live, {"metadata": {"name": "web", "labels": two}}, "siskin")
    assert live["metadata"]["labels"] == {**one, **two}
    again = apply(live, {"metadata": {"name": "web", "labels": one}}, "finch", now=LATER)
    assert again == live


@given(LABELS, LABELS)
def test_forced_twice_is_forced_once(one: Any, two: Any) -> None:
    live = apply(None, {"metadata": {"name": "web", "labels": one}}, "finch")
    wish = {"metadata": {"name": "web", "labels": two}}
    once = apply(live, wish, "siskin", force=True)
    assert apply(once, wish, "siskin", force=False, now=LATER) == once
    assert once["metadata"]["labels"] == {**one, **two}


ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"x"'])


@given(st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple), max_size=8))
def test_a_set_survives_its_spelling(fields: Any) -> None:
    assert from_fields_v1(to_fields_v1(fields)) == fields
