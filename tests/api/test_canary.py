"""The defaults, which live in the types and nowhere else."""

import pytest

from api.api_samples import GONE, changed, decoded, guide
from serinus.api import duration


def test_the_names_that_follow_from_the_target() -> None:
    canary = decoded(guide())
    assert (canary.namespace, canary.name, canary.target_name) == ("test", "podinfo", "podinfo")
    assert canary.primary_name == "podinfo-primary"
    assert canary.apex_name == "podinfo"
    assert (canary.primary_service, canary.canary_service) == ("podinfo-primary", "podinfo-canary")


def test_the_services_follow_the_name_of_the_service() -> None:
    canary = decoded(changed({"spec.service.name": "front"}))
    assert canary.primary_name == "podinfo-primary"
    assert canary.apex_name == "front"
    assert (canary.primary_service, canary.canary_service) == ("front-primary", "front-canary")


@pytest.mark.parametrize(
    ("metadata", "mesh"),
    [
        ({}, "default"),
        ({"labels": {"kuma.io/mesh": "blue"}}, "blue"),
        ({"labels": {"kuma.io/mesh": "blue"}, "annotations": {"kuma.io/mesh": "red"}}, "red"),
    ],
)
def test_the_mesh(metadata: dict[str, object], mesh: str) -> None:
    assert decoded(changed({"metadata": {"name": "podinfo", **metadata}})).mesh == mesh


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [("30s", 30), ("1m30s", 90), ("", 60), ("soon", 60), ("5s", 10), ("500ms", 10), ("-5s", 10)],
)
def test_the_interval(interval: str, seconds: float) -> None:
    analysis = decoded(changed({"spec.analysis.interval": interval})).spec.analysis
    assert analysis.interval_seconds(minimum=10) == seconds


@pytest.mark.parametrize(("threshold", "checks"), [(5, 5), (0, 1), (-3, 1)])
def test_the_threshold(threshold: int, checks: int) -> None:
    analysis = decoded(changed({"spec.analysis.threshold": threshold})).spec.analysis
    assert analysis.threshold_or_default == checks


def test_the_highest_weight() -> None:
    def highest(**changes: object) -> int:
        document = changed({f"spec.analysis.{name}": value for name, value in changes.items()})
        return decoded(document).spec.analysis.max_weight_or_default

    assert highest() == 50
    assert highest(maxWeight=0) == 100
    assert highest(maxWeight=GONE) == 100
    assert highest(stepWeights=[10, 60]) == 60
    assert highest(stepWeights=[10, 160]) == 100


def test_the_other_defaults() -> None:
    bare = decoded(
        changed(
            {
                "spec.progressDeadlineSeconds": GONE,
                "spec.service": {"port": 80},
                "spec.analysis.metrics": [{"name": "request-duration"}],
                "spec.analysis.webhooks": [{"name": "load", "url": "http://load"}],
            }
        )
    )
    analysis, service = bare.spec.analysis, bare.spec.service
    assert bare.spec.progress_deadline == 600
    assert analysis.primary_ready_threshold_or_default == 100
    assert analysis.canary_ready_threshold_or_default == 100
    assert analysis.metrics[0].interval_or_default == "1m"
    assert (analysis.webhooks[0].kind, analysis.webhooks[0].timeout_seconds) == ("rollout", 10)
    assert (service.port_name_or_default, service.target_port_or_default) == ("http", 80)


@pytest.mark.parametrize(("timeout", "seconds"), [("30s", 30), ("0s", 10), ("never", 10)])
def test_a_webhooks_timeout(timeout: str, seconds: float) -> None:
    canary = decoded(changed({"spec.analysis.webhooks.0.timeout": timeout}))
    assert canary.spec.analysis.webhooks[0].timeout_seconds == seconds


def test_a_target_port_of_zero_is_the_port() -> None:
    for absent in (0, "0", ""):
        service = decoded(changed({"spec.service.targetPort": absent})).spec.service
        assert service.target_port_or_default == 9898
    service = decoded(changed({"spec.service.targetPort": "http"})).spec.service
    assert service.target_port_or_default == "http"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m", 60),
        ("1m30s", 90),
        ("1h1m1s", 3661),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("0", 0),
        ("-1m", -60),
        ("+2s", 2),
        ("3µs", 3e-6),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert duration.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "30", "1d", "1m 30s", "30seconds", "--1s", "-", "1m30"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example"):
        duration.seconds(text)
