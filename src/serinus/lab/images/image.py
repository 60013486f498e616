"""What an image is in the lab: not layers of files, but a way to run a program of this machine."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Image:
    """How to run one image.

    ``entrypoint`` and ``cmd`` mean what they mean in a Dockerfile: a container's ``command``
    replaces both, its ``args`` replaces ``cmd``. ``tools`` are shell scripts by name: they lie in
    ``workdir``, which is also first on PATH, so that both ``./podinfo`` and ``podcli`` of a
    manifest find them. ``env`` is there unless the container sets the same names.
    ``capabilities`` are Linux capabilities beyond what containers usually have.
    """

    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/home/app"
    capabilities: tuple[str, ...] = ()

    def argv(self, command: Sequence[str], args: Sequence[str]) -> list[str]:
        """What a container of this image runs, given its (expanded) ``command`` and ``args``."""
        if command:
            return [*command, *args]
        return [*self.entrypoint, *(args or self.cmd)]


def runs(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """A tool that runs ``argv`` and the arguments it is given."""
    settings = [f"export {name}={shlex.quote(value)}" for name, value in (env or {}).items()]
    return "\n".join(["#!/bin/sh", *settings, f'exec {shlex.join(argv)} "$@"']) + "\n"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name as a manifest writes it, taken apart: ``ghcr.io/a/b:1.2`` or ``...@sha256:``.

    ``repository`` is without Docker Hub's prefixes; ``tag`` is "latest" when none is given.
    """

    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        name, _, _ = text.partition("@")
        head, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            head, tag = name, "latest"
        for prefix in ("docker.io/", "index.docker.io/", "library/"):
            head = head.removeprefix(prefix)
        return cls(head, tag)

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"
