"""What a tick asks of the world, and what it is told in return.

A tick (`serinus.rollout.advance.advance`) yields these values and is sent an outcome for each.
They are frozen and say *what*, never *how*: the executor turns them into calls, the tests into
changes of a model. Every effect is idempotent: performing it twice is performing it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from serinus.analysis.verdict import Measurement
from serinus.api.canary import CanaryStatus, Metric, Webhook


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the apex's traffic in percent; they sum to 100."""

    primary: int
    canary: int

    def __post_init__(self) -> None:
        if self.primary + self.canary != 100 or min(self.primary, self.canary) < 0:
            raise ValueError(f"weights must be shares of 100, not {self.primary}/{self.canary}")


@dataclass(frozen=True, slots=True)
class Affinity:
    """Who stays where: a caller that shows ``cookie`` (NAME=VALUE) is sent to the canary, and one
    that shows ``primary_cookie`` to the primary, whatever the weights are. The side that answers
    hands its cookie out; the canary's spec says with which attributes."""

    cookie: str
    primary_cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Where the apex's requests go.

    ``weights`` share out what nothing else decides about. ``matched`` sends the requests that
    `spec.analysis.match` describes to the canary (an A/B test). ``mirrored`` sends a copy of what
    goes to the primary to the canary too, `mirrorWeight` percent of it, and drops the answers.
    """

    weights: Weights
    matched: bool = False
    mirrored: bool = False
    affinity: Affinity | None = None

    @property
    def reaches_canary(self) -> bool:
        """Whether any request, or copy of one, can reach the canary's pods."""
        held = self.affinity is not None
        return self.weights.canary > 0 or self.matched or self.mirrored or held


@dataclass(frozen=True, slots=True)
class ReconcileServices:
    """Have the `-primary` and `-canary` Services."""


@dataclass(frozen=True, slots=True)
class ReconcilePrimary:
    """Have the primary workload; when it is absent, make it from the target."""


@dataclass(frozen=True, slots=True)
class ReconcileAutoscaler:
    """Have the primary's autoscaler; ``follow`` also brings its spec to the target's."""

    follow: bool


@dataclass(frozen=True, slots=True)
class ReconcileApex:
    """Have the apex Service, selecting the primary's pods."""


@dataclass(frozen=True, slots=True)
class ScaleTargetUp:
    """Give the target its pods (no-op when it has replicas, or still pods that were taken away)."""


@dataclass(frozen=True, slots=True)
class ScaleTargetToZero:
    """Take the target's pods away (no-op at zero)."""


@dataclass(frozen=True, slots=True)
class SetTraffic:
    """Have the route carry this; it is made when absent, repaired when changed."""

    traffic: Traffic


@dataclass(frozen=True, slots=True)
class AwaitRoute:
    """Wait until callers' proxies have surely taken up what was written last: the weights, that
    there is no route, or whose pods the apex leads to."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Copy the target's pod template to the primary.

    ``revision`` is what passed the analysis, and ``configs`` are the checksums of the ConfigMaps
    and Secrets that it ran with: the effect fails when the target holds something else by now.
    """

    revision: str
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunHook:
    """Call a webhook. ``phase`` is what its payload says."""

    hook: Webhook
    phase: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Ask a metric for the canary's number."""

    metric: Metric


@dataclass(frozen=True, slots=True)
class SaveStatus:
    """Write the status, fenced by the resourceVersion that the tick's Canary carries."""

    status: CanaryStatus


@dataclass(frozen=True, slots=True)
class Record:
    """Tell people: an event on the Canary.

    ``lasting`` marks words about a state that goes on (waiting for pods): ticks that find it
    unchanged a moment later need not be heard again.
    """

    type: Literal["Normal", "Warning"]
    message: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell people who are not looking: a message to the canary's alert providers.

    ``described`` adds what the rollout is: target, threshold, deadline, strategy.
    """

    severity: Literal["info", "warn", "error"]
    message: str
    described: bool = False


@dataclass(frozen=True, slots=True)
class CheckProviders:
    """Ask whether the metrics of the analysis can be had: whether their servers answer at all and,
    for built-in checks in a mesh, whether there is any series of its sidecars."""


@dataclass(frozen=True, slots=True)
class HoldDeletion:
    """Have our finalizer on the Canary, so that its deletion waits for `ReleaseDeletion`."""


@dataclass(frozen=True, slots=True)
class ReleaseDeletion:
    """Take our finalizer off the Canary."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Have the apex Service select the target's pods again, and outlive the Canary."""


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Take the route away: callers go where the apex Service leads."""


Effect = (
    ReconcileServices
    | ReconcilePrimary
    | ReconcileAutoscaler
    | ReconcileApex
    | ScaleTargetUp
    | ScaleTargetToZero
    | SetTraffic
    | AwaitRoute
    | Promote
    | RunHook
    | Measure
    | SaveStatus
    | Record
    | Alert
    | CheckProviders
    | HoldDeletion
    | ReleaseDeletion
    | GiveBack
    | RemoveRoute
)


@dataclass(frozen=True, slots=True)
class Done:
    """The effect holds. For `RunHook`: the hook said yes."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The effect does not hold; ``why`` is for a person. For `RunHook`: the hook said no."""

    why: str


Outcome = Done | Failed | Measurement
