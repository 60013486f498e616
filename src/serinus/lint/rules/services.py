"""Whether Kuma can route to the Services of a canary."""

from collections.abc import Iterator

from serinus.api import duration
from serinus.api.canary import Canary
from serinus.api.service import CustomMetadata
from serinus.api.validation import BUILTIN_METRICS
from serinus.lint.documents import listed
from serinus.lint.files import Files, annotations, labels
from serinus.lint.finding import Level
from serinus.lint.kuma import Kuma
from serinus.lint.registry import Found, common, versioned

_HTTP = ("http", "http2", "grpc")
_KNOWN = (*_HTTP, "tcp", "tls", "mysql", "kafka")
_IGNORE = "kuma.io/ignore"


@common(
    "kuma/app-protocol",
    "spec.service.appProtocol (or the annotation PORT.service.kuma.io/protocol for all three "
    "Services, from which Serinus fills it in) says that the port is HTTP; else it is TCP to Kuma.",
)
def app_protocol(files: Files) -> Iterator[Found]:
    for one in files.meshed:
        service, analysis = one.canary.spec.service, one.canary.spec.analysis
        annotation = f"{service.port}.service.kuma.io/protocol"
        silent = [role for role, of in _roles(one.canary) if not of.annotations.get(annotation)]
        if service.app_protocol or not silent:
            continue
        builtin = any(metric.name in BUILTIN_METRICS for metric in analysis.metrics)
        http = builtin or analysis.match or analysis.mirror or analysis.session_affinity
        reason = "is missing, so the port is plain TCP to Kuma"
        if len(silent) < 3:
            reason = f"is missing, and the {silent[0]} Service has no annotation {annotation}"
        fix = "add appProtocol: http" if http else "add appProtocol: http, or tcp if that is meant"
        level = Level.ERROR if http else Level.WARNING
        yield Found(one.document, "spec.service.appProtocol", reason, fix, level)


@versioned(
    "kuma/service-protocol",
    "The Services in the files say their protocol by appProtocol: a MeshService takes it from "
    "there alone, and not from the annotation PORT.service.kuma.io/protocol.",
)
def service_protocol(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.has_mesh_services:
        return
    for service in files.of("Service", group=""):
        for index, port in enumerate(listed(service.spec, "ports")):
            annotation = f"{port.get('port')}.service.kuma.io/protocol"
            told = annotations(service.object).get(annotation)
            if told and not port.get("appProtocol"):
                reason = f"is missing, and the annotation {annotation} is not looked at"
                path = f"spec.ports[{index}].appProtocol"
                yield Found(service, path, reason, f"add appProtocol: {told}")


@common("kuma/protocol", "The protocol is one that Kuma knows, and the annotation says the same.")
def protocol(files: Files) -> Iterator[Found]:
    for one in files.meshed:
        service = one.canary.spec.service
        given = service.app_protocol
        if given and given not in _KNOWN:
            reason = f'Kuma knows no protocol "{given}", so the port is plain TCP to it'
            fix = f"use one of {', '.join(_HTTP)}, tcp"
            yield Found(one.document, "spec.service.appProtocol", reason, fix)
        for role, metadata in _roles(one.canary):
            for key, protocol in metadata.annotations.items():
                port, _, rest = key.partition(".")
                if rest != "service.kuma.io/protocol":
                    continue
                path = f"spec.service.{role}.annotations[{key}]"
                if port != str(service.port) and not service.port_discovery:
                    reason = f"is for port {port}, and the Service has port {service.port}"
                    fix = "write the Service's port, not the pods'"
                    yield Found(one.document, path, reason, fix, Level.WARNING)
                elif given and protocol != given:
                    reason = f'says {protocol}, appProtocol says "{given}" and counts'
                    yield Found(one.document, path, reason, "remove it", Level.WARNING)


@versioned(
    "kuma/headless",
    "The Services have cluster IPs: of a headless one Kuma makes a MeshService for each pod, which "
    "no route can split.",
)
def headless(files: Files, kuma: Kuma) -> Iterator[Found]:
    for one in files.meshed:
        if one.canary.spec.service.headless:
            reason = (
                "Kuma makes one MeshService per pod of it, which no route splits"
                if kuma.has_mesh_services
                else "callers go to single pods, past the listener that splits"
            )
            yield Found(one.document, "spec.service.headless", reason, "remove it")


@common("kuma/ignored", "Nothing tells Kuma to ignore a canary's Services.")
def ignored(files: Files) -> Iterator[Found]:
    for one in files.meshed:
        for role, metadata in _roles(one.canary):
            for field, keys in (("labels", metadata.labels), ("annotations", metadata.annotations)):
                if keys.get(_IGNORE) in ("true", "enabled"):
                    path = f"spec.service.{role}.{field}[{_IGNORE}]"
                    reason = f"makes Kuma ignore the {role} Service, so nothing is split"
                    yield Found(one.document, path, reason, "remove it")
        names = (
            one.canary.apex_name,
            one.canary.primary_service,
            one.canary.canary_service,
        )
        for service in files.of("Service", group=""):
            ours = files.namespace(service) == one.canary.namespace and service.name in names
            for field, keys in (
                ("labels", labels(service.object)),
                ("annotations", annotations(service.object)),
            ):
                if ours and str(keys.get(_IGNORE)).lower() in ("true", "enabled"):
                    path = f"metadata.{field}[{_IGNORE}]"
                    reason = f"makes Kuma ignore a Service of canary {one.canary.name}"
                    yield Found(service, path, reason, "remove it")


@common("kuma/retries", "The tries that are asked for fit into the timeout of the request.")
def retries(files: Files) -> Iterator[Found]:
    for one in files.meshed:
        service = one.canary.spec.service
        asked = service.retries
        if asked is None or not asked.per_try_timeout:
            continue
        try:
            whole = duration.seconds(service.timeout or "15s")
            tried = duration.seconds(asked.per_try_timeout)
        except ValueError:
            continue
        if 0 < whole < tried:
            limit = f'timeout "{service.timeout}"' if service.timeout else "Kuma's default of 15s"
            reason = f'"{asked.per_try_timeout}" for one try is beyond {limit} for the request'
            fix = "write a shorter time, or a longer spec.service.timeout"
            path = "spec.service.retries.perTryTimeout"
            yield Found(one.document, path, reason, fix, Level.WARNING)


def _roles(canary: Canary) -> tuple[tuple[str, CustomMetadata], ...]:
    service = canary.spec.service
    return (("apex", service.apex), ("primary", service.primary), ("canary", service.canary))
