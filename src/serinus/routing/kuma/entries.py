"""The entries of a route's ``spec.to``, whatever kind of route it is.

One of them is ours: it is for the port of the apex that callers use. Those for other destinations
are other people's, and stay.
"""

from collections.abc import Callable
from typing import Any

from serinus.api.canary import Canary
from serinus.routing.kuma.addressing import (
    NARROWING,
    Addressing,
    is_apex,
    is_lost,
    meaning,
    readdressed,
    service_named,
)
from serinus.routing.kuma.rules import dicts, has_lost, services

Json = dict[str, Any]


def rules_for_apex(spec: Json, canary: Canary) -> list[Json]:
    """The rules for requests to the apex's port, in whatever dialect its entry is."""
    return [
        rule
        for entry in dicts(spec.get("to"))
        if is_apex(canary, _target(entry))
        for rule in dicts(entry.get("rules"))
    ]


def is_in_dialect(spec: Json, canary: Canary, addressing: Addressing) -> bool:
    """Whether a route has anything to say of the apex in this dialect. A route of ours that has
    not is one of another dialect, and no edit of anybody's."""
    targets = [meaning(_target(entry)) for entry in dicts(spec.get("to"))]
    strange = any(is_lost(ref) or is_apex(canary, ref) for ref in targets)
    return addressing.apex(canary) in targets or not strange


def spec_change(
    spec: Json, canary: Canary, addressing: Addressing, merge: Callable[[list[Json]], list[Json]]
) -> Json:
    """The merge patch by which the route is for all callers and has our rules; ``merge`` makes
    those out of the rules that are there for the apex."""
    change: Json = {}
    callers = spec.get("targetRef") or {"kind": "Mesh"}
    narrowed: Json = {key: None for key in NARROWING if key in callers}
    if callers.get("kind") != "Mesh":
        narrowed["kind"] = "Mesh"
    if narrowed:
        change["targetRef"] = narrowed
    to = dicts(spec.get("to"))
    merged = merged_to(to, canary, addressing, merge)
    if merged != to:
        change["to"] = merged
    return change


def merged_to(
    found: list[Json],
    canary: Canary,
    addressing: Addressing,
    merge: Callable[[list[Json]], list[Json]],
) -> list[Json]:
    """``spec.to`` with our rules in it, in the place of the first entry that is for our apex."""
    known = [entry for entry in found if is_apex(canary, _target(entry))]
    ours = merge([rule for entry in known for rule in dicts(entry.get("rules"))])
    merged: list[Json] = []
    for entry in found:
        if not is_apex(canary, _target(entry)):
            merged += _kept(entry, canary)
        elif entry is known[0]:
            ref = readdressed(_target(entry), addressing.apex(canary))
            merged.append({**entry, "targetRef": ref, "rules": ours})
    if not known:
        merged.append({"targetRef": addressing.apex(canary), "rules": ours})
    return merged


def _kept(entry: Json, canary: Canary) -> list[Json]:
    """What stays of an entry that is not for the apex's port: all of it, but for what leads
    nowhere any more, which Kuma 3 would refuse the whole route for."""
    rules = dicts(entry.get("rules"))
    whole = [rule for rule in rules if not has_lost(rule)]
    if is_lost(_target(entry)) or _is_stale(entry, canary) or (rules and not whole):
        return []
    return [entry if whole == rules else {**entry, "rules": whole}]


def _is_stale(entry: Json, canary: Canary) -> bool:
    """Whether an entry is a split of ours for a port that the apex no longer has."""
    led = [services(rule, canary) for rule in dicts(entry.get("rules"))]
    ours = {canary.primary_service, canary.canary_service}
    of_apex = service_named(canary, _target(entry)) == canary.apex_name
    return of_apex and any(led) and set().union(*led) <= ours


def _target(entry: Json) -> Json:
    ref = entry.get("targetRef")
    return ref if isinstance(ref, dict) else {}
