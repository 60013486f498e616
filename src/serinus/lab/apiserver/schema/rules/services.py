"""Services, Ingresses and autoscalers."""

from collections.abc import Iterator
from typing import Any, Final

from serinus.lab.apiserver.schema import field_errors as error
from serinus.lab.apiserver.schema import names
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.metadata import check_labels
from serinus.lab.apiserver.schema.rules import Object, Rule

_METRICS: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_PORT_RANGE: Final = "must be between 1 and 65535, inclusive"


def _check_service(service: Object, old: Object | None) -> Iterator[FieldError]:
    spec = service.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    yield from check_labels(spec.get("selector"), "spec.selector")
    if kind == "ExternalName":
        name = spec.get("externalName")
        if not name:
            yield error.required("spec.externalName")
        else:
            for message in names.dns_subdomain(name.rstrip(".")):
                yield error.invalid("spec.externalName", name, message)
    elif not ports and not headless:
        yield error.required("spec.ports")
    if headless and kind in ("NodePort", "LoadBalancer"):
        yield error.invalid(
            "spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"
        )
    yield from _check_ports(ports, kind)
    if old is not None:
        was = (old.get("spec") or {}).get("clusterIP")
        if was and kind != "ExternalName" and spec.get("clusterIP") != was:
            yield error.invalid(
                "spec.clusterIPs[0]", [spec.get("clusterIP")], "may not change once set"
            )


def _check_ports(ports: Any, kind: Any) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    seen_ports: list[dict[str, Any]] = []
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name")
        if not name and len(ports) > 1:
            yield error.required(f"{path}.name")
        elif name:
            for message in names.dns_label(name):
                yield error.invalid(f"{path}.name", name, message)
            if name in seen_names:
                yield error.duplicate(f"{path}.name", name)
            seen_names.add(name)
        yield from _check_port(port, path, kind)
        key = {"port": port.get("port"), "protocol": port.get("protocol")}
        if key in seen_ports:
            yield error.duplicate(path, key)
        seen_ports.append(key)


def _check_port(port: Object, path: str, kind: Any) -> Iterator[FieldError]:
    number, target = port.get("port"), port.get("targetPort")
    if isinstance(number, int) and not 1 <= number <= 65535:
        yield error.invalid(f"{path}.port", number, _PORT_RANGE)
    if isinstance(target, int) and not 1 <= target <= 65535:
        yield error.invalid(f"{path}.targetPort", target, _PORT_RANGE)
    elif isinstance(target, str):
        for message in names.port_name(target):
            yield error.invalid(f"{path}.targetPort", target, message)
    protocol = port.get("appProtocol")
    if protocol is not None:
        for message in names.qualified_name(protocol):
            yield error.invalid(f"{path}.appProtocol", protocol, message)
    if port.get("nodePort") and kind == "ClusterIP":
        yield error.forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'")


def _check_autoscaler(autoscaler: Object, _old: Object | None) -> Iterator[FieldError]:
    spec = autoscaler.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas")
    if least is not None and least < 1:
        yield error.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most is not None and most < 1:
        yield error.required("spec.maxReplicas", "must be set and greater than 0")
    elif most is not None and least is not None and most < least:
        yield error.invalid(
            "spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"
        )
    share = spec.get("targetCPUUtilizationPercentage")
    if share is not None and share < 1:
        yield error.invalid("spec.targetCPUUtilizationPercentage", share, "must be greater than 0")
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _check_metric(metric, f"spec.metrics[{index}]")


def _check_metric(metric: Object, path: str) -> Iterator[FieldError]:
    kind = str(metric.get("type") or "")
    source = kind[:1].lower() + kind[1:]
    if not kind:
        return
    if kind not in _METRICS:
        yield error.not_supported(f"{path}.type", kind, _METRICS)
        return
    content = metric.get(source)
    if content is None:
        yield error.required(
            f"{path}.{source}", "must populate information for the given metric source"
        )
        return
    target = content.get("target") or {}
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        yield error.invalid(
            f"{path}.{source}.target.averageUtilization", share, "must be greater than 0"
        )
    if not any(target.get(field) for field in ("averageUtilization", "averageValue", "value")):
        yield error.required(
            f"{path}.{source}.target.averageUtilization",
            "must set either a target raw value or a target utilization",
        )


def _check_ingress(ingress: Object, _old: Object | None) -> Iterator[FieldError]:
    spec = ingress.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield error.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend"):
        yield from _check_backend(spec["defaultBackend"], "spec.defaultBackend")
    for number, rule in enumerate(spec.get("rules") or ()):
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            here = f"spec.rules[{number}].http.paths[{index}]"
            kind = path.get("pathType")
            if kind and kind not in _PATH_TYPES:
                yield error.not_supported(f"{here}.pathType", kind, _PATH_TYPES)
            said = path.get("path") or ""
            if kind in ("Exact", "Prefix") and not said.startswith("/"):
                yield error.invalid(f"{here}.path", said, "must be an absolute path")
            yield from _check_backend(path.get("backend") or {}, f"{here}.backend")


def _check_backend(backend: Object, path: str) -> Iterator[FieldError]:
    service = backend.get("service")
    if service is None:
        if backend.get("resource") is None:
            yield error.required(path, "resource or service backend is required")
        return
    if not service.get("name"):
        yield error.required(f"{path}.service.name")
    port = service.get("port") or {}
    if not port.get("name") and not port.get("number"):
        yield error.required(f"{path}.service.port", "port name or number is required")


RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Service"): _check_service,
    ("networking.k8s.io", "Ingress"): _check_ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): _check_autoscaler,
}
