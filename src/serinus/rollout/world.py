"""The frozen snapshot of the cluster that one tick decides on."""

from dataclasses import dataclass
from datetime import datetime

from serinus.rollout.effects import Weights


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
    """A Deployment in its role.

    ``revision`` is the hash of its pod template (see `serinus.workload.revision`),
    ``generation`` its metadata.generation, ``replicas`` what its spec asks for.
    """

    revision: str
    generation: int
    replicas: int
    readiness: Readiness


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the Canary that keeps it from being rolled out.

    ``path`` is the field (such as ``spec.analysis.stepWeight``), ``message`` says what is wrong
    and what would be right.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class World:
    """What the caches knew at ``now`` (UTC).

    ``target`` and ``primary`` are None when absent. ``in_primary`` tells whether the primary
    already runs the target's template (modulo the renames a primary gets). ``route`` is None
    when there is none yet. ``problems`` come from outside the Canary itself: a target that does
    not exist, a router that cannot do what is asked.
    """

    now: datetime
    target: Workload | None
    primary: Workload | None
    in_primary: bool
    apex_on_primary: bool
    route: Weights | None
    problems: tuple[Problem, ...] = ()
