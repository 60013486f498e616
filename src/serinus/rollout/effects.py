"""What a tick asks of the world, and what it is told in return.

A tick (`serinus.rollout.advance.advance`) yields these values and is sent an outcome for each.
They are frozen and say *what*, never *how*: the executor turns them into calls, the tests into
changes of a model. Every effect is idempotent: performing it twice is performing it once.
"""

from dataclasses import dataclass
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
    """Give the target its pods (no-op when it has replicas)."""


@dataclass(frozen=True, slots=True)
class ScaleTargetToZero:
    """Take the target's pods away (no-op at zero)."""


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Have the route carry these weights; it is made when absent, repaired when changed."""

    weights: Weights


@dataclass(frozen=True, slots=True)
class AwaitRoute:
    """Wait until callers' proxies have surely taken the last weights up."""


@dataclass(frozen=True, slots=True)
class Promote:
    """Copy the target's pod template to the primary.

    ``revision`` is what passed the analysis: the effect fails when the target holds another one
    by now.
    """

    revision: str


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


Effect = (
    ReconcileServices
    | ReconcilePrimary
    | ReconcileAutoscaler
    | ReconcileApex
    | ScaleTargetUp
    | ScaleTargetToZero
    | SetWeights
    | AwaitRoute
    | Promote
    | RunHook
    | Measure
    | SaveStatus
    | Record
)


@dataclass(frozen=True, slots=True)
class Done:
    """The effect holds. For `RunHook`: the hook said yes."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The effect does not hold; ``why`` is for a person. For `RunHook`: the hook said no."""

    why: str


Outcome = Done | Failed | Measurement
