"""The primary: a Deployment made from the target, and brought to its template on promotion.

All functions are pure and work on whole objects as the API server gives them, because a pod
template is copied verbatim, fields included that Serinus has never heard of.
"""

from collections.abc import Collection, Iterator
from copy import deepcopy
from typing import Any

from serinus.api.canary import Canary
from serinus.cluster.kinds import DEPLOYMENTS
from serinus.cluster.ownership import owner_reference
from serinus.cluster.resource import Resource
from serinus.workload.configs import ConfigName, references, rename
from serinus.workload.labels import (
    DEFAULT_RULES,
    PRIMARY_SUFFIX,
    LabelRules,
    PodSelector,
    without_toolkit,
)
from serinus.workload.tracking import Renames
from serinus.workload.views import LAST_APPLIED, PROMOTION_ID, PodsView

Json = dict[str, Any]

FOLLOWED = (
    "template",
    "strategy",
    "updateStrategy",
    "minReadySeconds",
    "revisionHistoryLimit",
    "progressDeadlineSeconds",
)
"""The fields of a Deployment's or DaemonSet's spec that a promotion brings to the target's."""

CONTROLLER_REVISION = "deployment.kubernetes.io/revision"
"""Counts a Deployment's own ReplicaSets. Neither it nor kubectl's copy of the target's manifest
is true of the primary."""

UNCOPIED = (CONTROLLER_REVISION, LAST_APPLIED)


def primary_template(
    template: Json, selector: PodSelector, copied: Collection[ConfigName] = ()
) -> Json:
    """The target's pod template as its primary runs it, but for the promotion's id.

    References to the ConfigMaps and Secrets of ``copied`` are to the primary's copies.
    The selector's label gets the primary's value, in the pods' labels and wherever the template
    itself selects its own pods in order to spread them. Keys of Flux are dropped.
    """
    made = deepcopy(template)
    metadata = made.setdefault("metadata", {})
    labels = without_toolkit(metadata.get("labels") or {})
    labels[selector.key] = selector.primary_value
    metadata["labels"] = labels
    annotations = without_toolkit(metadata.get("annotations") or {})
    annotations.pop(PROMOTION_ID, None)
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    for own in _spreading_selectors(made.get("spec") or {}):
        _rename(own, selector)
    rename(made.get("spec") or {}, copied, PRIMARY_SUFFIX)
    return made


def primary_workload(
    canary: Canary,
    target: Json,
    selector: PodSelector,
    rules: LabelRules,
    promotion_id: str,
    copied: Collection[ConfigName] = (),
    resource: Resource = DEPLOYMENTS,
) -> Json:
    """What to create as the primary of ``target``, a whole object of that kind.

    ``promotion_id`` names the revision that the primary starts with (`origin_of`). The primary
    never starts at zero replicas, also when it is made anew beside a target that is at rest.
    """
    metadata, spec = target.get("metadata") or {}, target.get("spec") or {}
    made: Json = {field: deepcopy(spec[field]) for field in FOLLOWED if field in spec}
    if resource is DEPLOYMENTS:
        made["replicas"] = max(1, _replicas(spec))
    made["selector"] = {"matchLabels": selector.primary}
    made["template"] = _identified(
        primary_template(spec.get("template") or {}, selector, copied), promotion_id
    )
    annotations = without_toolkit(metadata.get("annotations") or {})
    for key in UNCOPIED:
        annotations.pop(key, None)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": canary.primary_name,
            "namespace": canary.namespace,
            "labels": {**rules.copied(metadata.get("labels") or {}), **selector.primary},
            "annotations": annotations,
            "ownerReferences": [owner_reference(canary)],
        },
        "spec": made,
    }


def promotion(
    target: Json,
    primary: Json,
    selector: PodSelector,
    promotion_id: str,
    copied: Collection[ConfigName] = (),
    *,
    autoscaled: bool,
    rules: LabelRules = DEFAULT_RULES,
) -> list[Json]:
    """The JSON patch that brings the primary to the target; empty when it is there.

    ``promotion_id`` has to be the same for the same template, so that promoting twice restarts
    the primary's pods once. Replicas follow only where no autoscaler owns them, and never to zero.
    """
    wanted, found = target.get("spec") or {}, primary.get("spec") or {}
    operations: list[Json] = []
    for field in FOLLOWED:
        value = wanted.get(field)
        if field == "template":
            value = _identified(primary_template(value or {}, selector, copied), promotion_id)
        operations += _brought(f"/spec/{field}", value, found.get(field))
    replicas = _replicas(wanted)
    if not autoscaled and replicas > 0:
        operations += _brought("/spec/replicas", replicas, _replicas(found))
    return [*operations, *_metadata(target, primary, selector, rules)]


def _metadata(
    target: Json, primary: Json, selector: PodSelector, rules: LabelRules
) -> Iterator[Json]:
    """Labels and annotations of the copied prefixes; others, and those that the target has lost,
    may be somebody else's by now."""
    for field in ("labels", "annotations"):
        wanted = rules.copied((target.get("metadata") or {}).get(field) or {})
        if field == "labels":
            wanted.pop(selector.key, None)
        found = (primary.get("metadata") or {}).get(field)
        changed = {
            key: text
            for key, text in wanted.items()
            if key not in UNCOPIED and (found or {}).get(key) != text
        }
        if changed and found is None:
            yield {"op": "add", "path": f"/metadata/{field}", "value": changed}
            continue
        for key, text in changed.items():
            escaped = key.replace("~", "~0").replace("/", "~1")
            yield {"op": "add", "path": f"/metadata/{field}/{escaped}", "value": text}


def runs_target(
    target: PodsView, primary: PodsView, selector: PodSelector, renames: Renames
) -> bool:
    """Whether the primary runs the target's pod template, modulo what a primary gets renamed."""
    key = (target.revision, selector, renames)
    known = primary.comparisons.get(key)
    if known is None:
        known = in_primary(target.template(), primary.template(), selector, renames)
        primary.comparisons.clear()
        primary.comparisons[key] = known
    return known


_NO_RENAMES = Renames()


def in_primary(
    target_template: Json,
    primary_template_: Json,
    selector: PodSelector,
    renames: Renames = _NO_RENAMES,
) -> bool:
    """Whether a primary's pod template is what this target's template becomes in a primary.

    The promotion's id does not count. Its references to ConfigMaps and Secrets have to be as
    ``renames`` says; so a primary that Flagger made is recognised.
    """
    expected = _comparable(primary_template(target_template, selector))
    found = _comparable(primary_template_)
    pairs = zip(
        references(expected.get("spec") or {}), references(found.get("spec") or {}), strict=False
    )
    for wanted, actual in pairs:
        named = (wanted.kind, wanted.name)
        if named in renames.allowed and actual.name == wanted.name + PRIMARY_SUFFIX:
            actual.holder[actual.key] = wanted.name
        elif named in renames.required:
            return False
    return expected == found


def _comparable(template: Json) -> Json:
    """A copy in which metadata that is null or empty is absent, and so is the promotion's id."""
    made = deepcopy(template)
    metadata = made.pop("metadata", None) or {}
    annotations = metadata.get("annotations") or {}
    annotations.pop(PROMOTION_ID, None)
    made["metadata"] = {key: value for key, value in metadata.items() if value}
    return made


def _identified(template: Json, promotion_id: str) -> Json:
    template["metadata"].setdefault("annotations", {})[PROMOTION_ID] = promotion_id
    return template


def _brought(path: str, wanted: Any, found: Any) -> list[Json]:
    """The operation that makes ``path`` what is wanted; ``wanted`` None means absent."""
    if wanted == found:
        return []
    if wanted is None:
        return [{"op": "remove", "path": path}]
    return [{"op": "add", "path": path, "value": wanted}]


def _replicas(spec: Json) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _spreading_selectors(pod_spec: Json) -> Iterator[Json]:
    """The label selectors by which a pod keeps away from its like."""
    for constraint in pod_spec.get("topologySpreadConstraints") or ():
        yield constraint.get("labelSelector") or {}
    apart = (pod_spec.get("affinity") or {}).get("podAntiAffinity") or {}
    for term in apart.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        yield term.get("labelSelector") or {}
    for weighted in apart.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        yield (weighted.get("podAffinityTerm") or {}).get("labelSelector") or {}


def _rename(label_selector: Json, selector: PodSelector) -> None:
    """Let a label selector that means the target's pods mean the primary's."""
    equalities = label_selector.get("matchLabels") or {}
    if equalities.get(selector.key) == selector.value:
        equalities[selector.key] = selector.primary_value
    for expression in label_selector.get("matchExpressions") or ():
        if expression.get("key") == selector.key:
            expression["values"] = [
                selector.primary_value if value == selector.value else value
                for value in expression.get("values") or ()
            ]
