"""The tables of rights in docs/security.md say what deploy/ gives, right by right."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from serinus.routing.gateway.httproute import CRD as HTTP_ROUTES
from serinus.routing.kuma.discovery import CRD_NAMES

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "security.md"
ACCOUNT = ROOT / "deploy" / "kustomize" / "kuma" / "account.yaml"

Right = tuple[str, str, str, str]
"""Group, resource with its subresource, name where it is bound to one, and verb."""

NAMES = {
    "": ("",),
    "of Kuma's, by name": CRD_NAMES,
    "of KEDA's and the Gateway API's, by name": ("scaledobjects.keda.sh", HTTP_ROUTES),
    "`flagger-leader-election` only": ("flagger-leader-election",),
}
"""What the document says of a rule that is bound to names, and which those are."""

_RULE = re.compile(
    r"(?:`(?P<group>[a-z0-9.]+)` )?(?P<resources>[a-z/]+(?:, [a-z/]+)*),? ?(?P<of>.*)"
)


def tables(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table whose first column is called Rule, without its head."""
    for block in re.findall(r"^\| Rule \|.*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE):
        yield [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]


def told(rows: Iterable[list[str]]) -> Iterator[Right]:
    for rule, verbs, why in rows:
        read = _RULE.fullmatch(rule)
        assert read is not None and read["of"] in NAMES, f"what is this rule about? {rule}"
        assert why, f"{rule}: what for?"
        for resource in read["resources"].split(", "):
            for name in NAMES[read["of"]]:
                for verb in verbs.split(", "):
                    yield read["group"] or "", resource, name, verb


def given(kind: str) -> Iterator[Right]:
    """By the one role of that kind."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(ACCOUNT.read_text()))
    (rules,) = (each["rules"] for each in documents if each["kind"] == kind)
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", [""]):
                    for verb in rule["verbs"]:
                        yield group, resource, name, verb


def test_the_document_tells_each_right_once_and_no_other() -> None:
    everywhere, at_home = tables(DOCUMENT.read_text())
    for rows, kind in ((everywhere, "ClusterRole"), (at_home, "Role")):
        assert sorted(told(rows)) == sorted(given(kind))
