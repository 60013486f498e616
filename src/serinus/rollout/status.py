"""The next status, from the present one: every change that a tick can make to it.

The `Promoted` condition has Flagger's reasons and messages. `Ready` is ours: whether the Canary
can be obeyed, and if not, which field stands in the way. `RollingBack` is the memory of a
decision: once it is true the rollback is finished, whatever happens to the operator.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Condition, Phase
from serinus.api.problem import Problem
from serinus.rollout.world import Workload

PROMOTED = "Promoted"
READY = "Ready"
ROLLING_BACK = "RollingBack"

_PROMOTED: Mapping[Phase, tuple[str, str]] = MappingProxyType(
    {
        Phase.INITIALIZING: ("Unknown", "New {kind} detected, starting initialization."),
        Phase.INITIALIZED: ("True", "{kind} initialization completed."),
        Phase.WAITING: ("Unknown", "Waiting for approval."),
        Phase.PROGRESSING: ("Unknown", "New revision detected, progressing canary analysis."),
        Phase.WAITING_PROMOTION: ("Unknown", "Waiting for approval."),
        Phase.PROMOTING: (
            "Unknown",
            "Canary analysis completed, starting primary rolling update.",
        ),
        Phase.FINALISING: (
            "Unknown",
            "Canary analysis completed, routing all traffic to primary.",
        ),
        Phase.SUCCEEDED: (
            "True",
            "Canary analysis completed successfully, promotion finished.",
        ),
        Phase.FAILED: ("False", "Canary analysis failed, {kind} scaled to zero."),
    }
)


def _second(now: datetime) -> datetime:
    """The time as Kubernetes writes it: UTC, in whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0)


def condition(status: CanaryStatus, kind: str) -> Condition | None:
    """The condition of that type, if the status has one."""
    return next((found for found in status.conditions if found.type == kind), None)


def _with_condition(status: CanaryStatus, new: Condition) -> CanaryStatus:
    """Put ``new`` in the place of its type; the transition time is kept when its status is."""
    old = condition(status, new.type)
    if old is None:
        return msgspec.structs.replace(status, conditions=(*status.conditions, new))
    if old.status == new.status:
        new = msgspec.structs.replace(new, last_transition_time=old.last_transition_time)
    conditions = tuple(new if found.type == new.type else found for found in status.conditions)
    return msgspec.structs.replace(status, conditions=conditions)


def _without_condition(status: CanaryStatus, kind: str) -> CanaryStatus:
    conditions = tuple(found for found in status.conditions if found.type != kind)
    return msgspec.structs.replace(status, conditions=conditions)


def _condition(kind: str, value: str, reason: str, message: str, now: datetime) -> Condition:
    return Condition(
        type=kind,
        status=value,
        reason=reason,
        message=message,
        last_update_time=_second(now),
        last_transition_time=_second(now),
    )


def enter(canary: Canary, status: CanaryStatus, phase: Phase, now: datetime) -> CanaryStatus:
    """The status of a rollout that enters ``phase``, its `Promoted` condition included."""
    value, message = _PROMOTED[phase]
    promoted = _condition(
        PROMOTED,
        value,
        phase.value,
        message.format(kind=canary.spec.target_ref.kind),
        now,
    )
    status = msgspec.structs.replace(status, phase=phase, last_transition_time=_second(now))
    return _with_condition(status, promoted)


def begin(canary: Canary, status: CanaryStatus, target: Workload, now: datetime) -> CanaryStatus:
    """The status at the start of an analysis of the target's revision."""
    status = msgspec.structs.replace(
        _without_condition(status, ROLLING_BACK),
        canary_weight=0,
        failed_checks=0,
        iterations=0,
        last_applied_spec=target.revision,
        last_applied_generation=target.generation,
    )
    return enter(canary, status, Phase.PROGRESSING, now)


def rebased(status: CanaryStatus, target: Workload) -> CanaryStatus:
    """The status that knows the target by its present hash; nothing else moves."""
    return msgspec.structs.replace(
        status,
        last_applied_spec=target.revision,
        last_applied_generation=target.generation,
    )


def weighing(status: CanaryStatus, weight: int, now: datetime) -> CanaryStatus:
    """The status that asks for ``weight`` percent of the traffic on the canary."""
    return msgspec.structs.replace(status, canary_weight=weight, last_transition_time=_second(now))


def check_failed(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status after one more failed check."""
    return msgspec.structs.replace(
        status, failed_checks=status.failed_checks + 1, last_transition_time=_second(now)
    )


def rolling_back(canary: Canary, status: CanaryStatus, message: str, now: datetime) -> CanaryStatus:
    """The status in which going back is decided: no weight, and the memory of the decision."""
    status = weighing(status, 0, now)
    if status.phase is not Phase.PROGRESSING:
        status = enter(canary, status, Phase.PROGRESSING, now)
    return _with_condition(status, _condition(ROLLING_BACK, "True", "RollingBack", message, now))


def is_rolling_back(status: CanaryStatus) -> bool:
    """Whether a rollback has been decided and not yet finished."""
    found = condition(status, ROLLING_BACK)
    return found is not None and found.status == "True"


def rolled_back(canary: Canary, status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a finished rollback."""
    return enter(canary, _without_condition(status, ROLLING_BACK), Phase.FAILED, now)


def ready(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a Canary that can be obeyed."""
    return _set_ready(status, "True", "Accepted", "The Canary can be rolled out.", now)


def refused(status: CanaryStatus, problems: tuple[Problem, ...], now: datetime) -> CanaryStatus:
    """The status of a Canary that cannot be obeyed, and the fields that stand in the way."""
    message = "; ".join(str(problem) for problem in problems)
    return _set_ready(status, "False", "Refused", message, now)


def suspended(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a Canary that its owner has set aside."""
    return _set_ready(status, "False", "Suspended", "spec.suspend is true.", now)


def _set_ready(
    status: CanaryStatus, value: str, reason: str, message: str, now: datetime
) -> CanaryStatus:
    old = condition(status, READY)
    if old is not None and (old.status, old.reason, old.message) == (value, reason, message):
        return status
    return _with_condition(status, _condition(READY, value, reason, message, now))
