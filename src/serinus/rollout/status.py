"""The next status, from the present one: every change that a tick can make to it.

The `Promoted` condition has Flagger's reasons and messages. Ours are those of
`serinus.rollout.conditions`. `RollingBack` and `Paused` are the memory of a decision: what they
say is done or kept up, whatever happens to the operator.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.api.problem import Problem
from serinus.api.status import Acknowledgement
from serinus.rollout.conditions import (
    ANALYZING,
    PAUSED,
    PROMOTED,
    ROLLING_BACK,
    Analyzing,
    Ready,
    Stalled,
    analyzes,
    condition,
    whole_second,
    with_analyzing,
    with_condition,
    with_ready,
    with_stalled,
    without_condition,
)
from serinus.rollout.world import Workload

_COOKIES = uuid.UUID("0c6f6c57-1a57-5a3f-9b0e-3a4ab1a8d6c2")

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
        Phase.TERMINATING: ("Unknown", "Canary deleted, giving all traffic back to {kind}."),
    }
)

_ANALYZING: Mapping[Phase, tuple[Analyzing, str]] = MappingProxyType(
    {
        Phase.INITIALIZING: (Analyzing.IDLE, "There is no new revision yet."),
        Phase.INITIALIZED: (Analyzing.IDLE, "There is no new revision."),
        Phase.WAITING: (Analyzing.IDLE, "A new revision waits to be let in."),
        Phase.PROGRESSING: (Analyzing.STARTING, "The new revision's pods are being started."),
        Phase.WAITING_PROMOTION: (Analyzing.STEPPING, "The revision has passed its analysis."),
        Phase.PROMOTING: (Analyzing.PROMOTING, "The primary is being brought to the revision."),
        Phase.FINALISING: (Analyzing.FINALISING, "The traffic goes back to the primary."),
        Phase.SUCCEEDED: (Analyzing.IDLE, "There is no new revision."),
        Phase.FAILED: (Analyzing.IDLE, "The last revision failed; there is no newer one."),
        Phase.TERMINATING: (Analyzing.IDLE, "The canary is being deleted."),
    }
)


def enter(canary: Canary, status: CanaryStatus, phase: Phase, now: datetime) -> CanaryStatus:
    """The status of a rollout that enters ``phase``, its conditions included."""
    value, message = _PROMOTED[phase]
    text = message.format(kind=canary.spec.target_ref.kind)
    status = with_condition(status, PROMOTED, value, phase.value, text, now)
    status = with_analyzing(status, *_ANALYZING[phase], now)
    if phase not in (Phase.WAITING, Phase.WAITING_PROMOTION):
        status = moving(status, now)
    return msgspec.structs.replace(status, phase=phase, last_transition_time=whole_second(now))


def begin(canary: Canary, status: CanaryStatus, target: Workload, now: datetime) -> CanaryStatus:
    """The status at the start of an analysis of the target's revision."""
    status = msgspec.structs.replace(
        known_as(without_condition(status, ROLLING_BACK), target),
        canary_weight=0,
        failed_checks=0,
        iterations=0,
        **_cookies(canary, status, target, now),
    )
    return enter(canary, status, Phase.PROGRESSING, now)


def _cookies(
    canary: Canary, status: CanaryStatus, target: Workload, now: datetime
) -> dict[str, str | None]:
    """New cookies for a new rollout, so that nobody is held by those of an earlier one."""
    affinity = canary.spec.analysis.session_affinity
    if affinity is None:
        return {
            "session_affinity_cookie": None,
            "primary_session_affinity_cookie": None,
            "previous_session_affinity_cookie": None,
        }
    name = f"{canary.metadata.uid} {target.revision} {now.isoformat()}"
    value = uuid.uuid5(_COOKIES, name).hex[:12]
    primary = affinity.primary_cookie_name
    return {
        "session_affinity_cookie": f"{affinity.cookie_name}={value}",
        "primary_session_affinity_cookie": f"{primary}={value}" if primary else None,
        "previous_session_affinity_cookie": status.session_affinity_cookie,
    }


def known_as(status: CanaryStatus, target: Workload) -> CanaryStatus:
    """The status that knows the target as it is described today; nothing else moves."""
    return msgspec.structs.replace(
        status,
        last_applied_spec=target.revision,
        last_applied_generation=target.generation,
        tracked_configs=target.configs,
    )


def noting(status: CanaryStatus, target: Workload | None) -> CanaryStatus:
    """The status that has noted the generation of a target whose revision it knows: scaling a
    target moves its generation, and nothing else may be made of that. So it has noted the configs
    where it did not say."""
    if target is None or target.revision != status.last_applied_spec:
        return status
    configs = status.tracked_configs
    return msgspec.structs.replace(
        status,
        last_applied_generation=target.generation,
        tracked_configs=target.configs if configs is None else configs,
    )


def weighing(status: CanaryStatus, weight: int, now: datetime) -> CanaryStatus:
    """The status that asks for ``weight`` percent of the traffic on the canary."""
    status = with_analyzing(status, Analyzing.STEPPING, "The last check passed.", now)
    return msgspec.structs.replace(
        moving(status, now), canary_weight=weight, last_transition_time=whole_second(now)
    )


def iterated(status: CanaryStatus, weight: int, now: datetime) -> CanaryStatus:
    """The status one iteration on, with ``weight`` percent of the traffic on the canary."""
    return msgspec.structs.replace(weighing(status, weight, now), iterations=status.iterations + 1)


def returning(
    status: CanaryStatus, weight: int, target: Workload | None, now: datetime
) -> CanaryStatus:
    """The status of traffic on its way back to a primary that is ready for it."""
    status = with_analyzing(noting(status, target), Analyzing.PROMOTING, "Traffic goes back.", now)
    return msgspec.structs.replace(
        status, canary_weight=weight, last_transition_time=whole_second(now)
    )


def returned(
    canary: Canary, status: CanaryStatus, target: Workload, message: str, now: datetime
) -> CanaryStatus:
    """The status of an analysis that ends because its target is back at the primary's content."""
    status = msgspec.structs.replace(known_as(status, target), canary_weight=0, iterations=0)
    status = enter(canary, status, Phase.FINALISING, now)
    return with_analyzing(status, Analyzing.RETURNING, message, now)


def check_failed(status: CanaryStatus, why: str, now: datetime) -> CanaryStatus:
    """The status after one more failed check."""
    status = with_analyzing(status, Analyzing.CHECK_FAILED, why, now)
    return msgspec.structs.replace(
        status, failed_checks=status.failed_checks + 1, last_transition_time=whole_second(now)
    )


def stalled(status: CanaryStatus, reason: Stalled, message: str, now: datetime) -> CanaryStatus:
    """The status of a rollout that waits for somebody or something outside."""
    return with_stalled(status, reason, message, now)


def unprepared(status: CanaryStatus, problems: tuple[Problem, ...], now: datetime) -> CanaryStatus:
    """The status of a canary to which the mesh cannot lead requests."""
    message = "; ".join(str(problem) for problem in problems)
    return with_stalled(status, Stalled.ROUTE_NOT_PREPARED, message, now)


def prepared(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a canary to which the mesh can lead requests again. One that had traffic has
    to have it for an interval before it can be judged by it."""
    status = moving(status, now)
    if is_untouched(status):
        return status
    return msgspec.structs.replace(status, last_transition_time=whole_second(now))


def is_untouched(status: CanaryStatus) -> bool:
    """Whether the canary of this analysis has not yet seen a request."""
    return status.canary_weight == 0 and status.iterations == 0


def moving(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a rollout that waits for nobody; one that is paused still does, and so does
    one whose canary stands in for its primary."""
    pause = condition(status, PAUSED)
    if pause is not None:
        return with_stalled(status, Stalled.PAUSED, pause.message, now)
    stands_in = condition(status, ANALYZING) if is_standing_in(status) else None
    if stands_in is not None:
        return with_stalled(status, Stalled.PRIMARY_NOT_READY, stands_in.message, now)
    return with_stalled(status, Stalled.NOT, "", now)


def rolling_back(canary: Canary, status: CanaryStatus, message: str, now: datetime) -> CanaryStatus:
    """The status in which going back is decided: no weight, and the memory of the decision."""
    if status.phase is not Phase.PROGRESSING:
        status = enter(canary, status, Phase.PROGRESSING, now)
    status = msgspec.structs.replace(
        status, canary_weight=0, iterations=0, last_transition_time=whole_second(now)
    )
    status = with_analyzing(moving(status, now), Analyzing.ROLLING_BACK, message, now)
    return with_condition(status, ROLLING_BACK, "True", "RollingBack", message, now)


def is_rolling_back(status: CanaryStatus) -> bool:
    """Whether a rollback has been decided and not yet finished."""
    found = condition(status, ROLLING_BACK)
    return found is not None and found.status == "True"


def rolled_back(canary: Canary, status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a finished rollback."""
    return enter(canary, without_condition(status, ROLLING_BACK), Phase.FAILED, now)


def unpromotable(
    canary: Canary, status: CanaryStatus, weight: int, why: str, now: datetime
) -> CanaryStatus:
    """The status of a failed promotion: the primary does not get ready, the canary serves."""
    status = enter(canary, status, Phase.FAILED, now)
    status = with_condition(status, PROMOTED, "False", Phase.FAILED.value, why, now)
    status = standing_in(status, why, now)
    status = with_stalled(status, Stalled.PRIMARY_NOT_READY, why, now)
    return msgspec.structs.replace(status, canary_weight=weight)


def standing_in(status: CanaryStatus, why: str, now: datetime) -> CanaryStatus:
    """The status in which the canary's pods serve everybody, in the primary's place."""
    return with_analyzing(status, Analyzing.STANDING_IN, why, now)


def is_standing_in(status: CanaryStatus) -> bool:
    """Whether the last promotion failed and the canary's pods serve in the primary's place.

    `Analyzing` remembers it: what `Stalled` says can be taken over by a pause or a suspension.
    """
    return status.phase is Phase.FAILED and analyzes(status, Analyzing.STANDING_IN)


def forgotten(status: CanaryStatus) -> CanaryStatus:
    """The status that takes the target for a revision nobody has judged yet."""
    return msgspec.structs.replace(status, last_applied_spec="", last_applied_generation=None)


def paused(status: CanaryStatus, message: str, now: datetime) -> CanaryStatus:
    """The status of a rollout that holds still until it is told to go on."""
    status = with_condition(status, PAUSED, "True", "Requested", message, now)
    return with_stalled(status, Stalled.PAUSED, message, now)


def resumed(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a rollout that goes on."""
    return moving(without_condition(status, PAUSED), now)


def is_paused(status: CanaryStatus) -> bool:
    """Whether somebody has asked that the rollout hold still."""
    return condition(status, PAUSED) is not None


def acknowledged(
    status: CanaryStatus, verb: str, request: str, outcome: str, now: datetime, revision: str = ""
) -> CanaryStatus:
    """The status that answers a request; ``revision`` is what it is good for, if only for one."""
    answer = Acknowledgement(
        request=request, outcome=outcome, revision=revision, time=whole_second(now)
    )
    return msgspec.structs.replace(status, acknowledged={**status.acknowledged, verb: answer})


def ready(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a Canary that can be obeyed."""
    was = condition(status, "Ready")
    if was is not None and was.status == "False":
        status = moving(status, now)
    return with_ready(status, Ready.ACCEPTED, "The Canary can be rolled out.", now)


def refused(status: CanaryStatus, problems: tuple[Problem, ...], now: datetime) -> CanaryStatus:
    """The status of a Canary that cannot be obeyed, and the fields that stand in the way."""
    message = "; ".join(str(problem) for problem in problems)
    status = with_stalled(status, Stalled.REFUSED, message, now)
    return with_ready(status, Ready.REFUSED, message, now)


def suspended(status: CanaryStatus, now: datetime) -> CanaryStatus:
    """The status of a Canary that its owner has set aside."""
    message = "spec.suspend is true."
    status = with_stalled(status, Stalled.SUSPENDED, message, now)
    return with_ready(status, Ready.SUSPENDED, message, now)
