"""Where a pod's spec refers to ConfigMaps and Secrets.

A primary gets its own copies of those that are tracked, named ``NAME-primary``, so its template
differs from its target's in these references. Pull secrets and the Secrets of storage drivers are
not among them: they are about how a pod gets its content, not what it is.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

PUBLISHED = frozenset({("ConfigMap", "kube-root-ca.crt")})
"""Kubernetes writes these into each namespace and keeps them current: no user changes them, and a
copy would hold an outdated certificate after a rotation."""

ConfigName = tuple[str, str]
"""Kind (ConfigMap or Secret) and name."""


class Reference(NamedTuple):
    """A place in a pod's spec: ``holder[key]`` is the name that it refers to. ``path`` leads to
    the place from the pod's spec."""

    kind: str
    holder: dict[str, Any]
    key: str
    path: str

    @property
    def name(self) -> str:
        """The name that is referred to."""
        name: str = self.holder[self.key]
        return name

    @property
    def optional(self) -> bool:
        """Whether pods start without the object."""
        return self.holder.get("optional") is True


class ConfigUse(NamedTuple):
    """One ConfigMap or Secret that a template refers to, however often; ``optional`` when every
    reference is, else ``path`` is the first that is not."""

    kind: str
    name: str
    optional: bool
    path: str


def config_key(kind: str, name: str) -> str:
    """How `status.trackedConfigs` names it: ``configmap/NAME`` or ``secret/NAME``."""
    return f"{kind.lower()}/{name}"


def references(pod_spec: dict[str, Any]) -> Iterator[Reference]:
    """Every reference by name to a ConfigMap or Secret, in the order of the spec."""
    for i, volume in enumerate(pod_spec.get("volumes") or ()):
        path = f"volumes[{i}]"
        yield from _named("ConfigMap", volume, path, "configMap")
        yield from _named("Secret", volume, path, "secret", "secretName")
        for j, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            yield from _named("ConfigMap", source, f"{path}.projected.sources[{j}]", "configMap")
            yield from _named("Secret", source, f"{path}.projected.sources[{j}]", "secret")
    for group in ("initContainers", "containers"):
        for i, container in enumerate(pod_spec.get(group) or ()):
            yield from _of_container(container, f"{group}[{i}]")


def _of_container(container: dict[str, Any], path: str) -> Iterator[Reference]:
    for j, variable in enumerate(container.get("env") or ()):
        source = variable.get("valueFrom") or {}
        yield from _named("ConfigMap", source, f"{path}.env[{j}].valueFrom", "configMapKeyRef")
        yield from _named("Secret", source, f"{path}.env[{j}].valueFrom", "secretKeyRef")
    for j, source in enumerate(container.get("envFrom") or ()):
        yield from _named("ConfigMap", source, f"{path}.envFrom[{j}]", "configMapRef")
        yield from _named("Secret", source, f"{path}.envFrom[{j}]", "secretRef")


def _named(
    kind: str, holder: dict[str, Any], path: str, field: str, key: str = "name"
) -> Iterator[Reference]:
    reference = holder.get(field)
    if isinstance(reference, dict) and isinstance(reference.get(key), str) and reference[key]:
        yield Reference(kind, reference, key, f"{path}.{field}")


def rename(pod_spec: dict[str, Any], renamed: Iterable[ConfigName], suffix: str) -> None:
    """Let the references to these objects mean their copies, in place."""
    names = frozenset(renamed)
    for reference in references(pod_spec):
        if (reference.kind, reference.name) in names:
            reference.holder[reference.key] = reference.name + suffix


def uses(template: dict[str, Any]) -> tuple[ConfigUse, ...]:
    """The users' ConfigMaps and Secrets that a pod template refers to, each once."""
    found: dict[ConfigName, ConfigUse] = {}
    for reference in references(template.get("spec") or {}):
        named = (reference.kind, reference.name)
        known = found.get(named)
        if named not in PUBLISHED and (known is None or known.optional):
            found[named] = ConfigUse(*named, reference.optional, reference.path)
    return tuple(found.values())


def uses_in(template: bytes | msgspec.Raw) -> tuple[ConfigUse, ...]:
    """As `uses`, of a template's JSON."""
    return uses(msgspec.json.decode(template))
