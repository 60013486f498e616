"""Each kind of problem is found, at its path, with what would be right."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from api.api_samples import GONE, changed, decoded, documents, guide
from serinus.api.canary import Canary
from serinus.api.decode import decode_canary
from serinus.api.support import unsupported
from serinus.api.validation import problems

SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "podinfo"}


def test_the_guide_has_no_problems() -> None:
    assert problems(decoded(guide())) == ()


@pytest.mark.parametrize(
    ("changes", "path", "advice"),
    [
        ({"spec.provider": "nomad"}, "spec.provider", "use one of"),
        ({"spec.targetRef.kind": "StatefulSet"}, "spec.targetRef.kind", "DaemonSet, Deployment"),
        (
            {"spec.targetRef.name": "Pod_Info", "spec.service.name": "podinfo"},
            "spec.targetRef.name",
            "lower-case letters",
        ),
        (
            {"spec.targetRef.name": "p" * 56, "spec.service.name": "podinfo"},
            "spec.targetRef.name",
            "at most 55",
        ),
        ({"spec.service.name": "9podinfo"}, "spec.service.name", "a letter first"),
        ({"spec.targetRef.name": "pod.info"}, "spec.service.name", "digits and dashes"),
        (
            {"spec.autoscalerRef": {**SCALER, "name": "Pod Info"}},
            "spec.autoscalerRef.name",
            "lower-case",
        ),
        ({"spec.autoscalerRef": {**SCALER, "kind": "VPA"}}, "spec.autoscalerRef.kind", "use one"),
        (
            {
                "spec.autoscalerRef": {
                    **SCALER,
                    "primaryScalerReplicas": {"minReplicas": 5, "maxReplicas": 2},
                }
            },
            "spec.autoscalerRef.primaryScalerReplicas",
            "swap them",
        ),
        (
            {"spec.autoscalerRef": {**SCALER, "primaryScalerReplicas": {"minReplicas": 0}}},
            "spec.autoscalerRef.primaryScalerReplicas.minReplicas",
            "the least is 1",
        ),
        ({"spec.service": GONE}, "spec.service.port", "from 1 to 65535"),
        ({"spec.service.port": 70000}, "spec.service.port", "from 1 to 65535"),
        ({"spec.service.portName": "HTTP!"}, "spec.service.portName", "lower-case"),
        ({"spec.service.targetPort": 65536}, "spec.service.targetPort", "from 1 to 65535"),
        ({"spec.service.targetPort": "9898"}, "spec.service.targetPort", "without quotes"),
        ({"spec.service.targetPort": "a-very-long-port"}, "spec.service.targetPort", "at most 15"),
        (
            {"spec.service.gatewayRefs": [{"name": "gate", "port": 70000}]},
            "spec.service.gatewayRefs[0].port",
            "the most is 65535",
        ),
        ({"spec.metricsServer": "prometheus:9090"}, "spec.metricsServer", "http://HOST"),
        ({"spec.progressDeadlineSeconds": 0}, "spec.progressDeadlineSeconds", "such as 600"),
        ({"spec.analysis.interval": "-5s"}, "spec.analysis.interval", "above zero"),
        ({"spec.analysis.interval": "0s"}, "spec.analysis.interval", "above zero"),
        ({"spec.analysis.interval": "30seconds"}, "spec.analysis.interval", "write for example"),
        ({"spec.analysis.threshold": -1}, "spec.analysis.threshold", "from 1 on"),
        (
            {"spec.analysis.iterations": 0, "spec.analysis.stepWeight": GONE},
            "spec.analysis.iterations",
            "1 or more",
        ),
        ({"spec.analysis.stepWeight": GONE}, "spec.analysis", "exactly one of"),
        ({"spec.analysis.iterations": 5}, "spec.analysis", "exactly one of"),
        ({"spec.analysis.maxWeight": 101}, "spec.analysis.maxWeight", "from 0 to 100"),
        ({"spec.analysis.stepWeight": 0}, "spec.analysis.stepWeight", "from 1 to 100"),
        ({"spec.analysis.stepWeight": 120}, "spec.analysis.stepWeight", "from 1 to 100"),
        (
            {"spec.analysis.stepWeightPromotion": 200},
            "spec.analysis.stepWeightPromotion",
            "from 0 to 100",
        ),
        ({"spec.analysis.mirrorWeight": -1}, "spec.analysis.mirrorWeight", "from 0 to 100"),
        (
            {"spec.analysis.primaryReadyThreshold": 101},
            "spec.analysis.primaryReadyThreshold",
            "from 0 to 100",
        ),
        (
            {"spec.analysis.canaryReadyThreshold": -1},
            "spec.analysis.canaryReadyThreshold",
            "from 0 to 100",
        ),
        (
            {"spec.analysis.stepWeight": GONE, "spec.analysis.stepWeights": []},
            "spec.analysis.stepWeights",
            "list the canary's percentages",
        ),
        (
            {"spec.analysis.stepWeight": GONE, "spec.analysis.stepWeights": [10, 10]},
            "spec.analysis.stepWeights[1]",
            "must be higher",
        ),
        (
            {"spec.analysis.stepWeight": GONE, "spec.analysis.stepWeights": [10, 101]},
            "spec.analysis.stepWeights[1]",
            "from 1 to 100",
        ),
        (
            {"spec.analysis.metrics.0.name": "success"},
            "spec.analysis.metrics[0].name",
            "or give a templateRef",
        ),
        (
            {"spec.analysis.metrics.0.interval": "0m"},
            "spec.analysis.metrics[0].interval",
            "above zero",
        ),
        (
            {"spec.analysis.metrics.0.threshold": 990},
            "spec.analysis.metrics[0].threshold",
            "percentage",
        ),
        (
            {"spec.analysis.metrics.1.thresholdRange": {"max": -1}},
            "spec.analysis.metrics[1].thresholdRange.max",
            "milliseconds",
        ),
        (
            {"spec.analysis.metrics.1.thresholdRange": {"min": 9, "max": 1.5}},
            "spec.analysis.metrics[1].thresholdRange",
            "swap them",
        ),
        ({"spec.analysis.webhooks.0.name": ""}, "spec.analysis.webhooks[0].name", "need a name"),
        (
            {"spec.analysis.webhooks.0.url": "flagger-loadtester.test"},
            "spec.analysis.webhooks[0].url",
            "http://HOST",
        ),
        ({"spec.analysis.webhooks.0.type": "before"}, "spec.analysis.webhooks[0].type", "use one"),
        ({"spec.analysis.webhooks.0.timeout": "0s"}, "spec.analysis.webhooks[0].timeout", "above"),
        (
            {"spec.analysis.webhooks.0.retries": -1},
            "spec.analysis.webhooks[0].retries",
            "0 or more",
        ),
        (
            {"spec.analysis.sessionAffinity": {"cookieName": "a", "primaryCookieName": "a"}},
            "spec.analysis.sessionAffinity.primaryCookieName",
            "use another name",
        ),
    ],
)
def test_a_problem_names_its_field_and_what_would_be_right(
    changes: dict[str, Any], path: str, advice: str
) -> None:
    (problem,) = problems(decoded(changed(changes)))
    assert problem.path == path
    assert advice in problem.message


@pytest.mark.parametrize(
    "changes",
    [
        {"spec.analysis.maxWeight": 0},
        {"spec.analysis.threshold": 0},
        {"spec.analysis.stepWeight": 100},
        {"spec.analysis.interval": "1m30s"},
        {"spec.service.targetPort": "http"},
        {"spec.service.targetPort": 0},
        {"spec.analysis.webhooks.1.name": "acceptance-test"},
        {"spec.analysis.metrics.0.name": "request-duration"},
        {"spec.analysis.metrics.0": {"name": "errors", "templateRef": {"name": "errors"}}},
        {"spec.metricsServer": "https://user@[fd00::1]:9090/prometheus?a=b"},
        {"spec.analysis.stepWeight": GONE, "spec.analysis.stepWeights": [1, 50, 100]},
    ],
)
def test_what_flagger_runs_has_no_problems(changes: dict[str, Any]) -> None:
    assert problems(decoded(changed(changes))) == ()


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(documents)
def test_looking_for_problems_never_raises(document: dict[str, Any]) -> None:
    canary = decode_canary(msgspec.json.encode(document))
    assert isinstance(canary, Canary)
    for problem in (*problems(canary), *unsupported(canary, "kuma")):
        assert problem.path.startswith("spec")
        assert problem.message
