"""Whether the pace of a rollout is what its author will see."""

from collections.abc import Iterator

from serinus.api import duration
from serinus.api.analysis import Analysis
from serinus.lint.files import Files
from serinus.lint.finding import Level
from serinus.lint.registry import Found, common

MINIMUM_INTERVAL = 10.0
"""Seconds: the operator's -minimum-interval unless told."""

_PATH = "spec.analysis"


@common("analysis/interval", "The interval is not below the operator's minimum of 10 s.")
def interval(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        text = one.canary.spec.analysis.interval
        seconds = _seconds(text)
        if seconds is not None and 0 < seconds < MINIMUM_INTERVAL:
            reason = f'"{text}" is below the 10s that the operator keeps between two checks'
            fix = "write 10s or more, or start the operator with a lower -minimum-interval"
            yield Found(one.document, f"{_PATH}.interval", reason, fix, Level.WARNING)


@common("analysis/step-beyond-max", "No step leads beyond maxWeight; it is taken all the same.")
def step_beyond_max(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        analysis = one.canary.spec.analysis
        step, most = analysis.step_weight or 0, analysis.max_weight
        if not 0 < most <= 100 or not 0 < step <= 100 or most % step == 0:
            continue
        last = min(100, (most // step + 1) * step)
        reason = (
            f"steps of {step} do not lead to maxWeight {most}: the last one gives the canary {last}"
            " percent"
        )
        fix = f"use a maxWeight that is a multiple of {step}, or stepWeights"
        yield Found(one.document, f"{_PATH}.stepWeight", reason, fix, Level.WARNING)


@common(
    "analysis/no-effect",
    "Nothing is asked for that the strategy does not look at, such as maxWeight in an A/B test.",
)
def no_effect(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        for field, reason, fix in _without_effect(one.canary.spec.analysis):
            yield Found(one.document, f"{_PATH}.{field}", reason, fix, Level.WARNING)


def _without_effect(analysis: Analysis) -> Iterator[tuple[str, str, str]]:
    if analysis.iterations is not None:
        test = "an A/B test" if analysis.match else "a blue/green rollout"
        for field, value in (
            ("maxWeight", analysis.max_weight),
            ("stepWeightPromotion", analysis.step_weight_promotion),
        ):
            if value:
                yield field, f"means nothing in {test}, which has no weights", "remove it"
        if analysis.match and analysis.mirror:
            yield "mirror", "nothing is mirrored in an A/B test", "remove it, or remove match"
    elif analysis.match:
        reason = "is obeyed with iterations only: with weights, any request may meet the canary"
        yield "match", reason, "replace the weights by iterations, or remove match"
    if analysis.step_weights and analysis.max_weight:
        reason = "is not looked at beside stepWeights, the last of which is the highest"
        yield "maxWeight", reason, "remove it"
    if analysis.mirror_weight and not analysis.mirror:
        yield "mirrorWeight", "means nothing without mirror", "set mirror: true, or remove it"


def _seconds(text: str) -> float | None:
    try:
        return duration.seconds(text)
    except ValueError:
        return None
