"""From texts of files to findings."""

from collections.abc import Iterable, Sequence

import serinus.lint.rules  # noqa: F401 (to import them is to declare them)
from serinus.lint.documents import Document, Unreadable, mapping, read
from serinus.lint.files import Files
from serinus.lint.finding import Finding
from serinus.lint.kuma import Group
from serinus.lint.registry import RULES, Rule, findings

__all__ = ["as_defined", "check", "declared"]


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
    return findings(Files(documents, namespace), as_defined(groups, documents), unreadable)


def as_defined(groups: Sequence[Group], documents: Sequence[Document]) -> tuple[Group, ...]:
    """The groups without the ways that are not those of the Meshes in the files: a Mesh says how
    it is set up. Where Meshes differ, or say nothing, all ways stay."""
    modes = {
        str(mapping(one.spec, "meshServices").get("mode") or "")
        for one in documents
        if one.group == "kuma.io" and one.kind == "Mesh"
    }
    if len(modes) != 1 or modes == {""}:
        return tuple(groups)
    # Where backends have to be declared, callers that declare none go on using service tags.
    tags = modes <= {"Disabled", "ReachableBackends"}
    return tuple(
        tuple(
            kuma
            for kuma in group
            if not kuma.version.has_mesh_services_mode or tags is (kuma.mode == "Disabled")
        )
        or group
        for group in groups
    )


def declared() -> tuple[Rule, ...]:
    """The rules, by name."""
    return tuple(sorted(RULES.values(), key=lambda rule: rule.name))
