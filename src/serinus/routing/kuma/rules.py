"""The rules for requests to the apex in a MeshHTTPRoute, in every dialect.

Ours are the rule for every request (or for those of `spec.service.match`) and, while the traffic
asks for them, narrower ones: of the cookies that hold callers, and of the requests of an A/B test.
Kuma tries narrower ones first, equally narrow ones in their order.

Others may have rules there too, and theirs stay. A rule is ours by what it says, so that none is
left behind whatever happens between two writes: one that takes the requests of the A/B test or of a
cookie, and every rule that leads to the canary, since nobody but the rollout knows when its pods
can serve. References of ours are known in whichever dialect they are, and written in one.
"""

from typing import Any

from serinus.api.canary import Canary
from serinus.rollout.effects import Affinity, Traffic, Weights
from serinus.routing.kuma.addressing import Addressing, is_lost, readdressed, service_named
from serinus.routing.kuma.cookies import held, holding
from serinus.routing.kuma.filters import service_filters
from serinus.routing.kuma.matches import route_matches, service_matches, within

Json = dict[str, Any]

EVERYTHING = 100
"""The weight of a rule's only backend. Percent of the requests that are mirrored by default."""


def merged_rules(
    found: list[Json],
    canary: Canary,
    traffic: Traffic,
    addressing: Addressing,
    before: frozenset[str],
) -> list[Json]:
    """The rules that carry the traffic: those found, without ours that are no longer wanted, and
    with ours that are missing, before the rule that splits.

    ``before`` are the types of the filters that Serinus has put there. Rules of others that lead
    nowhere any more go, since Kuma 3 would refuse the whole route for them.
    """
    split = service_matches(canary)
    asked = service_filters(canary)
    ours = before | {str(one["type"]) for one in asked}
    missing = _wanted(canary, traffic, addressing, asked)
    merged: list[Json] = []
    for rule in found:
        wanted = _take(missing, rule.get("matches"))
        if wanted is not None:
            merged.append(_merged(rule, wanted, canary, ours))
        elif not _is_ours(rule, canary) and not has_lost(rule):
            merged.append(rule)
    at = next((at for at, rule in enumerate(merged) if rule.get("matches") == split), len(merged))
    return merged[:at] + [_merged({}, rule, canary, ours) for rule in missing] + merged[at:]


def carried(canary: Canary, rules: list[Json]) -> Traffic | None:
    """The traffic that these rules carry; None when there is no rule that splits between primary
    and canary."""
    every = service_matches(canary)
    split = next((rule for rule in rules if rule.get("matches") == every), {})
    weights = split_weights(canary, backend_refs(split))
    if weights is None:
        return None
    cookies: dict[str, str] = {}
    for rule in rules:
        cookie = held(rule.get("matches"))
        if cookie is not None:
            cookies.setdefault(",".join(sorted(services(rule, canary))), cookie)
    cookie = cookies.get(canary.canary_service)
    match = within(every, route_matches(canary.spec.analysis.match))
    return Traffic(
        weights,
        matched=bool(match) and any(rule.get("matches") == match for rule in rules),
        mirrored=any(_is_our_mirror(one, canary) for one in _filters(split)),
        affinity=None if cookie is None else Affinity(cookie, cookies.get(canary.primary_service)),
    )


def services(rule: Json, canary: Canary) -> set[str]:
    """Which of the canary's Services a rule leads to; an empty name stands for all others."""
    return {service_named(canary, ref) or "" for ref in backend_refs(rule)}


def has_lost(rule: Json) -> bool:
    """Whether a rule leads nowhere with a part of what it takes."""
    mirrors = [_mirrored_to(one) for one in _filters(rule)]
    return any(map(is_lost, [*backend_refs(rule), *mirrors]))


def backend_refs(rule: Json) -> list[Json]:
    """The backends that a rule leads to."""
    return dicts((rule.get("default") or {}).get("backendRefs"))


def split_refs(canary: Canary, weights: Weights, addressing: Addressing) -> list[Json]:
    """The backends between which traffic is shared out."""
    shares = {canary.primary_service: weights.primary, canary.canary_service: weights.canary}
    return [
        {**addressing.backend(canary, service), "weight": weight}
        for service, weight in shares.items()
    ]


def split_weights(canary: Canary, refs: list[Json]) -> Weights | None:
    """The shares of primary and canary; None when the backends are others, or no shares of 100."""
    shares = {service_named(canary, ref): int(ref.get("weight", 1)) for ref in refs}
    names = (canary.primary_service, canary.canary_service)
    if len(refs) != 2 or set(shares) != set(names) or sum(shares.values()) != 100:
        return None
    return Weights(primary=shares[names[0]], canary=shares[names[1]])


def dicts(value: Any) -> list[Json]:
    """The objects of a list; what else is in it makes no sense to Kuma either."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _wanted(
    canary: Canary, traffic: Traffic, addressing: Addressing, asked: list[Json]
) -> list[Json]:
    def rule(matches: list[Json], refs: list[Json], filters: list[Json]) -> Json:
        return {"matches": matches, "default": {"filters": filters, "backendRefs": refs}}

    every = service_matches(canary)
    to_canary, to_primary = (
        [{**addressing.backend(canary, service), "weight": EVERYTHING}]
        for service in (canary.canary_service, canary.primary_service)
    )
    split = split_refs(canary, traffic.weights, addressing)
    mirrored = [*asked, _mirror(canary, addressing)] if traffic.mirrored else asked
    wanted: list[Json] = []
    if traffic.affinity is not None:
        cookie = holding(traffic.affinity.cookie)
        wanted.append(rule(within(every, [cookie]), to_canary, asked))
    matches = within(every, route_matches(canary.spec.analysis.match))
    if traffic.matched and matches:
        wanted.append(rule(matches, to_canary, asked))
    if traffic.affinity is not None and traffic.affinity.primary_cookie is not None:
        cookie = holding(traffic.affinity.primary_cookie)
        wanted.append(rule(within(every, [cookie]), to_primary, mirrored))
    return [*wanted, rule(every, split, mirrored)]


def _mirror(canary: Canary, addressing: Addressing) -> Json:
    """The filter that copies requests to the canary."""
    percentage = canary.spec.analysis.mirror_weight or EVERYTHING
    return {
        "type": "RequestMirror",
        "requestMirror": {"percentage": percentage, "backendRef": addressing.mirror(canary)},
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
        or canary.canary_service in services(rule, canary)
    )


def _merged(rule: Json, wanted: Json, canary: Canary, ours: frozenset[str]) -> Json:
    """``rule`` with the backends and the filters that are wanted; what else it has stays."""
    default = dict(rule.get("default") or {})
    filters = _merged_filters(_filters(rule), wanted["default"]["filters"], canary, ours)
    if filters:
        default["filters"] = filters
    else:
        default.pop("filters", None)
    default["backendRefs"] = merged_refs(
        backend_refs(rule), wanted["default"]["backendRefs"], canary
    )
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
    ref = readdressed(found["backendRef"], mirror["backendRef"])
    return {**found, **mirror, "backendRef": ref}


def _is_our_mirror(one: Json, canary: Canary) -> bool:
    ref = _mirrored_to(one)
    return is_lost(ref) or service_named(canary, ref) == canary.canary_service


def _mirrored_to(one: Json) -> Json:
    return (one.get("requestMirror") or {}).get("backendRef") or {}


def merged_refs(found: list[Json], wanted: list[Json], canary: Canary) -> list[Json]:
    """The wanted backends, in the order found, with what a newer Kuma's defaults put beside."""
    missing = {service_named(canary, ref): ref for ref in wanted}
    merged = [
        readdressed(ref, missing.pop(service))
        for ref in found
        if (service := service_named(canary, ref)) in missing
    ]
    return merged + list(missing.values())


def _filters(rule: Json) -> list[Json]:
    return dicts((rule.get("default") or {}).get("filters"))
