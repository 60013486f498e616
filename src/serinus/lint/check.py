"""From texts of files to findings."""

from collections.abc import Iterable, Sequence

import serinus.lint.rules  # noqa: F401 (to import them is to declare them)
from serinus.lint.documents import Document, Unreadable, read
from serinus.lint.files import Files
from serinus.lint.finding import Finding
from serinus.lint.kuma import Group
from serinus.lint.registry import RULES, Rule, findings

__all__ = ["check", "declared"]


def check(
    texts: Iterable[tuple[str, str, bool]], groups: Sequence[Group], namespace: str = "default"
) -> tuple[Finding, ...]:
    """All that is wrong in files, which are looked at together. Each is its name, its text, and
    whether a person named it (else it was found in a directory)."""
    documents: list[Document] = []
    unreadable: list[Unreadable] = []
    for file, text, named in texts:
        for one in read(file, text, named=named):
            if isinstance(one, Document):
                documents.append(one)
            else:
                unreadable.append(one)
    return findings(Files(documents, namespace), groups, unreadable)


def declared() -> tuple[Rule, ...]:
    """The rules, by name."""
    return tuple(sorted(RULES.values(), key=lambda rule: rule.name))
