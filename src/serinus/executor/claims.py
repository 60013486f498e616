"""Which canaries name which target, so that no two roll out the same one."""

from collections import defaultdict

from serinus.api.canary import Canary
from serinus.api.decode import Malformed
from serinus.api.problem import Problem
from serinus.cluster.cache import Cache, Change
from serinus.workload.views import PodsView, ServiceView

_Target = tuple[str, str]
"""Namespace and name."""


class Claims:
    """Follows the canaries' cache."""

    def __init__(self, canaries: Cache[Canary | Malformed]) -> None:
        self._by_target: dict[_Target, dict[str, Canary]] = defaultdict(dict)
        for canary in canaries.values():
            self._put(canary)
        canaries.subscribe(self._changed)

    def _changed(self, change: Change[Canary | Malformed]) -> None:
        if isinstance(change.old, Canary):
            claimed = self._by_target[_target(change.old)]
            claimed.pop(change.old.name, None)
            if not claimed:
                del self._by_target[_target(change.old)]
        self._put(change.new)

    def _put(self, canary: Canary | Malformed | None) -> None:
        if isinstance(canary, Canary):
            self._by_target[_target(canary)][canary.name] = canary

    def problems(
        self, canary: Canary, primary: PodsView | ServiceView | None
    ) -> tuple[Problem, ...]:
        """Whether the target is another canary's: the one's that made ``primary``, else the
        older's. So who edits a canary cannot take over what another one is rolling out."""
        claimed = self._by_target.get(_target(canary), {})
        if len(claimed) < 2:
            return ()

        def rank(one: Canary) -> tuple[bool, float, str]:
            made = primary is not None and primary.metadata.owned_by(one.metadata.uid)
            created = one.metadata.creation_timestamp
            return (not made, created.timestamp() if created else 0.0, one.name)

        first = min(claimed.values(), key=rank)
        if first.name == canary.name:
            return ()
        kind = canary.spec.target_ref.kind
        return (
            Problem(
                "spec.targetRef.name",
                f'canary "{first.name}" rolls out {kind} "{canary.target_name}" already; '
                "name another target, or delete one of the two",
            ),
        )


def _target(canary: Canary) -> _Target:
    return (canary.namespace, canary.target_name)
