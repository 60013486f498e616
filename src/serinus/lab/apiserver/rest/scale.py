"""The scale subresource: the number of replicas, the same way for every workload."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from serinus.lab.apiserver import errors
from serinus.lab.apiserver.representation import Obj, decode
from serinus.lab.apiserver.requests import write_options
from serinus.lab.apiserver.rest import body, patching, reading, updating
from serinus.lab.apiserver.rest.call import Api, Call
from serinus.lab.apiserver.rest.writing import Target
from serinus.lab.apiserver.schema import field_errors
from serinus.lab.apiserver.schema.registry import Kind

_BUILT_IN = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
}


def _paths(kind: Kind) -> Mapping[str, str]:
    if kind.crd_version is None:
        return _BUILT_IN
    paths: Mapping[str, str] = kind.crd_version["subresources"]["scale"]
    return paths


def _read(obj: Obj, path: str) -> Any:
    value: Any = obj
    for step in path.lstrip(".").split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _write(obj: Obj, path: str, value: Any) -> None:
    *steps, last = path.lstrip(".").split(".")
    for step in steps:
        obj = obj.setdefault(step, {})
    obj[last] = value


def _selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as the query that it stands for."""
    if not selector:
        return ""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or ():
        values = ",".join(sorted(term.get("values") or ()))
        match term["operator"]:
            case "In":
                parts.append(f"{term['key']} in ({values})")
            case "NotIn":
                parts.append(f"{term['key']} notin ({values})")
            case "Exists":
                parts.append(term["key"])
            case _:
                parts.append(f"!{term['key']}")
    return ",".join(sorted(parts))


def scale_of(kind: Kind, obj: Obj) -> Obj:
    """The Scale of an object."""
    paths, metadata = _paths(kind), obj["metadata"]
    wanted = _read(obj, paths["specReplicasPath"])
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": _read(obj, paths["statusReplicasPath"]) or 0}
    if kind.is_custom:
        if path := paths.get("labelSelectorPath"):
            status["selector"] = _read(obj, path) or ""
    else:
        status["selector"] = _selector(obj["spec"].get("selector"))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": wanted} if wanted else {},
        "status": status,
    }


_OPTIONS: Final = {"update": "UpdateOptions", "patch": "PatchOptions"}


async def handle(api: Api, call: Call, kind: Kind) -> web.StreamResponse:
    """GET, PUT and PATCH of ``/scale``."""
    if call.info.verb == "get":
        return call.plain(scale_of(kind, decode(kind, reading.find(api, call, kind))))
    options = write_options(call.http, _OPTIONS[call.info.verb])
    if call.info.verb == "update":
        wanted, _ = await body.read(call)
        media = ""
    else:
        media, wanted, _ = await patching.read_patch(call, kind)

    def transform(live: Obj) -> Obj:
        scale = scale_of(kind, live)
        if media:
            # A Scale has no lists: all patches that are no JSON patches merge alike.
            form = media if media == patching.JSON else patching.MERGE
            scale = patching.patched_object(kind, form, scale, wanted)
        else:
            scale = wanted
        _check(call, scale)
        _write(live, _paths(kind)["specReplicasPath"], scale["spec"]["replicas"])
        metadata = scale.get("metadata") or {}
        if version := metadata.get("resourceVersion"):
            live["metadata"]["resourceVersion"] = version
        return live

    target = Target(kind, call.info.namespace, call.info.name, "scale")
    made = await updating.update_object(api, call, target, transform, options)
    obj = made if isinstance(made, dict) else decode(kind, made)
    return call.plain(scale_of(kind, obj))


def _check(call: Call, scale: Obj) -> None:
    spec = scale.setdefault("spec", {})
    replicas = spec.setdefault("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise errors.bad_request(
            'Scale in version "v1" cannot be handled as a Scale: spec.replicas must be a number'
        )
    if replicas < 0:
        wrong = field_errors.invalid(
            "spec.replicas", replicas, "must be greater than or equal to 0"
        )
        raise errors.invalid("autoscaling", "Scale", call.info.name, [wrong])
