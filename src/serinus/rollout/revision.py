"""When a target counts as a new revision, and what ties a primary to the revision it runs.

A revision's name is the hash of the target's pod template with a version prefix
(`serinus.workload.revision`). The status keeps the revision last rolled out
(`lastAppliedSpec`), the one last promoted (`lastPromotedSpec`) and the target's generation at
that moment (`lastAppliedGeneration`).
"""

import uuid
from enum import Enum, auto

from serinus.api.canary import CanaryStatus, Phase
from serinus.rollout.world import Workload

PREFIX = "v1:"
_ORIGINS = uuid.UUID("6d3c1d4e-4c1f-5d1e-9f0a-5e71a0c5a4a1")


class Change(Enum):
    """What the target is, seen from the status."""

    NONE = auto()
    """The target is what was last rolled out."""

    NEW = auto()
    """The target is a revision that nobody has judged yet."""

    REBASE = auto()
    """The target is the same object, described differently: take its hash, start nothing.

    The hash moved though the generation did not (another release of Kubernetes or of Serinus
    sees the object differently), or the content is what the primary runs already, or the status
    was written by Flagger, whose hash nobody else can compute.
    """


def change(status: CanaryStatus, target: Workload, *, in_primary: bool) -> Change:
    """Compare the target with what the status says was last rolled out."""
    applied = status.last_applied_spec
    if applied == target.revision:
        return Change.NONE
    if target.generation == status.last_applied_generation:
        return Change.REBASE
    if in_primary or target.revision == status.last_promoted_spec:
        return Change.REBASE
    if applied and not applied.startswith(PREFIX) and status.phase == Phase.FAILED:
        # Flagger keeps a failed target's own hash here, so a failed target differs from the
        # primary without being new.
        return Change.REBASE
    return Change.NEW


def superseded(status: CanaryStatus, target: Workload) -> bool:
    """Whether the revision in analysis is no longer what the target holds."""
    return (
        target.revision != status.last_applied_spec
        and target.generation != status.last_applied_generation
    )


def origin_of(revision: str) -> str:
    """The `flagger-id` of a primary that runs ``revision``.

    Flagger writes a random UUID at each promotion, which restarts the primary's pods even when
    their template is the same. This one is a function of the revision, so it also tells, after
    a crash, whether a promotion has happened.
    """
    return str(uuid.uuid5(_ORIGINS, revision))
