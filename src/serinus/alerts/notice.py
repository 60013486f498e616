"""What people are told about a canary, before any chat service gives it a form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from serinus.api.analysis import Analysis
from serinus.api.canary import Canary

Severity = Literal["info", "warn", "error"]

SEVERITIES: Mapping[str, int] = {name: rank for rank, name in enumerate(get_args(Severity))}


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. ``subject`` is "NAME.NAMESPACE" of the canary (or says which canaries),
    ``facts`` are names and values that explain it."""

    subject: str
    severity: Severity
    text: str
    facts: tuple[tuple[str, str], ...] = ()


def notice(
    canary: Canary, severity: Severity, text: str, *, described: bool, cluster: str
) -> Notice:
    """The message about a canary. ``described`` adds what is rolled out and how; ``cluster`` is
    the cluster's name, empty when it has none."""
    facts: list[tuple[str, str]] = [("Cluster", cluster)] if cluster else []
    if described:
        target, analysis = canary.spec.target_ref, canary.spec.analysis
        facts += [
            ("Target", f"{target.kind}/{target.name}.{canary.namespace}"),
            ("Failed checks threshold", str(analysis.threshold_or_default)),
            ("Progress deadline", f"{canary.spec.progress_deadline}s"),
            ("Traffic routing", _routing(analysis)),
        ]
    return Notice(f"{canary.name}.{canary.namespace}", severity, text, tuple(facts))


def admits(lowest: str, severity: Severity) -> bool:
    """Whether an alert that is to be sent from ``lowest`` on takes this one.

    Flagger sends nothing where the severity is omitted, against its own documentation; here that
    means info, which is everything.
    """
    return SEVERITIES[severity] >= SEVERITIES.get(lowest, 0)


def _routing(analysis: Analysis) -> str:
    if analysis.match:
        return "A/B Testing"
    if analysis.step_weights:
        steps = ",".join(str(step) for step in analysis.step_weights)
        return f"Weight steps: {steps} max: {analysis.max_weight_or_default}"
    if analysis.step_weight:
        return f"Weight step: {analysis.step_weight} max: {analysis.max_weight_or_default}"
    return "Blue/Green"
