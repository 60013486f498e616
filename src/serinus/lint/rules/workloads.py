"""Whether a target among the files can be rolled out."""

from collections.abc import Iterator

from serinus.lint.documents import listed, mapping
from serinus.lint.files import Files
from serinus.lint.finding import Level
from serinus.lint.registry import Found, common
from serinus.workload.errors import WorkloadError
from serinus.workload.labels import DEFAULT_RULES

_SCALERS = {"HorizontalPodAutoscaler": "autoscaling", "ScaledObject": "keda.sh"}


@common(
    "workload/selector",
    "A target selects its pods by one of the labels app, name and app.kubernetes.io/name, by which "
    "primary and canary are told apart.",
)
def selector(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        target = files.target(one.canary)
        if target is None or target.kind == "Service":
            continue
        chosen = mapping(target.spec, "selector", "matchLabels")
        try:
            DEFAULT_RULES.selector(f"{target.name}.{one.canary.namespace}", chosen, target.kind)
        except WorkloadError as error:
            fix = "add one of them, or start the operator with -selector-labels"
            yield Found(target, "spec.selector.matchLabels", str(error), fix)


@common("workload/target-port", "A targetPort that is a name is one of a port of the pods.")
def target_port(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        target, wanted = files.target(one.canary), one.canary.spec.service.target_port
        if target is None or target.kind == "Service" or not isinstance(wanted, str):
            continue
        containers = listed(target.spec, "template", "spec", "containers")
        names = [port.get("name") for each in containers for port in listed(each, "ports")]
        if wanted and not wanted.isdecimal() and wanted not in names:
            known = ", ".join(str(name) for name in names if name) or "none that is named"
            reason = f'{target.kind} {target.name} has no port "{wanted}"; it has {known}'
            fix = "name one of its ports, or write the number"
            yield Found(one.document, "spec.service.targetPort", reason, fix)


@common(
    "workload/autoscaler",
    "autoscalerRef is of a kind that scales the target, and the autoscaler of that name does.",
)
def autoscaler(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        reference, target = one.canary.spec.autoscaler_ref, one.canary.spec.target_ref
        if reference is None:
            continue
        path = "spec.autoscalerRef"
        if target.kind != "Deployment":
            reason = f"a {target.kind} is not scaled by an autoscaler"
            yield Found(one.document, path, reason, "remove it")
            continue
        group = _SCALERS.get(reference.kind, "")
        if group and reference.api_version.rpartition("/")[0] != group:
            reason = f'"{reference.api_version}" has no {reference.kind}'
            fix = "write " + ("autoscaling/v2" if group == "autoscaling" else "keda.sh/v1alpha1")
            yield Found(one.document, f"{path}.apiVersion", reason, fix)
        found = files.find(reference.kind, one.canary.namespace, reference.name)
        scaled = mapping(found.spec, "scaleTargetRef").get("name") if found is not None else None
        if found is not None and scaled != target.name:
            reason = f"{reference.kind} {reference.name} scales {scaled}, not {target.name}"
            yield Found(one.document, f"{path}.name", reason, "name the target's autoscaler")


@common(
    "workload/made-by-serinus",
    "The files hold no object that Serinus makes itself: primaries, and the Services of a canary.",
)
def made_by_serinus(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        canary = one.canary
        scaler = canary.spec.autoscaler_ref
        made = [
            (canary.spec.target_ref.kind, canary.primary_name),
            ("Service", canary.primary_service),
            ("Service", canary.canary_service),
        ]
        if scaler is not None:
            made.append((scaler.kind, f"{scaler.name}-primary"))
        for kind, name in made:
            found = files.find(kind, canary.namespace, name)
            if found is not None:
                reason = f"Serinus makes {kind} {name} for canary {canary.name}"
                fix = "remove it, or two will write it"
                yield Found(found, "metadata.name", reason, fix, Level.WARNING)
