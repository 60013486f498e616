"""The guide's canary at another pace."""

from pathlib import Path

import pytest
import yaml

from serinus.lab.demo import manifests
from serinus.lab.demo.pace import SHORT, interval_seconds, quickened, shortened


def test_only_the_times_are_others() -> None:
    written = manifests.guide_canary().read_text()
    short = yaml.safe_load(shortened(written))
    expected = yaml.safe_load(written)
    analysis = expected["spec"]["analysis"]
    analysis["interval"] = SHORT.interval
    analysis["metrics"][0]["interval"] = SHORT.success_rate
    analysis["metrics"][1]["interval"] = SHORT.request_duration
    command = analysis["webhooks"][1]["metadata"]["cmd"]
    analysis["webhooks"][1]["metadata"]["cmd"] = command.replace("2m", SHORT.hey)
    assert short == expected


def test_the_pace_can_be_read() -> None:
    written = manifests.guide_canary().read_text()
    assert interval_seconds(written) == 30
    assert interval_seconds(shortened(written)) == 2


def test_another_manifest_is_refused() -> None:
    with pytest.raises(ValueError, match="not the guide's"):
        shortened("kind: Canary\n")


@pytest.mark.parametrize(
    "file", sorted((manifests.root() / "examples").glob("*.yaml")), ids=lambda file: file.stem
)
def test_an_example_keeps_all_but_its_times(file: Path) -> None:
    expected = list(yaml.safe_load_all(file.read_text()))
    for document in expected:
        analysis = document["spec"]["analysis"] if document["kind"] == "Canary" else {}
        if analysis:
            analysis["interval"] = SHORT.interval
        for metric in analysis.get("metrics", []):
            metric["interval"] = SHORT.success_rate
        for hook in analysis.get("webhooks", []):
            metadata = hook.get("metadata", {})
            if "cmd" in metadata:
                metadata["cmd"] = metadata["cmd"].replace("hey -z 1m", f"hey -z {SHORT.hey}")
    assert list(yaml.safe_load_all(quickened(file.read_text()))) == expected
