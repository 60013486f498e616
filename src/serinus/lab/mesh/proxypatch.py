"""MeshProxyPatch as far as progressive delivery uses it: headers on what a sidecar's virtual hosts
take in and give out.

Played are modifications `virtualHost` with the operation `Patch` and a `value`; what else a patch
may say is let in, with a warning. A value is merged as Kuma merges: lists grow. It comes from YAML
and may name Envoy's fields in either way, `responseHeadersToAdd` or `response_headers_to_add`. A
value that is no VirtualHost is refused; the reason after Kuma's own words is msgspec's.

As in Kuma a patch changes the listener itself. Envoy serves the connections that it has by the old
one until it sends their callers on to new ones, which takes 5 s on HTTP/2: so long may an answer
still go out as before. No request fails.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import yaml

from serinus.lab.mesh.envoy import Json
from serinus.lab.mesh.model import Obj

Origin = Literal["inbound", "outbound"]

_KINDS = ("cluster", "listener", "virtualHost", "networkFilter", "httpFilter")


class _Header(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    key: str = ""
    value: str = ""
    raw_value: str = ""


class _HeaderOption(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    header: _Header | None = None
    append: bool | None = None
    append_action: (
        Literal[
            "APPEND_IF_EXISTS_OR_ADD",
            "ADD_IF_ABSENT",
            "OVERWRITE_IF_EXISTS_OR_ADD",
            "OVERWRITE_IF_EXISTS",
        ]
        | None
    ) = None
    keep_empty_value: bool = False


class _Headers(msgspec.Struct, rename="camel", omit_defaults=True):
    """The fields of Envoy's VirtualHost that the lab plays."""

    request_headers_to_add: list[_HeaderOption] | None = None
    request_headers_to_remove: list[str] | None = None
    response_headers_to_add: list[_HeaderOption] | None = None
    response_headers_to_remove: list[str] | None = None


_PLAYED = frozenset(field.encode_name for field in msgspec.structs.fields(_Headers))
_UNPLAYED = frozenset(
    {
        "cors",
        "domains",
        "hedgePolicy",
        "includeAttemptCountInResponse",
        "includeIsTimeoutRetryHeader",
        "includeRequestAttemptCount",
        "matcher",
        "metadata",
        "name",
        "perRequestBufferLimitBytes",
        "rateLimits",
        "requestBodyBufferLimit",
        "requestMirrorPolicies",
        "requireTls",
        "retryPolicy",
        "retryPolicyTypedConfig",
        "routes",
        "typedPerFilterConfig",
        "virtualClusters",
    }
)
"""Envoy's VirtualHost has these fields, too; what is in them the lab does not look at."""


def problems(spec: Obj) -> Iterator[str]:
    """Why Kuma does not take a patch."""
    where = "spec.default.appendModifications"
    modifications = _modifications(spec)
    if not modifications:
        yield f"{where}: must not be empty"
    for index, modification in enumerate(modifications):
        number = sum(modification.get(kind) is not None for kind in _KINDS)
        if number != 1:
            yield (
                f"{where}[{index}]: exactly one modification can be defined at a time. "
                f"Currently, {number} modifications are defined"
            )
        elif modification.get("virtualHost") is not None:
            yield from _change_problems(
                f"{where}[{index}].virtualHost", modification["virtualHost"]
            )


def unplayed(spec: Obj) -> Iterator[str]:
    """The parts of a patch that the lab does not act on."""
    for index, modification in enumerate(_modifications(spec)):
        where = f"spec.default.appendModifications[{index}]"
        change = modification.get("virtualHost")
        if change is None or not _is_played(change):
            yield where
        else:
            fields = _virtual_host(change["value"])
            yield from (
                f"{where}.virtualHost.value: {field}" for field in sorted(fields.keys() - _PLAYED)
            )


def apply(policy: Obj, origin: Origin, listeners: Sequence[Json]) -> None:
    """Change these listeners, all of one origin, as the patch says."""
    for modification in _modifications(policy["spec"]):
        change = modification.get("virtualHost")
        if change is None or not _is_played(change):
            continue
        match = change.get("match") or {}
        if match.get("origin") not in (None, origin):
            continue
        added = _headers(_virtual_host(change["value"]))
        for config in _route_configs(listeners):
            if match.get("routeConfigurationName") not in (None, config["name"]):
                continue
            for host in config["virtualHosts"]:
                if match.get("name") in (None, host["name"]):
                    for field, items in added.items():
                        host[field] = [*host.get(field, ()), *items]


def _modifications(spec: Obj) -> Sequence[Obj]:
    return (spec.get("default") or {}).get("appendModifications") or ()


def _is_played(change: Obj) -> bool:
    return change["operation"] == "Patch" and "value" in change


def _change_problems(where: str, change: Obj) -> Iterator[str]:
    value, steps = change.get("value"), change.get("jsonPatches")
    match change["operation"]:
        case "Patch" if value is not None and steps:
            yield f"{where}: virtualHost must have only one type defined: value, jsonPatches"
        case "Patch" if value is None and not steps:
            yield f"{where}: virtualHost must have exactly one defined: value, jsonPatches"
        case "Add" if value is None:
            yield f"{where}.value: must be defined"
        case "Add" if (change.get("match") or {}).get("name") is not None:
            yield f"{where}.match.name: must not be defined"
        case "Remove" if value is not None:
            yield f"{where}.value: must not be defined"
        case _ if value is not None:
            try:
                _headers(_virtual_host(value))
            except ValueError as error:
                yield f"{where}.value: native Envoy resource is not valid: {error}"


def _virtual_host(text: str) -> Json:
    """The fields of a VirtualHost in YAML; ValueError when it is none."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from None
    found = _camel({} if value is None else value)
    if not isinstance(found, dict):
        raise ValueError(f"a VirtualHost is an object, not {text.strip()!r}")
    for field in found:
        if field not in _PLAYED | _UNPLAYED:
            raise ValueError(f'unknown field "{field}" in envoy.config.route.v3.VirtualHost')
    return found


def _headers(virtual_host: Json) -> dict[str, list[Any]]:
    """Those fields that the lab plays; ValueError when they are not what Envoy takes."""
    try:
        found: dict[str, list[Any]] = msgspec.to_builtins(msgspec.convert(virtual_host, _Headers))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return found


def _camel(value: Any) -> Any:
    """Field names as JSON has them, whichever way they were written."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, dict):
        return {
            re.sub("_([a-z])", lambda found: found[1].upper(), str(key)): _camel(item)
            for key, item in value.items()
        }
    return value


def _route_configs(listeners: Sequence[Json]) -> Iterator[Json]:
    for listener in listeners:
        for chain in listener["filterChains"]:
            for network_filter in chain.get("filters", ()):
                if "routeConfig" in network_filter["typedConfig"]:
                    yield network_filter["typedConfig"]["routeConfig"]
