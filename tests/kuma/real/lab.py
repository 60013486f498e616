"""What the lab's Kuma of the same release says to the same objects."""

from copy import deepcopy
from typing import Any

from lab.mesh.mesh_objects import mesh
from serinus.lab.apiserver.rest.body import objections
from serinus.lab.apiserver.schema.defaults import apply_defaults
from serinus.lab.apiserver.schema.registry import Kind, Registry
from serinus.lab.apiserver.schema.validation import validate
from serinus.lab.mesh import admission
from serinus.lab.mesh.crds import definitions
from serinus.lab.mesh.versions import KumaVersion

Object = dict[str, Any]
MESHES = {"default": mesh()}


def kept(version: KumaVersion, item: Object, mesh_uid: str) -> Object:
    """The object as it is kept when it is written, with what the schema and the webhooks add."""
    made = deepcopy(item)
    apply_defaults(_kind(version, item), made)
    made = admission.completed(version, made, mesh_uid)
    # As any API server does: nothing is kept of labels that are none.
    if not made["metadata"].get("labels"):
        made["metadata"].pop("labels", None)
    return made


def _kind(version: KumaVersion, item: Object) -> Kind:
    registry = Registry()
    for definition in definitions(version):
        registry.add_crd(definition)
    kind = registry.by_kind("kuma.io", "v1alpha1", item["kind"])
    assert kind is not None
    return kind


def refused(version: KumaVersion, item: Object) -> tuple[str, str] | None:
    """The reason and the words with which it is not taken; None where it is taken."""
    kind = _kind(version, item)
    if unknown := objections(kind, item, []):
        name = item["kind"]
        return "BadRequest", (
            f'{name} in version "v1alpha1" cannot be handled as a {name}: '
            f"strict decoding error: {', '.join(unknown)}"
        )
    if wrong := [str(error) for error in validate(kind, item)]:
        plain = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        name = f'{item["kind"]}.kuma.io "{item["metadata"]["name"]}"'
        return "Invalid", f"{name} is invalid: {plain}"
    refusal = admission.refusal(version, item, MESHES)
    return None if refusal is None else (refusal.reason, refusal.message)
