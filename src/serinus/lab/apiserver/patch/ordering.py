"""The order of a merged list: what the patch says of its items, and of the others the live list."""

from collections.abc import Callable, Sequence
from typing import Any


def in_order(
    merged: Sequence[Any], wanted: Sequence[Any], was: Sequence[Any], identity: Callable[[Any], Any]
) -> list[Any]:
    """``merged`` with the items of ``wanted`` in that order; the others where they stood.

    ``wanted`` and ``was`` (the live order) hold identities.
    """
    place = {key: index for index, key in reversed(list(enumerate(wanted)))}
    before = {key: index for index, key in reversed(list(enumerate(was)))}
    ordered = sorted(
        (item for item in merged if identity(item) in place),
        key=lambda item: place[identity(item)],
    )
    others = [item for item in merged if identity(item) not in place]
    result: list[Any] = []
    i = j = 0
    while i < len(others) and j < len(ordered):
        left, right = before.get(identity(others[i])), before.get(identity(ordered[j]))
        if left is not None and right is not None and left < right:
            result.append(others[i])
            i += 1
        else:
            result.append(ordered[j])
            j += 1
    return [*result, *ordered[j:], *others[i:]]
