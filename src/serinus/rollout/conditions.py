"""The conditions of a Canary's status, beyond Flagger's `Promoted`, and their closed reasons.

`Ready` tells whether the Canary can be obeyed, `Analyzing` whether a revision is on its way and
what is done with it, `Stalled` whether it waits for a person or for something outside (as in
kstatus). `lastTransitionTime` is when the status changed, `lastUpdateTime` when the reason did: so
how long a gate has been waiting can be read. docs/reference/status.md lists the reasons.
"""

from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from serinus.api.canary import CanaryStatus, Condition

PROMOTED = "Promoted"
READY = "Ready"
ANALYZING = "Analyzing"
STALLED = "Stalled"
ROLLING_BACK = "RollingBack"
PAUSED = "Paused"


class Ready(StrEnum):
    """Reasons of `Ready`; it is True for the first alone."""

    ACCEPTED = "Accepted"
    REFUSED = "Refused"
    SUSPENDED = "Suspended"


class Analyzing(StrEnum):
    """Reasons of `Analyzing`; it is False for the first alone."""

    IDLE = "Idle"
    STARTING = "Starting"
    STEPPING = "Stepping"
    CHECK_FAILED = "CheckFailed"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    RETURNING = "Returning"
    STANDING_IN = "StandingIn"
    ROLLING_BACK = "RollingBack"


class Stalled(StrEnum):
    """Reasons of `Stalled`; it is False for the first alone."""

    NOT = "NotStalled"
    REFUSED = "Refused"
    SUSPENDED = "Suspended"
    PAUSED = "Paused"
    ROLLOUT_GATE = "WaitingForRolloutApproval"
    TRAFFIC_GATE = "WaitingForTrafficIncreaseApproval"
    PROMOTION_GATE = "WaitingForPromotionApproval"
    TARGET_NOT_READY = "TargetNotReady"
    PRIMARY_NOT_READY = "PrimaryNotReady"
    ROUTE_NOT_PREPARED = "RouteNotPrepared"
    METRICS_NOT_READY = "MetricsNotReady"


def whole_second(now: datetime) -> datetime:
    """The time as Kubernetes writes it: UTC, in whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0)


def condition(status: CanaryStatus, kind: str) -> Condition | None:
    """The condition of that type, if the status has one."""
    return next((found for found in status.conditions if found.type == kind), None)


def analyzes(status: CanaryStatus, reason: Analyzing) -> bool:
    """Whether that is what is being done with the revision."""
    found = condition(status, ANALYZING)
    return found is not None and found.reason == reason


def stalled_for(status: CanaryStatus, reason: Stalled) -> bool:
    """Whether the rollout is stalled for that reason."""
    found = condition(status, STALLED)
    return found is not None and found.reason == reason


def with_condition(
    status: CanaryStatus, kind: str, value: str, reason: str, message: str, now: datetime
) -> CanaryStatus:
    """Put a condition in the place of its type.

    One that says the same is left as it is, and one whose status and reason stay keeps both times.
    """
    old = condition(status, kind)
    at = whole_second(now)
    new = Condition(
        type=kind,
        status=value,
        reason=str(reason),
        message=message,
        last_update_time=at,
        last_transition_time=at,
    )
    if old is None:
        others = status.conditions
        # Scripts written for Flagger read conditions[0], which has only `Promoted`.
        conditions = (new, *others) if kind == PROMOTED else (*others, new)
        return msgspec.structs.replace(status, conditions=conditions)
    if (old.status, old.reason, old.message) == (new.status, new.reason, new.message):
        return status
    if old.status == new.status:
        new = msgspec.structs.replace(new, last_transition_time=old.last_transition_time)
        if old.reason == new.reason:
            new = msgspec.structs.replace(new, last_update_time=old.last_update_time)
    conditions = tuple(new if found.type == kind else found for found in status.conditions)
    return msgspec.structs.replace(status, conditions=conditions)


def without_condition(status: CanaryStatus, kind: str) -> CanaryStatus:
    """The status without a condition of that type."""
    conditions = tuple(found for found in status.conditions if found.type != kind)
    return msgspec.structs.replace(status, conditions=conditions)


def with_ready(status: CanaryStatus, reason: Ready, message: str, now: datetime) -> CanaryStatus:
    """Set `Ready`."""
    value = "True" if reason is Ready.ACCEPTED else "False"
    return with_condition(status, READY, value, reason, message, now)


def with_analyzing(
    status: CanaryStatus, reason: Analyzing, message: str, now: datetime
) -> CanaryStatus:
    """Set `Analyzing`."""
    value = "False" if reason is Analyzing.IDLE else "True"
    return with_condition(status, ANALYZING, value, reason, message, now)


def with_stalled(
    status: CanaryStatus, reason: Stalled, message: str, now: datetime
) -> CanaryStatus:
    """Set `Stalled`."""
    value = "False" if reason is Stalled.NOT else "True"
    text = message or "Nothing stands in the way."
    return with_condition(status, STALLED, value, reason, text, now)
