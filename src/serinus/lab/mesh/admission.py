"""What Kuma's webhooks add to its own objects, and what they refuse, in Kuma's words.

Seen on real control planes where the project's notes have it (sections 2.5 and 9.1); what the lab
accepts without acting on it, it says in a warning.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serinus.lab.mesh import limits, proxypatch
from serinus.lab.mesh.model import Obj, in_system_namespace, mesh_of
from serinus.lab.mesh.policies import ROLE, MixedRoles, role
from serinus.lab.mesh.versions import DEFAULT_MESH, SYSTEM_NAMESPACE, ZONE, KumaVersion

FIRST_GENERATION = frozenset({"TrafficRoute", "TrafficPermission"})
PLAYED_POLICIES = frozenset({"MeshHTTPRoute", "MeshTCPRoute"})
LIMITS = frozenset({"MeshTimeout", "MeshRetry"})
REAL_KINDS = frozenset(
    {"MeshService", "MeshExternalService", "MeshMultiZoneService", "MeshHTTPRoute"}
)
"""What a reference can lead to; the other kinds stand for many proxies."""

_KNOWN_BY_DEFAULT = frozenset({"TrafficPermission", "MeshTrafficPermission", "MeshMetric"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object is not let in; ``code`` and ``reason`` are those of the Status."""

    message: str
    code: int = 422
    reason: str = "Invalid"


def mesh_name(version: KumaVersion, obj: Obj) -> str:
    """The mesh that a Kuma object belongs to."""
    if obj["kind"] in FIRST_GENERATION:
        return str(obj.get("mesh") or DEFAULT_MESH)
    return mesh_of(version, obj) or DEFAULT_MESH


def completed(version: KumaVersion, obj: Obj, mesh_uid: str) -> dict[str, Any]:
    """``obj`` with what the webhooks add: labels, display name, and the Mesh as an owner."""
    meta = dict(obj["metadata"])
    mesh = mesh_name(version, obj)
    owners = [owner for owner in meta.get("ownerReferences") or () if owner.get("kind") != "Mesh"]
    owners.append({"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "name": mesh, "uid": mesh_uid})
    meta["ownerReferences"] = owners
    if obj["kind"] in FIRST_GENERATION:
        return {**obj, "mesh": mesh, "metadata": meta}
    labels = {**(meta.get("labels") or {}), "kuma.io/mesh": mesh}
    if version.computes_labels:
        labels |= {
            "k8s.kuma.io/namespace": meta["namespace"],
            "kuma.io/env": "kubernetes",
            "kuma.io/origin": "zone",
            "kuma.io/zone": ZONE,
            ROLE: role(version, obj),
        }
        noted = {"kuma.io/display-name": meta["name"]}
        meta["annotations"] = {**(meta.get("annotations") or {}), **noted}
    meta["labels"] = labels
    return {**obj, "metadata": meta}


def refusal(version: KumaVersion, obj: Obj, meshes: Mapping[str, Obj]) -> Refusal | None:
    """Why Kuma does not take ``obj``; None if it does."""
    mesh = mesh_name(version, obj)
    if mesh not in meshes:
        return Refusal(f'Mesh.kuma.io "{mesh}" not found', 400, "")
    if version.checks_mesh_owner and (owner := _other_owner(obj, mesh)):
        return Refusal(
            f'metadata.ownerReferences: the Mesh "{owner}" cannot own an object of the mesh '
            f'"{mesh}", which the label kuma.io/mesh names'
        )
    if obj["kind"] in FIRST_GENERATION:
        return _refused(_trafficroute(obj.get("spec") or {})) if _is_route(obj) else None
    if not version.policies_in_app_namespaces and not in_system_namespace(obj):
        words = f"policy can only be created in the system namespace:{SYSTEM_NAMESPACE}"
        return Refusal(words, 403, "Forbidden")
    return _refused(_policy(version, obj["kind"], obj.get("spec") or {})) or _mixed(version, obj)


def _refused(problems: Iterator[str]) -> Refusal | None:
    words = "; ".join(problems)
    return Refusal(words) if words else None


def _is_route(obj: Obj) -> bool:
    return bool(obj["kind"] == "TrafficRoute")


def _mixed(version: KumaVersion, obj: Obj) -> Refusal | None:
    try:
        role(version, obj)
    except MixedRoles:
        return Refusal("it's not allowed to mix producer and consumer items in the same policy")
    return None


def _other_owner(obj: Obj, mesh: str) -> str | None:
    owners = obj["metadata"].get("ownerReferences") or ()
    names = (str(one["name"]) for one in owners if one.get("kind") == "Mesh")
    return next((name for name in names if name != mesh), None)


def _policy(version: KumaVersion, kind: str, spec: Obj) -> Iterator[str]:
    """What is wrong with a policy since Kuma 2."""
    if (spec.get("targetRef") or {}).get("kind", "Mesh") not in _top_kinds(version):
        yield "spec.targetRef.kind: value is not supported"
    yield from _references(version, spec)
    if kind == "MeshHTTPRoute":
        yield from _matches(spec)
    elif kind == "MeshProxyPatch":
        yield from proxypatch.problems(spec)


def _top_kinds(version: KumaVersion) -> set[str]:
    """What a policy can be for: the proxies that it changes."""
    kinds = {"Mesh"}
    if version.targets_by_name:
        kinds |= {"MeshSubset", "MeshGateway", "MeshService", "MeshServiceSubset"}
    if version.patches_by_labels:
        kinds.add("Dataplane")
    return kinds


def _references(version: KumaVersion, spec: Obj) -> Iterator[str]:
    for i, to in enumerate(spec.get("to") or ()):
        where = f"spec.to[{i}]"
        yield from _reference(version, f"{where}.targetRef", to.get("targetRef") or {})
        if version.targets_by_name:
            continue
        for j, rule in enumerate(to.get("rules") or ()):
            default = rule.get("default") or {}
            inside = f"{where}.rules[{j}].default"
            for k, one in enumerate(default.get("filters") or ()):
                if mirror := one.get("requestMirror"):
                    mirrored = f"{inside}.filters[{k}].requestMirror.backendRef"
                    yield from _reference(version, mirrored, mirror.get("backendRef") or {})
            for k, backend in enumerate(default.get("backendRefs") or ()):
                yield from _reference(version, f"{inside}.backendRefs[{k}]", backend)


def _reference(version: KumaVersion, where: str, ref: Obj) -> Iterator[str]:
    kind, name, labels = ref.get("kind"), ref.get("name"), ref.get("labels")
    if not version.targets_by_name:
        if kind in REAL_KINDS and not labels:
            yield f"{where}.labels must be set when kind is {kind}"
    elif not version.targets_by_labels:
        if kind in REAL_KINDS and not name:
            yield f"{where}.name: must be set with kind {kind}"
    elif kind == "MeshService" and not (name or labels):
        yield f"{where}: either labels or name must be specified"
    elif name and labels:
        yield f"{where}: either labels or name and namespace must be specified"


def warnings(obj: Obj) -> list[str]:
    """What the lab takes and does not act on."""
    kind = obj["kind"]
    if kind == "TrafficRoute":
        conf = (obj.get("spec") or {}).get("conf") or {}
        parts = ["conf.loadBalancer"] if "loadBalancer" in conf else []
        parts += [
            f"conf.http[{index}].modify"
            for index, rule in enumerate(conf.get("http") or ())
            if "modify" in rule
        ]
        return [_idle(f"spec.{part}") for part in parts]
    if kind == "MeshProxyPatch":
        return [_idle(part) for part in proxypatch.unplayed(obj.get("spec") or {})]
    if kind in LIMITS:
        return [_idle(part) for part in limits.unplayed(kind, obj.get("spec") or {})]
    if kind in PLAYED_POLICIES | _KNOWN_BY_DEFAULT:
        return []
    return [f"serinus lab: a {kind} is accepted and has no effect here yet"]


OVERLOOKED = (
    "serinus lab: Kuma does not look at objects of the namespace {name}, which has no label "
    "kuma.io/sidecar-injection; the lab takes this one as it is"
)
"""The warning where no webhook completes or refuses what is written."""


def _idle(part: str) -> str:
    return f"serinus lab: {part} is accepted and has no effect here"


def _trafficroute(spec: Obj) -> Iterator[str]:
    for field in ("sources", "destinations"):
        entries = spec.get(field) or ()
        if not entries:
            yield f"spec.{field}: must have at least one element"
        for index, entry in enumerate(entries):
            match = entry.get("match") or {}
            if not match.get("kuma.io/service"):
                yield f'spec.{field}[{index}].match: mandatory tag "kuma.io/service" is missing'
            elif field == "destinations" and len(match) > 1:
                where = f"spec.{field}[{index}].match"
                yield f'{where}: must consist of exactly one tag "kuma.io/service"'
                for tag in sorted(match.keys() - {"kuma.io/service"}):
                    yield f'{where}["{tag}"]: tag "{tag}" is not allowed'
    conf = spec.get("conf")
    if conf is None:
        yield "spec.conf: cannot be empty"
        return
    yield from _target("spec.conf", conf)
    for index, rule in enumerate(conf.get("http") or ()):
        where = f"spec.conf.http[{index}]"
        if not rule.get("match"):
            yield (
                f"{where}.match: must be present and contain at least one of the elements: "
                '"method", "path" or "headers"'
            )
        yield from _target(where, rule)


def _target(where: str, conf: Obj) -> Iterator[str]:
    split, destination = conf.get("split"), conf.get("destination")
    if split and destination:
        yield f'{where}: "split" cannot be defined at the same time as "destination"'
    elif not split and not destination:
        yield f'{where}: requires either "destination" or "split"'
    elif destination is not None and not destination.get("kuma.io/service"):
        yield f'{where}.destination: mandatory tag "kuma.io/service" is missing'
    for index, part in enumerate(split or ()):
        if not (part.get("destination") or {}).get("kuma.io/service"):
            yield (
                f'{where}.split[{index}].destination: mandatory tag "kuma.io/service" is missing'
            )
    if split and not any(part.get("weight") for part in split):
        yield f"{where}.split: there must be at least one split entry with weight above 0"


def _matches(spec: Obj) -> Iterator[str]:
    for i, to in enumerate(spec.get("to") or ()):
        for j, rule in enumerate(to.get("rules") or ()):
            for k, match in enumerate(rule.get("matches") or ()):
                path = match.get("path") or {}
                value = path.get("value", "/")
                where = f"spec.to[{i}].rules[{j}].matches[{k}].path.value"
                if not value.startswith("/") and path.get("type") != "RegularExpression":
                    yield f"{where}: must be an absolute path"
                elif path.get("type") == "PathPrefix" and value != "/" and value.endswith("/"):
                    yield (
                        f"{where}: does not need a trailing slash because only a `/`-separated "
                        "prefix or an entire path is matched"
                    )
