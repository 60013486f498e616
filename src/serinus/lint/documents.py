"""YAML as kubectl reads it, with the place of every field.

A file is a stream of documents, and a document of kind List holds objects too. What kubectl itself
would refuse to read (syntax, a key given twice, no kind) comes out as an `Unreadable`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Json = dict[str, Any]

_TEMPLATE = "render the template first (helm template ... | serinus lint -)"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place that kubectl would not read. ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int
    reason: str
    fix: str


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One object. ``node`` is its YAML, from which `place` tells where a field stands."""

    file: str
    object: Json
    node: yaml.MappingNode

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def group(self) -> str:
        return str(self.object["apiVersion"]).rpartition("/")[0]

    @property
    def metadata(self) -> Json:
        return mapping(self.object, "metadata")

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or "")

    @property
    def spec(self) -> Json:
        return mapping(self.object, "spec")

    def place(self, path: str) -> tuple[int, int]:
        """Line and column, from 1, of the field at ``path`` (`spec.a[0].b[key.with.dots]`), or
        of the nearest one around it that is there."""
        mark = _mark(self.node, path)
        return mark.line + 1, mark.column + 1


def mapping(value: object, *keys: str) -> Json:
    """The object along the keys; empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def listed(value: object, *keys: str) -> list[Json]:
    """The objects of the list along the keys; empty where there is none."""
    found = mapping(value, *keys[:-1]).get(keys[-1])
    items = found if isinstance(found, list) else []
    return [item if isinstance(item, dict) else {} for item in items]


def read(file: str, text: str, *, named: bool = True) -> Iterator[Document | Unreadable]:
    """What a file holds. With ``named`` false (a file found in a directory), YAML that is no object
    of Kubernetes is passed over."""
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield from _document(file, loader, node, named=named)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        fix = _TEMPLATE if "{{" in text else "correct the YAML here"
        yield Unreadable(file, line, column, f"this is no YAML: {error.problem}", fix)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        yield Unreadable(file, line, 1, f"this is no YAML: {error.reason}", "remove it")
    except RecursionError:
        yield Unreadable(file, 1, 1, "this is no YAML for an object: it holds itself", "correct it")


class _Loader(yaml.SafeLoader):
    """Text that looks like a date stays text: JSON knows no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _document(
    file: str, loader: _Loader, node: yaml.Node, *, named: bool
) -> Iterator[Document | Unreadable]:
    for key in _twice(node):
        reason = f'key "{key.value}" is there already'
        yield _unreadable(file, key, reason, "keep one of the two")
    value = _json(loader.construct_document(node))
    if value is None or (not named and not _claims(value)):
        return
    yield from _objects(file, value, node)


def _claims(value: Any) -> bool:
    """Whether YAML means to be an object of Kubernetes."""
    return isinstance(value, dict) and bool(value.keys() & {"apiVersion", "kind"})


def _objects(file: str, value: Any, node: yaml.Node) -> Iterator[Document | Unreadable]:
    if not (isinstance(node, yaml.MappingNode) and isinstance(value, dict) and _is_typed(value)):
        reason = "this is no object of Kubernetes: it has not both apiVersion and kind"
        yield _unreadable(file, node, reason, "add what is missing")
    elif not value["kind"].endswith("List") or "items" not in value:
        yield Document(file, value, node)
    else:
        items = next(child for key, child in node.value if key.value == "items")
        if not isinstance(items, yaml.SequenceNode):
            yield _unreadable(file, items, "items is no list", "write a list of objects")
            return
        for item, child in zip(value["items"], items.value, strict=True):
            yield from _objects(file, item, child)


def _is_typed(value: Json) -> bool:
    texts = [value.get(key) for key in ("apiVersion", "kind")]
    return all(isinstance(text, str) and text for text in texts)


def _unreadable(file: str, node: yaml.Node, reason: str, fix: str) -> Unreadable:
    mark = node.start_mark
    return Unreadable(file, mark.line + 1, mark.column + 1, reason, fix)


def _twice(node: yaml.Node) -> Iterator[yaml.Node]:
    """The keys that their mapping has before already."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _twice(value)


def _json(value: Any) -> Any:
    """The value with keys that are strings, as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | set | tuple):
        return [_json(item) for item in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _mark(node: yaml.Node, path: str) -> Any:
    mark = node.start_mark
    while path:
        step = _step(node, path)
        if step is None:
            return mark
        mark, node, path = step
    return mark


def _step(node: yaml.Node, path: str) -> tuple[Any, yaml.Node, str] | None:
    """One step down: the mark of the key or item, its value, and what of the path is left."""
    if path.startswith("["):
        key, _, rest = path[1:].partition("]")
        if isinstance(node, yaml.SequenceNode):
            if not key.isdecimal() or int(key) >= len(node.value):
                return None
            item = node.value[int(key)]
            return item.start_mark, item, rest
        found = [pair for pair in _pairs(node) if pair[0].value == key]
        return (found[0][0].start_mark, found[0][1], rest) if found else None
    path = path.removeprefix(".")
    found = [
        (key, value)
        for key, value in _pairs(node)
        if path == key.value or path.startswith((f"{key.value}.", f"{key.value}["))
    ]
    if not found:
        return None
    key_node, value = max(found, key=lambda pair: len(pair[0].value))
    return key_node.start_mark, value, path[len(key_node.value) :]


def _pairs(node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
