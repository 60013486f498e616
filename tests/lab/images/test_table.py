"""Images: which command a container runs."""

from pathlib import Path

import pytest

from serinus.lab.images.image import Image, Reference
from serinus.lab.images.table import ImagesFileError, ImageTable, unknown_image


@pytest.mark.parametrize(
    ("name", "repository", "tag"),
    [
        ("ghcr.io/stefanprodan/podinfo:6.0.1", "ghcr.io/stefanprodan/podinfo", "6.0.1"),
        ("busybox", "busybox", "latest"),
        ("docker.io/library/busybox:1", "busybox", "1"),
        ("registry:5000/a/b", "registry:5000/a/b", "latest"),
        ("a/b:1@sha256:00", "a/b", "1"),
    ],
)
def test_a_reference_is_taken_apart(name: str, repository: str, tag: str) -> None:
    assert Reference.parse(name) == Reference(repository, tag)


def test_command_replaces_both_and_args_only_the_cmd() -> None:
    image = Image(entrypoint=("app",), cmd=("--default",))
    assert image.argv([], []) == ["app", "--default"]
    assert image.argv([], ["--mine"]) == ["app", "--mine"]
    assert image.argv(["other"], []) == ["other"]
    assert image.argv(["other"], ["x"]) == ["other", "x"]


def test_podinfo_takes_its_version_from_the_tag() -> None:
    image = ImageTable().find("ghcr.io/stefanprodan/podinfo:6.0.2")
    assert image is not None
    assert image.env["PODINFO_VERSION"] == "6.0.2"
    assert set(image.tools) == {"podinfo", "podcli"}


def test_the_guides_images_are_all_known() -> None:
    table = ImageTable()
    for name in (
        "ghcr.io/fluxcd/flagger-loadtester:0.34.0",
        "ghcr.io/fluxcd/flagger:1.41.0",
        "prom/prometheus:v2.42.0",
        "kuma/kuma-dp:2.14.3",
        "busybox:1.36",
        "docker.io/curlimages/curl:8.11.0",
        "python:3.13-alpine",
    ):
        assert table.find(name) is not None, name


def test_a_persons_file_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(
        """
- image: busybox
  command: [/bin/echo]
  env: {VERSION: "v{tag}"}
  tools: {check: [/usr/bin/test, -f]}
"""
    )
    image = ImageTable.load(file).find("busybox:7")
    assert image is not None
    assert image.entrypoint == ("/bin/echo",)
    assert image.env == {"VERSION": "v7"}
    assert image.tools["check"] == '#!/bin/sh\nexec /usr/bin/test -f "$@"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- image: a\n", "command"),
        ("- image: a\n  command: x\n", "array"),
        ("- image: a\n  command: [x]\n  colour: red\n", "colour"),
        ("{", "not a list of images"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(text)
    with pytest.raises(ImagesFileError, match=words):
        ImageTable.load(file)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImagesFileError, match="No such file"):
        ImageTable.load(tmp_path / "none.yaml")


def test_an_unknown_image_says_how_to_add_it() -> None:
    assert ImageTable().find("example/none:1") is None
    assert "--images FILE" in unknown_image("example/none:1")
