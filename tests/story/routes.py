"""What a canary's route looks like in a lab, against what is kept of it in golden files."""

from pathlib import Path
from typing import Any

import yaml

from story.story_lab import StoryLab

GOLDEN = Path(__file__).parent.parent / "kuma" / "golden"

KUMAS_OWN = "route-all-default"
"""The TrafficRoute that Kuma gives a new mesh, until 2.5."""


def golden_at_rest(dialect: str) -> dict[str, Any]:
    """The route of the guide's canary between two rollouts."""
    route: dict[str, Any] = yaml.safe_load((GOLDEN / dialect / "at-rest.yaml").read_text())
    return route


def only_route(lab: StoryLab) -> dict[str, Any]:
    """The one route in the whole lab, of whatever kind; that there is no other is asserted."""
    served = lab.sh("kubectl api-resources --api-group=kuma.io -o name").split()
    kinds = ",".join(kind for kind in served if kind.endswith("routes.kuma.io"))
    routes = lab.get(f"--all-namespaces {kinds}")["items"]
    found: list[dict[str, Any]] = [one for one in routes if one["metadata"]["name"] != KUMAS_OWN]
    assert len(found) == 1, [(one["kind"], one["metadata"]) for one in found]
    return found[0]


def check_route_at_rest(lab: StoryLab, dialect: str) -> None:
    """The route is of the kind, at the place and with the references that the dialect has, and no
    other is left."""
    route, golden = only_route(lab), golden_at_rest(dialect)
    assert route["kind"] == golden["kind"]
    assert route["spec"] == golden["spec"]
    for what in ("name", "namespace"):
        assert route["metadata"].get(what) == golden["metadata"].get(what)
