"""Where a pod's spec refers to ConfigMaps and Secrets.

Flagger gives a primary its own copies of tracked ConfigMaps and Secrets, named ``NAME-primary``,
so a primary that it left behind differs from its target in these references.
"""

from collections.abc import Iterator
from typing import Any

Reference = tuple[dict[str, Any], str]
"""The object that holds a name, and the key that it holds it under."""


def references(pod_spec: dict[str, Any]) -> Iterator[Reference]:
    """Every reference by name to a ConfigMap or Secret, in the order of the spec."""
    for volume in pod_spec.get("volumes") or ():
        yield from _named(volume, "configMap")
        yield from _named(volume, "secret", "secretName")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(source, "configMap")
            yield from _named(source, "secret")
    for group in ("initContainers", "containers"):
        for container in pod_spec.get(group) or ():
            for variable in container.get("env") or ():
                source = variable.get("valueFrom") or {}
                yield from _named(source, "configMapKeyRef")
                yield from _named(source, "secretKeyRef")
            for source in container.get("envFrom") or ():
                yield from _named(source, "configMapRef")
                yield from _named(source, "secretRef")


def _named(holder: dict[str, Any], field: str, key: str = "name") -> Iterator[Reference]:
    reference = holder.get(field)
    if isinstance(reference, dict) and isinstance(reference.get(key), str):
        yield reference, key
