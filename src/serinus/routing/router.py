"""What a rollout needs of whatever leads the callers to its pods."""

import enum
from collections.abc import Callable
from typing import Protocol

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.cluster.written import Written
from serinus.rollout.effects import Traffic


class Ability(enum.Enum):
    """Something that a router can do with traffic; the value is how a person would call it."""

    WEIGHTS = "shares by weight"
    HEADER_MATCH = "matches on headers"
    QUERY_MATCH = "matches on query parameters"
    MIRROR = "mirroring"
    AFFINITY = "session affinity"
    SERVICE_MATCH = "splits of some requests only"
    HEADERS = "changes of headers"
    REWRITE = "rewrites of requests"
    TIMEOUT = "timeout of a route"
    RETRIES = "retries of a route"


class RoutingError(Exception):
    """The route cannot be made to carry what was asked. The text is for a person."""


class Router(Protocol):
    """Leads what the apex's callers send to primary and canary.

    Everything but `reconcile`, `finalize` and `collect` reads caches only.
    """

    def abilities(self, canary: Canary) -> frozenset[Ability]:
        """What it can do with this canary's traffic."""

    def problems(self, canary: Canary) -> tuple[Problem, ...]:
        """What keeps it from serving this canary, whatever the rollout does: also all that the
        canary asks for and `abilities` does not have."""

    def preflight(self, canary: Canary) -> tuple[Problem, ...]:
        """What would keep the canary from getting its share of the traffic if it were given one
        now: what has still to be made, or mended, beside the route. Unlike `problems` it may pass
        by itself, and it stands in nobody's way back to the primary."""

    def drift(self, canary: Canary) -> tuple[str, ...]:
        """Fields of what it wrote, other than where requests go, that are not as Serinus left
        them.

        `reconcile` puts them back; ask before, to tell people.
        """

    async def reconcile(self, canary: Canary, traffic: Traffic) -> list[Written]:
        """Have the requests go there: what that takes is made when absent, repaired when
        changed, untouched when it is as it should be.

        Raises:
            RoutingError: the mesh would not do what ``traffic`` says.
        """

    async def finalize(self, canary: Canary) -> None:
        """Take away what is this canary's."""

    async def collect(self, exists: Callable[[str, str], bool]) -> None:
        """Take away what is of canaries that were deleted while nobody watched; ``exists`` is
        asked by namespace and name."""
