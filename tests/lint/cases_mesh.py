"""The traps in what is around a Canary. `# <-` marks the line that is told."""

from lint.manifests import (
    AB,
    BY_NAME,
    CANARY,
    DEPLOYMENT,
    FIRST,
    HPA,
    IGNORED_SERVICE,
    INTERVAL,
    LABEL,
    LOAD_TEST,
    MESH,
    MIRROR,
    NAMESPACE,
    PORT,
    PROTOCOL,
    ROUTE,
    SERVICE_BY_ANNOTATION,
    TRAFFIC_ROUTE,
    Case,
    added,
    canary,
    edited,
    route,
    with_lines,
)

CASES = (
    # -- load tests
    Case(
        "webhook/caller",
        "spec.analysis.webhooks[0].url",
        (
            added(CANARY, INTERVAL, *LOAD_TEST),
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: tools\n",
        ),
    ),
    Case(
        "webhook/port",
        "spec.analysis.webhooks[0].metadata.cmd",
        (
            added(
                CANARY,
                INTERVAL,
                *LOAD_TEST[:2],
                "      url: http://loadtester.test/",
                LOAD_TEST[3],
                "        cmd: hey http://podinfo.test/  # <-",
            ),
        ),
        warning=True,
    ),
    # -- injection
    *(
        Case(
            "kuma/injection-annotation",
            "metadata.annotations[kuma.io/sidecar-injection]",
            (edited(NAMESPACE, ("labels", "annotations"), (LABEL, f"{LABEL}  # <-")),),
            (kuma,),
        )
        for kuma in ("2.7", "2.14", "3.0")
    ),
    Case(
        "kuma/injection-annotation",
        "spec.template.metadata.annotations[kuma.io/sidecar-injection]",
        (
            added(
                DEPLOYMENT,
                "        app: podinfo",
                "      annotations:",
                "        kuma.io/sidecar-injection: 'true'  # <-",
            ),
        ),
    ),
    Case(
        "kuma/injection-label",
        "metadata.labels[kuma.io/sidecar-injection]",
        (CANARY, "apiVersion: v1\nkind: Namespace\nmetadata:  # <-\n  name: test\n"),
    ),
    Case(
        "kuma/injection-label",
        "metadata.labels[kuma.io/sidecar-injection]",
        (CANARY, edited(NAMESPACE, (LABEL, "    kuma.io/sidecar-injection: disabled  # <-"))),
    ),
    Case(
        "kuma/injection-value",
        "metadata.labels[kuma.io/sidecar-injection]",
        (edited(NAMESPACE, (LABEL, "    kuma.io/sidecar-injection: on  # <-")),),
    ),
    Case(
        "kuma/injection-place",
        "metadata.labels[kuma.io/sidecar-injection]",
        (added(DEPLOYMENT, "  namespace: test", "  labels:", f"{LABEL}  # <-"),),
        warning=True,
    ),
    Case(
        "kuma/mesh-annotation",
        "metadata.annotations[kuma.io/mesh]",
        (added(NAMESPACE, "  name: test", "  annotations:", "    kuma.io/mesh: blue  # <-"),),
        ("3.0",),
    ),
    Case(
        "kuma/mesh",
        "metadata.annotations[kuma.io/mesh]",
        (
            added(
                NAMESPACE,
                LABEL,
                "    kuma.io/mesh: blue",
                "  annotations:",
                "    kuma.io/mesh: red  # <-",
            ),
        ),
    ),
    Case(
        "kuma/mesh",
        "metadata.annotations[kuma.io/mesh]",
        (
            added(CANARY, "  namespace: test", "  annotations:", "    kuma.io/mesh: red  # <-"),
            NAMESPACE,
        ),
    ),
    # -- services
    canary(
        "kuma/app-protocol",
        "spec.service.appProtocol",
        ("  service:", "  service:  # <-"),
        (f"{PROTOCOL}\n", ""),
    ),
    canary(
        "kuma/app-protocol",
        "spec.service.appProtocol",
        ("  service:", "  service:  # <-"),
        (PROTOCOL, "    apex:\n      annotations:\n        9898.service.kuma.io/protocol: http"),
    ),
    *(
        Case(
            "kuma/service-protocol",
            "spec.ports[0].appProtocol",
            (SERVICE_BY_ANNOTATION,),
            (kuma,),
        )
        for kuma in ("2.14", "3.0")
    ),
    canary("kuma/protocol", "spec.service.appProtocol", (PROTOCOL, "    appProtocol: HTTP  # <-")),
    with_lines(
        "kuma/protocol",
        "spec.service.apex.annotations[80.service.kuma.io/protocol]",
        PORT,
        "    apex:",
        "      annotations:",
        "        80.service.kuma.io/protocol: http  # <-",
        warning=True,
    ),
    *(
        with_lines(
            "kuma/headless", "spec.service.headless", PORT, "    headless: true  # <-", kuma=(kuma,)
        )
        for kuma in ("1.8", "2.14", "3.0")
    ),
    with_lines(
        "kuma/ignored",
        "spec.service.canary.annotations[kuma.io/ignore]",
        PORT,
        "    canary:",
        "      annotations:",
        "        kuma.io/ignore: 'true'  # <-",
    ),
    Case(
        "kuma/ignored",
        "metadata.labels[kuma.io/ignore]",
        (
            CANARY,
            IGNORED_SERVICE,
        ),
    ),
    with_lines(
        "kuma/retries",
        "spec.service.retries.perTryTimeout",
        PORT,
        "    timeout: 2s",
        "    retries:",
        "      attempts: 2",
        "      perTryTimeout: 5s  # <-",
        warning=True,
    ),
    # -- abilities
    *(
        with_lines(
            "canary/ability",
            "spec.analysis.mirror",
            INTERVAL,
            "    mirror: true  # <-",
            kuma=(kuma,),
        )
        for kuma in ("1.8",)
    ),
    with_lines(
        "canary/ability",
        "spec.analysis.sessionAffinity",
        INTERVAL,
        "    sessionAffinity:  # <-",
        "      cookieName: c",
        kuma=("1.8",),
    ),
    Case(
        "canary/ability",
        "spec.analysis.match[0].queryParams",
        (
            added(
                edited(CANARY, AB),
                INTERVAL,
                "    match:",
                "    - queryParams:  # <-",
                "        v: {exact: '2'}",
            ),
        ),
        ("1.8",),
    ),
    *(
        with_lines(
            "kuma/dialect",
            "metadata.annotations[serinus.dev/kuma-dialect]",
            "  namespace: test",
            "  annotations:",
            f"    serinus.dev/kuma-dialect: {word}  # <-",
            kuma=(kuma,),
        )
        for word, kuma in (
            ("trafficroute", "2.14"),
            ("trafficroute", "3.0"),
            ("meshservice-labels", "2.14"),
            ("service-tag", "3.0"),
            ("service-tag", "1.8"),
        )
    ),
    # -- routes of others
    *(
        Case(
            "kuma/first-trafficroute",
            "kind",
            (edited(TRAFFIC_ROUTE, ("kind: TrafficRoute", "kind: TrafficRoute  # <-")),),
            (kuma,),
            mode,
        )
        for kuma, mode in (("2.7", ""), ("2.14", "disabled"), ("2.14", "exclusive"))
    ),
    Case(
        "kuma/route-name",
        "metadata.name",
        (CANARY, edited(ROUTE, ("  name: backend\n", "  name: podinfo  # <-\n"))),
    ),
    Case(
        "kuma/overriding",
        "spec.to[0].rules[0]",
        (
            CANARY,
            edited(
                ROUTE,
                ("      name: backend_test_svc_80", "      name: podinfo_test_svc_9898"),
                ("    - matches:", "    - matches:  # <-"),
            ),
        ),
    ),
    Case(
        "kuma/overriding",
        "spec.to[0].rules[0]",
        (
            CANARY,
            edited(
                ROUTE,
                (
                    BY_NAME,
                    "      labels: {kuma.io/display-name: podinfo, k8s.kuma.io/namespace: test}",
                ),
                ("    - matches:", "    - matches:  # <-"),
            ),
        ),
        ("3.0",),
    ),
    Case(
        "kuma/route-name",
        "spec.destinations[0].match",
        (
            CANARY,
            edited(
                TRAFFIC_ROUTE,
                (
                    "  - match:\n      kuma.io/service: backend_test_svc_80",
                    "  - match:  # <-\n      kuma.io/service: podinfo_test_svc_9898",
                ),
            ),
        ),
        ("1.8",),
        warning=True,
    ),
    *(
        Case(
            "kuma/mirror",
            "spec.to[0].rules[0].default.filters[0].requestMirror.backendRef",
            (added(ROUTE, "      default:", *MIRROR),),
            (kuma,),
        )
        for kuma in ("2.7", "2.14")
    ),
    *(
        route(
            "kuma/zero-weights",
            "spec.to[0].rules[0].default.backendRefs",
            ("        backendRefs:", "        backendRefs:  # <-"),
            ("weight: 90", "weight: 0"),
            ("weight: 10", "weight: 0"),
            kuma=(kuma,),
        )
        for kuma in ("2.14", "3.0")
    ),
    Case(
        "kuma/zero-weights",
        "spec.conf.split",
        (edited(TRAFFIC_ROUTE, ("    split:", "    split:  # <-"), ("weight: 100", "weight: 0")),),
        ("1.8",),
    ),
    route(
        "kuma/route-matches",
        "spec.to[0].rules[0].matches[0].path.value",
        ("value: /", "value: /api/  # <-"),
    ),
    route(
        "kuma/route-matches",
        "spec.to[0].rules[0].matches[0].path.type",
        ("type: PathPrefix", "type: Prefix  # <-"),
    ),
    route(
        "kuma/route-matches",
        "spec.to[0].rules[0].matches[0].path.value",
        ("type: PathPrefix", "type: RegularExpression"),
        ("value: /", "value: /(?=a)  # <-"),
    ),
    route(
        "kuma/route-matches",
        "spec.to[0].rules[0].matches[0].headers[0].name",
        (
            "          value: /",
            "          value: /\n        headers:\n        - name: X-Canary  # <-",
        ),
    ),
    route(
        "kuma/route-matches",
        "spec.to[0].rules[0].matches[0].headers[0].type",
        (
            "          value: /",
            "          value: /\n        headers:\n        - name: a\n          type: Suffix  # <-",
        ),
    ),
    # -- Kuma's objects
    Case(
        "kuma/removed-kind",
        "kind",
        (edited(TRAFFIC_ROUTE, ("kind: TrafficRoute", "kind: TrafficRoute  # <-")),),
        ("3.0",),
    ),
    route(
        "kuma/missing-kind",
        "kind",
        ("kind: MeshHTTPRoute", "kind: MeshHTTPRoute  # <-"),
        kuma=("1.8",),
    ),
    route(
        "kuma/name",
        "metadata.name",
        ("  name: backend\n", "  name: backend.v1  # <-\n"),
        kuma=("3.0",),
    ),
    route(
        "kuma/policy-namespace",
        "metadata.namespace",
        ("namespace: test", "namespace: test  # <-"),
        kuma=("2.7",),
    ),
    route(
        "kuma/references", "spec.to[0].targetRef.name", (BY_NAME, f"{BY_NAME}  # <-"), kuma=("3.0",)
    ),
    route(
        "kuma/references",
        "spec.to[0].rules[0].default.backendRefs[0].name",
        (FIRST, f"{FIRST}  # <-"),
        kuma=("3.0",),
    ),
    route(
        "kuma/references",
        "spec.to[0].targetRef.labels",
        (BY_NAME, "      labels: {kuma.io/display-name: backend}  # <-"),
        warning=True,
    ),
    route(
        "kuma/references",
        "spec.to[0].targetRef.sectionName",
        (BY_NAME, f"{BY_NAME}\n      sectionName: http  # <-"),
        kuma=("2.7",),
    ),
    route(
        "kuma/references",
        "spec.to[0].targetRef.kind",
        ("      kind: MeshService\n      name", "      kind: MeshServiceSubset  # <-\n      name"),
        kuma=("3.0",),
    ),
    route(
        "kuma/top-target",
        "spec.targetRef.kind",
        ("    kind: Mesh\n", "    kind: MeshSubset  # <-\n"),
        kuma=("3.0",),
    ),
    Case(
        "kuma/mesh-fields",
        "spec.meshServices",
        (MESH,),
        ("3.0",),
    ),
    route(
        "kuma/section-or-port",
        "spec.to[0].rules[0].default.backendRefs[0].sectionName",
        (FIRST, f"{FIRST}\n          port: 80\n          sectionName: http  # <-"),
        warning=True,
    ),
    route("kuma/types", "spec.to[0].rules[0].default.backendRefs[0].weight", ("90", "'90'  # <-")),
    route(
        "kuma/from",
        "spec.from",
        ("  to:\n", "  from: []  # <-\n  to:\n"),
        kuma=("3.0",),
    ),
    route(
        "kuma/roles",
        "spec.to[0].targetRef",
        (
            "  to:\n  - targetRef:\n",
            "  to:\n  - targetRef:  # <-\n      kind: MeshService\n      name: a\n"
            "      namespace: b\n  - targetRef:\n",
        ),
    ),
    # -- workloads
    Case(
        "workload/selector",
        "spec.selector.matchLabels",
        (
            CANARY,
            edited(
                DEPLOYMENT, ("    matchLabels:\n      app", "    matchLabels:  # <-\n      tier")
            ),
        ),
    ),
    Case(
        "workload/target-port",
        "spec.service.targetPort",
        (added(CANARY, PORT, "    targetPort: web  # <-"), DEPLOYMENT),
    ),
    with_lines(
        "workload/autoscaler",
        "spec.autoscalerRef.apiVersion",
        "spec:",
        "  autoscalerRef:",
        "    apiVersion: autoscaling/v2  # <-",
        "    kind: ScaledObject",
        "    name: x",
    ),
    Case(
        "workload/autoscaler",
        "spec.autoscalerRef.name",
        (
            added(
                CANARY,
                "spec:",
                "  autoscalerRef:",
                "    apiVersion: autoscaling/v2",
                "    kind: HorizontalPodAutoscaler",
                "    name: other  # <-",
            ),
            HPA,
        ),
    ),
    Case(
        "workload/made-by-serinus",
        "metadata.name",
        (
            CANARY,
            edited(
                DEPLOYMENT,
                ("  name: podinfo\n  namespace", "  name: podinfo-primary  # <-\n  namespace"),
            ),
        ),
        warning=True,
    ),
)
