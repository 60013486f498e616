"""The Dockerfile, built by buildah with chroot isolation.

No registry of images can be reached from a test. The base images are made here, of this machine's
own Debian release by mmdebstrap, and named by the Dockerfile's arguments, as someone with base
images of their own would do. The runtime's has no pip. The package index is this machine's,
handed over as the Dockerfile's secrets; both carry MARK, which no layer may contain.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.container_image import Image

ROOT = Path(__file__).parents[2]
MARK = f"secret-{uuid.uuid4()}"
# What pip has to be told to reach an index; its other settings are of no use to a build.
INDEX_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout")
# As in the slim images: no manuals, no translations.
LEFT_OUT = ("man", "locale", "doc")

RUNTIME = """
FROM scratch
ADD base.tar /
RUN ln -s python3 /usr/bin/python
"""
BUILDER = """
FROM localhost/runtime
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip
"""


def missing() -> str:
    """Why there can be no real build here; empty where there can."""
    programs = [name for name in ("buildah", "mmdebstrap", "setpriv") if not shutil.which(name)]
    if programs:
        return f"not installed: {', '.join(programs)} (tests/deploy/engine)"
    return "" if os.geteuid() == 0 else "only root can build it here"


def _output(*words: str | Path) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=400
    )
    assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def pip_settings() -> dict[str, str]:
    """This machine's settings that lead to the package index."""
    lines = _output(sys.executable, "-m", "pip", "config", "list").splitlines()
    found = (re.fullmatch(r"(?:global|install|:env:)\.([\w-]+)='(.*)'", line) for line in lines)
    pairs = {each[1]: each[2].replace(r"\n", " ") for each in found if each}
    return {name: pairs[name] for name in (*INDEX_SETTINGS, "cert") if name in pairs}


class Engine:
    """buildah with a store of its own, in the way that it finds best (overlay where it works)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = ("buildah", "--root", folder / "store", "--runroot", folder / "run")

    def __call__(self, *words: str | Path) -> str:
        return _output(*self.command, *words)

    def build(self, name: str, context: Path, *words: str | Path) -> None:
        self(
            *("build", "--isolation=chroot", "--pull=never", "--layers", "--quiet"),
            *("--tag", f"localhost/{name}", *words, context),
        )

    def bases(self) -> None:
        context = self.folder / "bases"
        context.mkdir()
        release = platform.freedesktop_os_release()
        # Lines for a sources.list: this machine's mirrors of its distribution, and no one else's.
        sources = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
        origin = f"Origin: {release['NAME'].split()[0]}"
        lines = _output(
            *("apt-get", "indextargets", "--format", sources, "Created-By: Packages", origin)
        )
        _output(
            *("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,ca-certificates"),
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
            *(release["VERSION_CODENAME"], context / "base.tar", *sorted(set(lines.splitlines()))),
        )
        for name, text in (("runtime", RUNTIME), ("builder", BUILDER)):
            file = self.folder / name
            file.write_text(text)
            self.build(name, context, "--file", file)
        shutil.rmtree(context)

    def image(self, name: str) -> Image:
        described = json.loads(self("inspect", "--type=image", f"localhost/{name}"))["OCIv1"]
        config: dict[str, Any] = described["config"]
        self("from", "--pull=never", "--name", name, f"localhost/{name}")
        return Image(
            Path(self("mount", name).strip()),
            tuple(config["Entrypoint"]),
            config["User"],
            config["WorkingDir"],
            frozenset(port.removesuffix("/tcp") for port in config["ExposedPorts"]),
            dict(each.split("=", 1) for each in config["Env"]),
            config["Labels"],
            layers=self._layers(name),
        )

    def _layers(self, name: str) -> tuple[Path, ...]:
        """The image as it would be pushed, less the layers of its base."""
        base = json.loads(self("inspect", "--type=image", "localhost/runtime"))["OCIv1"]["rootfs"]
        folder = self.folder / "pushed" / name
        folder.parent.mkdir(exist_ok=True)
        self("push", "--quiet", "--disable-compression", f"localhost/{name}", f"dir:{folder}")
        manifest = json.loads((folder / "manifest.json").read_text())
        digests = [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
        return tuple(folder / digest for digest in digests[len(base["diff_ids"]) :])


@contextmanager
def built(targets: tuple[str, ...], folder: Path) -> Iterator[dict[str, Image]]:
    settings = pip_settings()
    authorities = folder / "ca.pem"
    known = settings.pop("cert", "/etc/ssl/certs/ca-certificates.crt")
    authorities.write_text(f"{MARK}\n{Path(known).read_text()}")
    configuration = folder / "pip.conf"
    words = {**settings, "cert": "/run/secrets/ca.pem"}
    lines = "".join(f"{name} = {value}\n" for name, value in words.items())
    configuration.write_text(f"[global]\n{lines}# {MARK}\n")

    engine = Engine(folder)
    try:
        engine.bases()
        for target in targets:
            engine.build(
                target,
                ROOT,
                *("--build-arg=BUILDER=localhost/builder", "--build-arg=RUNTIME=localhost/runtime"),
                *("--secret", f"id=pip.conf,src={configuration}"),
                *("--secret", f"id=ca.pem,src={authorities}", "--target", target),
            )
        yield {target: engine.image(target) for target in targets}
    finally:
        # A store is a gigabyte, and pytest keeps the folders of its last runs.
        engine("umount", "--all")
        engine("rm", "--all")
        for name in ("store", "run", "pushed"):
            shutil.rmtree(folder / name, ignore_errors=True)
