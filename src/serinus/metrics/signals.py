"""What a world counts requests with: which series there are, and whose each one is."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

World = Literal["kuma-2", "kuma-3", "kubernetes"]
"""Both meshes know the same selections, each its own first: in an upgrade there are sidecars of
both, and old scrape configurations live on."""

INBOUND = "localhost_.*|self_inbound_dp_.*"
"""Clusters through which a sidecar leads what arrives to its pod: of Kuma 2 and of Kuma 3."""

_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]"
"""The characters that Kubernetes makes the ends of pods' names of: no vowels, so that no word
("primary") is one."""

_POD = re.compile(rf"(?P<set>(?P<deployment>.+?)(?:-{_SUFFIX}{{1,10}})?)-{_SUFFIX}{{5}}")

# The caller's cluster of a port: by service tag, with a hash for a subset of its endpoints (a
# route of Gateway API makes one); of a MeshService until 2.14; by resource identifier from 3.0 on,
# which ends as the route's reference does, with a port or with the name of one.
_BY_SERVICE_TAG = re.compile(r"(?P<name>[^_]+)_(?P<namespace>[^_]+)_svc_[0-9]+(?:-[0-9a-f]{16})?")
_BY_MESH_SERVICE = re.compile(r"[^_]*_(?P<name>[^_]+)_(?P<namespace>[^_]+)_[^_]*_msvc_[0-9]+")
_BY_IDENTIFIER = re.compile(
    r"kri_msvc_[^_]*_[^_]*_(?P<namespace>[^_]+)_(?P<name>[^_]+)_[^_]*",
)


@dataclass(frozen=True, slots=True)
class Service:
    """Pods that are counted together.

    ``name`` is what people know them by: in a mesh the Service in front of them, the ``-canary``
    or the ``-primary`` one; in plain Kubernetes, where pods tell their own names only, the
    workload's. ``workload`` is always the latter.
    """

    name: str
    namespace: str
    workload: str

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

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that tell whose a series is."""

    @property
    def of_callers(self) -> bool:
        """Whether those who call the services count, and not the services' own pods."""

    def matchers(self, services: Sequence[Service]) -> str:
        """The label matchers that select the services' series, and few others."""

    def sorter(self, services: Iterable[Service]) -> Sorter:
        """What sorts out the series of these services."""


@dataclass(frozen=True, slots=True)
class _ByTag:
    """By the service tag of the pods' own sidecar."""

    label: str
    of_callers: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.label,)

    def matchers(self, services: Sequence[Service]) -> str:
        tags = _alternatives(service.tag for service in services)
        return f'{self.label}=~"{tags}[0-9a-zA-Z-]+"'

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
    of_callers: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.namespace, self.pod)

    def matchers(self, services: Sequence[Service]) -> str:
        homes = _alternatives(sorted({service.namespace for service in services}))
        pods = _alternatives(service.workload for service in services)
        return f'{self.namespace}=~"{homes}",{self.pod}=~"{pods}-[0-9a-z]+(-[0-9a-z]+)?"'

    def sorter(self, services: Iterable[Service]) -> Sorter:
        known = {(service.namespace, service.workload): service for service in services}

        def owner(labels: Mapping[str, str]) -> Service | None:
            match = _POD.fullmatch(labels.get(self.pod, ""))
            if match is None:
                return None
            home = labels.get(self.namespace, "")
            return known.get((home, match["set"])) or known.get((home, match["deployment"]))

        return owner


@dataclass(frozen=True, slots=True)
class _ByCluster:
    """By the cluster that a caller's sidecar sends requests to: what callers see of a service,
    failures to connect included, after their retries."""

    of_callers: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        return ("envoy_cluster_name",)

    def matchers(self, services: Sequence[Service]) -> str:
        tags = _alternatives(service.tag for service in services)
        names = _alternatives(f"{service.name}_{service.namespace}" for service in services)
        identifiers = _alternatives(f"{service.namespace}_{service.name}" for service in services)
        clusters = (
            f"{tags}[0-9]+(-[0-9a-f]{{16}})?",
            f"[^_]*_{names}_[^_]*_msvc_[0-9]+",
            f"kri_msvc_[^_]*_[^_]*_{identifiers}_[^_]*",
        )
        return f'envoy_cluster_name=~"{"|".join(clusters)}"'

    def sorter(self, services: Iterable[Service]) -> Sorter:
        known = {(service.namespace, service.name): service for service in services}

        def owner(labels: Mapping[str, str]) -> Service | None:
            cluster = labels.get("envoy_cluster_name", "")
            for form in (_BY_SERVICE_TAG, _BY_MESH_SERVICE, _BY_IDENTIFIER):
                match = form.fullmatch(cluster)
                if match is not None:
                    return known.get((match["namespace"], match["name"]))
            return None

        return owner


@dataclass(frozen=True, slots=True)
class Signals:
    """The metrics of a world.

    ``own`` are the matchers of what pods count of themselves (with sidecars, the inbound clusters
    alone: else the canary's calls to its dependencies would count as its answers).
    ``milliseconds`` is how many the durations' unit has; ``tellers`` is for people who look for
    series that are not there.
    """

    selections: tuple[Selection, ...]
    own: str
    requests: str
    durations: str
    code: str
    milliseconds: float
    tellers: str
    meshed: bool

    def matchers(self, selection: Selection, services: Sequence[Service], mesh: str) -> str:
        """The label matchers for what is counted of the services. ``mesh`` tells meshes of one
        Prometheus apart; series without that label are taken too, for old scrape configurations
        do not set it."""
        matchers = [selection.matchers(services)]
        if self.own and not selection.of_callers:
            matchers.append(self.own)
        if mesh:
            matchers.append(of_mesh(mesh))
        return ",".join(matchers)


def of_mesh(mesh: str) -> str:
    """The matcher for series of that mesh."""
    return f'mesh=~"|{_literal(mesh)}"'


def _envoy(*selections: Selection) -> Signals:
    # Of the cluster, not of the listener (envoy_http_downstream_rq_xx): all versions have it, per
    # code, and it counts what the application answered; what its sidecar refuses for it (a rate
    # limit, an injected fault) is not the revision's doing. Never with its namesake
    # envoy_cluster_external_upstream_rq, which counts the same requests again.
    return Signals(
        selections,
        f'envoy_cluster_name=~"{INBOUND}"',
        "envoy_cluster_upstream_rq",
        "envoy_cluster_upstream_rq_time_bucket",
        "envoy_response_code",
        1.0,
        "sidecars",
        meshed=True,
    )


# `kuma_io_service` comes from the sidecar, or from a scrape configuration that maps the
# dataplane's tags; `service` from the one that Kuma <= 2.8 installs.
_TAGS = (_ByTag("kuma_io_service"), _ByTag("service"))
# Pods' labels come from the scrape configuration: the first are the Prometheus operator's, the
# others Flagger's.
_PODS = (_ByPod("namespace", "pod"), _ByPod("kubernetes_namespace", "kubernetes_pod_name"))

SIGNALS: Mapping[World, Signals] = {
    "kuma-2": _envoy(*_TAGS, *_PODS, _ByCluster()),
    # Its sidecars tell no tags.
    "kuma-3": _envoy(*_PODS, *_TAGS, _ByCluster()),
    "kubernetes": Signals(
        (_PODS[1], _PODS[0]),
        "",
        "http_request_duration_seconds_count",
        "http_request_duration_seconds_bucket",
        "status",
        1000.0,
        "pods",
        meshed=False,
    ),
}


def _alternatives(texts: Iterable[str]) -> str:
    literals = [_literal(text) for text in texts]
    return f"(?:{'|'.join(literals)})" if len(literals) > 1 else literals[0]


def _literal(text: str) -> str:
    """``text`` as a regular expression inside a PromQL string."""
    escaped = re.sub(r"[^0-9A-Za-z_-]", lambda match: re.escape(match[0]), text)
    return escaped.replace("\\", "\\\\").replace('"', '\\"')
