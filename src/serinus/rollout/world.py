"""The frozen snapshot of the cluster that one tick decides on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from serinus.api.problem import Problem


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a workload's pods all serve the newest template, and if not, why.

    ``why`` reads as the end of "Waiting for NAME.NAMESPACE ...", such as
    "rollout to finish: 0 of 1 updated replicas are available". ``hopeless`` means that waiting
    longer will not help: the progress deadline has passed.
    """

    ready: bool
    why: str = ""
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, DaemonSet or Service in its role.

    ``revision`` is the hash of its pod template (`serinus.workload.revision`), ``generation``
    its metadata.generation, ``replicas`` what its spec asks for, ``available`` how many pods
    can serve. ``origin`` is the `flagger-id` annotation of a primary's template: it tells which
    revision of the target the primary was made from (`serinus.rollout.revision.origin_of`).
    ``configs`` are the checksums of the ConfigMaps and Secrets that a target uses, by
    `configmap/NAME` or `secret/NAME`. What has no pods of its own to count (a Service) has one
    replica, available.
    """

    revision: str
    generation: int
    replicas: int
    available: int
    readiness: Readiness
    origin: str | None = None
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """What the caches knew at ``now`` (UTC).

    ``due`` tells that the analysis interval has passed since the last step: a tick may come
    sooner, since any change of what we watch asks for one, and then only makes the world what
    the status says. ``target`` and ``primary`` are None when absent. ``in_primary`` tells
    whether the primary runs the target's template, modulo the renames that a primary gets.
    ``problems`` are all that keeps this Canary from being rolled out. The route's weights are not
    here: what they should be is in the status, and `SetTraffic` makes them so. ``splits`` tells
    whether the canary's provider can share traffic out at all (plain Kubernetes cannot).
    ``unprepared`` is what would keep the mesh from giving the canary its share of the traffic: the
    rollout waits for that, and goes back or promotes without it.
    """

    now: datetime
    due: bool
    target: Workload | None
    primary: Workload | None
    in_primary: bool
    problems: tuple[Problem, ...] = ()
    splits: bool = True
    unprepared: tuple[Problem, ...] = ()

    @property
    def may_split(self) -> bool:
        """Whether traffic can be shared out as things are now."""
        return self.splits and not self.unprepared
