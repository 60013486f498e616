"""How objects leave the server: plain JSON, tables, or metadata only, as Accept asks.

Stored JSON goes out as it is wherever nothing was asked that would change it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.errors import ApiError
from serinus.lab.apiserver.schema.conversion import convert
from serinus.lab.apiserver.schema.registry import Kind
from serinus.lab.apiserver.store import Entry, encode
from serinus.lab.apiserver.tables.table import table

Form = Literal["plain", "table", "partial"]
Obj = dict[str, Any]


def parse_accept(header: str) -> Form:
    """The first form in the header that we speak. Protobuf is not spoken: 406 if nothing else."""
    if not header:
        return "plain"
    for media_range in header.split(","):
        media, *pairs = (part.strip() for part in media_range.split(";"))
        parameters = dict(pair.partition("=")[::2] for pair in pairs)
        if media not in {"application/json", "*/*", "application/*"}:
            continue
        asked = parameters.get("as")
        if asked is None:
            return "plain"
        if parameters.get("g") != "meta.k8s.io" or parameters.get("v") not in {"v1", "v1beta1"}:
            continue
        if asked == "Table":
            return "table"
        if asked in {"PartialObjectMetadata", "PartialObjectMetadataList"}:
            return "partial"
    raise ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, "
        "application/json;as=Table;v=v1;g=meta.k8s.io, "
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    )


def head(kind: Kind) -> bytes:
    """How the JSON of every stored object of ``kind`` begins."""
    return b'{"apiVersion":%s,"kind":%s,' % (encode(kind.api_version), encode(kind.kind))


def in_version(kind: Kind, obj: Obj) -> Obj:
    """``obj`` as ``kind``'s version shows it."""
    if obj.get("apiVersion") == kind.api_version and obj.get("kind") == kind.kind:
        return obj
    return convert(obj, kind.gvk)


def decode(kind: Kind, entry: Entry) -> Obj:
    return in_version(kind, entry.decode())


@dataclass(slots=True)
class View:
    """Objects of ``kind`` in one form. ``include`` is the query's ``includeObject``."""

    kind: Kind
    form: Form
    include: str = "Metadata"
    _columns_sent: bool = False

    def raw(self, entry: Entry) -> bytes:
        if entry.raw.startswith(head(self.kind)):
            return entry.raw
        return encode(decode(self.kind, entry))

    def _item(self, entry: Entry) -> bytes:
        """An object within a list: a built-in one leaves its kind to the list to say."""
        raw, begin = self.raw(entry), head(self.kind)
        if self.kind.is_custom or not raw.startswith(begin):
            return raw
        return b"{" + raw[len(begin) :].lstrip(b",")

    def one(self, entry: Entry) -> bytes:
        if self.form == "plain":
            return self.raw(entry)
        return self._formed(decode(self.kind, entry))

    def one_object(self, obj: Obj) -> bytes:
        """As `one`, for an object that is not stored."""
        return encode(obj) if self.form == "plain" else self._formed(obj)

    def _formed(self, obj: Obj) -> bytes:
        if self.form == "partial":
            return encode(_partial(obj))
        version = obj["metadata"].get("resourceVersion", "")
        return encode(self._table([obj], {"resourceVersion": version}))

    def many(self, entries: Sequence[Entry], metadata: Mapping[str, Any]) -> bytes:
        if self.form == "plain":
            return b'{"kind":%s,"apiVersion":%s,"metadata":%s,"items":[%s]}' % (
                encode(self.kind.list_kind),
                encode(self.kind.api_version),
                encode(metadata),
                b",".join(map(self._item, entries)),
            )
        objects = [decode(self.kind, entry) for entry in entries]
        if self.form == "table":
            return encode(self._table(objects, metadata))
        return encode(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": [_partial(obj) for obj in objects],
            }
        )

    def event(self, type_: str, entry: Entry) -> bytes:
        """One line of a watch."""
        if self.form == "table":
            obj = decode(self.kind, entry)
            shown = self._table([obj], {"resourceVersion": str(entry.version)})
            if self._columns_sent:
                del shown["columnDefinitions"]
            self._columns_sent = True
            return _event(type_, encode(shown))
        return _event(type_, self.one(entry))

    def bookmark(self, version: int, *, initial_end: bool = False) -> bytes:
        metadata: Obj = {"resourceVersion": str(version), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        shown: Obj
        if self.form == "table":
            shown = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": []}
        elif self.form == "partial":
            shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        else:
            shown = {"kind": self.kind.kind, "apiVersion": self.kind.api_version}
        return _event("BOOKMARK", encode(shown | {"metadata": metadata}))

    def _table(self, objects: list[Obj], metadata: Mapping[str, Any]) -> Obj:
        version = self.kind.crd_version
        columns = list(version.get("additionalPrinterColumns") or ()) if version else None
        made = table(self.kind, columns, objects, datetime.now(UTC))
        if self.include == "Object":
            for row, obj in zip(made["rows"], objects, strict=True):
                row["object"] = obj
        elif self.include == "None":
            for row in made["rows"]:
                del row["object"]
        return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata} | made


def _event(type_: str, raw: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (type_.encode(), raw)


def error_event(error: ApiError) -> bytes:
    return _event("ERROR", encode(error.status()))


def _partial(obj: Obj) -> Obj:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }


def list_object(kind: str, api_version: str, items: Iterable[Any]) -> Obj:
    return {"kind": kind, "apiVersion": api_version, "metadata": {}, "items": list(items)}


def as_object(raw: Any) -> Obj:
    """A decoded body that must be an object."""
    if not isinstance(raw, dict):
        raise errors.bad_request(
            "couldn't get version/kind; json parse error: the body is not an object"
        )
    return msgspec.convert(raw, dict[str, Any])
