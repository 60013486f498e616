"""Which canaries name which target, so that no two roll out the same one."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from serinus.api.canary import Canary
from serinus.api.decode import Malformed
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache, Change
from serinus.workload.views import PodsView, ServiceView

_Target = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """One canary's, which may be one that cannot be read: that it is rolling out its target may be
    true all the same, and another one must not begin on the same."""

    name: str
    uid: str
    created: datetime | None
    readable: bool


class Claims:
    """Follows the canaries' cache."""

    def __init__(self, canaries: Cache[Canary | Malformed]) -> None:
        self._by_target: dict[_Target, dict[str, _Claim]] = defaultdict(dict)
        for canary in canaries.values():
            self._put(canary)
        canaries.subscribe(self._changed)

    def _changed(self, change: Change[Canary | Malformed]) -> None:
        if change.old is not None and change.old.target_name:
            claimed = self._by_target[_target(change.old)]
            claimed.pop(change.old.name, None)
            if not claimed:
                del self._by_target[_target(change.old)]
        if change.new is not None:
            self._put(change.new)

    def _put(self, canary: Canary | Malformed) -> None:
        if canary.target_name:
            self._by_target[_target(canary)][canary.name] = _claim(canary)

    def problems(
        self, canary: Canary, primary: PodsView | ServiceView | None
    ) -> tuple[Problem, ...]:
        """Whether the target is another canary's: the one's that made ``primary``, else the
        older's. So who edits a canary cannot take over what another one is rolling out."""
        claimed = self._by_target.get(_target(canary), {})
        if len(claimed) < 2:
            return ()

        def rank(one: _Claim) -> tuple[bool, float, str]:
            made = primary is not None and primary.metadata.owned_by(one.uid)
            return (not made, one.created.timestamp() if one.created else 0.0, one.name)

        first = min(claimed.values(), key=rank)
        if first.name == canary.name:
            return ()
        kind = canary.spec.target_ref.kind
        though = "" if first.readable else ", though it cannot be read now"
        return (
            Problem(
                "spec.targetRef.name",
                f'canary "{first.name}" rolls out {kind} "{canary.target_name}" already{though}; '
                "name another target, or delete one of the two",
            ),
        )


def _target(canary: Canary | Malformed) -> _Target:
    return (canary.namespace, canary.target_name)


def _claim(canary: Canary | Malformed) -> _Claim:
    if isinstance(canary, Canary):
        metadata = canary.metadata
        return _Claim(canary.name, metadata.uid, metadata.creation_timestamp, readable=True)
    return _Claim(canary.name, canary.uid, canary.created, readable=False)
