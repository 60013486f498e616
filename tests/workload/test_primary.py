"""A primary is the target with one label renamed, and promotion keeps it so."""

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.workload.labels import LabelRules, PodSelector
from serinus.workload.primary import (
    in_primary,
    primary_template,
    primary_workload,
    promotion,
    runs_target,
)
from serinus.workload.tracking import Renames
from serinus.workload.views import decode_deployment
from workload.guide import Json, canary, deployment, encoded

PODS = PodSelector("app", "podinfo")
RULES = LabelRules(copied_prefixes=("app.kubernetes.io",))


def made(target: Json | None = None, promotion_id: str = "id-1") -> Json:
    return primary_workload(canary(), target or deployment(), PODS, RULES, promotion_id)


def promoted(target: Json, primary: Json, promotion_id: str = "id-2", **options: Any) -> Json:
    operations = promotion(
        target, primary, PODS, promotion_id, autoscaled=options.get("autoscaled", False)
    )
    result: Json = jsonpatch.apply_patch(primary, operations)
    return result


def test_names_labels_and_owner() -> None:
    primary = made()
    assert primary["metadata"] == {
        "name": "podinfo-primary",
        "namespace": "test",
        "labels": {"app": "podinfo-primary", "app.kubernetes.io/part-of": "shop"},
        "annotations": {"team": "web"},
        "ownerReferences": [
            {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "name": "podinfo",
                "uid": "canary-uid",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert primary["spec"]["selector"] == {"matchLabels": {"app": "podinfo-primary"}}


def test_the_template_is_verbatim_but_for_the_label() -> None:
    target, template = deployment(), made()["spec"]["template"]
    assert template["metadata"] == {
        "labels": {"app": "podinfo-primary", "tier": "front"},
        "annotations": {"prometheus.io/scrape": "true", "flagger-id": "id-1"},
    }
    spec, original = template["spec"], target["spec"]["template"]["spec"]
    for verbatim in ("containers", "volumes", "serviceAccountName"):
        assert spec[verbatim] == original[verbatim]
    spread = spec["topologySpreadConstraints"][0]["labelSelector"]
    assert spread == {"matchLabels": {"app": "podinfo-primary"}}
    apart = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    expression = apart[0]["podAffinityTerm"]["labelSelector"]["matchExpressions"][0]
    assert expression["values"] == ["podinfo-primary", "backend"]
    # To be near the target's pods stays what it was.
    assert spec["affinity"]["podAffinity"] == original["affinity"]["podAffinity"]


def test_pace_and_history_are_the_targets() -> None:
    target, primary = deployment(), made()
    for field in (
        "strategy",
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
        "replicas",
    ):
        assert primary["spec"][field] == target["spec"][field]


def test_keys_of_flux_are_not_copied() -> None:
    target = deployment()
    flux = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    target["spec"]["template"]["metadata"]["labels"].update(flux)
    target["spec"]["template"]["metadata"]["annotations"].update(flux)
    assert "toolkit.fluxcd.io" not in str(made(target))


def test_a_primary_never_starts_at_zero() -> None:
    target = deployment()
    target["spec"]["replicas"] = 0
    assert made(target)["spec"]["replicas"] == 1


def test_a_template_without_metadata() -> None:
    assert primary_template({"spec": {}}, PODS)["metadata"] == {
        "labels": {"app": "podinfo-primary"}
    }


def test_promotion_copies_what_changed_and_keeps_the_rest() -> None:
    target, primary = deployment(), made()
    primary["metadata"]["labels"]["mine"] = "kept"
    target["spec"]["template"]["spec"]["containers"][0]["image"] = "podinfo:6.0.1"
    target["spec"]["minReadySeconds"] = 7
    del target["spec"]["revisionHistoryLimit"]
    after = promoted(target, primary)
    assert after == {
        **primary,
        "spec": {**made(target, "id-2")["spec"]},
    }
    assert promotion(target, after, PODS, "id-2", autoscaled=False) == []


@pytest.mark.parametrize(
    ("target_has", "autoscaled", "primary_gets"), [(5, False, 5), (5, True, 2), (0, False, 2)]
)
def test_replicas_follow_only_without_autoscaler_and_never_to_zero(
    target_has: int, autoscaled: bool, primary_gets: int
) -> None:
    target, primary = deployment(), made()
    target["spec"]["replicas"] = target_has
    assert promoted(target, primary, autoscaled=autoscaled)["spec"]["replicas"] == primary_gets


TEMPLATE_CHANGES = st.dictionaries(
    st.sampled_from(["image", "imagePullPolicy", "workingDir"]), st.text(max_size=5), min_size=1
)


@given(TEMPLATE_CHANGES)
def test_a_promoted_primary_is_recognised_and_an_older_one_is_not(changes: Json) -> None:
    target, primary = deployment(), made()
    target["spec"]["template"]["spec"]["containers"][0].update(changes)
    template = target["spec"]["template"]
    assert not in_primary(template, primary["spec"]["template"], PODS)
    assert in_primary(template, promoted(target, primary)["spec"]["template"], PODS)


def test_a_primary_made_by_flagger_is_recognised() -> None:
    target, primary = deployment(), made(promotion_id="3f9f1b1e")
    pod = primary["spec"]["template"]["spec"]
    pod["volumes"][0]["secret"]["secretName"] = "podinfo-tls-primary"
    pod["containers"][0]["env"][0]["valueFrom"]["configMapKeyRef"]["name"] = "ui-primary"
    primary["spec"]["template"]["metadata"]["creationTimestamp"] = None
    found, wanted = primary["spec"]["template"], target["spec"]["template"]
    both = frozenset({("ConfigMap", "ui"), ("Secret", "podinfo-tls")})
    assert in_primary(wanted, found, PODS, Renames(both, both))
    assert in_primary(wanted, found, PODS, Renames(both))
    assert not in_primary(wanted, found, PODS)
    one = frozenset({("ConfigMap", "ui")})
    assert not in_primary(wanted, found, PODS, Renames(one, one)), "the Secret is not tracked"
    pod["volumes"][0]["secret"]["secretName"] = "other-primary"
    assert not in_primary(wanted, found, PODS, Renames(both, both))


def test_a_primary_without_copies_is_not_one_with_them() -> None:
    wanted, found = deployment()["spec"]["template"], made()["spec"]["template"]
    one = frozenset({("ConfigMap", "ui")})
    assert in_primary(wanted, found, PODS, Renames(allowed=one))
    assert not in_primary(wanted, found, PODS, Renames(one, required=one))


def test_views_are_compared_and_tell_their_origin() -> None:
    target, primary = deployment(), made()
    target_view = decode_deployment(encoded(target))
    primary_view = decode_deployment(encoded(primary))
    assert primary_view.origin == "id-1"
    assert target_view.origin is None
    assert runs_target(target_view, primary_view, PODS, Renames())
    assert runs_target(target_view, primary_view, PODS, Renames())
    target["spec"]["template"]["spec"]["containers"][0]["image"] = "podinfo:6.0.1"
    assert not runs_target(decode_deployment(encoded(target)), primary_view, PODS, Renames())


def test_a_promotion_brings_the_metadata_of_the_copied_prefixes_and_no_other() -> None:
    primary, target = made(), deployment()
    target["metadata"]["labels"] |= {"app.kubernetes.io/part-of": "market", "app": "other"}
    target["metadata"]["annotations"] |= {"app.kubernetes.io/a~b/c": "x", "team": "other"}
    primary["metadata"]["labels"]["foreign"] = "kept"
    operations = promotion(target, primary, PODS, "id-1", autoscaled=True, rules=RULES)
    after = jsonpatch.apply_patch(primary, operations)
    assert after["metadata"]["labels"] == {
        "app": "podinfo-primary",
        "app.kubernetes.io/part-of": "market",
        "foreign": "kept",
    }
    assert after["metadata"]["annotations"]["app.kubernetes.io/a~b/c"] == "x"
    assert after["metadata"]["annotations"]["team"] == "web"
    assert promotion(target, after, PODS, "id-1", autoscaled=True, rules=RULES) == []


def test_native_sidecars_are_copied_verbatim() -> None:
    target = deployment()
    sidecar = {"name": "log", "image": "log:1", "restartPolicy": "Always"}
    sidecar["ports"] = [{"containerPort": 9000}]  # type: ignore[assignment]
    target["spec"]["template"]["spec"]["initContainers"] = [{"name": "init"}, sidecar]
    spec = made(target)["spec"]["template"]["spec"]
    assert spec["initContainers"] == [{"name": "init"}, sidecar]
