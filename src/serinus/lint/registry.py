"""The rules there are, and how their findings become what a person is told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from serinus.api.problem import Problem
from serinus.lint.documents import Document, Unreadable
from serinus.lint.files import Files
from serinus.lint.finding import Finding, Level
from serinus.lint.kuma import Group, Kuma


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule finds: a field of a document, what is wrong, and what would be right."""

    document: Document
    path: str
    reason: str
    fix: str
    level: Level = Level.ERROR


Common = Callable[[Files], Iterable[Found]]
Versioned = Callable[[Files, Kuma], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class Rule:
    """``says`` is the rule in a sentence, for `docs/lint.md`. One of the two functions is there:
    a rule is the same for every Kuma, or depends on it."""

    name: str
    says: str
    common: Common | None = None
    versioned: Versioned | None = None


RULES: dict[str, Rule] = {}
"""By name, in the order in which they are declared."""


def common(name: str, says: str) -> Callable[[Common], Common]:
    """Declare a rule that is the same for every Kuma."""

    def declare(rule: Common) -> Common:
        RULES[name] = Rule(name, says, common=rule)
        return rule

    return declare


def versioned(name: str, says: str) -> Callable[[Versioned], Versioned]:
    """Declare a rule that depends on Kuma's release, or on how its mesh is set up."""

    def declare(rule: Versioned) -> Versioned:
        RULES[name] = Rule(name, says, versioned=rule)
        return rule

    return declare


def said(document: Document, problem: Problem) -> Found:
    """What the operator itself says of a canary: its messages end in what would be right."""
    reason, _, fix = problem.message.rpartition("; ")
    return Found(document, problem.path, reason or fix, fix if reason else "")


def findings(
    files: Files, groups: Sequence[Group], unreadable: Iterable[Unreadable] = ()
) -> tuple[Finding, ...]:
    """All that the rules find, by file and line.

    Something that is wrong with some of the Kumas only says with which. It is an error where it is
    wrong with all of one group, else a warning.
    """
    told = {_unreadable(one) for one in unreadable}
    for rule in RULES.values():
        if rule.common is not None:
            told |= {_finding(rule, found) for found in rule.common(files)}
        if rule.versioned is not None:
            told |= set(_versioned(files, rule, rule.versioned, groups))
    return tuple(sorted(told, key=lambda one: (one.file, one.line, one.column, one.rule, one.path)))


def _versioned(
    files: Files, rule: Rule, look: Versioned, groups: Sequence[Group]
) -> Iterator[Finding]:
    everywhere = [kuma for group in groups for kuma in group]
    wrong: dict[Found, list[Kuma]] = {}
    for kuma in everywhere:
        for found in look(files, kuma):
            wrong.setdefault(found, []).append(kuma)
    for found, kumas in wrong.items():
        told = _finding(rule, found)
        if not any(set(group) <= set(kumas) for group in groups):
            told = replace(told, level=Level.WARNING)
        if len(kumas) < len(everywhere):
            told = replace(told, reason=f"with {_shown(kumas)}: {told.reason}")
        yield told


def _shown(kumas: Sequence[Kuma]) -> str:
    """The Kumas in few words: a release of which all ways are meant is named once."""
    names = [f"Kuma {kuma.version.name}" for kuma in kumas]
    shown = [
        name if names.count(name) > 1 else str(kuma)
        for name, kuma in zip(names, kumas, strict=True)
    ]
    return ", ".join(dict.fromkeys(shown))


def _finding(rule: Rule, found: Found) -> Finding:
    document = found.document
    line, column = document.place(found.path)
    subject = f"{document.kind}/{document.name}"
    return Finding(
        *(rule.name, found.level, document.file, line, column, subject),
        *(found.path, found.reason, found.fix),
    )


def _unreadable(one: Unreadable) -> Finding:
    place = (one.file, one.line, one.column)
    return Finding(READABLE, Level.ERROR, *place, "-", "", one.reason, one.fix)


READABLE = "file/readable"
RULES[READABLE] = Rule(
    READABLE, "A file is YAML, gives no key twice, and holds objects with apiVersion and kind."
)
