"""What becomes of each field of Flagger 1.44's three kinds: one line of the table for each path.

The paths are those of `flagger_schema.json`. A path ending in `…` stands for itself and for all
that is inside of it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SCHEMA: Mapping[str, Mapping[str, Mapping[str, object]]] = json.loads(
    (Path(__file__).parent / "flagger_schema.json").read_text()
)

IMPLEMENTED = "implemented"
ANOTHER = "another mesh's"
DIFFERENT = "deliberately different"
NOT_YET = "not yet, refused"
STATES = (IMPLEMENTED, ANOTHER, DIFFERENT, NOT_YET)


@dataclass(frozen=True, slots=True)
class Line:
    """A path and its state; ``why`` is the test that shows it."""

    plural: str
    path: str
    state: str
    why: str


_REFUSED = "tests/api/test_appendix.py::test_what_is_refused_is_refused_by_its_path"

_FIELDS = "tests/rollout/test_fields.py::test_"

_SPEC = "spec.analysis"

_LINES: Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "canaries": {
        IMPLEMENTED: {
            "tests/story/test_guide.py::test_the_guide": (
                "spec",
                "spec.targetRef",
                "spec.targetRef.apiVersion",
                "spec.targetRef.name",
                "spec.service",
                "spec.service.port",
                f"{_SPEC}",
                f"{_SPEC}.maxWeight",
                f"{_SPEC}.stepWeight",
                f"{_SPEC}.metrics",
                f"{_SPEC}.metrics[]",
                f"{_SPEC}.webhooks",
                f"{_SPEC}.webhooks[]",
                "status",
                "status.phase",
                "status.canaryWeight",
            ),
            "tests/routing/test_router.py::test_the_provider_chooses_the_router": (
                "spec.provider",
            ),
            "tests/metrics/test_custom.py::test_the_canarys_own_server_is_asked": (
                "spec.metricsServer",
            ),
            "tests/workload/test_readiness.py::test_unavailable_for_longer_than_the_deadline": (
                "spec.progressDeadlineSeconds",
            ),
            "tests/workload/test_reconcile.py::"
            "test_the_primarys_autoscaler_may_have_bounds_of_its_own": (
                "spec.autoscalerRef",
                "spec.autoscalerRef.apiVersion",
                "spec.autoscalerRef.name",
                "spec.autoscalerRef.primaryScalerReplicas…",
            ),
            "tests/api/test_canary.py::test_the_services_follow_the_name_of_the_service": (
                "spec.service.name",
            ),
            "tests/workload/test_services.py::test_the_port_and_the_metadata_are_as_asked": (
                "spec.service.portName",
                "spec.service.targetPort",
                "spec.service.apex…",
                "spec.service.primary…",
                "spec.service.canary…",
            ),
            "tests/workload/test_kinds.py::test_a_daemonset_is_parked_woken_and_promoted": (
                "spec.targetRef.kind",
            ),
            "tests/workload/test_kinds.py::test_keda_is_paused_while_the_target_is_parked": (
                "spec.autoscalerRef.kind",
            ),
            "tests/workload/test_kinds.py::test_a_primarys_scaled_object_may_differ": (
                "spec.autoscalerRef.primaryScalerQueries…",
            ),
            "tests/workload/test_services.py::"
            "test_headless_and_distribution_are_for_the_creation": ("spec.service.headless",),
            "tests/workload/test_kinds.py::test_other_fields_of_a_service_of_old_are_kept": (
                "spec.service.trafficDistribution",
            ),
            "tests/workload/test_services.py::"
            "test_port_discovery_takes_the_other_ports_of_the_pods": (
                "spec.service.portDiscovery",
            ),
            "tests/workload/test_services.py::test_unmanaged_metadata_stays": (
                "spec.service.unmanagedMetadata…",
            ),
            f"{_FIELDS}a_deleted_canary_gives_back_what_it_took": ("spec.revertOnDeletion",),
            f"{_FIELDS}suspended_in_mid_rollout_it_stays_as_it_is": ("spec.suspend",),
            "tests/api/test_canary.py::test_the_interval": (f"{_SPEC}.interval",),
            "tests/rollout/test_story.py::test_rollback_in_the_guides_words": (
                f"{_SPEC}.threshold",
            ),
            f"{_FIELDS}blue_green_sends_nothing_before_the_tests_and_then_everything": (
                f"{_SPEC}.iterations",
                "status.iterations",
            ),
            f"{_FIELDS}traffic_returns_to_the_primary_in_steps": (f"{_SPEC}.stepWeightPromotion",),
            f"{_FIELDS}mirroring_goes_before_the_first_weight_and_through_a_blue_green_test": (
                f"{_SPEC}.mirror",
            ),
            "tests/kuma/test_golden.py::test_what_is_written_is_as_it_was_and_is_taken": (
                f"{_SPEC}.mirrorWeight",
            ),
            "tests/workload/test_readiness.py::test_enough_is_ready_when_a_threshold_says_so": (
                f"{_SPEC}.primaryReadyThreshold",
                f"{_SPEC}.canaryReadyThreshold",
            ),
            "tests/routing/test_matches.py::test_entries_are_alternatives": (
                f"{_SPEC}.match",
                f"{_SPEC}.match[]",
            ),
            "tests/routing/test_matches.py::test_headers": (f"{_SPEC}.match[].headers…",),
            "tests/routing/test_matches.py::test_query_parameters": (
                f"{_SPEC}.match[].queryParams…",
            ),
            "tests/metrics/test_builtin.py::test_the_builtin_checks": (f"{_SPEC}.metrics[].name",),
            "tests/metrics/test_custom.py::test_bounds_of_a_custom_metric_are_flaggers": (
                f"{_SPEC}.metrics[].threshold",
                f"{_SPEC}.metrics[].thresholdRange…",
            ),
            "tests/metrics/test_custom.py::test_a_template_and_the_servers_that_a_canary_needs": (
                f"{_SPEC}.metrics[].templateRef…",
                f"{_SPEC}.metrics[].templateVariables…",
            ),
            "tests/alerts/test_alerts.py::test_providers": (
                f"{_SPEC}.alerts",
                f"{_SPEC}.alerts[]",
                f"{_SPEC}.alerts[].name",
                f"{_SPEC}.alerts[].providerRef…",
            ),
            f"{_FIELDS}a_closed_gate_is_told_once_and_keeps_what_was_reached": (
                f"{_SPEC}.webhooks[].name",
                f"{_SPEC}.webhooks[].type",
            ),
            f"{_FIELDS}a_muted_gate_waits_without_an_alert": (f"{_SPEC}.webhooks[].muteAlert",),
            "tests/webhooks/test_call.py::test_the_payload": (
                f"{_SPEC}.webhooks[].url",
                f"{_SPEC}.webhooks[].metadata…",
            ),
            "tests/webhooks/test_call.py::test_nobody_there": (f"{_SPEC}.webhooks[].timeout",),
            "tests/webhooks/test_call.py::test_it_tries_again": (f"{_SPEC}.webhooks[].retries",),
            "tests/webhooks/test_call.py::test_an_untrusted_certificate": (
                f"{_SPEC}.webhooks[].disableTLS",
            ),
            f"{_FIELDS}callers_are_held_by_a_cookie_of_this_rollout_alone": (
                f"{_SPEC}.sessionAffinity",
                f"{_SPEC}.sessionAffinity.cookieName",
                f"{_SPEC}.sessionAffinity.primaryCookieName",
                "status.sessionAffinityCookie",
                "status.primarySessionAffinityCookie",
                "status.previousSessionAffinityCookie",
            ),
            "tests/routing/test_cookies.py::test_attributes": tuple(
                f"{_SPEC}.sessionAffinity.{name}"
                for name in (
                    *("domain", "httpOnly", "maxAge", "partitioned"),
                    *("path", "sameSite", "secure"),
                )
            ),
            "tests/routing/test_filters.py::test_headers_are_changed_by_every_rule_of_ours": (
                "spec.service.headers…",
            ),
            "tests/routing/test_filters.py::test_a_rewrite": ("spec.service.rewrite…",),
            "tests/routing/test_service_match.py::test_which_requests_are_split": (
                "spec.service.match",
                "spec.service.match[]",
                "spec.service.match[].uri",
                "spec.service.match[].uri.exact",
                "spec.service.match[].uri.regex",
                "spec.service.match[].method",
                "spec.service.match[].method.exact",
                "spec.service.match[].headers…",
                "spec.service.match[].queryParams…",
            ),
            "tests/routing/test_servicepolicies.py::test_a_timeout_and_retries_in_kumas_words": (
                "spec.service.timeout",
                "spec.service.retries",
                "spec.service.retries.attempts",
                "spec.service.retries.perTryTimeout",
                "spec.service.retries.retryOn",
            ),
            "tests/workload/test_config_rollouts.py::test_content_is_judged_and_promoted": (
                "status.trackedConfigs…",
            ),
            "tests/rollout/test_story.py::test_promotion_in_the_guides_words": (
                "status.lastPromotedSpec",
            ),
            "tests/rollout/test_story.py::"
            "test_an_upgrade_that_sees_the_same_object_differently_starts_nothing": (
                "status.lastAppliedSpec",
            ),
            "tests/api/test_decode.py::test_a_status_as_flagger_writes_it_is_read": (
                "status.lastTransitionTime",
            ),
        },
        ANOTHER: {
            _REFUSED: (
                "spec.ingressRef…",
                "spec.routeRef…",
                "spec.upstreamRef…",
                "spec.service.backendTimeout",
                "spec.service.meshName",
                "spec.service.backends…",
                "spec.service.hosts…",
                "spec.service.delegation",
                "spec.service.gateways…",
                "spec.service.gatewayRefs…",
                "spec.service.corsPolicy…",
                "spec.service.trafficPolicy…",
                "spec.service.mirror…",
                *(
                    f"spec.service.match[].{name}…"
                    for name in (
                        *("authority", "gateways", "ignoreUriCase", "method.prefix"),
                        *("method.regex", "name", "port", "scheme", "sourceLabels"),
                        *("sourceNamespace", "withoutHeaders"),
                    )
                ),
            ),
            "tests/routing/test_matches.py::test_what_kuma_cannot_match": (
                f"{_SPEC}.match[].sourceLabels…",
            ),
        },
        DIFFERENT: {
            "tests/routing/test_service_match.py::test_a_prefix_ends_where_a_segment_does": (
                "spec.service.match[].uri.prefix",
            ),
            "tests/workload/test_services.py::"
            "test_app_protocol_comes_from_the_field_or_else_from_kumas_annotation": (
                "spec.service.appProtocol",
            ),
            f"{_FIELDS}a_skipped_analysis_waits_for_the_primary_before_the_target_goes": (
                "spec.skipAnalysis",
            ),
            f"{_FIELDS}step_weights_edited_in_mid_rollout_go_on_above_the_present_weight": (
                f"{_SPEC}.stepWeights…",
            ),
            "tests/metrics/test_custom.py::test_problems_name_the_field_and_what_would_be_right": (
                f"{_SPEC}.metrics[].query",
            ),
            "tests/metrics/test_custom.py::test_what_is_no_number_or_no_query": (
                f"{_SPEC}.metrics[].interval",
            ),
            "tests/alerts/test_payloads.py::test_an_omitted_severity_is_info": (
                f"{_SPEC}.alerts[].severity",
            ),
            "tests/story/test_guide.py::test_the_guide": ("status.failedChecks",),
            f"{_FIELDS}conditions_beyond_flaggers_come_after_it": ("status.conditions…",),
        },
        NOT_YET: {},
    },
    "metrictemplates": {
        IMPLEMENTED: {
            "tests/metrics/test_custom.py::test_a_template_and_the_servers_that_a_canary_needs": (
                "spec",
                "spec.provider",
                "spec.provider.address",
            ),
            "tests/metrics/test_custom.py::test_a_rotated_token_is_used_at_once": (
                "spec.provider.headers…",
                "spec.provider.secretRef…",
            ),
            "tests/metrics/test_custom.py::test_a_certificate_of_ones_own": (
                "spec.provider.insecureSkipVerify",
            ),
        },
        ANOTHER: {},
        DIFFERENT: {
            "tests/metrics/test_custom.py::test_problems_name_the_field_and_what_would_be_right": (
                "spec.provider.type",
                "spec.provider.region",
            ),
            "tests/metrics/test_gotemplate.py::test_queries_are_rendered_and_refused_as_go_does": (
                "spec.query",
            ),
        },
        NOT_YET: {},
    },
    "alertproviders": {
        IMPLEMENTED: {
            "tests/alerts/test_alerts.py::test_providers": (
                "spec",
                "spec.address",
                "spec.channel",
                "spec.username",
                "spec.proxy",
                "spec.secretRef…",
            ),
        },
        ANOTHER: {},
        DIFFERENT: {
            "tests/alerts/test_payloads.py::test_teams_gets_the_card_that_its_address_takes": (
                "spec.type",
            ),
        },
        NOT_YET: {},
    },
}


def table() -> Iterator[Line]:
    """A line for each place that the table above says something of, as often as it does."""
    for plural, states in _LINES.items():
        for state, shown in states.items():
            for test, patterns in shown.items():
                for pattern in patterns:
                    for path in _meant(plural, pattern):
                        yield Line(plural, path, state, test)


def tops(state: str) -> Iterator[str]:
    """The outermost places of a Canary that `REFUSED` has to hold."""
    for pattern in _LINES["canaries"][state].get(_REFUSED, ()):
        yield pattern.removesuffix("…")


def _meant(plural: str, pattern: str) -> Iterator[str]:
    top = pattern.removesuffix("…")
    if top == pattern:
        yield top
        return
    for path in SCHEMA[plural]:
        if path == top or path.startswith((f"{top}.", f"{top}[", f"{top}{{")):
            yield path
