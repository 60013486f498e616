"""What makes pods: Deployments and their like, Jobs; and their disruption budgets."""

import re
from collections.abc import Iterator
from typing import Any, Final

from serinus.lab.apiserver.schema import field_errors as error
from serinus.lab.apiserver.schema import names
from serinus.lab.apiserver.schema.field_errors import FieldError
from serinus.lab.apiserver.schema.metadata import check_labels
from serinus.lab.apiserver.schema.rules import Object, Rule
from serinus.lab.apiserver.schema.rules.pods import check_pod_spec

_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_STATEFUL_SET_CHANGEABLE: Final = frozenset(
    {
        *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
        *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
    }
)


def check_selector(selector: Any, path: str) -> Iterator[FieldError]:
    """The form of a label selector."""
    if not isinstance(selector, dict):
        return
    yield from check_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        here = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator"), expression.get("values")
        if operator in ("In", "NotIn") and not values:
            yield error.required(
                f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"
            )
        elif operator in ("Exists", "DoesNotExist") and values:
            yield error.forbidden(
                f"{here}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        elif operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            yield error.invalid(f"{here}.operator", operator, "not a valid selector operator")
        for message in names.qualified_name(expression.get("key") or ""):
            yield error.invalid(f"{here}.key", expression.get("key"), message)


def selects(selector: Object, labels: Object) -> bool:
    """Whether a label selector (not a bare map) takes an object with these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions") or ():
        value, values = labels.get(expression.get("key")), expression.get("values") or ()
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds.get(expression.get("operator"), False):
            return False
    return True


def check_template(template: Any, path: str, restart: tuple[str, ...]) -> Iterator[FieldError]:
    if not isinstance(template, dict):
        return
    labels = (template.get("metadata") or {}).get("labels")
    yield from check_labels(labels, f"{path}.metadata.labels")
    spec = template.get("spec") or {}
    yield from check_pod_spec(spec, f"{path}.spec")
    policy = spec.get("restartPolicy")
    if policy and policy not in restart:
        yield error.not_supported(f"{path}.spec.restartPolicy", policy, restart)


def _check_controller(name: str) -> Rule:
    def check(obj: Object, old: Object | None) -> Iterator[FieldError]:
        spec = obj.get("spec") or {}
        for field in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
            if (spec.get(field) or 0) < 0:
                yield error.invalid(f"spec.{field}", spec[field], _NOT_NEGATIVE)
        selector = spec.get("selector")
        if selector is not None:
            yield from check_selector(selector, "spec.selector")
            if not (selector.get("matchLabels") or selector.get("matchExpressions")):
                yield error.invalid(
                    "spec.selector", selector, f"empty selector is invalid for {name}"
                )
            labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
            if not selects(selector, labels):
                yield error.invalid(
                    "spec.template.metadata.labels",
                    labels,
                    "`selector` does not match template `labels`",
                )
        yield from check_template(spec.get("template"), "spec.template", ("Always",))
        if old is not None and selector != (old.get("spec") or {}).get("selector"):
            yield error.immutable("spec.selector", selector)

    return check


def _check_deployment(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _check_controller("deployment")(obj, old)
    spec = obj.get("spec") or {}
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        yield error.forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )
    elif rolling is not None:
        yield from _check_rolling(rolling, "spec.strategy.rollingUpdate")
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline < 0:
        yield error.invalid("spec.progressDeadlineSeconds", deadline, _NOT_NEGATIVE)
    elif deadline is not None and deadline <= ready:
        yield error.invalid(
            "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
        )


def _check_rolling(rolling: Object, path: str) -> Iterator[FieldError]:
    for field in ("maxUnavailable", "maxSurge"):
        value = rolling.get(field)
        if value is not None:
            yield from check_share(value, f"{path}.{field}")
    if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
        yield error.invalid(
            f"{path}.maxUnavailable",
            rolling.get("maxUnavailable"),
            "may not be 0 when `maxSurge` is 0",
        )


def _is_zero(value: Any) -> bool:
    return value in (None, 0, "0%")


def check_share(value: Any, path: str) -> Iterator[FieldError]:
    """A number of pods or a percentage."""
    if isinstance(value, str):
        if not re.fullmatch("[0-9]+%", value):
            yield error.invalid(
                path,
                value,
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. "
                "'1%',  or '93%', regex used for validation is '[0-9]+%')",
            )
    elif value < 0:
        yield error.invalid(path, value, _NOT_NEGATIVE)


def _check_daemon_set(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _check_controller("daemonset")(obj, old)
    rolling = ((obj.get("spec") or {}).get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is not None:
        yield from _check_rolling(rolling, "spec.updateStrategy.rollingUpdate")


def _check_stateful_set(obj: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _check_controller("statefulset")(obj, None)
    if old is None:
        return
    new_spec, old_spec = obj.get("spec") or {}, old.get("spec") or {}
    if any(
        new_spec.get(field) != old_spec.get(field)
        for field in {*new_spec, *old_spec} - _STATEFUL_SET_CHANGEABLE
    ):
        yield error.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', "
            "'template', 'updateStrategy', 'revisionHistoryLimit', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        )


def _check_job_spec(spec: Object, path: str) -> Iterator[FieldError]:
    for field in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        if (spec.get(field) or 0) < 0:
            yield error.invalid(f"{path}.{field}", spec[field], _NOT_NEGATIVE)
    template = spec.get("template")
    if isinstance(template, dict) and template.get("spec"):
        policy = template["spec"].get("restartPolicy")
        if policy == "Always":
            yield error.required(
                f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'
            )
    yield from check_template(template, f"{path}.template", ("Always", "OnFailure", "Never"))


def _check_job_selector(job: Object, spec: Object) -> Iterator[FieldError]:
    """The selector is the server's own unless ``manualSelector`` says that it is the client's.

    A Job without a uid has not been given one yet.
    """
    selector = spec.get("selector")
    if spec.get("manualSelector"):
        if not selector:
            yield error.required("spec.selector")
        return
    metadata = job.get("metadata") or {}
    if not metadata.get("uid"):
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    own = {"controller-uid": metadata.get("uid"), "job-name": metadata.get("name")}
    for name, value in own.items():
        for key in (f"batch.kubernetes.io/{name}", name):
            if labels.get(key) != value:
                yield error.invalid(
                    "spec.template.metadata.labels", labels, f"{key} must be '{value}'"
                )
    if selector != {"matchLabels": {"batch.kubernetes.io/controller-uid": own["controller-uid"]}}:
        yield error.invalid("spec.selector", selector, "`selector` not auto-generated")


def _check_job(obj: Object, old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    yield from _check_job_spec(spec, "spec")
    if old is None:
        yield from _check_job_selector(obj, spec)
    else:
        for field in ("template", "selector", "completionMode"):
            before = (old.get("spec") or {}).get(field)
            if before is not None and spec.get(field) != before:
                yield error.immutable(f"spec.{field}", spec.get(field))


def _check_cron_job(obj: Object, _old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    schedule = spec.get("schedule")
    if not schedule:
        yield error.required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        yield error.invalid(
            "spec.schedule",
            schedule,
            f"expected exactly 5 fields, found {len(schedule.split())}: [{schedule}]",
        )
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    yield from _check_job_spec(job, "spec.jobTemplate.spec")


def _check_budget(obj: Object, _old: Object | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    both = spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None
    if both:
        yield error.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            yield from check_share(spec[field], f"spec.{field}")
    yield from check_selector(spec.get("selector"), "spec.selector")


RULES: Final[dict[tuple[str, str], Rule]] = {
    ("apps", "Deployment"): _check_deployment,
    ("apps", "ReplicaSet"): _check_controller("replica set"),
    ("apps", "DaemonSet"): _check_daemon_set,
    ("apps", "StatefulSet"): _check_stateful_set,
    ("batch", "Job"): _check_job,
    ("batch", "CronJob"): _check_cron_job,
    ("policy", "PodDisruptionBudget"): _check_budget,
}
