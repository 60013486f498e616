"""The traps in a Canary alone: for each rule, files that walk into it. `# <-` marks the line."""

from lint.manifests import (
    AB,
    CANARY,
    INTERVAL,
    MATCH,
    METRIC,
    PORT,
    PROTOCOL,
    Case,
    added,
    canary,
    edited,
    with_lines,
)

ENVOY = "      query: sum(envoy_cluster_upstream_rq"

CASES = (
    # -- what kubectl and the API server refuse
    Case("file/readable", "", ("kind: Canary\nmetadata: [\n}  # <-",)),
    Case("file/readable", "", ("spec: {}  # <-\n",)),
    with_lines("file/readable", "", PORT, "    port: 9899  # <-"),
    canary(
        "schema/version",
        "apiVersion",
        ("apiVersion: flagger.app/v1beta1", "apiVersion: flagger.app/v1alpha3  # <-"),
    ),
    canary("schema/invalid", "spec.service.port", (PORT, "    port: http  # <-")),
    canary(
        "schema/invalid", "spec.service.port", (f"{PORT}\n", ""), ("  service:", "  service:  # <-")
    ),
    canary("schema/invalid", "spec.targetRef.kind", ("Deployment", "StatefulSet  # <-")),
    canary(
        "schema/invalid",
        "spec.analysis",
        ("  analysis:", "  analysis:  # <-"),
        ("    stepWeight: 10\n", ""),
    ),
    canary(
        "schema/invalid",
        "metadata.name",
        ("  name: podinfo\n  namespace", "  name: Podinfo  # <-\n  namespace"),
    ),
    with_lines("schema/unknown-field", "spec.service.portname", PORT, "    portname: http  # <-"),
    with_lines(
        "schema/unknown-field",
        "spec.analysis.metrics[0].tresholdRange",
        "    - name: request-success-rate",
        "      tresholdRange: {}  # <-",
    ),
    with_lines(
        "schema/readable",
        "spec.progressDeadlineSeconds",
        "spec:",
        "  progressDeadlineSeconds: 1.5  # <-",
    ),
    # -- sense
    canary("canary/sense", "spec.analysis.stepWeight", ("stepWeight: 10", "stepWeight: 101  # <-")),
    canary(
        "canary/sense",
        "spec.analysis.metrics[0].thresholdRange",
        ("thresholdRange:", "thresholdRange:  # <-"),
        ("        min: 99", "        min: 99\n        max: 98"),
    ),
    canary(
        "canary/sense", "spec.analysis.metrics[0].thresholdRange.min", ("min: 99", "min: 999  # <-")
    ),
    canary(
        "canary/sense",
        "spec.targetRef.name",
        ("    name: podinfo\n", f"    name: {'a' * 56}  # <-\n"),
    ),
    with_lines("canary/sense", "spec.service.name", PORT, "    name: 1st  # <-"),
    with_lines("canary/unsupported", "spec.service.gateways", PORT, "    gateways: [public]  # <-"),
    Case(
        "canary/one-target",
        "spec.targetRef.name",
        (
            CANARY,
            edited(
                CANARY,
                ("  name: podinfo\n  namespace", "  name: other\n  namespace"),
                ("    name: podinfo\n", "    name: podinfo  # <-\n"),
            ),
        ),
    ),
    Case(
        "canary/match",
        "spec.analysis.match[0].headers[x-canary].regex",
        (added(edited(CANARY, AB), INTERVAL, *MATCH, "          regex: (?!a)b  # <-"),),
    ),
    Case(
        "canary/match",
        "spec.analysis.match[0].sourceLabels",
        (added(edited(CANARY, AB), INTERVAL, "    match:", "    - sourceLabels: {app: x}  # <-"),),
    ),
    with_lines(
        "canary/filters", "spec.service.rewrite.uri", PORT, "    rewrite:", "      uri: api  # <-"
    ),
    with_lines(
        "canary/timeout-and-retries",
        "spec.service.retries.retryOn",
        PORT,
        "    retries:",
        "      attempts: 3",
        "      retryOn: bad-luck  # <-",
    ),
    with_lines(
        "canary/cookies",
        "spec.analysis.sessionAffinity.cookieName",
        INTERVAL,
        "    sessionAffinity:",
        "      cookieName: a;b  # <-",
    ),
    # -- pace
    canary(
        "analysis/interval",
        "spec.analysis.interval",
        (INTERVAL, "    interval: 5s  # <-"),
        warning=True,
    ),
    canary(
        "analysis/step-beyond-max",
        "spec.analysis.stepWeight",
        ("stepWeight: 10", "stepWeight: 60  # <-"),
        warning=True,
    ),
    canary(
        "analysis/step-beyond-max",
        "spec.analysis.stepWeight",
        ("stepWeight: 10", "stepWeight: 20  # <-"),
        warning=True,
    ),
    Case(
        "analysis/no-effect",
        "spec.analysis.maxWeight",
        (
            added(
                edited(
                    CANARY,
                    ("    stepWeight: 10\n", "    iterations: 5\n"),
                    ("maxWeight: 50", "maxWeight: 50  # <-"),
                ),
                INTERVAL,
                *MATCH,
                "          exact: insider",
            ),
        ),
        warning=True,
    ),
    with_lines(
        "analysis/no-effect",
        "spec.analysis.match",
        INTERVAL,
        "    match:  # <-",
        *MATCH[1:],
        "          exact: insider",
        warning=True,
    ),
    # -- metrics
    canary(
        "metrics/none",
        "spec.analysis",
        ("  analysis:", "  analysis:  # <-"),
        (CANARY[CANARY.index("    metrics:") :], ""),
        warning=True,
    ),
    canary(
        "metrics/bound",
        "spec.analysis.metrics[0].thresholdRange.min",
        ("min: 99", "min: 0.99  # <-"),
        warning=True,
    ),
    canary(
        "metrics/bound",
        "spec.analysis.metrics[0].thresholdRange.max",
        ("min: 99", "max: 99  # <-"),
        warning=True,
    ),
    canary(
        "metrics/bound",
        "spec.analysis.metrics[0].thresholdRange.max",
        ("success-rate", "duration"),
        ("min: 99", "max: 0.5  # <-"),
        warning=True,
    ),
    canary(
        "metrics/bound",
        "spec.analysis.metrics[0]",
        ("    - name: request-success-rate", "    - name: request-success-rate  # <-"),
        ("      thresholdRange:\n        min: 99\n", ""),
        warning=True,
    ),
    canary(
        "metrics/interval",
        "spec.analysis.metrics[0].interval",
        ("interval: 1m", "interval: 5s  # <-"),
        warning=True,
    ),
    canary(
        "metrics/query",
        "spec.analysis.metrics[0].query",
        ("- name: request-success-rate", "- name: mine\n      query: up{ {{ oops }} }  # <-"),
    ),
    canary(
        "metrics/tcp",
        "spec.analysis.metrics[0].name",
        (PROTOCOL, "    appProtocol: tcp"),
        ("- name: request-success-rate", "- name: request-success-rate  # <-"),
    ),
    Case(
        "metrics/meshmetric",
        "spec.default.backends",
        (
            edited(
                METRIC, ("    backends:", "    backends:  # <-"), ("Prometheus", "OpenTelemetry")
            ),
        ),
    ),
    Case(
        "metrics/meshmetric",
        "spec.default.sidecar.profiles.appendProfiles[0].name",
        (
            added(
                METRIC,
                "  default:",
                "    sidecar:",
                "      profiles:",
                "        appendProfiles:",
                "        - name: None  # <-",
            ),
        ),
    ),
    Case(
        "metrics/meshmetric",
        "spec.default.sidecar.profiles.exclude[0].match",
        (
            added(
                METRIC,
                "  default:",
                "    sidecar:",
                "      profiles:",
                "        exclude:",
                "        - type: Regex",
                "          match: envoy_cluster_upstream_rq.*  # <-",
            ),
        ),
    ),
    Case(
        "metrics/meshmetric",
        "metadata.name",
        (CANARY, "apiVersion: kuma.io/v1alpha1\nkind: Mesh\nmetadata:\n  name: default  # <-\n"),
        warning=True,
    ),
    *(
        canary(
            "metrics/labels",
            "spec.analysis.metrics[0].query",
            ("- name: request-success-rate", f"- name: mine\n{ENVOY}{{{label}='x'}})  # <-"),
            kuma=(kuma,),
            warning=True,
        )
        for label, kuma in (("service", "2.14"), ("service", "3.0"), ("kuma_io_service", "3.0"))
    ),
)
