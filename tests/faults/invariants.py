"""What must hold at every moment of every rollout, checked on every version of every object.

An API server's resourceVersions are one sequence over all kinds; so what three watches have kept
can be put into the order in which it happened, and nothing has to be sampled.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from executor.scene import service_of

Object = dict[str, Any]


@dataclass
class History:
    """The versions of one canary's objects, in order. ``broken`` says what did not hold."""

    name: str
    splits: list[tuple[int, int]] = field(default_factory=list)
    """Each split that the route carried, without repetitions."""
    weights: list[int] = field(default_factory=list)
    """Each ``canaryWeight`` of the status, without repetitions."""
    phases: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def replay(name: str, objects: Iterable[Object], since: int = 0) -> History:
    """``name`` is the canary's and its target's. What is older than ``since`` counts as known
    before, but is not judged."""
    told = History(name)
    canary: Object = {}
    target: Object = {}
    split: tuple[int, int] | None = None
    for version, found in _in_order(objects):
        if subject(found) != name:
            continue
        match found["kind"]:
            case "Canary":
                canary = found
            case "Deployment":
                target = found
            case "MeshHTTPRoute" | "TrafficRoute":
                split = split_of(found, name)
            case _:
                continue
        if version <= since:
            continue
        status = canary.get("status") or {}
        _append(told.phases, status.get("phase", ""))
        _append(told.weights, status.get("canaryWeight", 0))
        if split is not None:
            _append(told.splits, split)
            told.broken += [f"at {version}: {what}" for what in _wrong(canary, target, split)]
    return told


def _wrong(canary: Object, target: Object, split: tuple[int, int]) -> Iterator[str]:
    most = canary["spec"]["analysis"]["maxWeight"] if canary else 100
    if sum(split) != 100 or min(split) < 0:
        yield f"the weights are {split}"
    if split[1] > most:
        yield f"{split[1]} percent on the canary, where {most} are the most"
    if split[1] > 0 and target:
        if target["spec"]["replicas"] == 0:
            yield f"scaled to zero with {split[1]} percent on it"
        if not (target.get("status") or {}).get("availableReplicas"):
            yield f"{split[1]} percent on a canary without an available pod"


def subject(found: Object) -> str:
    """The canary that an object is, or is for; empty where it is for none."""
    name = str(found["metadata"]["name"])
    if not found["kind"].endswith("Route"):
        return name
    # One that stands beside those of other namespaces has a longer name than the canary.
    marks = found["metadata"].get("annotations") or {}
    return str(marks.get("flagger.app/canary", "")).rpartition("/")[2]


def split_of(route: Object, apex: str) -> tuple[int, int]:
    """Percent on the primary and on the canary."""
    if route["kind"] == "TrafficRoute":
        shares = {
            one["destination"]["kuma.io/service"].partition("_")[0]: one["weight"]
            for one in route["spec"]["conf"]["split"]
        }
        return shares[f"{apex}-primary"], shares[f"{apex}-canary"]
    rule = route["spec"]["to"][0]["rules"][0]
    shares = {service_of(ref): ref["weight"] for ref in rule["default"]["backendRefs"]}
    return shares[f"{apex}-primary"], shares[f"{apex}-canary"]


def expected_splits(ends: Iterable[str], steps: tuple[int, ...]) -> list[tuple[int, int]]:
    """What the route carries through rollouts that end so: every step once, and back."""
    splits = [(100, 0)]
    for end in ends:
        taken = steps if end == "Succeeded" else steps[:1]
        splits += [(100 - weight, weight) for weight in taken] + [(100, 0)]
    return splits


def rollouts(phases: list[str]) -> list[str]:
    """How the rollouts among these phases ended."""
    return [
        after
        for before, after in pairwise(phases)
        if after in ("Succeeded", "Failed") and before in ("Progressing", "Finalising")
    ]


def _append(kept: list[Any], value: Any) -> None:
    if not kept or kept[-1] != value:
        kept.append(value)


def _in_order(objects: Iterable[Object]) -> list[tuple[int, Object]]:
    found = {int(one["metadata"]["resourceVersion"]): one for one in objects}
    return sorted(found.items(), key=lambda pair: pair[0])
