"""The columns of what makes pods, scales them, and guards them."""

from datetime import datetime
from typing import Any

from serinus.lab.apiserver.tables.age import age, human_duration, parse_time
from serinus.lab.apiserver.tables.column import (
    AGE,
    CONTAINERS,
    JOB_CONTAINERS,
    NAME,
    NONE,
    SELECTOR,
    Column,
    Object,
    at,
    computed,
    count,
    labels_text,
    shown,
    wide,
)


def _ready_of_desired(obj: Object) -> str:
    desired = at(obj, "spec", "replicas")
    return f"{at(obj, 'status', 'readyReplicas') or 0}/{1 if desired is None else desired}"


DEPLOYMENT = (
    NAME,
    computed("Ready", _ready_of_desired),
    count("Up-to-date", "status", "updatedReplicas", type="string"),
    count("Available", "status", "availableReplicas", type="string"),
    AGE,
    *CONTAINERS,
    SELECTOR,
)
REPLICASET = (
    NAME,
    count("Desired", "spec", "replicas"),
    count("Current", "status", "replicas"),
    count("Ready", "status", "readyReplicas"),
    AGE,
    *CONTAINERS,
    SELECTOR,
)
STATEFULSET = (NAME, computed("Ready", _ready_of_desired), AGE, *CONTAINERS)
DAEMONSET = (
    NAME,
    count("Desired", "status", "desiredNumberScheduled"),
    count("Current", "status", "currentNumberScheduled"),
    count("Ready", "status", "numberReady"),
    count("Up-to-date", "status", "updatedNumberScheduled"),
    count("Available", "status", "numberAvailable"),
    computed(
        "Node Selector", lambda o: labels_text(at(o, "spec", "template", "spec", "nodeSelector"))
    ),
    AGE,
    *CONTAINERS,
    SELECTOR,
)


def _job_status(job: Object) -> str:
    conditions = at(job, "status", "conditions") or []
    holding = {c.get("type") for c in conditions if c.get("status") == "True"}
    for condition, word in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        (None, "Terminating"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if condition in holding or (
            condition is None and at(job, "metadata", "deletionTimestamp") is not None
        ):
            return word
    return "Running"


def _completions(job: Object) -> str:
    succeeded = at(job, "status", "succeeded") or 0
    completions = at(job, "spec", "completions")
    if completions is not None:
        return f"{succeeded}/{completions}"
    parallelism = at(job, "spec", "parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Object, now: datetime) -> str:
    start, end = at(job, "status", "startTime"), at(job, "status", "completionTime")
    if not start:
        return ""
    until = parse_time(end) if end else now
    return human_duration((until - parse_time(start)).total_seconds())


JOB = (
    NAME,
    computed("Status", _job_status),
    computed("Completions", _completions),
    Column("Duration", _job_duration),
    AGE,
    *CONTAINERS,
    SELECTOR,
)


def _last_schedule(job: Object, now: datetime) -> str:
    last = at(job, "status", "lastScheduleTime")
    return age(last, now) if last else NONE


CRONJOB = (
    NAME,
    shown("Schedule", "spec", "schedule", default=""),
    shown("Timezone", "spec", "timeZone"),
    computed("Suspend", lambda job: str(bool(at(job, "spec", "suspend")))),
    count("Active", "status", "active"),
    Column("Last Schedule", _last_schedule),
    AGE,
    *JOB_CONTAINERS,
    wide(computed("Selector", lambda _job: NONE)),
)


def _targets(autoscaler: Object) -> str:
    """``cpu: 3%/99%``; at most two metrics, then how many more there are."""
    specs = at(autoscaler, "spec", "metrics") or []
    current = at(autoscaler, "status", "currentMetrics") or []
    targets = [
        _target(spec, current[position] if position < len(current) else {})
        for position, spec in enumerate(specs)
    ]
    if not targets:
        return NONE
    more = f" + {len(targets) - 2} more..." if len(targets) > 2 else ""
    return ", ".join(targets[:2]) + more


def _target(spec: Object, current: Object) -> str:
    kind = spec.get("type", "")
    source = kind[:1].lower() + kind[1:]
    wanted, measured = at(spec, source, "target") or {}, at(current, source, "current") or {}
    if kind in ("Resource", "ContainerResource"):
        prefix = f"{at(spec, source, 'name')}: "
        if wanted.get("averageUtilization") is not None:
            use = measured.get("averageUtilization")
            measured_use = "<unknown>" if use is None else f"{use}%"
            return f"{prefix}{measured_use}/{wanted['averageUtilization']}%"
        return f"{prefix}{measured.get('averageValue') or '<unknown>'}/{wanted.get('averageValue')}"
    for key, suffix in (("averageValue", " (avg)" if kind != "Pods" else ""), ("value", "")):
        if wanted.get(key) is not None:
            return f"{measured.get(key) or '<unknown>'}/{wanted[key]}{suffix}"
    return "<unknown>/<auto>"


def _reference(autoscaler: Object) -> str:
    target = at(autoscaler, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _min_pods(autoscaler: Object) -> Any:
    minimum = at(autoscaler, "spec", "minReplicas")
    return "<unset>" if minimum is None else str(minimum)


AUTOSCALER = (
    NAME,
    computed("Reference", _reference),
    computed("Targets", _targets),
    computed("MinPods", _min_pods),
    count("MaxPods", "spec", "maxReplicas", type="string"),
    count("Replicas", "status", "currentReplicas", type="string"),
    AGE,
)


def _or_not_applicable(key: str) -> Any:
    def cell(budget: Object) -> str:
        value = at(budget, "spec", key)
        return "N/A" if value is None else str(value)

    return cell


DISRUPTION_BUDGET = (
    NAME,
    computed("Min Available", _or_not_applicable("minAvailable")),
    computed("Max Unavailable", _or_not_applicable("maxUnavailable")),
    count("Allowed Disruptions", "status", "disruptionsAllowed"),
    AGE,
)
