"""What is chosen of a lab, and what of it a lab that was begun before has settled."""

from pathlib import Path

import pytest

from serinus.lab.choices import ChoiceError, Choices
from serinus.lab.world import LabInfo

BEGUN = Choices("2.14", "disabled", Path("/images.yaml"), Path("/programs"))


def test_a_lab_goes_on_as_it_was_begun() -> None:
    assert Choices().after(BEGUN, "a") == BEGUN
    images = Path("/others.yaml")
    assert Choices(images=images).after(BEGUN, "a").images == images
    assert Choices("2.14", "disabled").after(BEGUN, "a") == BEGUN


@pytest.mark.parametrize(
    ("asked", "before", "words"),
    [
        (Choices("3.0"), BEGUN, "serinus lab upgrade --name a --kuma 3.0"),
        (Choices(mesh_services="exclusive"), BEGUN, "set spec.meshServices.mode of that Mesh"),
        (Choices(control_plane=Path("/x")), Choices("2.14"), "on the embedded control plane"),
    ],
)
def test_what_a_lab_cannot_change_is_refused(asked: Choices, before: Choices, words: str) -> None:
    with pytest.raises(ChoiceError, match=words):
        asked.after(before, "a")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Choices("9.9"), r"does not play Kuma '9\.9'; it plays 1\.8, 2\.7, 2\.14, 3\.0"),
        (Choices("3.0", "disabled"), "Kuma 3.0 always has MeshServices.*a choice of 2.14 only"),
        (Choices("2.7", "exclusive"), "Kuma 2.7 does not have MeshServices"),
        (Choices("2.14", "some"), "exclusive or disabled, not 'some'"),
        (Choices(images=Path("/nothing/there")), "/nothing/there"),
        (Choices(control_plane=Path("/nothing")), "no etcd and no kube-apiserver"),
    ],
)
def test_what_there_is_not_is_refused(asked: Choices, words: str) -> None:
    with pytest.raises(ChoiceError, match=words):
        asked.checked()


def test_the_default_is_told() -> None:
    assert Choices().checked() == Choices("2.14")
    assert Choices("2.14", "disabled").checked().arguments() == [
        *("--kuma", "2.14"),
        *("--mesh-services", "disabled"),
    ]


def test_an_upgrade_keeps_the_mode_only_where_it_means_something() -> None:
    assert BEGUN.upgraded("3.0") == Choices("3.0", None, BEGUN.images, BEGUN.control_plane)
    assert BEGUN.upgraded("2.14") == BEGUN


def test_what_lab_json_says_is_what_was_chosen() -> None:
    said = LabInfo("a", 1, 1, 1, "2.14", "", "/programs", "disabled", "/images.yaml")
    assert said.choices == BEGUN
