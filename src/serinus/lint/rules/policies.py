"""Kuma's own objects beside a canary: where they stand, how they name Services, what is gone."""

import re
from collections.abc import Iterator
from functools import cache

from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.registry import Registry
from serinus.lab.apiserver.schema.structure import check_custom
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import V2_14
from serinus.lint.documents import Document, Json, listed, mapping
from serinus.lint.files import Files
from serinus.lint.finding import Level
from serinus.lint.kuma import Kuma
from serinus.lint.registry import Found, common, versioned
from serinus.routing.kuma.addressing import DISPLAY_NAME, NAMESPACE

REMOVED = (
    *("TrafficPermission", "TrafficRoute", "TrafficLog", "TrafficTrace", "HealthCheck"),
    *("CircuitBreaker", "Retry", "Timeout", "RateLimit", "FaultInjection", "VirtualOutbound"),
    "ProxyTemplate",
)
"""The kinds of the first generation, which Kuma 3 has not."""

_ROUTED = ("MeshHTTPRoute", "MeshTCPRoute", "MeshTimeout", "MeshRetry")
_UNPLACED = ("Mesh", "MeshService", "Dataplane", "ZoneIngress", "ZoneEgress")
_BY_NAME = ("name", "namespace", "tags", "mesh", "proxyTypes")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@common("kuma/types", "Every value in Kuma's objects is of the type that the CRD declares.")
def types(files: Files) -> Iterator[Found]:
    for document in files.kuma:
        for error in mistyped(document):
            yield Found(document, error.field, error.message, "write a value of that type")


def mistyped(document: Document) -> list[FieldError]:
    """What in an object of Kuma's is of a wrong type."""
    kind = _kinds().by_kind("kuma.io", "v1alpha1", document.kind)
    if kind is None:
        return []
    found = check_custom(kind.schema, document.object, "")
    return [error for error in found if error.reason == "FieldValueTypeInvalid"]


@cache
def _kinds() -> Registry:
    registry = Registry()
    for crd in definitions(V2_14):
        registry.add_crd(crd)
    return registry


@versioned("kuma/removed-kind", "No object is of a kind that Kuma 3 has no more.")
def removed_kind(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.has_trafficroute:
        for document in files.kuma:
            if document.kind in REMOVED:
                reason = f"there is no {document.kind} any more"
                fix = "use the policy of the second generation (Mesh...), or remove it"
                yield Found(document, "kind", reason, fix)


@versioned("kuma/missing-kind", "No object is of a kind that this Kuma does not know yet.")
def missing_kind(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.has_meshhttproute:
        for document in files.of("MeshHTTPRoute", "MeshTCPRoute", group="kuma.io"):
            reason = f"there is no {document.kind} before Kuma 2.1"
            yield Found(document, "kind", reason, "remove it")


@versioned("kuma/name", "Kuma 3 takes names of letters, digits and dashes, with a letter first.")
def name(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.targets_by_name:
        for document in files.kuma:
            if document.name and not _NAME.fullmatch(document.name):
                reason = f'"{document.name}" is no name to Kuma'
                fix = "use at most 63 lower-case letters, digits and dashes, with a letter first"
                yield Found(document, "metadata.name", reason, fix)


@versioned(
    "kuma/policy-namespace",
    "Until Kuma 2.8 policies stand in the control plane's namespace; the webhook refuses others.",
)
def policy_namespace(files: Files, kuma: Kuma) -> Iterator[Found]:
    if kuma.version.policies_in_app_namespaces or not kuma.version.has_meshhttproute:
        return
    for document in files.kuma:
        policy = document.kind.startswith("Mesh") and document.kind not in _UNPLACED
        if policy and not files.is_system(files.namespace(document)):
            reason = "a policy can be in the system namespace only"
            fix = "write namespace: kuma-system, and the label kuma.io/origin: zone"
            yield Found(document, "metadata.namespace", reason, fix)


@versioned(
    "kuma/references",
    "Policies name Services as this Kuma does: by labels alone in Kuma 3; in 2.9 to 2.14 by name, "
    "since by labels they would reach callers of their own namespace only; before, by tag.",
)
def references(files: Files, kuma: Kuma) -> Iterator[Found]:
    for document in files.of(*_ROUTED, group="kuma.io"):
        for path, ref in refs(document):
            yield from _reference(document, path, ref, kuma)


def _reference(document: Document, path: str, ref: Json, kuma: Kuma) -> Iterator[Found]:
    labels_and_sections = [key for key in ("labels", "sectionName") if key in ref]
    if not kuma.version.targets_by_name:
        named = [key for key in _BY_NAME if key in ref]
        if named:
            reason = f"{named[0]} is no field of a reference any more"
            fix = "use labels: kuma.io/display-name and k8s.kuma.io/namespace, and no third"
            yield Found(document, f"{path}.{named[0]}", reason, fix)
        if ref.get("kind") in ("MeshServiceSubset", "MeshSubset", "MeshGateway"):
            reason = f"there is no {ref['kind']} any more"
            yield Found(document, f"{path}.kind", reason, "use MeshService, or Dataplane by labels")
    elif not kuma.version.targets_by_labels:
        for key in labels_and_sections:
            fix = "use name: SERVICE_NAMESPACE_svc_PORT"
            yield Found(document, f"{path}.{key}", f"{key} is an unknown field", fix)
    elif "labels" in ref and ".targetRef" in path and path.startswith("spec.to"):
        reason = (
            "a reference by labels makes this a consumer's policy, for callers of its own "
            "namespace only"
        )
        yield Found(document, f"{path}.labels", reason, "use name", Level.WARNING)


@versioned(
    "kuma/top-target",
    "What a policy is for, on top, is a Mesh or Dataplanes in Kuma 3.",
)
def top_target(files: Files, kuma: Kuma) -> Iterator[Found]:
    if kuma.version.targets_by_name:
        return
    for document in files.kuma:
        kind = mapping(document.spec, "targetRef").get("kind", "Mesh")
        if kind not in ("Mesh", "Dataplane"):
            reason = f"a policy cannot be for a {kind} any more"
            yield Found(document, "spec.targetRef.kind", reason, "use Mesh, or Dataplane by labels")


@versioned("kuma/from", "A policy of Kuma 3 has no `from`; what comes in is under `rules`.")
def from_(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.targets_by_name:
        for document in files.kuma:
            if "from" in document.spec:
                reason = "is no field of a policy any more"
                yield Found(document, "spec.from", reason, "write spec.rules")


@versioned(
    "kuma/roles",
    "In the namespace of an application the targets of a policy are all of its own Services (a "
    "producer's) or all of others (a consumer's): Kuma refuses a mixture.",
)
def roles(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.policies_in_app_namespaces:
        return
    for document in files.of(*_ROUTED, group="kuma.io"):
        namespace = files.namespace(document)
        if files.is_system(namespace):
            continue
        targets = [mapping(entry, "targetRef") for entry in listed(document.spec, "to")]
        own = [_is_own(ref, namespace, kuma) for ref in targets]
        if any(own) and not all(own):
            path = f"spec.to[{own.index(False)}].targetRef"
            reason = f"is not of a Service of {namespace}, and others of this policy are"
            yield Found(document, path, reason, "write two policies")


def _is_own(ref: Json, namespace: str, kuma: Kuma) -> bool:
    """Whether it is a producer's."""
    if kuma.version.targets_by_name:
        return bool(ref.get("name")) and ref.get("namespace") in (None, "", namespace)
    given = mapping(ref, "labels")
    known = {DISPLAY_NAME, NAMESPACE}
    return DISPLAY_NAME in given and (
        given.keys() <= known and given.get(NAMESPACE, namespace) == namespace
    )


@versioned("kuma/mesh-fields", "A Mesh of Kuma 3 has no meshServices and no mtls.")
def mesh_fields(files: Files, kuma: Kuma) -> Iterator[Found]:
    if kuma.version.has_trafficroute:
        return
    instead = {
        "meshServices": "remove it: there are always MeshServices",
        "mtls": "use MeshIdentity and MeshTrust",
    }
    for document in files.of("Mesh", group="kuma.io"):
        for field, fix in instead.items():
            if field in document.spec:
                yield Found(document, f"spec.{field}", "is no field of a Mesh any more", fix)


@common("kuma/section-or-port", "A reference says a port by sectionName or by port, not by both.")
def section_or_port(files: Files) -> Iterator[Found]:
    for document in files.of(*_ROUTED, group="kuma.io"):
        for path, ref in refs(document):
            if "sectionName" in ref and "port" in ref:
                reason = "stands beside port, and the two make clusters of different names"
                fix = "keep one of them"
                yield Found(document, f"{path}.sectionName", reason, fix, Level.WARNING)


def refs(document: Document) -> Iterator[tuple[str, Json]]:
    """All references to destinations in a policy, with their paths: targets, backends, mirrors."""
    for index, entry in enumerate(listed(document.spec, "to")):
        yield f"spec.to[{index}].targetRef", mapping(entry, "targetRef")
        for at, rule in enumerate(listed(entry, "rules")):
            path = f"spec.to[{index}].rules[{at}].default"
            for number, ref in enumerate(listed(rule, "default", "backendRefs")):
                yield f"{path}.backendRefs[{number}]", ref
            for number, one in enumerate(listed(rule, "default", "filters")):
                mirror = mapping(one, "requestMirror", "backendRef")
                if mirror:
                    yield f"{path}.filters[{number}].requestMirror.backendRef", mirror
