"""What this release obeys, and how it refuses the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.api_samples import changed, decoded, guide, places
from serinus.api.canary import CanarySpec
from serinus.api.schema import schema_of
from serinus.api.support import GATEWAY_API, REFUSED, SUPPORTED, unsupported

FLAGGER = json.loads((Path(__file__).parent / "flagger_schema.json").read_text())["canaries"]
SPEC_PATHS = sorted(
    {path for path in FLAGGER if path.startswith("spec.")}
    | {path for path, _ in places(schema_of(CanarySpec), "spec") if path != "spec"}
)


def refused(path: str) -> bool:
    return any(
        path == top or path.startswith((f"{top}.", f"{top}[", f"{top}{{")) for top in REFUSED
    )


@pytest.mark.parametrize("path", SPEC_PATHS)
def test_every_path_is_either_supported_or_refused(path: str) -> None:
    assert (path in SUPPORTED) != refused(path)


def test_the_tables_name_only_paths_that_there_are() -> None:
    assert SUPPORTED | GATEWAY_API | set(REFUSED) <= set(SPEC_PATHS)


@pytest.mark.parametrize("path", sorted(GATEWAY_API))
def test_what_only_the_gateway_api_obeys_is_refused_for_others(path: str) -> None:
    assert refused(path)


def test_parents_and_hosts_are_the_gateway_apis() -> None:
    fields = {
        "spec.service.hosts": ["a.example"],
        "spec.service.gatewayRefs": [{"kind": "Service", "group": "", "name": "podinfo"}],
    }
    for provider in ("gatewayapi:v1", "gatewayapi:v1beta1"):
        asked = decoded(changed({**fields, "spec.provider": provider}))
        assert unsupported(asked, "kuma") == ()
    assert unsupported(decoded(changed(fields)), "gatewayapi:v1") == ()
    found = unsupported(decoded(changed(fields)), "kuma")
    assert [problem.path for problem in found] == list(fields)


def test_the_guide_is_supported() -> None:
    assert unsupported(decoded(guide()), "kuma") == ()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"spec.service.hosts": ["a.example"]}, "spec.service.hosts"),
        (
            {"spec.service.match": [{"authority": {"prefix": "a"}}]},
            "spec.service.match[0].authority",
        ),
        ({"spec.provider": "istio"}, "spec.provider"),
    ],
)
def test_a_field_without_its_behaviour_is_refused_once_by_its_path(
    changes: dict[str, Any], path: str
) -> None:
    (problem,) = unsupported(decoded(changed(changes)), "kuma")
    assert problem.path == path
    assert "not supported by this release of Serinus; " in problem.message


def test_a_field_at_its_default_is_not_asked_for() -> None:
    canary = decoded(
        changed(
            {
                "spec.analysis.mirror": False,
                "spec.analysis.stepWeightPromotion": 0,
                "spec.service.hosts": [],
                "spec.skipAnalysis": False,
            }
        )
    )
    assert unsupported(canary, "kuma") == ()


def test_the_operators_provider_counts_where_the_canary_names_none() -> None:
    (problem,) = unsupported(decoded(guide()), "istio")
    assert problem.path == "spec.provider"
    assert unsupported(decoded(changed({"spec.provider": "kuma"})), "istio") == ()
