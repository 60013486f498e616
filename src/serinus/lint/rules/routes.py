"""Routes of others beside a canary: whether they are well, and leave the canary's route alone."""

import re
from collections.abc import Iterator, Mapping

from serinus.api.canary import Canary
from serinus.api.meta import ObjectMeta
from serinus.lint.documents import Document, Json, listed, mapping
from serinus.lint.files import SYSTEM_NAMESPACES, Files, annotations, labels
from serinus.lint.finding import Level
from serinus.lint.kuma import Kuma
from serinus.lint.registry import Found, common, versioned
from serinus.lint.rules.policies import mistyped
from serinus.routing.kuma import re2
from serinus.routing.kuma.addressing import Addressing, ByLabels, ByName, ByTag
from serinus.routing.kuma.belonging import CANARY
from serinus.routing.kuma.filters import service_filters
from serinus.routing.kuma.overriding import Ours, split_matches
from serinus.routing.kuma.overriding import overriding as taken_by
from serinus.routing.kuma.tags import SERVICE, service_tag

_RULE = re.compile(r"spec\.to\[\d+\]\.rules\[\d+\]")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+\-.^_`|~]+")


@versioned(
    "kuma/first-trafficroute",
    "No TrafficRoute is the first of its mesh on Kuma 2.6 or newer: it takes the routes to every "
    "other service away, and with MeshServices all of them.",
)
def first_traffic_route(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.has_trafficroute or kuma.version.makes_default_routes:
        return
    routes = list(files.of("TrafficRoute", group="kuma.io"))
    for document in routes:
        if kuma.has_mesh_services:
            reason = "with MeshServices a single TrafficRoute takes every caller's outbounds away"
            yield Found(document, "kind", reason, "remove it; use a MeshHTTPRoute")
            continue
        beside = [one for one in routes if files.mesh(one) == files.mesh(document)]
        if not any(map(_routes_all, beside)):
            reason = "this takes the routes to all other services of the mesh away"
            fix = "use a MeshHTTPRoute, or add a TrafficRoute for kuma.io/service: '*'"
            yield Found(document, "kind", reason, fix)


def _routes_all(document: Document) -> bool:
    ends = listed(document.spec, "destinations")
    return any(mapping(end, "match").get(SERVICE) == "*" for end in ends)


@common(
    "kuma/route-name",
    "No other route has the name of one that Serinus makes, or is a second TrafficRoute for the "
    "same Service.",
)
def route_name(files: Files) -> Iterator[Found]:
    for one in files.meshed:
        canary = one.canary
        for route in files.of("MeshHTTPRoute", "MeshTCPRoute", group="kuma.io"):
            named = (files.namespace(route), route.name) == (canary.namespace, canary.apex_name)
            if named and not _is_ours(route, canary):
                reason = f"is the name of the route that Serinus makes for canary {canary.name}"
                yield Found(route, "metadata.name", reason, "give this route another name")
        apex = service_tag(canary.apex_name, canary.namespace, canary.spec.service.port)
        for route in files.of("TrafficRoute", group="kuma.io"):
            found = listed(route.spec, "destinations")
            ends = [mapping(end, "match").get(SERVICE) for end in found]
            if apex in ends and CANARY not in annotations(route.object):
                reason = f"leads requests for {apex}, as the route of canary {canary.name} does"
                field = f"spec.destinations[{ends.index(apex)}].match"
                yield Found(route, field, reason, "remove it", Level.WARNING)


@versioned(
    "kuma/overriding",
    "No other route takes the place of a canary's: of two with the very same matches one decides, "
    "by whom it is for, by role, and by name.",
)
def overriding(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.has_meshhttproute:
        return
    for one in files.meshed:
        canary = one.canary
        ours = Ours(
            _addressing(kuma).home(canary), split_matches(canary), bool(service_filters(canary))
        )
        for route in files.of("MeshHTTPRoute", group="kuma.io"):
            named = (files.namespace(route), route.name) == (canary.namespace, canary.apex_name)
            if named or _is_ours(route, canary) or mistyped(route):
                continue
            meta = ObjectMeta(
                name=route.name,
                namespace=files.namespace(route),
                labels=_texts(labels(route.object)),
                annotations=_texts(annotations(route.object)),
            )
            for problem in taken_by(canary, ours, route.kind, meta, route.spec):
                reason, _, fix = problem.message.rpartition(". ")
                place = _RULE.search(reason)
                path = place[0] if place is not None else "spec.to"
                yield Found(route, path, reason, fix[:1].lower() + fix[1:])


def _texts(pairs: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in pairs.items()}


def _addressing(kuma: Kuma) -> Addressing:
    if not kuma.version.targets_by_name:
        return ByLabels()
    if kuma.has_mesh_services:
        return ByName()
    beside = kuma.version.policies_in_app_namespaces
    return ByTag(None if beside else SYSTEM_NAMESPACES[0])


def _is_ours(route: Document, canary: Canary) -> bool:
    return annotations(route.object).get(CANARY) == f"{canary.namespace}/{canary.name}"


@versioned(
    "kuma/mirror",
    "Until Kuma 2.14 a mirror names its Service by tag: one that leads to a MeshService breaks the "
    "whole configuration of every caller.",
)
def mirror(files: Files, kuma: Kuma) -> Iterator[Found]:
    if not kuma.version.targets_by_name:
        return
    for document, path, rule in _rules(files):
        for number, one in enumerate(listed(rule, "default", "filters")):
            ref = mapping(one, "requestMirror", "backendRef")
            real = [key for key in ("port", "labels", "sectionName") if key in ref]
            if ref and (real or not re.fullmatch(r"[^_]+_[^_]+_svc_\d+", str(ref.get("name")))):
                field = f"{path}.default.filters[{number}].requestMirror.backendRef"
                reason = "a mirror to a MeshService leads nowhere and breaks the caller's sidecar"
                fix = "write name: SERVICE_NAMESPACE_svc_PORT, and no port"
                yield Found(document, field, reason, fix)


@versioned(
    "kuma/zero-weights",
    "The weights of a rule are not all 0: in Kuma 2 the route then vanishes, in 3 it answers 500.",
)
def zero_weights(files: Files, kuma: Kuma) -> Iterator[Found]:
    seen = "is answered 500" if kuma.version.fails_closed else "makes the route vanish"
    for document, path, rule in _rules(files):
        backends = listed(rule, "default", "backendRefs")
        if backends and not any(one.get("weight", 1) for one in backends):
            where = f"{path}.default.backendRefs"
            reason = f"a rule whose weights are all 0 {seen}"
            yield Found(document, where, reason, "give one of them a weight")
    for document in files.of("TrafficRoute", group="kuma.io"):
        split = listed(document.spec, "conf", "split")
        if split and not any(one.get("weight") for one in split) and kuma.version.has_trafficroute:
            reason = "there must be at least one split entry with weight above 0"
            yield Found(document, "spec.conf.split", reason, "give one of them a weight")


@common(
    "kuma/route-matches",
    "Matches of a MeshHTTPRoute are ones that Kuma takes: lower-case header names, prefixes that "
    "do not end in a slash, types that there are, expressions that RE2 compiles.",
)
def route_matches(files: Files) -> Iterator[Found]:
    for document, path, rule in _rules(files):
        for at, entry in enumerate(listed(rule, "matches")):
            where = f"{path}.matches[{at}]"
            for field, reason, fix in _match(entry):
                yield Found(document, f"{where}.{field}", reason, fix)


def _match(entry: Json) -> Iterator[tuple[str, str, str]]:
    path = mapping(entry, "path")
    value = str(path.get("value") or "")
    if path.get("type") == "PathPrefix" and value != "/" and value.endswith("/"):
        yield "path.value", f'a prefix may not end in a slash: "{value}"', "write it without"
    if path.get("type") == "Prefix":
        yield "path.type", "is called PathPrefix since Kuma 2.3", "write PathPrefix"
    if path.get("type") == "RegularExpression":
        yield from _expression("path.value", value)
    for number, header in enumerate(listed(entry, "headers")):
        name, kind = str(header.get("name") or ""), header.get("type", "Exact")
        field = f"headers[{number}]"
        if not _HEADER_NAME.fullmatch(name):
            fix = f"write {name.lower()}" if _HEADER_NAME.fullmatch(name.lower()) else "correct it"
            yield f"{field}.name", f'"{name}" is no name of a header in lower case', fix
        if kind not in ("Exact", "Present", "RegularExpression", "Absent", "Prefix"):
            fix = 'use RegularExpression, such as ".*END"' if kind == "Suffix" else "use Exact"
            yield f"{field}.type", f"Kuma does not match headers by {kind}", fix
        if kind == "RegularExpression":
            yield from _expression(f"{field}.value", str(header.get("value") or ""))
    for number, query in enumerate(listed(entry, "queryParams")):
        if query.get("type") == "RegularExpression":
            yield from _expression(f"queryParams[{number}].value", str(query.get("value") or ""))


def _expression(field: str, text: str) -> Iterator[tuple[str, str, str]]:
    fault = re2.fault(text)
    if fault is not None:
        yield field, f'"{text}" is no RE2 expression: {fault}', "correct it"


def _rules(files: Files) -> Iterator[tuple[Document, str, Json]]:
    for document in files.of("MeshHTTPRoute", "MeshTCPRoute", group="kuma.io"):
        for index, entry in enumerate(listed(document.spec, "to")):
            for at, rule in enumerate(listed(entry, "rules")):
                yield document, f"spec.to[{index}].rules[{at}]", rule
