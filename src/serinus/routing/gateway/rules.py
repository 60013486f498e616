"""The rules of a canary's HTTPRoute.

Ours are the rule for every request (or for those of `spec.service.match`) and, while there is an
A/B test, a narrower one for its requests. The more conditions a rule has, the earlier it is tried,
wherever it stands. Rules of others stay, but for those that lead to the canary: nobody but the
rollout knows when its pods can serve.
"""

import re
from collections.abc import Mapping
from typing import Any

from serinus.api.canary import Canary
from serinus.cluster.kinds import SERVICES
from serinus.rollout.effects import Traffic, Weights
from serinus.routing.kuma.filters import service_filters
from serinus.routing.kuma.matches import EVERY_REQUEST, route_matches, service_matches, within

Json = dict[str, Any]

EVERYTHING = 100
"""The weight of a rule's only backend."""

_NARROWING = ("namespace", "filters")
"""Fields of a backend that make another of it, or of its answers."""


def split_matches(canary: Canary) -> list[Json]:
    """The `matches` of the rule that splits."""
    return _in_gateway_api(service_matches(canary))


def ab_matches(canary: Canary) -> list[Json]:
    """The `matches` of the rule for the requests of the A/B test; empty when there is none."""
    inner = route_matches(canary.spec.analysis.match)
    return _in_gateway_api(within(service_matches(canary), inner))


def merged_rules(
    found: list[Json], canary: Canary, traffic: Traffic, before: frozenset[str]
) -> list[Json]:
    """The rules that carry the traffic: those found, without ours that are no longer wanted, and
    with ours that are missing, before the rule that splits.

    ``before`` are the types of the filters that Serinus has put there. Of ``traffic`` the weights
    and the A/B test come in; an HTTPRoute of Kuma's has no more.
    """
    split = split_matches(canary)
    filters = service_filters(canary)
    ours = before | {str(one["type"]) for one in filters}
    missing = _wanted(canary, traffic)
    merged: list[Json] = []
    for rule in found:
        wanted = _take(missing, _matches(rule))
        if wanted is not None:
            merged.append(_merged(rule, wanted, filters, ours))
        elif not _is_ours(rule, canary):
            merged.append(rule)
    at = next((at for at, rule in enumerate(merged) if _matches(rule) == split), len(merged))
    return merged[:at] + [_merged({}, rule, filters, ours) for rule in missing] + merged[at:]


def carried(canary: Canary, rules: list[Json]) -> Traffic | None:
    """The traffic that these rules carry; None when there is no rule that splits between primary
    and canary."""
    split = split_matches(canary)
    test = ab_matches(canary)
    weights = _weights(canary, next((rule for rule in rules if _matches(rule) == split), {}))
    if weights is None:
        return None
    return Traffic(weights, matched=bool(test) and any(_matches(rule) == test for rule in rules))


def dicts(value: Any) -> list[Json]:
    """The objects of a list; the schema lets nothing else in."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _wanted(canary: Canary, traffic: Traffic) -> list[Json]:
    shares = {
        canary.primary_service: traffic.weights.primary,
        canary.canary_service: traffic.weights.canary,
    }
    wanted = [_rule(canary, split_matches(canary), shares)]
    test = ab_matches(canary)
    if traffic.matched and test:
        wanted.insert(0, _rule(canary, test, {canary.canary_service: EVERYTHING}))
    return wanted


def _rule(canary: Canary, matches: list[Json], shares: Mapping[str, int]) -> Json:
    # Group and kind are written out: the defaults of an API server would look like an edit.
    refs = [
        {
            "group": SERVICES.group,
            "kind": SERVICES.kind,
            "name": name,
            "port": canary.spec.service.port,
            "weight": weight,
        }
        for name, weight in shares.items()
    ]
    return {"matches": matches, "backendRefs": refs}


def _in_gateway_api(matches: list[Json]) -> list[Json]:
    """Kuma's matches in the words of the Gateway API, which has no prefixes of headers."""
    return [
        {**match, "headers": [_header(header) for header in match["headers"]]}
        if "headers" in match
        else match
        for match in matches
    ]


def _header(header: Json) -> Json:
    if header["type"] != "Prefix":
        return header
    return {**header, "type": "RegularExpression", "value": f"{re.escape(header['value'])}.*"}


def _matches(rule: Json) -> Any:
    """Of a rule without any, the API server's default says that all requests match."""
    return rule.get("matches") or EVERY_REQUEST


def _take(missing: list[Json], matches: Any) -> Json | None:
    """Take the wanted rule of these matches out of those that are still missing."""
    for at, rule in enumerate(missing):
        if rule["matches"] == matches:
            return missing.pop(at)
    return None


def _is_ours(rule: Json, canary: Canary) -> bool:
    names = {ref.get("name") for ref in dicts(rule.get("backendRefs"))}
    return canary.canary_service in names or _matches(rule) in (
        split_matches(canary),
        ab_matches(canary),
    )


def _merged(rule: Json, wanted: Json, filters: list[Json], ours: frozenset[str]) -> Json:
    """``rule`` with the backends and the filters that are wanted; what else it has stays. A rule
    has one filter of a type, so those of the types that are ``ours`` are all ours."""
    theirs = [one for one in dicts(rule.get("filters")) if one.get("type") not in ours]
    refs = _merged_refs(dicts(rule.get("backendRefs")), wanted["backendRefs"])
    merged = {**rule, **wanted, "filters": theirs + filters, "backendRefs": refs}
    if not merged["filters"]:
        del merged["filters"]
    return merged


def _merged_refs(found: list[Json], wanted: list[Json]) -> list[Json]:
    """The wanted backends, in the order found, with what a newer API's defaults put beside."""
    missing = {ref["name"]: ref for ref in wanted}
    merged = [
        {key: value for key, value in ref.items() if key not in _NARROWING}
        | missing.pop(ref["name"])
        for ref in found
        if ref.get("name") in missing
    ]
    return merged + list(missing.values())


def _weights(canary: Canary, rule: Json) -> Weights | None:
    refs = dicts(rule.get("backendRefs"))
    shares = {str(ref.get("name")): int(ref.get("weight", 1)) for ref in refs}
    names = (canary.primary_service, canary.canary_service)
    if len(refs) != 2 or set(shares) != set(names) or sum(shares.values()) != 100:
        return None
    return Weights(primary=shares[names[0]], canary=shares[names[1]])
