"""Which kinds of objects the server knows: the built-in ones and those that CRDs add.

Two pairs of kinds are one stored object seen in two ways: HorizontalPodAutoscaler v1 and v2, and
Event of the core group and of events.k8s.io. ``Kind.storage`` names the kind that is stored, and
``conversion.convert`` turns one into the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from serinus.lab.apiserver.schema.data import load
from serinus.lab.apiserver.schema.schema import Schema, builtin_types, from_crd, object_meta

GroupVersionKind = tuple[str, str, str]

_STORED_AS: Mapping[GroupVersionKind, GroupVersionKind] = {
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): (
        *("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ),
    ("events.k8s.io", "v1", "Event"): ("", "v1", "Event"),
}

_CUSTOM_VERBS = (
    *("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
)


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with an address of its own, and the kind that is spoken there."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one version. ``storage`` is the kind under which its objects are stored."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    subresources: tuple[str, ...]
    schema: Schema = field(repr=False, compare=False)
    storage: GroupVersionKind
    list_kind: str
    subresource_details: tuple[Subresource, ...] = ()
    crd: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """The CustomResourceDefinition that the kind comes from; None for a built-in kind."""
    crd_version: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    """Its entry in the CRD's ``spec.versions``."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvk(self) -> GroupVersionKind:
        return self.group, self.version, self.kind

    @property
    def is_custom(self) -> bool:
        return self.crd is not None

    def subresource(self, name: str) -> Subresource | None:
        return next((entry for entry in self.subresource_details if entry.name == name), None)


class Registry:
    """The kinds that are served now. CRDs come and go; readers always see whole answers."""

    def __init__(self, kinds: tuple[Kind, ...] = ()) -> None:
        self._kinds: dict[GroupVersionKind, Kind] = {kind.gvk: kind for kind in kinds}
        self._by_resource = {(kind.group, kind.version, kind.plural): kind for kind in kinds}

    @classmethod
    def builtin(cls) -> "Registry":
        """A registry of Kubernetes' own kinds."""
        return cls(tuple(_builtin_kind(entry) for entry in load("kinds")))

    def add_crd(self, crd: Mapping[str, Any]) -> None:
        """Serves what a CustomResourceDefinition declares, in place of what it declared before."""
        self.remove_crd(crd["metadata"]["name"])
        for version in crd["spec"]["versions"]:
            if version.get("served"):
                kind = _custom_kind(crd, version)
                self._kinds[kind.gvk] = kind
                self._by_resource[kind.group, kind.version, kind.plural] = kind

    def remove_crd(self, name: str) -> None:
        """Serves the CRD ``PLURAL.GROUP`` no longer; nothing happens if it was not served."""
        plural, _, group = name.partition(".")
        gone = [
            kind
            for kind in self._kinds.values()
            if kind.is_custom and kind.plural == plural and kind.group == group
        ]
        for kind in gone:
            del self._kinds[kind.gvk]
            del self._by_resource[kind.group, kind.version, kind.plural]

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_resource.get((group, version, plural))

    def serves(self, group: str, version: str) -> bool:
        return any((kind.group, kind.version) == (group, version) for kind in self)

    def by_kind(self, group: str, version: str, kind: str) -> Kind | None:
        return self._kinds.get((group, version, kind))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Each group ("" is the core one) with its versions, the preferred version first."""
        versions: dict[str, set[str]] = {}
        for kind in self:
            versions.setdefault(kind.group, set()).add(kind.version)
        return {
            group: tuple(sorted(found, key=_version_priority)) for group, found in versions.items()
        }

    def kinds(self, group: str, version: str) -> tuple[Kind, ...]:
        """The kinds of one version, by plural."""
        found = (kind for kind in self if (kind.group, kind.version) == (group, version))
        return tuple(sorted(found, key=lambda kind: kind.plural))

    def __iter__(self) -> Iterator[Kind]:
        return iter(tuple(self._kinds.values()))


def _version_priority(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' order: v2 before v1 before v1beta2 before v1beta1 before v1alpha1."""
    number, _, rest = version.removeprefix("v").partition("beta")
    stage = 1 if rest else 0
    if not rest:
        number, _, rest = version.removeprefix("v").partition("alpha")
        stage = 2 if rest else 0
    if not number.isdigit() or (rest and not rest.isdigit()):
        return 3, 0, 0, version
    return stage, -int(number), -int(rest or 0), version


def _builtin_kind(entry: Mapping[str, Any]) -> Kind:
    gvk = (entry["group"], entry["version"], entry["kind"])
    details = tuple(
        Subresource(sub["name"], sub["group"], sub["version"], sub["kind"], tuple(sub["verbs"]))
        for sub in entry["subresources"]
    )
    return Kind(
        *gvk,
        plural=entry["plural"],
        singular=entry["singular"],
        short_names=tuple(entry["shortNames"]),
        namespaced=entry["namespaced"],
        categories=tuple(entry["categories"]),
        verbs=tuple(entry["verbs"]),
        subresources=tuple(sub.name for sub in details),
        schema=builtin_types()[entry["type"]],
        storage=_STORED_AS.get(gvk, gvk),
        list_kind=entry["kind"] + "List",
        subresource_details=details,
    )


def _custom_kind(crd: Mapping[str, Any], version: Mapping[str, Any]) -> Kind:
    spec, names = crd["spec"], crd["spec"]["names"]
    declared = version.get("subresources") or {}
    details = []
    if "status" in declared:
        details.append(
            Subresource(
                *("status", spec["group"], version["name"], names["kind"]),
                ("get", "patch", "update"),
            )
        )
    if "scale" in declared:
        details.append(
            Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update"))
        )
    stored = next(
        (entry["name"] for entry in spec["versions"] if entry.get("storage")), version["name"]
    )
    return Kind(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        namespaced=spec["scope"] == "Namespaced",
        categories=tuple(names.get("categories") or ()),
        verbs=_CUSTOM_VERBS,
        subresources=tuple(sub.name for sub in details),
        schema=_custom_schema((version.get("schema") or {}).get("openAPIV3Schema") or {}, spec),
        storage=(spec["group"], stored, names["kind"]),
        list_kind=names.get("listKind") or names["kind"] + "List",
        subresource_details=tuple(details),
        crd=crd,
        crd_version=version,
    )


def _custom_schema(raw: Mapping[str, Any], spec: Mapping[str, Any]) -> Schema:
    """The CRD's schema with what every object has: apiVersion, kind and metadata."""
    schema = from_crd(raw)
    schema.type = "object"
    if spec.get("preserveUnknownFields"):
        schema.preserve_unknown = True
    schema.properties = {
        **schema.properties,
        "apiVersion": Schema(type="string"),
        "kind": Schema(type="string"),
        "metadata": object_meta(),
    }
    return schema
