"""What a world counts requests with: which series there are, and whose each one is."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

World = Literal["trafficroute", "meshservice", "kubernetes"]

INBOUND = "localhost_.*|self_inbound_dp_.*"

_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]"
"""The characters that Kubernetes makes the ends of pods' names of: no vowels, so that no word
("primary") is one."""

_POD = re.compile(rf"(?P<set>(?P<deployment>.+?)(?:-{_SUFFIX}{{1,10}})?)-{_SUFFIX}{{5}}")


@dataclass(frozen=True, slots=True)
class Service:
    """Pods that are counted together.

    In a mesh ``name`` is the Service in front of them, the ``-canary`` or the ``-primary`` one; in
    plain Kubernetes, where pods tell their own names only, it is the workload's.
    """

    name: str
    namespace: str

    @property
    def tag(self) -> str:
        """How Kuma's tag of any of its ports begins."""
        return f"{self.name}_{self.namespace}_svc_"

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


Sorter = Callable[[Mapping[str, str]], Service | None]
"""From a series' labels to whose it is."""


class Selection(Protocol):
    """One way in which series may be labelled."""

    def matchers(self, services: Sequence[Service], mesh: str) -> str:
        """The label matchers that select the services' series, and few others."""

    def sorter(self, services: Iterable[Service]) -> Sorter:
        """What sorts out the series of these services."""


@dataclass(frozen=True, slots=True)
class _ByTag:
    """By the service tag of the sidecar; only what its inbound clusters count."""

    label: str

    def matchers(self, services: Sequence[Service], mesh: str) -> str:
        tags = _alternatives(service.tag for service in services)
        matchers = [f'{self.label}=~"{tags}[0-9a-zA-Z-]+"', f'envoy_cluster_name=~"{INBOUND}"']
        if mesh:
            matchers.append(f'mesh=~"|{_literal(mesh)}"')
        return ",".join(matchers)

    def sorter(self, services: Iterable[Service]) -> Sorter:
        by_tag = {service.tag: service for service in services}

        def owner(labels: Mapping[str, str]) -> Service | None:
            head, _, _ = labels.get(self.label, "").rpartition("_")
            return by_tag.get(f"{head}_")

        return owner


@dataclass(frozen=True, slots=True)
class _ByPod:
    """By the pod's own name: NAME-HASH-SUFFIX of a Deployment, NAME-SUFFIX of a DaemonSet."""

    namespace: str
    pod: str

    def matchers(self, services: Sequence[Service], mesh: str) -> str:  # noqa: ARG002 (no mesh)
        homes = _alternatives(sorted({service.namespace for service in services}))
        pods = _alternatives(service.name for service in services)
        return f'{self.namespace}=~"{homes}",{self.pod}=~"{pods}-[0-9a-z]+(-[0-9a-z]+)?"'

    def sorter(self, services: Iterable[Service]) -> Sorter:
        known = {(service.namespace, service.name): service for service in services}

        def owner(labels: Mapping[str, str]) -> Service | None:
            match = _POD.fullmatch(labels.get(self.pod, ""))
            if match is None:
                return None
            home = labels.get(self.namespace, "")
            return known.get((home, match["set"])) or known.get((home, match["deployment"]))

        return owner


@dataclass(frozen=True, slots=True)
class Signals:
    """The metrics of a world. ``milliseconds`` is how many its durations' unit has; ``tellers``
    and ``remedy`` are for people who look for series that are not there."""

    selections: tuple[Selection, ...]
    requests: str
    durations: str
    code: str
    milliseconds: float
    tellers: str
    remedy: str


def _envoy(*labels: str) -> Signals:
    return Signals(
        tuple(_ByTag(label) for label in labels),
        "envoy_cluster_upstream_rq",
        "envoy_cluster_upstream_rq_time_bucket",
        "envoy_response_code",
        1.0,
        "sidecars",
        "does a MeshMetric, or the Mesh's metrics backend, expose them?",
    )


SIGNALS: Mapping[World, Signals] = {
    # `service` comes from the scrape configuration that Kuma <= 2.8 installs, `kuma_io_service`
    # from any that maps the dataplane's tags.
    "trafficroute": _envoy("service", "kuma_io_service"),
    "meshservice": _envoy("kuma_io_service"),
    # The first labels are Flagger's, the others those of the Prometheus operator.
    "kubernetes": Signals(
        (_ByPod("kubernetes_namespace", "kubernetes_pod_name"), _ByPod("namespace", "pod")),
        "http_request_duration_seconds_count",
        "http_request_duration_seconds_bucket",
        "status",
        1000.0,
        "pods",
        "do they export http_request_duration_seconds, with the label status?",
    ),
}


def _alternatives(texts: Iterable[str]) -> str:
    literals = [_literal(text) for text in texts]
    return f"(?:{'|'.join(literals)})" if len(literals) > 1 else literals[0]


def _literal(text: str) -> str:
    """``text`` as a regular expression inside a PromQL string."""
    escaped = re.sub(r"[^0-9A-Za-z_-]", lambda match: re.escape(match[0]), text)
    return escaped.replace("\\", "\\\\").replace('"', '\\"')
