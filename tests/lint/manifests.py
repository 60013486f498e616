"""What the traps are made of: manifests that are well, and ways to spoil them."""

from dataclasses import dataclass

MARK = "# <-"

CANARY = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata:
  name: podinfo
  namespace: test
spec:
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: podinfo
  service:
    port: 9898
    appProtocol: http
  analysis:
    interval: 30s
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    metrics:
    - name: request-success-rate
      thresholdRange:
        min: 99
      interval: 1m
"""

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: test
  labels:
    kuma.io/sidecar-injection: enabled
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
  namespace: test
spec:
  selector:
    matchLabels:
      app: podinfo
  template:
    metadata:
      labels:
        app: podinfo
    spec:
      containers:
      - name: podinfod
        image: podinfo
        ports:
        - name: http
          containerPort: 9898
"""

ROUTE = """\
apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata:
  name: backend
  namespace: test
spec:
  targetRef:
    kind: Mesh
  to:
  - targetRef:
      kind: MeshService
      name: backend_test_svc_80
    rules:
    - matches:
      - path:
          type: PathPrefix
          value: /
      default:
        backendRefs:
        - kind: MeshService
          name: backend-v1_test_svc_80
          weight: 90
        - kind: MeshService
          name: backend-v2_test_svc_80
          weight: 10
"""

TRAFFIC_ROUTE = """\
apiVersion: kuma.io/v1alpha1
kind: TrafficRoute
mesh: default
metadata:
  name: backend
spec:
  sources:
  - match:
      kuma.io/service: '*'
  destinations:
  - match:
      kuma.io/service: backend_test_svc_80
  conf:
    split:
    - weight: 100
      destination:
        kuma.io/service: backend_test_svc_80
"""

METRIC = """\
apiVersion: kuma.io/v1alpha1
kind: MeshMetric
metadata:
  name: metrics
  namespace: kuma-system
spec:
  default:
    backends:
    - type: Prometheus
      prometheus:
        port: 5670
        path: /metrics
"""


def edited(text: str, *pairs: tuple[str, str]) -> str:
    """The text with each first part replaced; each has to be there once."""
    for old, new in pairs:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return text


def added(text: str, after: str, *lines: str) -> str:
    """The text with lines behind one that is there once."""
    return edited(text, (f"{after}\n", "\n".join([after, *lines]) + "\n"))


@dataclass(frozen=True)
class Case:
    """``texts`` are the documents of one file. The rule is told at the marked line, at ``path``,
    as an error (or a warning) with these Kumas."""

    rule: str
    path: str
    texts: tuple[str, ...]
    kuma: tuple[str, ...] = ("2.14",)
    mode: str = "exclusive"
    warning: bool = False

    @property
    def text(self) -> str:
        return "---\n".join(self.texts)

    def __str__(self) -> str:
        return f"{self.rule} {self.path}".rstrip()


def canary(rule: str, path: str, *pairs: tuple[str, str], **more: object) -> Case:
    """A case of the canary above, edited."""
    return Case(rule, path, (edited(CANARY, *pairs),), **more)  # type: ignore[arg-type]


def with_lines(rule: str, path: str, after: str, *lines: str, **more: object) -> Case:
    """A case of the canary above, with lines added."""
    return Case(rule, path, (added(CANARY, after, *lines),), **more)  # type: ignore[arg-type]


def route(rule: str, path: str, *pairs: tuple[str, str], **more: object) -> Case:
    """A case of the route above, edited."""
    return Case(rule, path, (edited(ROUTE, *pairs),), **more)  # type: ignore[arg-type]


SERVICE_BY_ANNOTATION = """\
apiVersion: v1
kind: Service
metadata:
  name: caller
  annotations:
    80.service.kuma.io/protocol: http
spec:
  ports:
  - port: 80  # <-
"""

IGNORED_SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: podinfo
  namespace: test
  labels:
    kuma.io/ignore: 'true'  # <-
"""

MESH = """\
apiVersion: kuma.io/v1alpha1
kind: Mesh
metadata:
  name: default
spec:
  meshServices:  # <-
    mode: Exclusive
"""

HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: other
  namespace: test
spec:
  scaleTargetRef:
    name: else
"""

LOAD_TEST = (
    "    webhooks:",
    "    - name: load",
    "      url: http://loadtester.tools/  # <-",
    "      metadata:",
    "        cmd: hey -z 1m http://podinfo.test:9898/",
)
INTERVAL, PORT = "    interval: 30s", "    port: 9898"
PROTOCOL = "    appProtocol: http"
LABEL = "    kuma.io/sidecar-injection: enabled"
MATCH = (
    "    match:",
    "    - headers:",
    "        x-canary:",
)
BY_NAME = "      name: backend_test_svc_80"
FIRST = "          name: backend-v1_test_svc_80"
MIRROR = (
    "        filters:",
    "        - type: RequestMirror",
    "          requestMirror:",
    "            backendRef:  # <-",
    "              kind: MeshService",
    "              name: backend-v2",
    "              port: 80",
)
AB = ("    maxWeight: 50\n    stepWeight: 10\n", "    iterations: 10\n")
