"""One stored object seen as two kinds: HorizontalPodAutoscaler v1 and v2, and both Events.

What the older HorizontalPodAutoscaler has no fields for travels in an annotation, as in Kubernetes
(here in v2's form), so that nothing is lost on the way to and fro.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Object = dict[str, Any]
GroupVersionKind = tuple[str, str, str]

_AUTOSCALER_V1: Final = ("autoscaling", "v1", "HorizontalPodAutoscaler")
_AUTOSCALER_V2: Final = ("autoscaling", "v2", "HorizontalPodAutoscaler")
_CORE_EVENT: Final = ("", "v1", "Event")
_NEW_EVENT: Final = ("events.k8s.io", "v1", "Event")

_ANNOTATION: Final = "autoscaling.alpha.kubernetes.io/"
_ANNOTATED: Final = (
    ("spec", "metrics", "metrics"),
    ("spec", "behavior", "behavior"),
    ("status", "currentMetrics", "current-metrics"),
    ("status", "conditions", "conditions"),
)


def convert(obj: Mapping[str, Any], to: GroupVersionKind) -> Object:
    """A copy of ``obj`` as the kind ``to``. Raises ``ValueError`` if there is no such way."""
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    origin = (group, version, str(obj["kind"]))
    api_version = f"{to[0]}/{to[1]}" if to[0] else to[1]
    if origin == to:
        return dict(obj)
    if origin[0] == to[0] and origin[2] == to[2] and (origin, to) not in _CONVERSIONS:
        # Versions of a custom resource without conversion differ in their name alone.
        return {**obj, "apiVersion": api_version}
    if (origin, to) not in _CONVERSIONS:
        raise ValueError(f"{origin[2]} in {obj['apiVersion']} cannot be converted to {to}")
    return {**_CONVERSIONS[origin, to](obj), "apiVersion": api_version}


# -- HorizontalPodAutoscaler -----------------------------------------------------


def _cpu(entries: Any, part: str) -> tuple[int | None, list[Any]]:
    """The percentage of CPU in ``metrics`` or ``currentMetrics``, and the other entries."""
    percent, others = None, []
    for entry in entries or ():
        resource = entry.get("resource") or {}
        value = (resource.get(part) or {}).get("averageUtilization")
        is_cpu = entry.get("type") == "Resource" and resource.get("name") == "cpu"
        if percent is None and is_cpu and value is not None:
            percent = value
        else:
            others.append(entry)
    return percent, others


def _autoscaler_to_v1(obj: Mapping[str, Any]) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    percent, metrics = _cpu(spec.get("metrics"), "target")
    current, current_metrics = _cpu(status.get("currentMetrics"), "current")
    spec["metrics"], status["currentMetrics"] = metrics, current_metrics
    kept = {}
    parts = {"spec": spec, "status": status}
    for part, field, annotation in _ANNOTATED:
        value = parts[part].pop(field, None)
        if value:
            kept[_ANNOTATION + annotation] = json.dumps(value, separators=(",", ":"))
    if percent is not None:
        spec["targetCPUUtilizationPercentage"] = percent
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    if kept:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **kept}
    return {**obj, "metadata": metadata, "spec": spec, **({"status": status} if status else {})}


def _autoscaler_to_v2(obj: Mapping[str, Any]) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    current = status.pop("currentCPUUtilizationPercentage", None)
    annotations = dict(metadata.get("annotations") or {})
    parts = {"spec": spec, "status": status}
    for part, field, annotation in _ANNOTATED:
        text = annotations.pop(_ANNOTATION + annotation, None)
        if text is None:
            continue
        try:
            parts[part][field] = json.loads(text)
        except ValueError as error:
            raise ValueError(f"annotation {_ANNOTATION}{annotation}: {error}") from error
    for content, field, key, value in (
        (spec, "metrics", "target", percent),
        (status, "currentMetrics", "current", current),
    ):
        if value is not None:
            measure = {"type": "Utilization"} if key == "target" else {}
            cpu = {"name": "cpu", key: {**measure, "averageUtilization": value}}
            content[field] = [{"type": "Resource", "resource": cpu}, *(content.get(field) or ())]
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {**obj, "metadata": metadata, "spec": spec, **({"status": status} if status else {})}


# -- Event ---------------------------------------------------------------------

_EVENT_FIELDS: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def _renamed(names: Mapping[str, str]) -> Callable[[Mapping[str, Any]], Object]:
    def convert_names(obj: Mapping[str, Any]) -> Object:
        return {names.get(key, key): value for key, value in obj.items()}

    return convert_names


_CONVERSIONS: Final[
    Mapping[tuple[GroupVersionKind, GroupVersionKind], Callable[[Mapping[str, Any]], Object]]
] = {
    (_AUTOSCALER_V2, _AUTOSCALER_V1): _autoscaler_to_v1,
    (_AUTOSCALER_V1, _AUTOSCALER_V2): _autoscaler_to_v2,
    (_CORE_EVENT, _NEW_EVENT): _renamed(_EVENT_FIELDS),
    (_NEW_EVENT, _CORE_EVENT): _renamed({new: old for old, new in _EVENT_FIELDS.items()}),
}
