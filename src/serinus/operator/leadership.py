"""Whether this operator is the one that acts."""

import asyncio

from serinus.cluster.client import Client
from serinus.cluster.election import Election
from serinus.operator.settings import Settings

LEASE = "flagger-leader-election"
"""Flagger's name: its operator and ours never act at the same time on one cluster."""


class Unopposed:
    """The leader where there is no election."""

    last_error: str | None = None

    def __init__(self) -> None:
        self.won = asyncio.Event()
        self.won.set()

    def leads(self) -> bool:
        """Always."""
        return True

    async def run(self) -> None:
        """There is nothing to do for it."""

    async def release(self) -> None:
        """There is nothing to give back."""


Leadership = Election | Unopposed


def leadership(settings: Settings, client: Client) -> Leadership:
    """As the settings want it; ``client`` is for the election alone."""
    if not settings.leader_election:
        return Unopposed()
    # As Flagger does: an operator of one namespace needs rights in that one only.
    namespace = settings.namespace or settings.leader_election_namespace
    return Election(client, namespace, LEASE, settings.lease_terms)
