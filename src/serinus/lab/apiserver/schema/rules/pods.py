"""Pods and pod templates."""

from collections.abc import Iterator
from typing import Any, Final

from serinus.lab.apiserver.schema import field_errors as error
from serinus.lab.apiserver.schema import names
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.metadata import check_labels
from serinus.lab.apiserver.schema.quantity import parse_quantity
from serinus.lab.apiserver.schema.rules import Object

_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_CHANGEABLE: Final = frozenset(
    {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"}
)
_MAY_CHANGE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def check_pod(pod: Object, old: Object | None) -> Iterator[FieldError]:
    spec = pod.get("spec") or {}
    yield from check_pod_spec(spec, "spec")
    if old is not None and _fixed(spec) != _fixed(old.get("spec") or {}):
        yield error.forbidden("spec", _MAY_CHANGE)
    before = (old or {}).get("spec", {}).get("nodeName")
    if before and spec.get("nodeName") != before:
        yield error.forbidden("spec.nodeName", "may not be changed once set")


def _fixed(spec: Object) -> dict[str, Any]:
    """The parts of a pod that no update may change."""
    fixed = {key: value for key, value in spec.items() if key not in _CHANGEABLE}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [
                {key: value for key, value in container.items() if key != "image"}
                for container in fixed[field] or ()
            ]
    # Ephemeral containers have a subresource of their own.
    fixed.pop("ephemeralContainers", None)
    return fixed


def check_pod_spec(spec: Object, path: str) -> Iterator[FieldError]:
    if not spec.get("containers"):
        yield error.required(f"{path}.containers")
    volumes = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        here, name = f"{path}.volumes[{index}]", volume.get("name")
        if name:
            for message in names.dns_label(name):
                yield error.invalid(f"{here}.name", name, message)
        if name in volumes:
            yield error.duplicate(f"{here}.name", name)
        volumes.add(name)
        sources = sorted(volume.keys() - {"name"})
        if not sources:
            yield error.required(here, "must specify a volume type")
        for source in sources[1:]:
            yield error.forbidden(f"{here}.{source}", "may not specify more than 1 volume type")
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            here = f"{path}.{field}[{index}]"
            name = container.get("name")
            if name in seen:
                yield error.duplicate(f"{here}.name", name)
            seen.add(name or "")
            yield from _check_container(container, here, volumes)
    yield from check_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        yield error.invalid(
            f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"
        )


_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_RESOURCES: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
"""Where an environment variable's value may come from."""

_PORT_RANGE: Final = "must be between 1 and 65535, inclusive"


def _check_container(container: Object, path: str, volumes: set[Any]) -> Iterator[FieldError]:
    name, image = container.get("name"), container.get("image")
    if name:
        for message in names.dns_label(name):
            yield error.invalid(f"{path}.name", name, message)
    if not image:
        yield error.required(f"{path}.image")
    elif image != image.strip():
        yield error.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    yield from _check_ports(container.get("ports") or (), f"{path}.ports")
    yield from _check_environment(container.get("env") or (), f"{path}.env")
    paths: set[Any] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        here, place = f"{path}.volumeMounts[{index}]", mount.get("mountPath")
        if mount.get("name") and mount["name"] not in volumes:
            yield error.not_found(f"{here}.name", mount["name"])
        if place in paths:
            yield error.invalid(f"{here}.mountPath", place, "must be unique")
        paths.add(place)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            yield from _check_probe(container[probe], f"{path}.{probe}")
    yield from _check_resources(container.get("resources") or {}, f"{path}.resources")


def _check_environment(variables: Any, path: str) -> Iterator[FieldError]:
    for index, variable in enumerate(variables):
        here = f"{path}[{index}]"
        if variable.get("value") and variable.get("valueFrom"):
            yield error.invalid(
                f"{here}.valueFrom", "", "may not be specified when `value` is not empty"
            )
        if variable.get("valueFrom") is not None:
            yield from _check_source(variable["valueFrom"], f"{here}.valueFrom")
        if "=" in (variable.get("name") or ""):
            yield error.invalid(
                f"{here}.name",
                variable["name"],
                "a valid environment variable name must consist only of printable ASCII "
                "characters other than '='",
            )


def _check_source(source: Object, path: str) -> Iterator[FieldError]:
    given = [name for name in _SOURCES if source.get(name) is not None]
    if not given:
        *first, last = (f"`{name}`" for name in _SOURCES)
        yield error.invalid(path, "", f"must specify one of: {', '.join(first)} or {last}")
    elif len(given) > 1:
        yield error.invalid(path, "", "may not have more than one field specified at a time")


def _check_ports(ports: Any, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"{path}[{index}]", port.get("name")
        if name:
            for message in names.port_name(name):
                yield error.invalid(f"{here}.name", name, message)
            if name in seen:
                yield error.duplicate(f"{here}.name", name)
            seen.add(name)
        number = port.get("containerPort")
        if number is not None and not 1 <= number <= 65535:
            yield error.invalid(f"{here}.containerPort", number, _PORT_RANGE)
        host = port.get("hostPort")
        if host and not 1 <= host <= 65535:
            yield error.invalid(f"{here}.hostPort", host, _PORT_RANGE)


def _check_probe(probe: Object, path: str) -> Iterator[FieldError]:
    handlers = [handler for handler in _HANDLERS if probe.get(handler) is not None]
    if not handlers:
        yield error.required(path, "must specify a handler type")
    for handler in handlers[1:]:
        yield error.forbidden(f"{path}.{handler}", "may not specify more than 1 handler type")
    for field in (
        *("initialDelaySeconds", "timeoutSeconds", "periodSeconds"),
        *("successThreshold", "failureThreshold"),
    ):
        if (probe.get(field) or 0) < 0:
            yield error.invalid(f"{path}.{field}", probe[field], _NOT_NEGATIVE)
    if not path.endswith("readinessProbe") and probe.get("successThreshold", 1) != 1:
        yield error.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    for handler in ("httpGet", "tcpSocket", "grpc"):
        port = (probe.get(handler) or {}).get("port")
        if isinstance(port, int) and not 1 <= port <= 65535:
            yield error.invalid(f"{path}.{handler}.port", port, _PORT_RANGE)
    command = (probe.get("exec") or {}).get("command")
    if probe.get("exec") is not None and not command:
        yield error.required(f"{path}.exec.command")


def _check_resources(resources: Object, path: str) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
                yield error.invalid(
                    f"{path}.{field}[{name}]", name, "must be a standard resource for containers"
                )
            number = parse_quantity(amount)
            if number is not None and number < 0:
                yield error.invalid(f"{path}.{field}[{name}]", amount, _NOT_NEGATIVE)
    for name, amount in requests.items():
        asked, most = parse_quantity(amount), parse_quantity(limits.get(name))
        if asked is not None and most is not None and asked > most:
            yield error.invalid(
                f"{path}.requests",
                amount,
                f"must be less than or equal to {name} limit of {limits[name]}",
            )
