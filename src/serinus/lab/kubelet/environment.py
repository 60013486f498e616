"""A container's environment: literal values, references, and ``$(NAME)`` in them.

Pure, but for `os.cpu_count` where a container without a limit asks for its limit, as Kubernetes
answers with what the node has.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from serinus.lab.kubelet.manifest import (
    ConfigMap,
    Container,
    EnvVar,
    KeyRef,
    NameRef,
    Pod,
    ResourceFieldRef,
    Secret,
)
from serinus.lab.kubelet.quantity import parse_quantity

_REFERENCE = re.compile(r"\$\$|\$\(([^()$\s]+)\)")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


class ConfigError(ValueError):
    """A container cannot be started as its pod describes it (CreateContainerConfigError)."""


class Objects(Protocol):
    """Where ConfigMaps and Secrets are found."""

    def config_map(self, namespace: str, name: str) -> ConfigMap | None: ...

    def secret(self, namespace: str, name: str) -> Secret | None: ...


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What a fieldRef may ask about a running pod."""

    pod: Pod
    pod_ip: str
    host_ip: str
    node_name: str


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` where NAME is known; ``$$`` is a dollar sign, as in Kubernetes."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def field_value(facts: PodFacts, path: str) -> str:
    """The value of a fieldRef; raises `ConfigError` for a path that Kubernetes has not."""
    meta, spec = facts.pod.metadata, facts.pod.spec
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        source = meta.labels if subscript[1] == "labels" else meta.annotations
        return source.get(subscript[2], "")
    match path:
        case "metadata.name":
            return meta.name
        case "metadata.namespace":
            return meta.namespace
        case "metadata.uid":
            return meta.uid
        case "metadata.labels":
            return map_lines(meta.labels)
        case "metadata.annotations":
            return map_lines(meta.annotations)
        case "spec.nodeName":
            return facts.node_name
        case "spec.serviceAccountName":
            return spec.service_account_name
        case "status.hostIP" | "status.hostIPs":
            return facts.host_ip
        case "status.podIP" | "status.podIPs":
            return facts.pod_ip
    raise ConfigError(f"fieldRef.fieldPath: {path!r} is not a field that a container can ask for")


def map_lines(values: Mapping[str, str]) -> str:
    """Labels or annotations as a downwardAPI file shows them."""

    def quoted(text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    return "\n".join(f"{key}={quoted(value)}" for key, value in sorted(values.items()))


def resource_value(pod: Pod, container: Container | None, ref: ResourceFieldRef) -> str:
    """The value of a resourceFieldRef, rounded up in units of its divisor."""
    if ref.container_name:
        everyone = [*pod.spec.init_containers, *pod.spec.containers]
        container = next((c for c in everyone if c.name == ref.container_name), None)
    if container is None:
        raise ConfigError(f"resourceFieldRef.containerName: no container {ref.container_name!r}")
    kind, _, name = ref.resource.partition(".")
    if kind not in {"limits", "requests"} or not name:
        raise ConfigError(f"resourceFieldRef.resource: {ref.resource!r} is not limits.X/requests.X")
    amounts = container.resources.limits if kind == "limits" else container.resources.requests
    if name in amounts:
        amount = parse_quantity(str(amounts[name]))
    elif kind == "requests" and name in container.resources.limits:
        amount = parse_quantity(str(container.resources.limits[name]))
    elif kind == "limits" and name == "cpu":
        amount = float(os.cpu_count() or 1)
    elif kind == "limits" and name == "memory":
        amount = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    else:
        amount = 0.0
    divisor = parse_quantity(ref.divisor) or 1.0
    return str(math.ceil(round(amount / divisor, 6)))


def environment(
    facts: PodFacts,
    container: Container,
    objects: Objects,
    base: Mapping[str, str],
) -> dict[str, str]:
    """The variables of a container, on top of ``base`` (the image's, HOSTNAME, PATH).

    Raises `ConfigError` when it refers to something that is not there and is not optional.
    """
    namespace = facts.pod.metadata.namespace
    values = dict(base)
    for source in container.env_from:
        if source.config_map_ref:
            contents = _config_map(objects, namespace, source.config_map_ref)
        elif source.secret_ref:
            contents = _secret(objects, namespace, source.secret_ref)
        else:
            contents = {}
        for key, data in contents.items():
            values[source.prefix + key] = data.decode("utf-8", "replace")
    for variable in container.env:
        value = _variable(facts, container, objects, variable, values)
        if value is not None:
            values[variable.name] = value
    return values


def _variable(
    facts: PodFacts,
    container: Container,
    objects: Objects,
    variable: EnvVar,
    values: Mapping[str, str],
) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, values)
    namespace = facts.pod.metadata.namespace
    if source.field_ref:
        return field_value(facts, source.field_ref.field_path)
    if source.resource_field_ref:
        return resource_value(facts.pod, container, source.resource_field_ref)
    if ref := source.config_map_key_ref:
        contents = _config_map(objects, namespace, NameRef(ref.name, ref.optional))
        return _key(contents, ref, f"configmap {namespace}/{ref.name}")
    if ref := source.secret_key_ref:
        contents = _secret(objects, namespace, NameRef(ref.name, ref.optional))
        return _key(contents, ref, f"secret {namespace}/{ref.name}")
    raise ConfigError(f"env {variable.name}: valueFrom names no source that the lab knows")


def _key(contents: Mapping[str, bytes], ref: KeyRef, where: str) -> str | None:
    if ref.key in contents:
        return contents[ref.key].decode("utf-8", "replace")
    if ref.optional:
        return None
    raise ConfigError(f"couldn't find key {ref.key} in {where}")


def _config_map(objects: Objects, namespace: str, ref: NameRef) -> dict[str, bytes]:
    found = objects.config_map(namespace, ref.name)
    if found is None and not ref.optional:
        raise ConfigError(f'configmap "{ref.name}" not found')
    return found.contents() if found else {}


def _secret(objects: Objects, namespace: str, ref: NameRef) -> dict[str, bytes]:
    found = objects.secret(namespace, ref.name)
    if found is None and not ref.optional:
        raise ConfigError(f'secret "{ref.name}" not found')
    return found.contents() if found else {}
