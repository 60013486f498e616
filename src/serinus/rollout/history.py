"""The rollouts of a canary, as far as its events and its status still tell.

An API server forgets events after an hour unless told otherwise; what is older is not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from serinus.api.canary import Canary, Phase
from serinus.rollout import messages


@dataclass(frozen=True, slots=True)
class Told:
    """One thing said about the canary, at ``at``."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """``began`` is None where its event is forgotten, ``ended`` while it is under way.

    ``how`` is Succeeded, Failed, Aborted, Returned, Restarted or the phase. ``revision`` is known
    for the newest alone: events do not carry it.
    """

    began: datetime | None
    ended: datetime | None = None
    how: str = ""
    reason: str = ""
    revision: str = ""


def rollouts(canary: Canary, told: Iterable[Told]) -> list[Rollout]:
    """Oldest first; ``told`` in the order in which it was said."""
    found: list[Rollout] = []
    current: Rollout | None = None
    for one in told:
        if one.message in (messages.new_revision(canary), messages.restarting(canary)):
            if current is not None:
                how, reason = "Restarted", "a newer revision came"
                found.append(replace(current, ended=one.at, how=how, reason=reason))
            current = Rollout(one.at)
            continue
        how = _end(canary, one.message)
        open_one = current or Rollout(None)
        if how:
            if how == "Failed" and open_one.how == "Aborted":
                how = "Aborted"
            found.append(replace(open_one, ended=one.at, how=how, reason=_reason(open_one, one)))
            current = None
        elif one.message.startswith("Rolling back "):
            asked = ": requested by " in one.message
            current = replace(open_one, how="Aborted" if asked else "", reason=one.message)
    return _newest_known(canary, found, current)


def _end(canary: Canary, message: str) -> str:
    """How a rollout has ended with these words; empty when they are no end."""
    if message in (messages.promoted(canary), messages.promoted_unanalysed(canary)):
        return Phase.SUCCEEDED.value
    if message == messages.scaled_down_after_return(canary):
        return "Returned"
    failed = message == messages.rolled_back(canary)
    if failed or message.startswith(messages.promotion_failed(canary, "")):
        return Phase.FAILED.value
    return ""


def _reason(rollout: Rollout, end: Told) -> str:
    return rollout.reason or end.message


def _newest_known(canary: Canary, found: list[Rollout], current: Rollout | None) -> list[Rollout]:
    """With what the status tells of the newest one."""
    status = canary.status
    under_way = status.phase in (
        Phase.PROGRESSING,
        Phase.WAITING_PROMOTION,
        Phase.PROMOTING,
        Phase.FINALISING,
    )
    if current is not None or under_way:
        newest = replace(current or Rollout(None), how=status.phase.value)
        return [*found, replace(newest, revision=status.last_applied_spec)]
    if not found and status.phase in (Phase.SUCCEEDED, Phase.FAILED):
        promoted = next((c for c in status.conditions if c.type == "Promoted"), None)
        ended = promoted.last_update_time if promoted else status.last_transition_time
        reason = promoted.message if promoted else ""
        found = [Rollout(None, ended, status.phase.value, reason)]
    if found:
        found[-1] = replace(found[-1], revision=status.last_applied_spec)
    return found
