"""What a rollout needs of a service mesh."""

import enum
from collections.abc import Callable
from typing import Protocol

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.written import Written
from serinus.rollout.effects import Weights


class Ability(enum.Enum):
    """Something that a router can do with traffic."""

    WEIGHTS = "weights"
    HEADER_MATCH = "header match"
    MIRROR = "mirror"
    AFFINITY = "session affinity"


class RoutingError(Exception):
    """The route cannot be made to carry what was asked. The text is for a person."""


class Router(Protocol):
    """Splits what the apex's callers send between primary and canary.

    Everything but `reconcile` and `finalize` reads caches only.
    """

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can do with traffic."""

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        """What keeps it from serving this canary at all, whatever the rollout does."""

    def weights(self, canary: Canary) -> Weights | None:
        """The weights that the route carries; None when there is no route, or when somebody
        made it carry something that is no split between primary and canary."""

    def drift(self, canary: Canary) -> tuple[str, ...]:
        """Fields of the route, other than the weights, that are not as Serinus left them.

        `reconcile` puts them back; ask before, to tell people.
        """

    async def reconcile(self, canary: Canary, weights: Weights) -> list[Written]:
        """Have a route that carries these weights: made when absent, repaired when changed,
        untouched when it is as it should be.

        Raises:
            RoutingError: the mesh would not do with this route what the weights say.
        """

    async def finalize(self, canary: Canary) -> None:
        """Take the route away when it is this canary's."""

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """Take away the routes of canaries that were deleted while nobody watched; ``exists``
        is asked by namespace and name."""
