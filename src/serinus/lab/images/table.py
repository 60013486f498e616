"""Which images a lab can run: the built-in ones and those that a person adds in a file.

Such a file is YAML, a list of

    - image: registry.example/team/app:*     # shell pattern; the part after ":" is the tag
      command: [/home/me/app/run.sh]         # what the image runs (its ENTRYPOINT)
      args: [--verbose]                      # optional (its CMD)
      env: {MODE: lab}                       # optional; {tag} in a value becomes the tag
      tools: {healthcheck: [/usr/bin/true]}  # optional: programs on the container's PATH
      workdir: /srv/app                      # optional
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from serinus.lab.images.builtin import BUILTIN
from serinus.lab.images.image import Image, Reference, runs


class ImagesFileError(ValueError):
    """An images file that cannot be used; the message says where and why."""


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One image of a person's file."""

    image: str
    command: list[str]
    args: list[str] = []
    env: dict[str, str] = {}
    tools: dict[str, list[str]] = {}
    workdir: str = "/app"

    def at(self, tag: str) -> Image:
        """How the image runs when its tag is ``tag``."""
        return Image(
            entrypoint=tuple(self.command),
            cmd=tuple(self.args),
            tools={name: runs(argv) for name, argv in self.tools.items()},
            env={name: value.replace("{tag}", tag) for name, value in self.env.items()},
            workdir=self.workdir,
        )


class ImageTable:
    """Finds how to run an image. A person's entries come before the built-in ones."""

    def __init__(self, entries: list[Entry] | None = None) -> None:
        self._rows: list[tuple[str, Callable[[str], Image]]] = []
        for entry in entries or []:
            pattern = entry.image if ":" in entry.image.rpartition("/")[2] else f"{entry.image}:*"
            self._rows.append((pattern, entry.at))
        self._rows.extend(BUILTIN.items())

    @classmethod
    def load(cls, file: Path | None) -> "ImageTable":
        """The table with the entries of ``file``; raises `ImagesFileError`."""
        if file is None:
            return cls()
        try:
            return cls(msgspec.yaml.decode(file.read_bytes(), type=list[Entry]))
        except OSError as error:
            raise ImagesFileError(f"cannot read the images file {file}: {error.strerror}") from None
        except msgspec.MsgspecError as error:
            raise ImagesFileError(
                f"{file} is not a list of images: {error}. Each has `image` and `command`, "
                "and may have `args`, `env`, `tools` and `workdir`"
            ) from None

    def find(self, name: str) -> Image | None:
        """How to run ``name``, or None when no pattern matches it."""
        reference = Reference.parse(name)
        for pattern, image in self._rows:
            if fnmatchcase(str(reference), pattern) or fnmatchcase(name, pattern):
                return image(reference.tag)
        return None

    def patterns(self) -> list[str]:
        """Every pattern, in the order of search."""
        return [pattern for pattern, _ in self._rows]


def unknown_image(name: str) -> str:
    """What to tell a person whose pod names an image that the lab cannot run."""
    return (
        f'the lab has no image "{name}": it runs programs of this machine, not image files. '
        f"Say how to run it in a YAML file, `- image: {name}` with `command: [...]`, and start "
        "the lab with `serinus lab up --images FILE`"
    )
