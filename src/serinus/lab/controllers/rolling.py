"""The arithmetic of a rollout: how many replicas each ReplicaSet of a Deployment should have.

Pure. "New" is the ReplicaSet of the current template, "old" are the others.
"""

import math
from dataclasses import dataclass

from serinus.lab.controllers.revisions import MAX_REPLICAS
from serinus.lab.controllers.view import Object


@dataclass(frozen=True, slots=True)
class Fences:
    """Between what numbers of pods a rollout moves."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        """Pods at most."""
        return self.replicas + self.surge if self.replicas else 0

    @property
    def fewest_available(self) -> int:
        return self.replicas - self.unavailable


def fences(deployment: Object) -> Fences:
    """The Deployment's bounds as numbers: surge rounds up, unavailability down, and a rollout in
    which neither is allowed may have one pod unavailable."""
    spec = deployment["spec"]
    replicas = wanted(deployment)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Fences(replicas, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Fences(replicas, surge, min(unavailable, replicas))


def scaled(value: int | str, total: int, *, up: bool) -> int:
    """A number, or a percentage of ``total``."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total / 100
    return math.ceil(exact) if up else math.floor(exact)


def wanted(obj: Object) -> int:
    """``spec.replicas``, which is 1 unless given."""
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def available(replicaset: Object) -> int:
    return int((replicaset.get("status") or {}).get("availableReplicas") or 0)


def new_size(bounds: Fences, new: Object | None, everything: list[Object]) -> int:
    """How large the new ReplicaSet may be now."""
    size = wanted(new) if new else 0
    if size >= bounds.replicas:
        return bounds.replicas
    room = bounds.replicas + bounds.surge - sum(map(wanted, everything))
    return size + max(0, min(room, bounds.replicas - size))


def old_sizes(bounds: Fences, new: Object, old: list[Object]) -> dict[str, int]:
    """The old ReplicaSets that may shrink now, by name, and to what size.

    Pods that are not available go first, since nobody misses them; then as many available ones
    as the new ones make up for. ``old`` is in order of age.

    None may while one tells of more available pods than it is to have: it has not yet counted
    since it was made smaller, and its pods would be taken for others' makeweight.
    """
    if any(available(rs) > wanted(rs) for rs in old):
        return {}
    total = wanted(new) + sum(map(wanted, old))
    new_unavailable = wanted(new) - available(new)
    budget = total - bounds.fewest_available - new_unavailable
    if budget <= 0:
        return {}
    sizes = {rs["metadata"]["name"]: wanted(rs) for rs in old}
    for rs in old:
        name = rs["metadata"]["name"]
        gone = min(budget, max(0, sizes[name] - available(rs)))
        sizes[name] -= gone
        budget -= gone
    spare = available(new) + sum(map(available, old)) - bounds.fewest_available
    for rs in old:
        name = rs["metadata"]["name"]
        gone = min(sizes[name], max(0, spare))
        sizes[name] -= gone
        spare -= gone
    return {rs["metadata"]["name"]: sizes[rs["metadata"]["name"]] for rs in old
            if sizes[rs["metadata"]["name"]] != wanted(rs)}  # fmt: skip


def proportional_sizes(bounds: Fences, active: list[Object]) -> dict[str, int]:
    """The sizes of all active ReplicaSets when a Deployment is scaled in mid-rollout: each gets
    its share of the difference, and the largest what rounding left over."""
    to_add = bounds.most - sum(map(wanted, active))
    newer_first = to_add > 0
    by_age = sorted(active, key=_created, reverse=newer_first)
    ordered = sorted(by_age, key=wanted, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for rs in ordered:
        share = _share(bounds, rs) if to_add else 0
        left = to_add - added
        share = min(max(share, 0), left) if to_add > 0 else max(min(share, 0), left)
        sizes[rs["metadata"]["name"]] = wanted(rs) + share
        added += share
    if ordered:
        first = ordered[0]["metadata"]["name"]
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(bounds: Fences, replicaset: Object) -> int:
    annotated = (replicaset["metadata"].get("annotations") or {}).get(MAX_REPLICAS, "")
    before = int(annotated) if annotated.isdecimal() else 0
    if bounds.replicas == 0:
        return -wanted(replicaset)
    size = wanted(replicaset)
    return math.floor(size * bounds.most / (before or bounds.most) + 0.5) - size


def _created(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"]


def oldest_first(replicasets: list[Object]) -> list[Object]:
    return sorted(replicasets, key=_created)
