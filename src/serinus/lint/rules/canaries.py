"""Whether a Canary makes sense, alone and beside others: mostly what the operator itself says."""

from collections.abc import Callable, Iterator

from serinus.api.canary import Canary
from serinus.api.problem import Problem
from serinus.api.support import unsupported
from serinus.api.validation import problems
from serinus.lint.files import Files
from serinus.lint.kuma import Kuma
from serinus.lint.offline import routers
from serinus.lint.registry import Found, common, said, versioned
from serinus.lint.rules.schema import told_by_schema
from serinus.routing.kuma import cookies, filters, matches, servicepolicies
from serinus.routing.kuma.dialect import ANNOTATION_PATH
from serinus.routing.providers import KUBERNETES

Judge = Callable[[Canary], Iterator[Problem]]


@common(
    "canary/sense",
    "Names, ports, weights, steps, thresholds, durations and addresses make sense together.",
)
def sense(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        told = told_by_schema(files, one.document)
        for problem in problems(one.canary):
            if problem.path not in told:
                yield said(one.document, problem)


@common(
    "canary/unsupported",
    "Every field that is set is one that Serinus obeys; those of other meshes are refused.",
)
def not_supported(files: Files) -> Iterator[Found]:
    for one in files.canaries:
        for problem in unsupported(one.canary, "kuma"):
            yield said(one.document, problem)


@common("canary/one-target", "No two canaries roll out one target, or share the name of a Service.")
def one_target(files: Files) -> Iterator[Found]:
    targets: dict[tuple[str, str], str] = {}
    services: dict[tuple[str, str], str] = {}
    for one in files.canaries:
        canary = one.canary
        target, apex = (canary.namespace, canary.target_name), (canary.namespace, canary.apex_name)
        first = targets.setdefault(target, canary.name)
        if first != canary.name:
            kind = canary.spec.target_ref.kind
            reason = f'canary "{first}" rolls out {kind} "{canary.target_name}" already'
            fix = "name another target, or remove one of the two"
            yield Found(one.document, "spec.targetRef.name", reason, fix)
        elif services.setdefault(apex, canary.name) != canary.name:
            reason = f'canary "{services[apex]}" has the Services of {canary.apex_name} already'
            yield Found(one.document, "spec.service.name", reason, "name another Service")


@common(
    "canary/match",
    "Matches are ones that Kuma can make: regular expressions that RE2 compiles, header names "
    "that are tokens, paths that begin with a slash, no conditions on the caller.",
)
def match(files: Files) -> Iterator[Found]:
    yield from _judged(files, matches.problems)


@common(
    "canary/filters",
    "Changes of headers and rewrites are ones that Kuma and Envoy take: 16 headers in a list, no "
    "percent signs, prefixes replaced only where prefixes are matched.",
)
def changes(files: Files) -> Iterator[Found]:
    yield from _judged(files, filters.problems)


@common(
    "canary/timeout-and-retries",
    "spec.service.timeout and retries are durations and conditions that Kuma takes.",
)
def timeout_and_retries(files: Files) -> Iterator[Found]:
    yield from _judged(files, servicepolicies.problems)


@common("canary/cookies", "Session affinity names cookies that browsers take, and no A/B test.")
def affinity(files: Files) -> Iterator[Found]:
    yield from _judged(files, cookies.problems)


@versioned(
    "canary/ability",
    "The canary asks for nothing that its router cannot do: mirroring or session affinity where "
    "TrafficRoutes split, matches and headers by provider kubernetes.",
)
def ability(files: Files, kuma: Kuma) -> Iterator[Found]:
    unmeshed = [one for one in files.canaries if one.canary.spec.provider == KUBERNETES]
    for one in [*files.meshed, *unmeshed]:
        told = [problem for judge in _JUDGES for problem in judge(one.canary)]
        for problem in routers(kuma).problems(one.canary):
            if problem not in told and not problem.path.startswith(_ELSEWHERE):
                yield said(one.document, problem)


@versioned(
    "kuma/dialect",
    "A dialect that the annotation serinus.dev/kuma-dialect asks for is one that this Kuma "
    "understands.",
)
def dialect(files: Files, kuma: Kuma) -> Iterator[Found]:
    for one in files.meshed:
        for problem in routers(kuma).problems(one.canary):
            if problem.path == ANNOTATION_PATH:
                yield said(one.document, problem)


_JUDGES: tuple[Judge, ...] = (
    matches.problems,
    filters.problems,
    servicepolicies.problems,
    cookies.problems,
)
_ELSEWHERE = (
    *("spec.service.appProtocol", "spec.service.headless", "spec.analysis.metrics["),
    ANNOTATION_PATH,
)
"""Of these there are rules of their own."""


def _judged(files: Files, judge: Judge) -> Iterator[Found]:
    for one in files.meshed:
        for problem in judge(one.canary):
            yield said(one.document, problem)
