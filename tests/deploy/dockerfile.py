"""The Dockerfile's instructions, followed without a container engine.

This machine's system and Python stand in for the base images. Each RUN is run by bubblewrap in a
root of its own at the paths that the file names. What stays untried is what `apt-get` gets, and
all that an engine writes into an image.
"""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.container_image import Image, bubblewrapped

ROOT = Path(__file__).parents[2]
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc")


@dataclass
class Stage:
    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def said(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


def stages() -> dict[str, Stage]:
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: dict[str, Stage] = {}
    stage = Stage("")
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            parent, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(parent)
        else:
            # Mounts are for an engine: here, /etc with its pip.conf and its CAs is the machine's.
            stage.steps.append((instruction, re.sub(r"--mount=\S+\s+", "", rest)))
    return found


def _run(root: Path, folder: str, script: str, python: str) -> None:
    done = bubblewrapped(
        ("--bind", str(root), "/"),
        (*SYSTEM, python),
        {**os.environ, "PATH": f"{python}/bin:/usr/bin:/bin", "HOME": "/tmp"},
        folder,
        ("bash", "-euc", script),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _copy_context(to: Path) -> None:
    """What `.dockerignore` lets through."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, to / source.name, symlinks=True, ignore=leave)
            else:
                shutil.copy(source, to)


def _pairs(instructions: list[str]) -> dict[str, str]:
    pairs = (word.partition("=") for rest in instructions for word in shlex.split(rest))
    return {name: value for name, _, value in pairs}


def followed(targets: tuple[str, ...], folder_of: Callable[[str], Path]) -> dict[str, Image]:
    found = stages()
    python = sys.base_prefix
    build = folder_of("build")
    (source,) = found["build"].said("WORKDIR")
    (build / source[1:]).mkdir()
    (build / "opt").mkdir()
    _copy_context(build / source[1:])
    (install,) = found["build"].said("RUN")
    _run(build, source, install, python)
    base = found["base"]
    assert "--from=build /opt/serinus /opt/serinus" in base.said("COPY")
    (folder,) = base.said("WORKDIR")
    borrowed = (*SYSTEM, python)
    images = {}
    for name in targets:
        stage = found[name]
        root = folder_of(name)
        shutil.copytree(build / "opt", root / "opt", symlinks=True)
        for path in (folder, *borrowed, "/dev", "/proc", "/tmp"):
            (root / path[1:]).mkdir(parents=True, exist_ok=True)
        (command,) = stage.said("RUN")
        parts = [part.strip() for part in command.split("&&")]
        ours = [part for part in parts if not part.startswith(("apt-get", "rm "))]
        _run(root, folder, " && ".join(ours), python)
        path = f"{python}/bin:/usr/local/bin:/usr/bin:/bin"
        environment = _pairs(base.said("ENV"))
        environment["PATH"] = environment["PATH"].replace("$PATH", path)
        (entrypoint,) = stage.said("ENTRYPOINT")
        (user,) = stage.said("USER")
        images[name] = Image(
            root,
            tuple(json.loads(entrypoint)),
            user,
            folder,
            frozenset(stage.said("EXPOSE")),
            environment,
            _pairs(base.said("LABEL") + stage.said("LABEL")),
            borrowed,
        )
    return images
