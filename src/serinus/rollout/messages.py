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


def providers_available() -> str:
    return "all the metrics providers are available!"


def providers_unavailable(why: str) -> str:
    return f"Error checking metric providers: {why}"


def primary_failing(canary: Canary, why: str) -> str:
    return (
        f"Halt {_canary(canary)} advancement: the primary {_primary(canary)} does not get ready by "
        f"itself: {why}; repair it, or promote the canary by hand"
    )


def unprepared(canary: Canary, problems: tuple[Problem, ...]) -> str:
    listed = "; ".join(str(problem) for problem in problems)
    return f"Halt {_canary(canary)} advancement: the mesh cannot lead requests to it: {listed}"


def unmeasurable(canary: Canary, why: str) -> str:
    return f"Halt {_canary(canary)} advancement: its metrics cannot be measured: {why}"


def stood_down(canary: Canary) -> str:
    return f"{_target(canary)} is back at a revision that is known: nothing waits any more"


def returned(canary: Canary) -> str:
    return (
        f"{_target(canary)} is back at the revision that the primary runs: ending the analysis, "
        "there is nothing to promote"
    )


def scaled_down_after_return(canary: Canary) -> str:
    return f"Analysis ended without a promotion! Scaling down {_target(canary)}"


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


def iterated(canary: Canary, iteration: int, iterations: int) -> str:
    return f"Advance {_canary(canary)} canary iteration {iteration}/{iterations}"


def primary_advanced(canary: Canary, weight: int) -> str:
    return f"Advance {_canary(canary)} primary weight {weight}"


def routing_to_canary(*, mirrored: bool) -> str:
    if mirrored:
        return "Stop traffic mirroring and route all traffic to canary"
    return "Routing all traffic to canary"


def weights_unsupported(iterations: int) -> str:
    return (
        "Progressive traffic is not supported when using the kubernetes provider; "
        f"running {iterations} iterations instead"
    )


def hook_passed(kind: str, hook: str) -> str:
    return f"{kind.capitalize()} check {hook} passed"


def waiting_for_approval(canary: Canary, gate: str, what: str = "approval") -> str:
    return f"Halt {_canary(canary)} advancement waiting for {what} {gate}"


def no_rollback_asked(hook: str) -> str:
    return f"Rollback hook {hook} not signaling a rollback"


def rollback_hook_invoked(canary: Canary) -> str:
    return f"Rolling back {_canary(canary)} manual webhook invoked"


def post_rollout_failed(hook: str, why: str) -> str:
    return f"Post-rollout hook {hook} failed {why}"


def copying(canary: Canary) -> str:
    return f"Copying {_target(canary)} template spec to {_primary(canary)}"


def routing_to_primary() -> str:
    return "Routing all traffic to primary"


def promoted(canary: Canary) -> str:
    return f"Promotion completed! Scaling down {_target(canary)}"


def promoted_unanalysed(canary: Canary) -> str:
    return f"Promotion completed! Canary analysis was skipped for {_target(canary)}"


def promotion_failed(canary: Canary, why: str) -> str:
    return f"Promotion of {_target(canary)} failed, primary not ready: {why}"


def threshold_reached(canary: Canary, failed_checks: int) -> str:
    return f"Rolling back {_canary(canary)} failed checks threshold reached {failed_checks}"


def deadline_exceeded(canary: Canary, why: str) -> str:
    return f"Rolling back {_canary(canary)} progress deadline exceeded {why}"


def target_gone(canary: Canary) -> str:
    return f"Rolling back {_canary(canary)} target {_target(canary)} does not exist any more"


def rolled_back(canary: Canary) -> str:
    return f"Canary failed! Scaling down {_target(canary)}"


def terminating(canary: Canary) -> str:
    return f"Terminating canary {_canary(canary)}"


def given_back(canary: Canary) -> str:
    return f"Canary {_canary(canary)} is deleted: {_target(canary)} serves again"


def requested(canary: Canary, what: str, request: str) -> str:
    return f"{what} {_canary(canary)}: requested by {request or 'an annotation'}"


def not_done(canary: Canary, verb: str, why: str) -> str:
    return f"Cannot {verb} {_canary(canary)}: {why}"


def no_values(canary: Canary, metric: Metric, outcome: NoData) -> str:
    if metric.query or metric.template_ref is not None:
        return f"Halt advancement no values found for custom metric: {metric.name}: {outcome.why}"
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
    seen = f" ({verdict.view})" if verdict.view else ""
    return f"Halt {_canary(canary)} advancement {what}{seen}"


def failed(canary: Canary, what: str, why: str) -> str:
    return f"Halt {_canary(canary)}: {what} failed: {why}"
