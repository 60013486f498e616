"""The rules for requests to the apex in a MeshHTTPRoute by MeshService name.

Ours are the rule for every request (or for those of `spec.service.match`) and, while the traffic
asks for them, narrower ones: of the cookies that hold callers, and of the requests of an A/B test.
Kuma tries narrower ones first, equally narrow ones in their order.

Others may have rules there too, and theirs stay. A rule is ours by what it says, so that none is
left behind whatever happens between two writes: one that takes the requests of the A/B test or of a
cookie, and every rule that leads to the canary, since nobody but the rollout knows when its pods
can serve.
"""

from collections.abc import Mapping
from typing import Any

from serinus.api.canary import Canary
from serinus.cluster.kinds import MESHSERVICES
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.cookies import held, holding
from serinus.routing.kuma.filters import service_filters
from serinus.routing.kuma.matches import route_matches, service_matches, within
from serinus.routing.kuma.tags import canary_tag

Json = dict[str, Any]

NARROWING = ("name", "namespace", "labels", "tags", "sectionName", "proxyTypes", "mesh")
"""Fields of a reference that change what it means. Others may be added by a newer Kuma's
defaults; removing those would be a fight without end."""

EVERYTHING = 100
"""The weight of a rule's only backend. Percent of the requests that are mirrored by default."""


def merged_rules(
    found: list[Json], canary: Canary, traffic: Traffic, before: frozenset[str]
) -> list[Json]:
    """The rules that carry the traffic: those found, without ours that are no longer wanted, and
    with ours that are missing, before the rule that splits.

    ``before`` are the types of the filters that Serinus has put there.
    """
    split = service_matches(canary)
    asked = service_filters(canary)
    ours = before | {str(one["type"]) for one in asked}
    missing = _wanted(canary, traffic, asked)
    merged: list[Json] = []
    for rule in found:
        wanted = _take(missing, rule.get("matches"))
        if wanted is not None:
            merged.append(_merged(rule, wanted, canary, ours))
        elif not _is_ours(rule, canary):
            merged.append(rule)
    at = next((at for at, rule in enumerate(merged) if rule.get("matches") == split), len(merged))
    return merged[:at] + [_merged({}, rule, canary, ours) for rule in missing] + merged[at:]


def carried(canary: Canary, rules: list[Json]) -> Traffic | None:
    """The traffic that these rules carry; None when there is no rule that splits between primary
    and canary."""
    every = service_matches(canary)
    split = next((rule for rule in rules if rule.get("matches") == every), {})
    weights = _weights(canary, backend_refs(split))
    if weights is None:
        return None
    cookies: dict[str, str] = {}
    for rule in rules:
        cookie = held(rule.get("matches"))
        if cookie is not None:
            cookies.setdefault(",".join(sorted(_names(rule))), cookie)
    cookie = cookies.get(canary.canary_service)
    match = within(every, route_matches(canary.spec.analysis.match))
    return Traffic(
        weights,
        matched=bool(match) and any(rule.get("matches") == match for rule in rules),
        mirrored=any(_is_our_mirror(one, canary) for one in _filters(split)),
        affinity=None if cookie is None else Affinity(cookie, cookies.get(canary.primary_service)),
    )


def backend_refs(rule: Json) -> list[Json]:
    """The backends that a rule leads to."""
    return dicts((rule.get("default") or {}).get("backendRefs"))


def dicts(value: Any) -> list[Json]:
    """The objects of a list; what else is in it makes no sense to Kuma either."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _wanted(canary: Canary, traffic: Traffic, asked: list[Json]) -> list[Json]:
    every = service_matches(canary)
    to_canary = {canary.canary_service: EVERYTHING}
    to_primary = {canary.primary_service: EVERYTHING}
    split = {
        canary.primary_service: traffic.weights.primary,
        canary.canary_service: traffic.weights.canary,
    }
    mirrored = [*asked, _mirror(canary)] if traffic.mirrored else asked
    wanted: list[Json] = []
    if traffic.affinity is not None:
        cookie = holding(traffic.affinity.cookie)
        wanted.append(_rule(canary, within(every, [cookie]), to_canary, asked))
    matches = within(every, route_matches(canary.spec.analysis.match))
    if traffic.matched and matches:
        wanted.append(_rule(canary, matches, to_canary, asked))
    if traffic.affinity is not None and traffic.affinity.primary_cookie is not None:
        cookie = holding(traffic.affinity.primary_cookie)
        wanted.append(_rule(canary, within(every, [cookie]), to_primary, mirrored))
    return [*wanted, _rule(canary, every, split, mirrored)]


def _rule(
    canary: Canary, matches: list[Json], shares: Mapping[str, int], filters: list[Json]
) -> Json:
    port = canary.spec.service.port
    refs = [
        {"kind": MESHSERVICES.kind, "name": name, "port": port, "weight": weight}
        for name, weight in shares.items()
    ]
    return {"matches": matches, "default": {"filters": filters, "backendRefs": refs}}


def _mirror(canary: Canary) -> Json:
    """The filter that copies requests to the canary. Up to Kuma 2.14 a mirror is looked up by
    service tag whatever its reference says, and one with a port leads nowhere."""
    percentage = canary.spec.analysis.mirror_weight or EVERYTHING
    backend = {"kind": MESHSERVICES.kind, "name": canary_tag(canary)}
    return {
        "type": "RequestMirror",
        "requestMirror": {"percentage": percentage, "backendRef": backend},
    }


def _take(missing: list[Json], matches: Any) -> Json | None:
    """Take the wanted rule of these matches out of those that are still missing."""
    for at, rule in enumerate(missing):
        if rule["matches"] == matches:
            return missing.pop(at)
    return None


def _is_ours(rule: Json, canary: Canary) -> bool:
    matches = rule.get("matches")
    every = service_matches(canary)
    return (
        matches == every
        or held(matches) is not None
        or (bool(matches) and matches == within(every, route_matches(canary.spec.analysis.match)))
        or not _names(rule).isdisjoint((canary.canary_service, canary_tag(canary)))
    )


def _merged(rule: Json, wanted: Json, canary: Canary, ours: frozenset[str]) -> Json:
    """``rule`` with the backends and the filters that are wanted; what else it has stays."""
    default = dict(rule.get("default") or {})
    filters = _merged_filters(_filters(rule), wanted["default"]["filters"], canary, ours)
    if filters:
        default["filters"] = filters
    else:
        default.pop("filters", None)
    default["backendRefs"] = _merged_refs(backend_refs(rule), wanted["default"]["backendRefs"])
    return {**rule, "matches": wanted["matches"], "default": default}


def _merged_filters(
    found: list[Json], wanted: list[Json], canary: Canary, ours: frozenset[str]
) -> list[Json]:
    """The filters of others, and ours in the places where they were. Kuma takes one filter of a
    type in a rule, so those of the types that are ``ours`` are all ours; of mirrors there may be
    several."""
    missing = {str(one["type"]): one for one in wanted}
    merged: list[Json] = []
    for one in found:
        if _is_our_mirror(one, canary):
            mirror = missing.pop("RequestMirror", None)
            if mirror is not None:
                ref = _merged_mirror(one["requestMirror"], mirror)
                merged.append({**one, "requestMirror": ref})
        elif one.get("type") not in ours:
            merged.append(one)
        elif one["type"] in missing:
            merged.append({**one, **missing.pop(one["type"])})
    return merged + list(missing.values())


def _merged_mirror(found: Json, wanted: Json) -> Json:
    mirror = wanted["requestMirror"]
    known = {key: value for key, value in found["backendRef"].items() if key != "port"}
    return {**found, **mirror, "backendRef": {**_unnarrowed(known), **mirror["backendRef"]}}


def _is_our_mirror(one: Json, canary: Canary) -> bool:
    ref = (one.get("requestMirror") or {}).get("backendRef") or {}
    return ref.get("name") in (canary.canary_service, canary_tag(canary))


def _merged_refs(found: list[Json], wanted: list[Json]) -> list[Json]:
    """The wanted backends, in the order found, with what a newer Kuma's defaults put beside."""
    missing = {ref["name"]: ref for ref in wanted}
    merged = [
        {**_unnarrowed(ref), **missing.pop(ref["name"])}
        for ref in found
        if ref.get("name") in missing
    ]
    return merged + list(missing.values())


def _unnarrowed(ref: Json) -> Json:
    return {key: value for key, value in ref.items() if key not in NARROWING}


def _filters(rule: Json) -> list[Json]:
    return dicts((rule.get("default") or {}).get("filters"))


def _names(rule: Json) -> set[str]:
    return {str(ref.get("name")) for ref in backend_refs(rule)}


def _weights(canary: Canary, refs: list[Json]) -> Weights | None:
    shares = {str(ref.get("name")): int(ref.get("weight", 1)) for ref in refs}
    names = (canary.primary_service, canary.canary_service)
    if len(refs) != 2 or set(shares) != set(names) or sum(shares.values()) != 100:
        return None
    return Weights(primary=shares[names[0]], canary=shares[names[1]])
