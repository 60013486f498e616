"""When a target counts as a new revision, and what ties a primary to the revision it runs.

A revision is the hash of the target's pod template with a version prefix
(`serinus.workload.revision`), together with the checksums of the ConfigMaps and Secrets that it
uses. The status keeps the one last rolled out (`lastAppliedSpec`, `trackedConfigs`), the hash last
promoted (`lastPromotedSpec`) and the target's generation when it was last seen at that hash
(`lastAppliedGeneration`).
"""

import json
import uuid
from collections.abc import Mapping
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
    """The target is the same, described differently: take its description, start nothing.

    The hash moved though the generation did not (another release of Kubernetes or of Serinus
    sees the object differently), or only the generation moved (it was scaled), or the content is
    what the primary runs already, or the status was written by Flagger, whose hash nobody else
    can compute.
    """


def change(status: CanaryStatus, target: Workload, *, in_primary: bool) -> Change:
    """Compare the target with what the status says was last rolled out."""
    applied = status.last_applied_spec
    if same_configs(status, target):
        if applied == target.revision:
            noted = (target.generation, target.configs)
            known = (status.last_applied_generation, status.tracked_configs)
            return Change.NONE if noted == known else Change.REBASE
        if target.generation == status.last_applied_generation:
            return Change.REBASE
    if in_primary:
        return Change.REBASE
    if applied and not applied.startswith(PREFIX) and status.phase == Phase.FAILED:
        # Flagger keeps a failed target's own hash here, so a failed target differs from the
        # primary without being new.
        return Change.REBASE
    return Change.NEW


def superseded(status: CanaryStatus, target: Workload) -> bool:
    """Whether the revision in analysis is no longer what the target holds."""
    if not same_configs(status, target):
        return True
    return (
        target.revision != status.last_applied_spec
        and target.generation != status.last_applied_generation
    )


def same_configs(status: CanaryStatus, target: Workload) -> bool:
    """Whether the target's ConfigMaps and Secrets are those of the status; so they are, too, when
    the status does not say (it was written before they were tracked)."""
    return status.tracked_configs is None or status.tracked_configs == target.configs


def origin_of(revision: str, configs: Mapping[str, str] | None = None) -> str:
    """The `flagger-id` of a primary that runs ``revision`` with these ConfigMaps and Secrets.

    Flagger writes a random UUID at each promotion, which restarts the primary's pods even when
    their template is the same. This one is a function of the revision, so it also tells, after
    a crash, whether a promotion has happened.
    """
    name = revision
    if configs:
        name += json.dumps(dict(configs), sort_keys=True)
    return str(uuid.uuid5(_ORIGINS, name))
