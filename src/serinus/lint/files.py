"""The objects that are looked at together, and how they belong to each other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from serinus.api.alertprovider import AlertProvider
from serinus.api.canary import MESH, Canary
from serinus.api.decode import Malformed, decode
from serinus.api.metrictemplate import MetricTemplate
from serinus.api.support import GATEWAY_PROVIDERS
from serinus.lint.documents import Document, Json, mapping

OURS = {"Canary": Canary, "MetricTemplate": MetricTemplate, "AlertProvider": AlertProvider}
SYSTEM_NAMESPACES = ("kuma-system", "kong-mesh-system")
"""Where Kuma's control plane lives, unless a Namespace with its label says otherwise."""

_SYSTEM = "kuma.io/system-namespace"
_PODS = ("Deployment", "DaemonSet", "StatefulSet")


@dataclass(frozen=True, slots=True)
class CanaryFile:
    """A Canary that can be read."""

    document: Document
    canary: Canary


class Files:
    """A set of documents. ``namespace`` is that of objects which name none."""

    def __init__(self, documents: Sequence[Document], namespace: str = "default") -> None:
        self.documents = tuple(documents)
        self._namespace = namespace
        self._read = {id(one): self._decoded(one) for one in documents if self.is_ours(one)}

    @staticmethod
    def is_ours(document: Document) -> bool:
        """Whether it is of Serinus' own kinds."""
        return document.group == "flagger.app" and document.kind in OURS

    def namespace(self, document: Document) -> str:
        """The namespace that it would be put into."""
        return str(document.metadata.get("namespace") or self._namespace)

    def of(self, *kinds: str, group: str | None = None) -> Iterator[Document]:
        """The documents of these kinds."""
        for document in self.documents:
            if document.kind in kinds and group in (None, document.group):
                yield document

    def find(self, kind: str, namespace: str, name: str) -> Document | None:
        """The object of that name."""
        found = (one for one in self.of(kind) if one.name == name)
        return next((one for one in found if self.namespace(one) == namespace), None)

    @property
    def kuma(self) -> Iterator[Document]:
        """Kuma's objects."""
        return (one for one in self.documents if one.group == "kuma.io")

    @property
    def workloads(self) -> Iterator[Document]:
        """Objects with pods."""
        return self.of(*_PODS, group="apps")

    @property
    def canaries(self) -> Iterator[CanaryFile]:
        """The Canaries that can be read."""
        for document in self.of("Canary", group="flagger.app"):
            canary = self._read[id(document)]
            if isinstance(canary, Canary):
                yield CanaryFile(document, canary)

    @property
    def meshed(self) -> Iterator[CanaryFile]:
        """Those that Kuma routes for."""
        return (one for one in self.canaries if one.canary.spec.provider in ("", "kuma"))

    @property
    def by_gateway_api(self) -> Iterator[CanaryFile]:
        """Those that HTTPRoutes lead callers to."""
        return (one for one in self.canaries if one.canary.spec.provider in GATEWAY_PROVIDERS)

    @property
    def templates(self) -> Iterator[tuple[Document, MetricTemplate]]:
        """The MetricTemplates that can be read."""
        for document in self.of("MetricTemplate", group="flagger.app"):
            template = self._read[id(document)]
            if isinstance(template, MetricTemplate):
                yield document, template

    def malformed(self, document: Document) -> Malformed | None:
        """Why an object of our kinds cannot be read."""
        found = self._read[id(document)]
        return found if isinstance(found, Malformed) else None

    def target(self, canary: Canary) -> Document | None:
        """The canary's target."""
        return self.find(canary.spec.target_ref.kind, canary.namespace, canary.target_name)

    def place(self, name: str) -> Document | None:
        """The Namespace of that name."""
        return next((one for one in self.of("Namespace", group="") if one.name == name), None)

    def is_system(self, namespace: str) -> bool:
        """Whether it is the control plane's own namespace."""
        found = self.place(namespace)
        marked = found is not None and labels(found.object).get(_SYSTEM) == "true"
        return marked or namespace in SYSTEM_NAMESPACES

    def mesh(self, document: Document) -> str:
        """The mesh of an object, as far as the files tell."""
        own = document.object.get("mesh") or mesh_of(document.object)
        place = self.place(self.namespace(document))
        return str(own or (mesh_of(place.object) if place else "") or "default")

    def _decoded(self, document: Document) -> object:
        named = {**document.metadata, "namespace": self.namespace(document)}
        raw = msgspec.json.encode({**document.object, "metadata": named})
        return decode(raw, msgspec.json.Decoder(OURS[document.kind]))


def labels(obj: Json) -> Mapping[str, str]:
    """An object's labels."""
    return mapping(obj, "metadata", "labels")


def annotations(obj: Json) -> Mapping[str, str]:
    """An object's annotations."""
    return mapping(obj, "metadata", "annotations")


def mesh_of(obj: Json) -> str:
    """The mesh that an object names, by label or by annotation; empty where it names none."""
    return str(labels(obj).get(MESH) or annotations(obj).get(MESH) or "")


def template(document: Document) -> Json:
    """The pod template of a workload."""
    return mapping(document.spec, "template")
