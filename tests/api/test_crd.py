"""The CRDs: generated, committed, and a superset of Flagger's."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.api_samples import places
from serinus.api.crd import crd_documents, crd_texts, crd_yaml

ROOT = Path(__file__).parents[2]
FLAGGER = json.loads((Path(__file__).parent / "flagger_schema.json").read_text())
"""Per plural and path: Flagger's type and constraints; `needed` is "required in its parent"."""

EVERY_PATH = [(plural, path) for plural, paths in FLAGGER.items() for path in paths]
NO_KNOWN_FORMAT = ("string", "url")
"""Formats in Flagger's schema that Kubernetes does not know: it ignores them or warns."""

OURS = ("status.lastAppliedGeneration", "status.acknowledged")
"""What the superset adds, with all that is inside."""


def documents() -> dict[str, Any]:
    return {document["spec"]["names"]["plural"]: document for document in crd_documents()}


def schema(plural: str) -> dict[str, Any]:
    (version,) = documents()[plural]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


PLACES = {plural: dict(places(schema(plural))) for plural in FLAGGER}


@pytest.mark.parametrize("plural", FLAGGER)
def test_the_committed_files_are_the_generated_ones(plural: str) -> None:
    committed = (ROOT / "deploy" / "crds" / f"{plural}.yaml").read_text()
    assert committed == crd_texts()[plural], "write deploy/crds anew from serinus.api.crd"


def test_the_stream_holds_every_definition() -> None:
    assert list(yaml.safe_load_all(crd_yaml())) == crd_documents()


def test_the_files_use_no_anchors() -> None:
    assert not any(line.rstrip().endswith(("&id001", "*id001")) for line in crd_yaml().splitlines())


@pytest.mark.parametrize(("plural", "path"), EVERY_PATH)
def test_every_path_of_flagger_is_there_with_its_constraints(plural: str, path: str) -> None:
    wanted = dict(FLAGGER[plural][path])
    node = PLACES[plural][path]
    kind = wanted.pop("type")
    if kind == "int-or-string":
        assert node["x-kubernetes-int-or-string"] is True
    else:
        assert node["type"] == kind
    if wanted.pop("needed", False):
        parent, _, name = path.rpartition(".")
        assert name in PLACES[plural][parent]["required"]
    if wanted.get("format") in NO_KNOWN_FORMAT:
        del wanted["format"]
    if kind == "array":
        # What Flagger's schema requires of the list itself, no list ever violates.
        wanted.pop("required", None)
    if "required" in wanted:
        assert sorted(node["required"]) == sorted(wanted.pop("required"))
    for word, value in wanted.items():
        assert node[word] == value, word


@pytest.mark.parametrize("plural", FLAGGER)
def test_nothing_is_asked_for_that_flagger_does_not_ask_for(plural: str) -> None:
    free = {"description", "type", "properties", "items", "additionalProperties", "format"}
    free |= {"x-kubernetes-int-or-string"}
    for path, node in PLACES[plural].items():
        if path.startswith(OURS):
            continue
        extra = set(node) - free - set(FLAGGER[plural].get(path, {}))
        assert not extra, f"{path} narrows by {extra}"


@pytest.mark.parametrize("plural", FLAGGER)
def test_the_superset_adds_only_what_the_design_names(plural: str) -> None:
    ours = {path for path in PLACES[plural] if path.startswith(("spec", "status"))}
    added = ours - set(FLAGGER[plural]) - {"spec", "status"}
    tops = {path for path in added if "{" not in path}
    assert tops == (set(OURS) if plural == "canaries" else set())
    assert all(path.startswith(OURS) for path in added)


@pytest.mark.parametrize("plural", FLAGGER)
def test_every_field_has_its_sentence(plural: str) -> None:
    for path, node in PLACES[plural].items():
        if path != "metadata":
            assert node.get("description", "").endswith("."), path


@pytest.mark.parametrize(
    ("plural", "kind", "columns"),
    [
        (
            "canaries",
            "Canary",
            [
                ("Status", ".status.phase", "string", 0),
                ("Weight", ".status.canaryWeight", "string", 0),
                ("Suspended", ".spec.suspend", "boolean", 1),
                ("FailedChecks", ".status.failedChecks", "string", 1),
                ("Interval", ".spec.analysis.interval", "string", 1),
                ("Mirror", ".spec.analysis.mirror", "boolean", 1),
                ("StepWeight", ".spec.analysis.stepWeight", "string", 1),
                ("StepWeights", ".spec.analysis.stepWeights", "string", 1),
                ("MaxWeight", ".spec.analysis.maxWeight", "string", 1),
                ("LastTransitionTime", ".status.lastTransitionTime", "string", 0),
            ],
        ),
        (
            "metrictemplates",
            "MetricTemplate",
            [("Provider", ".spec.provider.type", "string", 0)],
        ),
        ("alertproviders", "AlertProvider", [("Type", ".spec.type", "string", 0)]),
    ],
)
def test_names_and_columns(plural: str, kind: str, columns: list[tuple[Any, ...]]) -> None:
    document = documents()[plural]
    assert document["metadata"] == {
        "name": f"{plural}.flagger.app",
        "annotations": {"helm.sh/resource-policy": "keep"},
    }
    assert document["spec"]["scope"] == "Namespaced"
    assert document["spec"]["names"] == {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "categories": ["all"],
    }
    (version,) = document["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)
    assert version["subresources"] == {"status": {}}
    assert [
        (column["name"], column["jsonPath"], column["type"], column.get("priority", 0))
        for column in version["additionalPrinterColumns"]
    ] == columns
