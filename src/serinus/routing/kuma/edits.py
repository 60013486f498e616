"""Which canaries' objects have changed since they were last found to be as Serinus wrote them."""

from collections.abc import Iterable
from typing import Any

from serinus.api.canary import Canary
from serinus.cluster.cache import Cache, Change
from serinus.cluster.kinds import CANARIES
from serinus.routing.kuma.belonging import CANARY
from serinus.routing.metadata import RouteMeta


class Edits:
    """To compare a route field by field takes a tenth of a tick, and most ticks find it as the one
    before has left it. Follows the caches by subscription; what it does not know may be edited."""

    def __init__(self, caches: Iterable[Cache[Any]]) -> None:
        self._unedited: set[str] = set()
        for cache in caches:
            cache.subscribe(self._take)

    def possible(self, canary: Canary) -> bool:
        """Whether any of the canary's objects may be another than `none` was said of."""
        return _key(canary.namespace, canary.name) not in self._unedited

    def none(self, canary: Canary) -> None:
        """The canary's objects, as the caches hold them, are as Serinus wrote them."""
        self._unedited.add(_key(canary.namespace, canary.name))

    def _take(self, change: Change[Any]) -> None:
        for view in (change.old, change.new):
            if view is not None:
                self._unedited.difference_update(_canaries(view.metadata))


def _canaries(meta: RouteMeta) -> Iterable[str]:
    """Those that the object is made for, by its mark or by an owner."""
    if CANARY in meta.annotations:
        yield meta.annotations[CANARY]
    for owner in meta.owner_references:
        if owner.kind == CANARIES.kind:
            yield _key(meta.namespace, owner.name)


def _key(namespace: str, name: str) -> str:
    """As the mark has it."""
    return f"{namespace}/{name}"
