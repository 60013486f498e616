"""YAML with the places of its fields."""

import pytest

from serinus.lint.documents import Document, Unreadable, read

TEXT = """\
# A comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: one
  annotations:
    kuma.io/mesh: default
    a.b[c]: d
data: {x: "1", y: "2"}
list:
- name: a
  ports: [80, 443]
- name: b
"""


def only(text: str) -> Document:
    (found,) = read("f", text)
    assert isinstance(found, Document)
    return found


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", (2, 1)),
        ("kind", (3, 1)),
        ("metadata.annotations[kuma.io/mesh]", (7, 5)),
        ("metadata.annotations.kuma.io/mesh", (7, 5)),
        ("data.y", (9, 16)),
        ("list[0].ports[1]", (12, 15)),
        ("list[1].name", (13, 3)),
        ("list[1].ports", (13, 3)),
        ("list[2]", (10, 1)),
        ("metadata.labels[a]", (4, 1)),
        ("spec.nowhere", (2, 1)),
    ],
)
def test_a_field_stands_at_its_key_or_at_what_is_around_it(
    path: str, place: tuple[int, int]
) -> None:
    assert only(TEXT).place(path) == place


def test_a_list_is_its_objects() -> None:
    listed = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec: {}\n"
    found = only(listed)
    assert (found.kind, found.place("spec")) == ("Pod", (6, 3))


def test_json_is_yaml() -> None:
    assert only('{"apiVersion": "v1", "kind": "Pod"}').kind == "Pod"


def test_anchors_and_merges_are_followed() -> None:
    text = "apiVersion: v1\nkind: Pod\na: &a {x: 1}\nb: {<<: *a, y: 2}\n"
    assert only(text).object["b"] == {"x": 1, "y": 2}


def test_dates_and_numbers_as_keys_are_what_json_has() -> None:
    text = "apiVersion: v1\nkind: Pod\nat: 2026-01-01\n80: x\n"
    assert only(text).object == {"apiVersion": "v1", "kind": "Pod", "at": "2026-01-01", "80": "x"}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: [\n}", 2, "this is no YAML"),
        ("a: {{ .Values.x }}\n", 1, "this is no YAML"),
        ("a: b\n\x00", 2, "special characters are not allowed"),
        ("apiVersion: v1\nkind: A\nx: &a [*a]\n", 1, "it holds itself"),
        ("apiVersion: v1\nkind: 5\n", 1, "it has not both apiVersion and kind"),
        ("apiVersion: v1\nkind: List\nitems: 5\n", 3, "items is no list"),
        ("apiVersion: v1\nkind: List\nitems:\n- 5\n", 4, "it has not both apiVersion and kind"),
        ("apiVersion: a\nkind: b\n? [a]\n: b\n", 3, "this is no YAML"),
        ("!!python/object:os.system x\n", 1, "could not determine a constructor"),
        ("!!set {apiVersion, kind}\n", 1, "it has not both apiVersion and kind"),
        ("- 1\n", 1, "it has not both apiVersion and kind"),
    ],
)
def test_what_kubectl_would_not_read(text: str, line: int, reason: str) -> None:
    (found,) = read("f", text)
    assert isinstance(found, Unreadable)
    assert found.line == line
    assert reason in found.reason
    assert found.fix


def test_a_document_that_cannot_be_read_hides_none_before_it() -> None:
    first, second = read("f", "apiVersion: v1\nkind: Pod\n---\na: [\n")
    assert isinstance(first, Document)
    assert isinstance(second, Unreadable)


@pytest.mark.parametrize("text", ["", "---\n---\n", "# nothing\n"])
def test_nothing_is_nothing(text: str) -> None:
    assert list(read("f", text)) == []


def test_other_yaml_of_a_directory_is_passed_over() -> None:
    assert list(read("values.yaml", "replicas: 2\n", named=False)) == []
    assert list(read("list.yaml", "- 1\n", named=False)) == []
    (told,) = read("pod.yaml", "kind: Pod\n", named=False)
    assert isinstance(told, Unreadable)
