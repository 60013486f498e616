"""What a rollout does, waits for and would fail by, in plain sentences for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from serinus.analysis.threshold import bounds
from serinus.api.canary import Canary, Condition, Metric, Phase
from serinus.rollout.conditions import (
    ANALYZING,
    READY,
    STALLED,
    Analyzing,
    Ready,
    Stalled,
    condition,
)
from serinus.rollout.status import is_rolling_back, is_standing_in
from serinus.rollout.strategy import Strategy, iterations_of, next_weight, strategy_of

RESTING = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED, Phase.TERMINATED})
"""Phases that last until somebody changes something."""

UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})

PHASES: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.NONE: "No operator has taken up this canary yet.",
        Phase.INITIALIZING: "The primary is being made from the target.",
        Phase.INITIALIZED: "The primary serves everybody; there has been no new revision yet.",
        Phase.WAITING: "A new revision has been noticed and waits to be let in.",
        Phase.PROGRESSING: "A new revision is being analysed.",
        Phase.WAITING_PROMOTION: "The new revision has passed, and is not promoted yet.",
        Phase.PROMOTING: "The new revision has passed; the primary is being brought to it.",
        Phase.FINALISING: "All traffic goes back to the primary.",
        Phase.SUCCEEDED: "The last revision was promoted; the primary serves everybody.",
        Phase.FAILED: "The last revision failed.",
        Phase.TERMINATING: "The canary is being deleted; its target takes all traffic again.",
        Phase.TERMINATED: "The canary is deleted; its target has all traffic again.",
    }
)

ANALYSING: Mapping[Analyzing, str] = MappingProxyType(
    {
        Analyzing.IDLE: "No analysis runs.",
        Analyzing.STARTING: "The new revision's pods are being started.",
        Analyzing.STEPPING: "Its last check passed.",
        Analyzing.CHECK_FAILED: "Its last check failed.",
        Analyzing.PROMOTING: "The primary takes over the new revision.",
        Analyzing.FINALISING: "The promotion is being finished.",
        Analyzing.RETURNING: "The target is back at what the primary runs: nothing is promoted.",
        Analyzing.STANDING_IN: "The canary's pods serve everybody, since the primary does not"
        " get ready.",
        Analyzing.ROLLING_BACK: "It is being rolled back: the traffic goes to the primary, then"
        " the canary's pods go.",
    }
)

STALLING: Mapping[Stalled, str] = MappingProxyType(
    {
        Stalled.NOT: "It waits for nobody.",
        Stalled.REFUSED: "It waits for its spec to be put right.",
        Stalled.SUSPENDED: "It waits until spec.suspend is no longer true.",
        Stalled.PAUSED: "It is paused, and waits to be resumed.",
        Stalled.ROLLOUT_GATE: "It waits for a confirm-rollout hook to let the revision in.",
        Stalled.TRAFFIC_GATE: "It waits for a confirm-traffic-increase hook to allow more traffic.",
        Stalled.PROMOTION_GATE: "It waits for a confirm-promotion hook to allow the promotion.",
        Stalled.TARGET_NOT_READY: "It waits for the target's pods to get ready.",
        Stalled.PRIMARY_NOT_READY: "It waits for the primary's pods to get ready, which they will"
        " not do by themselves.",
        Stalled.ROUTE_NOT_PREPARED: "It waits until the mesh can lead requests to the canary.",
        Stalled.METRICS_NOT_READY: "It waits until its metrics can be measured, before the canary"
        " gets its first request.",
    }
)

_GATES: Mapping[Stalled, str] = MappingProxyType(
    {
        Stalled.ROLLOUT_GATE: "the revision's pods are started",
        Stalled.TRAFFIC_GATE: "the analysis goes on",
        Stalled.PROMOTION_GATE: "the revision is promoted",
    }
)


@dataclass(frozen=True, slots=True)
class Pods:
    """How many pods of a Deployment serve, and how many it asks for."""

    available: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.available} of {self.wanted} pods available"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the Canary itself does not say. ``None`` is a Deployment that is not there (the pods of
    other kinds are not told of);
    ``last_event`` is what was said of the canary last."""

    now: datetime
    target: Pods | None = None
    primary: Pods | None = None
    last_event: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences under four headings; one without sentences has nothing to say."""

    doing: tuple[str, ...]
    coming: tuple[str, ...]
    failing: tuple[str, ...]
    verbs: tuple[str, ...]


def explain(canary: Canary, facts: Facts) -> Explanation:
    """What the canary is about, at ``facts.now``."""
    return Explanation(
        _doing(canary, facts), _coming(canary, facts), _failing(canary), _verbs(canary)
    )


def rests(canary: Canary) -> bool:
    """Whether the canary stays as it is until somebody changes something. A failed revision that
    is about to be tried again does not."""
    status = canary.status
    retried = status.phase is Phase.FAILED and not status.last_applied_spec
    return status.phase in RESTING and not retried


def progress(canary: Canary) -> str:
    """How far the analysis is: `2/5` iterations or steps, or `20/50` percent."""
    status, analysis = canary.status, canary.spec.analysis
    if strategy_of(canary) is not Strategy.WEIGHTED:
        return f"{status.iterations}/{iterations_of(canary)}"
    if analysis.step_weights:
        done = sum(step <= status.canary_weight for step in analysis.step_weights)
        return f"{done}/{len(analysis.step_weights)}"
    return f"{status.canary_weight}/{analysis.max_weight_or_default}"


def waiting_for(canary: Canary) -> str:
    """The reason of `Stalled` while it holds, else nothing."""
    found = condition(canary.status, STALLED)
    return found.reason if found is not None and found.status == "True" else ""


def ago(at: datetime | None, now: datetime) -> str:
    """The time since ``at`` in kubectl's short form: 45s, 12m, 3h, 2d."""
    if at is None:
        return "-"
    seconds = max(0, int((now - at).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _since(found: Condition | None, now: datetime) -> str:
    if found is None or found.last_update_time is None:
        return ""
    at = found.last_update_time
    return f" Since {at:%Y-%m-%d %H:%M:%S} UTC ({ago(at, now)})."


def _doing(canary: Canary, facts: Facts) -> tuple[str, ...]:
    status = canary.status
    told = [PHASES[status.phase]]
    analyzing, stalled = condition(status, ANALYZING), condition(status, STALLED)
    if analyzing is not None and analyzing.reason != Analyzing.IDLE:
        sentence = _sentence(ANALYSING, Analyzing, analyzing)
        told.append(sentence + _since(analyzing, facts.now) + _saying(analyzing))
    if stalled is not None and stalled.status == "True":
        sentence = _sentence(STALLING, Stalled, stalled)
        told.append(sentence + _since(stalled, facts.now) + _saying(stalled))
    if status.phase is not Phase.NONE:
        weight = status.canary_weight
        told.append(f"The canary has {weight} % of the traffic, the primary {100 - weight} %.")
    if canary.spec.target_ref.kind == "Deployment":
        told.append(f"Target {canary.target_name}: {facts.target or 'no such Deployment'}.")
        told.append(f"Primary {canary.primary_name}: {facts.primary or 'no such Deployment'}.")
    if facts.last_event:
        told.append(f"Last event: {facts.last_event}")
    return tuple(told)


def _sentence(
    table: Mapping[Analyzing, str] | Mapping[Stalled, str],
    kind: type[Analyzing] | type[Stalled],
    found: Condition,
) -> str:
    """A reason of a later version is told as it is written."""
    known = {str(reason): text for reason, text in table.items()}
    return known.get(found.reason, f"{kind.__name__}: {found.reason}.")


def _saying(found: Condition) -> str:
    return f" It says: {found.message}" if found.message else ""


def _coming(canary: Canary, facts: Facts) -> tuple[str, ...]:
    status, reason = canary.status, waiting_for(canary)
    ready = condition(status, READY)
    if ready is not None and ready.reason == Ready.REFUSED:
        return ("Nothing, until the fields that are named above are right.",)
    if ready is not None and ready.reason == Ready.SUSPENDED:
        return ("Nothing, until spec.suspend is false.",)
    if reason == Stalled.PAUSED:
        return ("Nothing, until somebody resumes it; a rollback still happens.",)
    gate = {str(one): what for one, what in _GATES.items()}.get(reason)
    if gate is not None:
        return (f"The hook is asked again {_every(canary)}; when it says yes, {gate}.",)
    if reason == Stalled.PRIMARY_NOT_READY:
        return ("Once the primary is ready, or a new revision is promoted, it goes on.",)
    if reason == Stalled.ROUTE_NOT_PREPARED and status.phase in UNDER_WAY:
        return ("Once what is named above is mended, it goes on by itself.",)
    if reason == Stalled.METRICS_NOT_READY and status.phase in UNDER_WAY:
        return (f"It is asked for them again {_every(canary)}; then it goes on by itself.",)
    if status.phase is Phase.PROGRESSING:
        return _next_step(canary, facts)
    return {
        Phase.NONE: ("Once an operator watches this namespace, it makes the primary.",),
        Phase.INITIALIZING: ("Once the primary is ready, it gets all traffic.",),
        Phase.WAITING: (f"It is looked at again {_every(canary)}.",),
        Phase.WAITING_PROMOTION: ("The primary takes over the revision.",),
        Phase.PROMOTING: ("Once the primary is ready, the traffic goes back to it.",),
        Phase.FINALISING: ("The target is scaled to zero, and the rollout has succeeded.",),
        Phase.INITIALIZED: ("Nothing, until the target's pod template or configs change.",),
        Phase.SUCCEEDED: ("Nothing, until the target's pod template or configs change.",),
        Phase.FAILED: ("Nothing, until the target changes or somebody asks for a retry.",),
        Phase.TERMINATING: ("Once the target has all traffic, the Canary goes.",),
    }.get(status.phase, ())


def _next_step(canary: Canary, facts: Facts) -> tuple[str, ...]:
    analyzing = condition(canary.status, ANALYZING)
    if analyzing is not None and analyzing.reason == Analyzing.ROLLING_BACK:
        return ("The canary's pods go, and the rollout has failed.",)
    status = canary.status
    when = _when(canary, facts)
    if strategy_of(canary) is not Strategy.WEIGHTED:
        iterations = iterations_of(canary)
        if status.iterations >= iterations:
            return (f"{when} the last check; if it passes, the promotion follows.",)
        step = f"iteration {status.iterations + 1} of {iterations} follows"
    elif status.canary_weight >= canary.spec.analysis.max_weight_or_default:
        step = "the promotion follows"
    else:
        step = f"the canary gets {next_weight(canary, status.canary_weight)} % of the traffic"
    return (f"{when} the next check; if it passes, {step}.",)


def _when(canary: Canary, facts: Facts) -> str:
    last = canary.status.last_transition_time
    if last is None:
        return "Soon"
    at = last + timedelta(seconds=canary.spec.analysis.interval_seconds(0))
    if at <= facts.now:
        return "Any moment now"
    seconds = int((at - facts.now).total_seconds())
    return f"About {at:%H:%M:%S} UTC (in {seconds}s)"


def _every(canary: Canary) -> str:
    return f"every {canary.spec.analysis.interval_seconds(0):g}s"


def _failing(canary: Canary) -> tuple[str, ...]:
    """What would roll the canary back: now, or in its next rollout."""
    analysis, status = canary.spec.analysis, canary.status
    if canary.spec.skip_analysis:
        return ("Nothing: spec.skipAnalysis is true.",)
    threshold = analysis.threshold_or_default
    so_far = f"; {status.failed_checks} so far" if status.phase in UNDER_WAY else ""
    told = [f"{threshold} failed check{'s' if threshold != 1 else ''}{so_far}. One fails when"]
    told += [f"  {_metric(metric)}" for metric in analysis.metrics]
    hooks = [hook.name for hook in analysis.webhooks if hook.kind in ("pre-rollout", "rollout")]
    told += [f"  hook {name} fails" for name in hooks]
    if not analysis.metrics and not hooks:
        told[-1] = told[-1].removesuffix(" One fails when") + " Nothing is measured, though."
    told += [
        f"A yes of rollback hook {hook.name}."
        for hook in analysis.webhooks
        if hook.kind == "rollback"
    ]
    deadline = canary.spec.progress_deadline
    told.append(f"Pods of the new revision that are not ready within {deadline}s.")
    return tuple(told)


def _metric(metric: Metric) -> str:
    asked = bounds(metric)
    unit = {"request-success-rate": " %", "request-duration": " ms"}.get(metric.name, "")
    sides = []
    if asked.minimum is not None:
        sides.append(f"below {asked.minimum:g}{unit}")
    if asked.maximum is not None:
        sides.append(f"above {asked.maximum:g}{unit}")
    outside = " or ".join(sides) or "without a value"
    return f"{metric.name} over {metric.interval_or_default} is {outside}"


def _verbs(canary: Canary) -> tuple[str, ...]:
    """The requests that would be granted now."""
    phase, reason = canary.status.phase, waiting_for(canary)
    where = f"-n {canary.namespace} canary/{canary.name}"
    told = []
    if reason == Stalled.PAUSED:
        told.append(f"serinus resume {where}: let it go on")
    elif phase in UNDER_WAY or phase is Phase.WAITING:
        told.append(f"serinus pause {where}: hold it where it is")
    going_back = is_rolling_back(canary.status)
    under_way = phase in UNDER_WAY or phase is Phase.WAITING
    if (under_way and not going_back) or is_standing_in(canary.status):
        told.append(f"serinus promote {where}: skip the rest of the analysis; gates hold")
        told.append(f"serinus promote --force {where}: pass closed gates too")
    if under_way and not going_back:
        told.append(f"serinus abort {where}: roll back now")
    if phase is Phase.FAILED:
        told.append(f"serinus retry {where}: analyse the failed revision once more")
    return tuple(told)
