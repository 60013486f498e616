"""What a canary asks of its router, field by field, against what that router can do."""

from collections.abc import Iterator, Mapping

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.routing.router import Ability


def beyond(
    canary: Canary, abilities: frozenset[Ability], who: str, instead: Mapping[Ability, str]
) -> tuple[Problem, ...]:
    """What the canary asks for and a router of these abilities cannot do.

    ``who`` names the router in a sentence, ``instead`` says for each ability that it lacks what a
    person can do about it.
    """
    return tuple(
        Problem(path, f"{who} has no {ability.value}; {instead[ability]}")
        for path, ability in _asked(canary)
        if ability not in abilities
    )


def _asked(canary: Canary) -> Iterator[tuple[str, Ability]]:
    analysis = canary.spec.analysis
    if analysis.step_weight is not None:
        yield "spec.analysis.stepWeight", Ability.WEIGHTS
    if analysis.step_weights is not None:
        yield "spec.analysis.stepWeights", Ability.WEIGHTS
    if analysis.mirror:
        yield "spec.analysis.mirror", Ability.MIRROR
    for index, entry in enumerate(analysis.match):
        if entry.headers:
            yield f"spec.analysis.match[{index}].headers", Ability.HEADER_MATCH
        if entry.query_params:
            yield f"spec.analysis.match[{index}].queryParams", Ability.QUERY_MATCH
    if analysis.session_affinity is not None:
        yield "spec.analysis.sessionAffinity", Ability.AFFINITY
    service = canary.spec.service
    if service.match:
        yield "spec.service.match", Ability.SERVICE_MATCH
    if service.headers is not None:
        yield "spec.service.headers", Ability.HEADERS
    if service.rewrite is not None:
        yield "spec.service.rewrite", Ability.REWRITE
    if service.timeout:
        yield "spec.service.timeout", Ability.TIMEOUT
    if service.retries is not None:
        yield "spec.service.retries", Ability.RETRIES
