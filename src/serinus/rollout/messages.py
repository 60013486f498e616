"""Every event text of a rollout, in one place.

Users' scripts and alerts match these, so they are Flagger's. Where the guide's wording and
Flagger 1.44's differ (the "Waiting for ..." lines, how a duration is printed), the guide's is
used; docs/flagger-compatibility.md lists them.
"""

from serinus.analysis.threshold import OutOfBounds
from serinus.analysis.verdict import NoData, Unavailable
from serinus.api.canary import Canary, Metric
from serinus.api.problem import Problem


def _target(canary: Canary) -> str:
    return f"{canary.target_name}.{canary.namespace}"


def _primary(canary: Canary) -> str:
    return f"{canary.primary_name}.{canary.namespace}"


def _canary(canary: Canary) -> str:
    return f"{canary.name}.{canary.namespace}"


def initialized(canary: Canary) -> str:
    return f"Initialization done! {_canary(canary)}"


def suspended(canary: Canary) -> str:
    return f"Skipping {_canary(canary)}: spec.suspend is true; set it to false to go on"


def refused(canary: Canary, problems: tuple[Problem, ...]) -> str:
    listed = "; ".join(str(problem) for problem in problems)
    return f"Refusing to roll out {_canary(canary)}: {listed}"


def new_revision(canary: Canary) -> str:
    return f"New revision detected! Scaling up {_target(canary)}"


def restarting(canary: Canary) -> str:
    return f"New revision detected! Restarting analysis for {_target(canary)}"


def waiting_for_target(canary: Canary, why: str) -> str:
    return f"Waiting for {_target(canary)} {why}"


def waiting_for_primary(canary: Canary, why: str) -> str:
    return f"Waiting for {_primary(canary)} {why}"


def waiting_for_primary_to_appear(canary: Canary) -> str:
    return f"Waiting for {_primary(canary)} to be created"


def no_pods(canary: Canary, why: str) -> str:
    return (
        f"Halt {_canary(canary)} advancement no canary pod is available, "
        f"routing all traffic to primary: waiting for {why}"
    )


def starting(canary: Canary) -> str:
    return f"Starting canary analysis for {_target(canary)}"


def pre_rollout_passed(hook: str) -> str:
    return f"Pre-rollout check {hook} passed"


def pre_rollout_failed(canary: Canary, hook: str, why: str) -> str:
    return f"Halt {_canary(canary)} advancement pre-rollout check {hook} failed {why}"


def rollout_hook_failed(canary: Canary, hook: str, why: str) -> str:
    return f"Halt {_canary(canary)} advancement external check {hook} failed {why}"


def advanced(canary: Canary, weight: int) -> str:
    return f"Advance {_canary(canary)} canary weight {weight}"


def copying(canary: Canary) -> str:
    return f"Copying {_target(canary)} template spec to {_primary(canary)}"


def routing_to_primary() -> str:
    return "Routing all traffic to primary"


def promoted(canary: Canary) -> str:
    return f"Promotion completed! Scaling down {_target(canary)}"


def threshold_reached(canary: Canary, failed_checks: int) -> str:
    return f"Rolling back {_canary(canary)} failed checks threshold reached {failed_checks}"


def deadline_exceeded(canary: Canary, why: str) -> str:
    return f"Rolling back {_canary(canary)} progress deadline exceeded {why}"


def target_gone(canary: Canary) -> str:
    return f"Rolling back {_canary(canary)} target {_target(canary)} does not exist any more"


def rolled_back(canary: Canary) -> str:
    return f"Canary failed! Scaling down {_target(canary)}"


def no_values(canary: Canary, metric: Metric, outcome: NoData) -> str:
    return (
        f"Halt advancement no values found for kuma metric {metric.name} "
        f"probably {_target(canary)} is not receiving traffic: {outcome.why}"
    )


def query_failed(metric: Metric, outcome: Unavailable) -> str:
    return f"Prometheus query failed for {metric.name}: {outcome.why}"


def out_of_bounds(canary: Canary, metric: Metric, verdict: OutOfBounds) -> str:
    if metric.name == "request-success-rate":
        what = f"success rate {verdict.value:.2f}% {verdict.side} {verdict.bound:g}%"
    elif metric.name == "request-duration":
        seconds, bound = verdict.value / 1000, verdict.bound / 1000
        what = f"request duration {seconds:.2f}s {verdict.side} {bound:g}s"
    else:
        what = f"{metric.name} {verdict.value:.2f} {verdict.side} {verdict.bound:g}"
    return f"Halt {_canary(canary)} advancement {what}"


def failed(canary: Canary, what: str, why: str) -> str:
    return f"Halt {_canary(canary)}: {what} failed: {why}"
