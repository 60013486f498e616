"""One tick of one Canary: the story, from top to bottom.

The status says what should be. A tick first makes it so, then decides the next transition,
saves it, and only then acts on it: whatever effect it stops after, the next tick finds in the
status what is still to be done. `SaveStatus` is also the fence: it carries the resourceVersion
that the decision was based on, so of two operators only one gets past it.
"""

from serinus.api.canary import Canary, CanaryStatus, Phase
from serinus.api.problem import Problem
from serinus.rollout import messages
from serinus.rollout import status as statuses
from serinus.rollout.analyse import analyse
from serinus.rollout.bootstrap import initialise
from serinus.rollout.effects import Record, SaveStatus
from serinus.rollout.promotion import finalise, promote, recover
from serinus.rollout.rest import rest
from serinus.rollout.rollback import roll_back
from serinus.rollout.termination import promise, terminate
from serinus.rollout.tick import Tick, TickStoppedError, must
from serinus.rollout.verbs import heed
from serinus.rollout.world import World

_ROLLING_OUT = frozenset(
    {Phase.PROGRESSING, Phase.WAITING_PROMOTION, Phase.PROMOTING, Phase.FINALISING}
)


def advance(canary: Canary, world: World) -> Tick:
    """Yield what this Canary needs now; be sent the outcome of each effect."""
    try:
        yield from _advance(canary, world)
    except TickStoppedError as stopped:
        what = type(stopped.effect).__name__
        yield Record("Warning", messages.failed(canary, what, stopped.why), lasting=True)


def _advance(canary: Canary, world: World) -> Tick:
    status = canary.status
    if canary.metadata.deletion_timestamp is not None:
        yield from terminate(canary, world, status)
        return
    yield from promise(canary)
    if canary.spec.suspend:
        yield from _set_aside(canary, status, world)
        return
    problems = world.problems
    serving = status.phase in _ROLLING_OUT or statuses.is_standing_in(status)
    if world.target is None and not serving:
        problems = (*problems, _target_missing(canary))
    if problems:
        yield from _refuse(canary, status, world, problems)
        return

    accepted = statuses.ready(status, world.now)
    if accepted != status and status.phase != Phase.NONE:
        yield from must(SaveStatus(accepted))
    status = accepted

    if world.target is None and status.phase is not Phase.FINALISING:
        yield from roll_back(canary, world, status, messages.target_gone(canary))
        return
    heeded = yield from heed(canary, world, status)
    if heeded is not None:
        yield from _go_on(canary, world, heeded)


def _go_on(canary: Canary, world: World, status: CanaryStatus) -> Tick:
    match status.phase:
        case Phase.NONE | Phase.INITIALIZING:
            yield from initialise(canary, world, status)
        case Phase.PROGRESSING | Phase.WAITING_PROMOTION:
            yield from analyse(canary, world, status)
        case Phase.PROMOTING:
            yield from promote(canary, world, status)
        case Phase.FINALISING:
            yield from finalise(canary, world, status)
        case Phase.FAILED if statuses.is_standing_in(status):
            yield from recover(canary, world, status)
        case Phase.INITIALIZED | Phase.WAITING | Phase.SUCCEEDED | Phase.FAILED:
            yield from rest(canary, world, status)
        case Phase.TERMINATING | Phase.TERMINATED:
            return


def _target_missing(canary: Canary) -> Problem:
    ref = canary.spec.target_ref
    return Problem(
        "spec.targetRef.name",
        f'{ref.kind} "{ref.name}" does not exist in namespace "{canary.namespace}"; '
        "create it or name another one",
    )


def _refuse(
    canary: Canary, status: CanaryStatus, world: World, problems: tuple[Problem, ...]
) -> Tick:
    """Change nothing, and say once which fields stand in the way."""
    refused = statuses.refused(status, problems, world.now)
    if refused != status:
        yield from must(SaveStatus(refused))
        yield Record("Warning", messages.refused(canary, problems))


def _set_aside(canary: Canary, status: CanaryStatus, world: World) -> Tick:
    """Leave everything as it is, and say so once."""
    suspended = statuses.suspended(status, world.now)
    if suspended != status:
        yield from must(SaveStatus(suspended))
        yield Record("Normal", messages.suspended(canary))
