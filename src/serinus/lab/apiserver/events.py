"""Events do not last: they are news, and a lab that runs for days would drown in them."""

from datetime import UTC, datetime, timedelta
from typing import Final

from serinus.lab.apiserver.representation import Obj
from serinus.lab.apiserver.store import GroupResource, Store

RESOURCE: Final[GroupResource] = ("", "events")
LIFETIME: Final = timedelta(hours=1)
SWEEP_SECONDS: Final = 300


def _last_seen(event: Obj) -> datetime:
    series = event.get("series") or {}
    text = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
    return datetime.fromisoformat(text)


def expire(store: Store) -> None:
    """Removes the events that were last seen longer ago than `LIFETIME`."""
    oldest = datetime.now(UTC) - LIFETIME
    for entry in store.list(RESOURCE):
        event = entry.decode()
        if _last_seen(event) < oldest:
            store.remove(RESOURCE, event)
