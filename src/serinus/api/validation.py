"""What makes no sense in a Canary, whatever release obeys it.

The CRD has caught most of it before (wrong types, unknown enum values, a missing field) unless an
older CRD is installed. What is here is what a schema that still accepts all of Flagger's manifests
cannot say.
"""

import re
from collections.abc import Iterator
from typing import Protocol

from serinus.api import duration
from serinus.api.analysis import Analysis, Metric, Webhook
from serinus.api.canary import Canary, CanarySpec
from serinus.api.problem import Problem
from serinus.api.walk import walk

BUILTIN_METRICS = ("request-success-rate", "request-duration")

LONGEST_NAME = 63 - len("-primary")
"""A name is also the start of a label's value and of a Service's name, of 63 characters at most."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HTTP = re.compile(
    r"https?://([^\s/?#@]+@)?(\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]]+)(:[0-9]{1,5})?([/?#]\S*)?"
)


def problems(canary: Canary) -> tuple[Problem, ...]:
    """Everything in the canary that keeps it from being rolled out, in the order of the schema."""
    return tuple(problem for check in _CHECKS for problem in check(canary.spec))


class _Check(Protocol):
    def __call__(self, spec: CanarySpec, /) -> Iterator[Problem]: ...


def _declared_limits(spec: CanarySpec) -> Iterator[Problem]:
    for visit in walk(spec, "spec"):
        known = visit.schema.get("enum")
        if known is not None and visit.value not in known:
            listed = ", ".join(name for name in known if name)
            yield Problem(visit.path, f'"{visit.value}" is not known; use one of {listed}')
        low, high = visit.schema.get("minimum"), visit.schema.get("maximum")
        if low is not None and visit.value < low:
            yield Problem(visit.path, f"is {visit.value}; the least is {low}")
        if high is not None and visit.value > high:
            yield Problem(visit.path, f"is {visit.value}; the most is {high}")


def _names(spec: CanarySpec) -> Iterator[Problem]:
    target = spec.target_ref.name
    if len(target) > LONGEST_NAME or not _SUBDOMAIN.fullmatch(target):
        yield Problem(
            "spec.targetRef.name",
            f'"{target}" cannot name a workload and its primary; use at most {LONGEST_NAME}'
            " lower-case letters, digits, dashes and dots",
        )
    apex = spec.service.name or target
    if len(apex) > LONGEST_NAME or not _SERVICE.fullmatch(apex):
        yield Problem(
            "spec.service.name",
            f'"{apex}" cannot name the Services; use at most {LONGEST_NAME} lower-case letters,'
            " digits and dashes, with a letter first",
        )
    scaler = spec.autoscaler_ref
    if scaler is None:
        return
    if len(scaler.name) > 253 - len("-primary") or not _SUBDOMAIN.fullmatch(scaler.name):
        yield Problem(
            "spec.autoscalerRef.name",
            f'"{scaler.name}" cannot name an autoscaler; use lower-case letters, digits, dashes'
            " and dots",
        )
    replicas = scaler.primary_scaler_replicas
    if (
        replicas is not None
        and replicas.min_replicas is not None
        and replicas.max_replicas is not None
        and replicas.min_replicas > replicas.max_replicas
    ):
        yield Problem(
            "spec.autoscalerRef.primaryScalerReplicas",
            f"minReplicas {replicas.min_replicas} is above maxReplicas {replicas.max_replicas};"
            " swap them",
        )


def _ports(spec: CanarySpec) -> Iterator[Problem]:
    service = spec.service
    if not 1 <= service.port <= 65535:
        yield Problem(
            "spec.service.port", f"is {service.port}; use the Service's port, from 1 to 65535"
        )
    if len(service.port_name_or_default) > 63 or not _LABEL.fullmatch(service.port_name_or_default):
        yield Problem(
            "spec.service.portName",
            f'"{service.port_name}" cannot name a port; use lower-case letters, digits and dashes',
        )
    match service.target_port_or_default:
        case int() as port if service.target_port is not None and not 1 <= port <= 65535:
            yield Problem("spec.service.targetPort", f"is {port}; use a port from 1 to 65535")
        case str() as name if name.isdecimal():
            yield Problem(
                "spec.service.targetPort",
                f'"{name}" in quotes is a name, and a name needs a letter; write {name} without'
                " quotes",
            )
        case str() as name if len(name) > 15 or not _PORT_NAME.fullmatch(name):
            yield Problem(
                "spec.service.targetPort",
                f'"{name}" cannot name a container\'s port; use at most 15 lower-case letters,'
                " digits and single dashes",
            )


def _settings(spec: CanarySpec) -> Iterator[Problem]:
    if spec.metrics_server and not _HTTP.fullmatch(spec.metrics_server):
        yield _no_address("spec.metricsServer", spec.metrics_server)
    if spec.progress_deadline < 1:
        yield Problem(
            "spec.progressDeadlineSeconds",
            f"is {spec.progress_deadline}; use the seconds that a workload may take to become"
            " ready, such as 600",
        )


def _pace(spec: CanarySpec) -> Iterator[Problem]:
    analysis = spec.analysis
    if analysis.interval:
        yield from _time("spec.analysis.interval", analysis.interval)
    if analysis.threshold < 0:
        yield Problem(
            "spec.analysis.threshold",
            f"is {analysis.threshold}; use the number of failed checks that end the rollout,"
            " from 1 on",
        )
    if analysis.iterations is not None and analysis.iterations < 1:
        yield Problem(
            "spec.analysis.iterations",
            f"is {analysis.iterations}; use the checks to pass, 1 or more",
        )
    strategies = {
        "iterations": analysis.iterations,
        "stepWeight": analysis.step_weight,
        "stepWeights": analysis.step_weights,
    }
    given = [name for name, value in strategies.items() if value is not None]
    if len(given) != 1:
        yield Problem(
            "spec.analysis",
            f"has {' and '.join(given) or 'no strategy'}; give exactly one of iterations,"
            " stepWeight and stepWeights",
        )


def _weights(spec: CanarySpec) -> Iterator[Problem]:
    analysis = spec.analysis
    percents = {
        "maxWeight": analysis.max_weight,
        "stepWeightPromotion": analysis.step_weight_promotion,
        "mirrorWeight": analysis.mirror_weight,
        "primaryReadyThreshold": analysis.primary_ready_threshold_or_default,
        "canaryReadyThreshold": analysis.canary_ready_threshold_or_default,
    }
    for name, percent in percents.items():
        if not 0 <= percent <= 100:
            yield Problem(f"spec.analysis.{name}", f"is {percent}; use a percentage from 0 to 100")
    if analysis.step_weight is not None and not 1 <= analysis.step_weight <= 100:
        yield Problem(
            "spec.analysis.stepWeight",
            f"is {analysis.step_weight}; use the percentage that each step adds, from 1 to 100",
        )
    yield from _steps(analysis)


def _steps(analysis: Analysis) -> Iterator[Problem]:
    steps = analysis.step_weights
    if steps is None:
        return
    path = "spec.analysis.stepWeights"
    if not steps:
        yield Problem(path, "is empty; list the canary's percentages, such as [10, 25, 50]")
    for index, step in enumerate(steps):
        if not 1 <= step <= 100:
            yield Problem(f"{path}[{index}]", f"is {step}; use a percentage from 1 to 100")
        elif index and step <= steps[index - 1]:
            yield Problem(
                f"{path}[{index}]", f"is {step} after {steps[index - 1]}; every step must be higher"
            )


def _metrics(spec: CanarySpec) -> Iterator[Problem]:
    for index, metric in enumerate(spec.analysis.metrics):
        yield from _metric(f"spec.analysis.metrics[{index}]", metric)


def _metric(path: str, metric: Metric) -> Iterator[Problem]:
    builtin = metric.name in BUILTIN_METRICS
    if not builtin and not metric.query and metric.template_ref is None:
        yield Problem(
            f"{path}.name",
            f'"{metric.name}" is not built in and has no templateRef or query; use'
            f" {' or '.join(BUILTIN_METRICS)}, or give a templateRef",
        )
    if metric.interval:
        yield from _time(f"{path}.interval", metric.interval)
    bounds = {f"{path}.threshold": metric.threshold}
    if metric.threshold_range is not None:
        low, high = metric.threshold_range.min, metric.threshold_range.max
        bounds |= {f"{path}.thresholdRange.min": low, f"{path}.thresholdRange.max": high}
        if low is not None and high is not None and low > high:
            yield Problem(f"{path}.thresholdRange", f"min {low:g} is above max {high:g}; swap them")
    for where, bound in bounds.items():
        if bound is None or not builtin:
            continue
        if metric.name == "request-success-rate" and not 0 <= bound <= 100:
            yield Problem(where, f"is {bound:g}; a success rate is a percentage from 0 to 100")
        if metric.name == "request-duration" and bound < 0:
            yield Problem(where, f"is {bound:g}; a duration is in milliseconds, from 0 on")


def _webhooks(spec: CanarySpec) -> Iterator[Problem]:
    for index, webhook in enumerate(spec.analysis.webhooks):
        yield from _webhook(f"spec.analysis.webhooks[{index}]", webhook)


def _webhook(path: str, webhook: Webhook) -> Iterator[Problem]:
    if not webhook.name:
        yield Problem(f"{path}.name", "is empty; events need a name to call the webhook by")
    if not _HTTP.fullmatch(webhook.url):
        yield _no_address(f"{path}.url", webhook.url)
    if webhook.timeout:
        yield from _time(f"{path}.timeout", webhook.timeout)
    if webhook.retries < 0:
        yield Problem(f"{path}.retries", f"is {webhook.retries}; use 0 or more")


def _affinity(spec: CanarySpec) -> Iterator[Problem]:
    affinity = spec.analysis.session_affinity
    if affinity is not None and affinity.cookie_name == affinity.primary_cookie_name:
        yield Problem(
            "spec.analysis.sessionAffinity.primaryCookieName",
            f'"{affinity.cookie_name}" is also the cookieName; use another name',
        )


def _time(path: str, text: str) -> Iterator[Problem]:
    try:
        if duration.seconds(text) <= 0:
            yield Problem(path, f'is "{text}"; use a time above zero, such as "30s"')
    except ValueError as error:
        yield Problem(path, str(error))


def _no_address(path: str, text: str) -> Problem:
    return Problem(path, f'"{text}" is not an address; write http://HOST or https://HOST')


_CHECKS: tuple[_Check, ...] = (
    _declared_limits,
    _names,
    _ports,
    _settings,
    _pace,
    _weights,
    _metrics,
    _webhooks,
    _affinity,
)
