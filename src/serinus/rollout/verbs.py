"""What a person asks of a rollout beside its spec: pause, resume, promote, abort, retry.

A request is an annotation `serinus.dev/VERB` of the Canary; its value says who asks, and when
(the CLI writes `NAME at TIME`), and a request with the same value is the same request: so it can
stay in a manifest under GitOps. Each is answered once, in `status.acknowledged`. Why this prefix:
docs/decisions/prefix.md.
"""

from collections.abc import Generator, Iterator

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.effects import Effect, Outcome, Record, SaveStatus
from serinus.rollout.rollback import roll_back
from serinus.rollout.tick import must
from serinus.rollout.world import World

PREFIX = "serinus.dev/"

PAUSE, RESUME, PROMOTE, ABORT, RETRY = "pause", "resume", "promote", "abort", "retry"

VERBS = (PAUSE, RESUME, PROMOTE, ABORT, RETRY)
"""In the order in which requests that come together are answered."""

FORCE = "--force"
"""A word of a `promote` request's value: gates need not be open."""

ACCEPTED = "Accepted"

_UNDER_WAY = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})

Heeded = Generator[Effect, Outcome, CanaryStatus | None]
"""Answers requests, and returns the status after that; None when the tick is over with it."""


def heed(canary: Canary, world: World, status: CanaryStatus) -> Heeded:
    """Answer what has been asked since the last tick."""
    for verb, request in _asked(canary, status):
        match verb:
            case "pause":
                status = yield from _pause(canary, world, status, request)
            case "resume":
                status = yield from _resume(canary, world, status, request)
            case "promote":
                status = yield from _promote(canary, world, status, request)
            case "retry":
                status = yield from _retry(canary, world, status, request)
            case _:
                answered = yield from _abort(canary, world, status, request)
                if answered is None:
                    return None
                status = answered
    return status


def is_promotion_asked(status: CanaryStatus) -> bool:
    """Whether somebody has asked that the revision in analysis be promoted without the rest."""
    answer = status.acknowledged.get(PROMOTE)
    return (
        answer is not None
        and answer.outcome == ACCEPTED
        and answer.revision == status.last_applied_spec
    )


def is_forced(status: CanaryStatus) -> bool:
    """Whether that request also passes closed gates."""
    return is_promotion_asked(status) and FORCE in status.acknowledged[PROMOTE].request.split()


def _asked(canary: Canary, status: CanaryStatus) -> Iterator[tuple[str, str]]:
    for verb in VERBS:
        request = canary.metadata.annotations.get(PREFIX + verb)
        answer = status.acknowledged.get(verb)
        if request is not None and (answer is None or answer.request != request):
            yield verb, request


def _answer(
    canary: Canary,
    world: World,
    status: CanaryStatus,
    verb: str,
    request: str,
    done: str,
    *,
    revision: str = "",
) -> Generator[Effect, Outcome, CanaryStatus]:
    status = statuses.acknowledged(status, verb, request, ACCEPTED, world.now, revision)
    yield from must(SaveStatus(status))
    yield Record("Normal", messages.requested(canary, done, request))
    return status


def _decline(
    canary: Canary, world: World, status: CanaryStatus, verb: str, request: str, why: str
) -> Generator[Effect, Outcome, CanaryStatus]:
    status = statuses.acknowledged(status, verb, request, f"Declined: {why}", world.now)
    yield from must(SaveStatus(status))
    yield Record("Warning", messages.not_done(canary, verb, why))
    return status


def _pause(
    canary: Canary, world: World, status: CanaryStatus, request: str
) -> Generator[Effect, Outcome, CanaryStatus]:
    message = messages.requested(canary, "Paused", request)
    status = statuses.paused(status, message, world.now)
    return (yield from _answer(canary, world, status, PAUSE, request, "Pausing"))


def _resume(
    canary: Canary, world: World, status: CanaryStatus, request: str
) -> Generator[Effect, Outcome, CanaryStatus]:
    if not statuses.is_paused(status):
        why = "it is not paused"
        return (yield from _decline(canary, world, status, RESUME, request, why))
    status = statuses.resumed(status, world.now)
    return (yield from _answer(canary, world, status, RESUME, request, "Resuming"))


def _promote(
    canary: Canary, world: World, status: CanaryStatus, request: str
) -> Generator[Effect, Outcome, CanaryStatus]:
    """The revision in analysis, or the one that waits to be let in, goes to its promotion."""
    forced = FORCE in request.split()
    revision = None
    if status.phase in _UNDER_WAY and not statuses.is_rolling_back(status):
        revision = status.last_applied_spec
    elif status.phase is Phase.WAITING and world.target is not None:
        revision = world.target.revision
    elif statuses.is_standing_in(status):
        # Its canary serves in the place of a primary that does not get ready.
        revision = world.target.revision if world.target is not None else None
    if revision is None:
        why = "no revision is on its way; a failed one can be tried again by `retry`"
        return (yield from _decline(canary, world, status, PROMOTE, request, why))
    done = "Promoting, gates passed over," if forced else "Promoting without further analysis"
    return (yield from _answer(canary, world, status, PROMOTE, request, done, revision=revision))


def _retry(
    canary: Canary, world: World, status: CanaryStatus, request: str
) -> Generator[Effect, Outcome, CanaryStatus]:
    if status.phase is not Phase.FAILED:
        why = "only a revision that failed can be tried again"
        return (yield from _decline(canary, world, status, RETRY, request, why))
    status = statuses.forgotten(status)
    return (yield from _answer(canary, world, status, RETRY, request, "Trying again"))


def _abort(canary: Canary, world: World, status: CanaryStatus, request: str) -> Heeded:
    if status.phase is Phase.PROMOTING:
        why = "the primary is being changed already"
        return (yield from _decline(canary, world, status, ABORT, request, why))
    if status.phase not in _UNDER_WAY and status.phase is not Phase.WAITING:
        why = "no revision is on its way"
        return (yield from _decline(canary, world, status, ABORT, request, why))
    status = statuses.acknowledged(status, ABORT, request, ACCEPTED, world.now)
    if status.phase is Phase.WAITING and world.target is not None:
        # What was about to be let in is what is turned away.
        status = statuses.known_as(status, world.target)
    message = messages.requested(canary, "Rolling back", request)
    yield from roll_back(canary, world, status, message)
    return None
