"""From JSON to a Canary, or to words about what is wrong with it."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.api_samples import GONE, changed, decoded, documents, guide, malformed
from serinus.api.alertprovider import AlertProvider
from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.api.decode import Malformed, decode_canary
from serinus.api.metrictemplate import MetricTemplate


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"spec.analysis.stepWeight": 2.5}, "spec.analysis.stepWeight", "must be a whole number"),
        ({"spec.analysis.threshold": "5"}, "spec.analysis.threshold", "not text"),
        ({"spec.suspend": "yes"}, "spec.suspend", "must be true or false, not text"),
        ({"spec.analysis.metrics": {}}, "spec.analysis.metrics", "must be a list, not an object"),
        ({"spec.analysis.webhooks.1.url": GONE}, "spec.analysis.webhooks[1].url", "is required"),
        (
            {"spec.analysis.webhooks.0.metadata": {"port": 80}},
            "spec.analysis.webhooks[0].metadata[*]",
            "must be text, not a number",
        ),
        ({"spec.service.port": GONE}, "spec.service.port", "is required"),
        ({"spec.service.targetPort": 1.5}, "spec.service.targetPort", "whole number or text"),
        ({"spec.targetRef": GONE}, "spec.targetRef", "is required"),
        ({"spec.analysis": GONE}, "spec.analysis", "is required"),
        ({"spec": GONE}, "spec", "is required"),
        ({"status": {"phase": "Sleeping"}}, "status.phase", "Sleeping"),
        ({"metadata.creationTimestamp": "yesterday"}, "metadata.creationTimestamp", "RFC3339"),
    ],
)
def test_a_canary_that_cannot_be_read_says_where_and_why(
    changes: dict[str, Any], path: str, message: str
) -> None:
    answer = malformed(changed({"metadata.uid": "1-2", "metadata.resourceVersion": "7", **changes}))
    assert (answer.namespace, answer.name) == ("test", "podinfo")
    assert (answer.uid, answer.resource_version) == ("1-2", "7")
    assert answer.path == path
    assert message in answer.message
    assert str(answer.problem) == f"{path}: {answer.message}"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"a":"\xff"}', b'{"a":' * 100_000, b'{"metadata":1}']
)
def test_bytes_that_are_no_canary_are_malformed(raw: bytes) -> None:
    answer = decode_canary(raw)
    assert isinstance(answer, Malformed)
    assert answer.message


def test_a_whole_number_may_be_written_with_a_fraction_of_zero() -> None:
    document = changed({"spec.analysis.stepWeight": 5.0, "spec.analysis.metrics.0.threshold": 99.5})
    analysis = decoded(document).spec.analysis
    assert (analysis.step_weight, analysis.metrics[0].threshold) == (5, 99.5)


def test_fields_that_are_not_in_the_schema_are_skipped() -> None:
    assert decoded(changed({"spec.newer": 1, "metadata.managedFields": []})) == decoded(guide())


def test_a_status_as_flagger_writes_it_is_read() -> None:
    status = decoded(
        changed(
            {
                "status": {
                    "phase": "Succeeded",
                    "failedChecks": 0,
                    "iterations": -1,
                    "lastTransitionTime": None,
                    "conditions": [
                        {
                            "type": "Promoted",
                            "status": "True",
                            "reason": "Succeeded",
                            "lastUpdateTime": "2026-01-02T03:04:05Z",
                        }
                    ],
                }
            }
        )
    ).status
    assert (status.phase, status.iterations) == (Phase.SUCCEEDED, -1)
    assert status.conditions[0].type == "Promoted"


def test_a_status_is_written_with_its_zeros() -> None:
    document = msgspec.to_builtins(CanaryStatus())
    assert (document["canaryWeight"], document["failedChecks"]) == (0, 0)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(documents)
def test_a_canary_survives_the_way_out_and_back(document: dict[str, Any]) -> None:
    canary = decoded(document)
    assert decode_canary(msgspec.json.encode(canary)) == canary


@settings(max_examples=200)
@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(msgspec.json.encode))
def test_decoding_never_raises(raw: bytes) -> None:
    assert isinstance(decode_canary(raw), Malformed | Canary)


def test_a_metric_template_is_read() -> None:
    template = msgspec.json.decode(
        b"""{"metadata": {"name": "errors", "namespace": "test"}, "spec": {"query": "vector(1)",
        "provider": {"type": "prometheus", "address": "http://p:9090", "headers": {"a": ["b"]},
        "secretRef": {"name": "token"}}}}""",
        type=MetricTemplate,
    )
    assert template.spec.provider.headers == {"a": ("b",)}
    assert template.spec.provider.secret_ref is not None


def test_an_alert_provider_is_read() -> None:
    alerts = msgspec.json.decode(
        b'{"metadata": {"name": "chat"}, "spec": {"type": "slack", "address": "https://chat"}}',
        type=AlertProvider,
    )
    assert (alerts.spec.type, alerts.spec.address) == ("slack", "https://chat")
