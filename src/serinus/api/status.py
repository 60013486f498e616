"""What a rollout says of itself: the `status` of a Canary."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import field

from serinus.api.fields import Whole, doc
from serinus.api.resource import Resource


class Phase(StrEnum):
    """Where a rollout stands. The empty phase is that of a canary which nobody has seen yet."""

    NONE = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


class Condition(Resource, frozen=True, kw_only=True):
    """One observation about the canary, in the form that `kubectl wait` understands."""

    type: Annotated[str, doc("What is observed, such as Promoted.")]
    status: Annotated[str, doc("Whether it holds: True, False or Unknown.")]
    reason: Annotated[str, doc("The phase, or one word for why the status is what it is.")]
    message: Annotated[str, doc("The same for a person, in a sentence.")] = ""
    last_update_time: Annotated[
        datetime | None, doc("When anything in this condition last changed.", format="date-time")
    ] = None
    last_transition_time: Annotated[
        datetime | None, doc("When the status of this condition last changed.", format="date-time")
    ] = None


class Acknowledgement(Resource, frozen=True, kw_only=True):
    """The answer to a request that somebody made by an annotation of the Canary."""

    request: Annotated[str, doc("The annotation's value: who asked, and when.")]
    outcome: Annotated[str, doc("What came of it, in words.")]
    time: Annotated[datetime, doc("When it was answered.", format="date-time")]
    revision: Annotated[str, doc("The revision that the request is good for.")] = ""


class CanaryStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The status, as one value that is written whole.

    Unlike the other structs it encodes its defaults too: people read a weight of 0 in
    `kubectl get canaries`. Times are UTC, in whole seconds.
    """

    phase: Annotated[Phase, doc("Where the rollout stands.")] = Phase.NONE
    failed_checks: Annotated[Whole, doc("Failed checks of this analysis so far.")] = 0
    canary_weight: Annotated[Whole, doc("Percent of the traffic that the canary gets.")] = 0
    iterations: Annotated[Whole, doc("Iterations of this analysis so far, without weights.")] = 0
    tracked_configs: Annotated[
        Mapping[str, Annotated[str, doc("The object's hash.")]] | None,
        doc("Hash of each ConfigMap and Secret that the target uses, by kind/name."),
    ] = None
    last_applied_spec: Annotated[str, doc("Hash of the newest revision that was noticed.")] = ""
    last_promoted_spec: Annotated[str, doc("Hash of the revision that was promoted last.")] = ""
    last_applied_generation: Annotated[
        int | None, doc("The target's metadata.generation when lastAppliedSpec was taken.")
    ] = None
    last_transition_time: Annotated[
        datetime | None, doc("When this status was last written.", format="date-time")
    ] = None
    session_affinity_cookie: Annotated[
        str | None, doc("Cookie (name=value) that keeps a caller on this canary.")
    ] = None
    primary_session_affinity_cookie: Annotated[
        str | None, doc("Cookie (name=value) that keeps a caller on the primary.")
    ] = None
    previous_session_affinity_cookie: Annotated[
        str | None, doc("Cookie of the rollout before this one, still to be expired.")
    ] = None
    acknowledged: Annotated[
        Mapping[str, Annotated[Acknowledgement, doc("The last answer.")]],
        doc("Answers to what was asked by annotations of serinus.dev, by verb."),
    ] = field(default_factory=dict)
    conditions: Annotated[
        tuple[Annotated[Condition, doc("One observation.")], ...],
        doc("Observations in the form that kubectl wait understands."),
    ] = ()
