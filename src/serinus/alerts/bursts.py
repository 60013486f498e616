"""Many messages at once made few: repeats are told once, and a crowd of messages as one."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable

from serinus.alerts.notice import SEVERITIES, Notice

REPEATED = 60.0
"""Seconds in which the same words about the same canary are no news, unless others came between."""

REMEMBERED = 4096
"""Canaries whose last words are kept, for all receivers together."""

CROWD = 5
"""Messages that may wait for a receiver before they are made one."""

LISTED = 20
"""Canaries that one message lists; services cut, or refuse, long ones."""

LONGEST = 200
"""Characters of a canary's last message in such a list."""


class Repeats:
    """Knows what was told last; ``clock`` tells seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: OrderedDict[Hashable, tuple[str, float]] = OrderedDict()

    def is_news(self, receiver: Hashable, notice: Notice) -> bool:
        """Whether to tell the receiver this; if so, it counts as told."""
        key, now = (receiver, notice.subject), self._clock()
        text, at = self._last.get(key, ("", 0.0))
        if text == notice.text and now - at < REPEATED:
            return False
        self._last[key] = (notice.text, now)
        self._last.move_to_end(key)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return True


def following(waiting: deque[Notice], cluster: str) -> Notice:
    """What to send next of what waits: the oldest, or all in one when there are many."""
    if len(waiting) <= CROWD:
        return waiting.popleft()
    crowd = list(waiting)
    waiting.clear()
    return folded(crowd, cluster)


def folded(crowd: list[Notice], cluster: str) -> Notice:
    """One message that names how many there were, about which canaries, and the last of each.

    The canaries with the worst news come first, for those are what somebody has to look at.
    """
    counts = Counter(notice.subject for notice in crowd)
    last = {notice.subject: notice for notice in crowd}
    worst: dict[str, int] = {}
    for notice in crowd:
        rank = SEVERITIES[notice.severity]
        worst[notice.subject] = max(rank, worst.get(notice.subject, 0))
    subjects = sorted(last, key=lambda subject: -worst[subject])
    listed = subjects[:LISTED]
    facts = [("Cluster", cluster)] if cluster else []
    for subject in listed:
        more = f" ({counts[subject]} messages)" if counts[subject] > 1 else ""
        facts.append((f"{subject}{more}", _shortened(last[subject].text)))
    canaries = f"{len(subjects)} canaries" if len(subjects) > 1 else subjects[0]
    names = ", ".join(listed)
    others = f" and {len(subjects) - LISTED} more" if len(subjects) > LISTED else ""
    about = f" about {canaries}: {names}{others}" if len(subjects) > 1 else f" about {canaries}"
    severity = max((notice.severity for notice in crowd), key=SEVERITIES.__getitem__)
    return Notice(
        canaries,
        severity,
        f"{len(crowd)} messages at once{about}. The last of each canary follows.",
        tuple(facts),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
