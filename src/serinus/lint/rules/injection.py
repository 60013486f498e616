"""Whether pods get a sidecar, and of which mesh."""

from collections.abc import Iterator

from serinus.api.canary import MESH
from serinus.lint.documents import Document, Json
from serinus.lint.files import Files, annotations, labels, mesh_of, template
from serinus.lint.finding import Level
from serinus.lint.kuma import Kuma
from serinus.lint.registry import Found, common, versioned

INJECTION = "kuma.io/sidecar-injection"
_KNOWN = ("enabled", "true", "disabled", "false")
_ON = ("enabled", "true")
_FIX = f"write it as the label {INJECTION}: enabled"


@versioned(
    "kuma/injection-annotation",
    "Sidecars are asked for by a label: the annotation of that name is not looked at since Kuma "
    "2.2 (`kubectl annotate` of older guides does nothing).",
)
def by_annotation(files: Files, kuma: Kuma) -> Iterator[Found]:
    if kuma.version.annotation_injects:
        return
    for document, obj, path in _injected(files):
        asked = annotations(obj).get(INJECTION)
        if asked is None:
            continue
        field = f"{path}metadata.annotations[{INJECTION}]"
        if INJECTION not in labels(obj):
            yield Found(document, field, "does nothing: only the label is looked at", _FIX)
        elif str(labels(obj)[INJECTION]) != str(asked):
            reason = f"says {asked}, the label says {labels(obj)[INJECTION]} and counts"
            yield Found(document, field, reason, "remove the annotation", Level.WARNING)


@versioned(
    "kuma/injection-label",
    "The namespace of a canary has the label kuma.io/sidecar-injection: without, its pods have no "
    "sidecar, and Kuma's webhooks do not see its objects.",
)
def by_label(files: Files, kuma: Kuma) -> Iterator[Found]:
    for name in sorted({one.canary.namespace for one in files.meshed}):
        place = files.place(name)
        if place is None:
            continue
        value = labels(place.object).get(INJECTION)
        old = kuma.version.annotation_injects and annotations(place.object).get(INJECTION) in _ON
        if old or value in _ON:
            continue
        pods = [
            labels(template(found)).get(INJECTION)
            for one in files.meshed
            if one.canary.namespace == name and (found := files.target(one.canary)) is not None
        ]
        # Until 2.10 a label of the pods alone was enough; of the releases that are known here,
        # those with policies beside the workload also want one on the namespace.
        opted_in = bool(pods) and all(one in _ON for one in pods)
        if opted_in and (value is not None or not kuma.version.policies_in_app_namespaces):
            continue
        said = "is missing" if value is None else f"is {value}"
        reason = f"label {INJECTION} {said}, so the pods of its canaries get no sidecar"
        field = f"metadata.labels[{INJECTION}]"
        yield Found(place, field, reason, f"add the label {INJECTION}: enabled")


@common("kuma/injection-value", "The label for injection has a value that Kuma knows, as text.")
def value(files: Files) -> Iterator[Found]:
    for document, obj, path in _injected(files):
        field = f"{path}metadata.labels[{INJECTION}]"
        given = labels(obj).get(INJECTION)
        if given is not None and given not in _KNOWN:
            text = str(given).lower() if isinstance(given, bool) else str(given)
            reason = f'"{text}" is no value that Kuma knows' + (
                ", for it is no text" if isinstance(given, bool) else ""
            )
            yield Found(document, field, reason, f"write {INJECTION}: enabled")
        elif path and given == "true":
            reason = "of pods, Kuma 2.11 and newer look at the word enabled alone"
            yield Found(document, field, reason, "write enabled", Level.WARNING)


@common(
    "kuma/injection-place",
    "The label for injection stands on the pod template, not on the workload around it.",
)
def place(files: Files) -> Iterator[Found]:
    for document in files.workloads:
        own = labels(document.object).get(INJECTION, annotations(document.object).get(INJECTION))
        if own is not None and INJECTION not in labels(template(document)):
            kind = "labels" if INJECTION in labels(document.object) else "annotations"
            reason = f"is not looked at on a {document.kind}, only on its pods"
            fix = f"move it to spec.template.metadata.labels[{INJECTION}]"
            yield Found(document, f"metadata.{kind}[{INJECTION}]", reason, fix, Level.WARNING)


@versioned(
    "kuma/mesh-annotation",
    "An object says by a label to which mesh it belongs: Kuma 3 does not look at the annotation.",
)
def mesh_annotation(files: Files, kuma: Kuma) -> Iterator[Found]:
    if kuma.version.mesh_annotation:
        return
    policies = [(one, one.object, "") for one in files.kuma if "mesh" not in one.object]
    services = [(one, one.object, "") for one in files.of("Service", "HTTPRoute")]
    for document, obj, path in [*_injected(files), *policies, *services]:
        if annotations(obj).get(MESH) and not labels(obj).get(MESH):
            field = f"{path}metadata.annotations[{MESH}]"
            reason = "the annotation is not looked at, so this is of mesh default"
            fix = f"write it as the label {MESH}: {annotations(obj)[MESH]}"
            yield Found(document, field, reason, fix)


@common("kuma/mesh", "A canary, its namespace and its pods are of one mesh.")
def one_mesh(files: Files) -> Iterator[Found]:
    for document, obj, path in [*_injected(files), *((c, c.object, "") for c in _canaries(files))]:
        by_label, by_annotation_ = labels(obj).get(MESH), annotations(obj).get(MESH)
        if by_label and by_annotation_ and by_label != by_annotation_:
            reason = f"says {by_annotation_}, the label says {by_label}"
            field = f"{path}metadata.annotations[{MESH}]"
            yield Found(document, field, reason, "remove the annotation")
    for one in files.meshed:
        target = files.target(one.canary)
        around = files.place(one.canary.namespace)
        pods = mesh_of(template(target)) if target is not None else ""
        actual = pods or (mesh_of(around.object) if around is not None else "")
        known = around is not None or pods
        if known and (actual or "default") != one.canary.mesh:
            named = "annotations" if annotations(one.document.object).get(MESH) else "labels"
            reason = (
                f"the canary is of mesh {one.canary.mesh}, its pods are of {actual or 'default'}"
            )
            fix = f"write {MESH}: {actual or 'default'}"
            yield Found(one.document, f"metadata.{named}[{MESH}]", reason, fix)


def _canaries(files: Files) -> list[Document]:
    return [one.document for one in files.meshed]


def _injected(files: Files) -> list[tuple[Document, Json, str]]:
    """What Kuma looks at for injection: namespaces and pod templates, with the template's path."""
    namespaces = [(one, one.object, "") for one in files.of("Namespace", group="")]
    pods = [(one, template(one), "spec.template.") for one in files.workloads]
    return namespaces + pods
