"""The command line as a person meets it: real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import serinus
from serinus.api.crd import crd_documents, crd_texts

SERINUS = Path(sys.executable).parent / "serinus"


def run(
    *words: str, home: Path | None = None, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    state = {"XDG_STATE_HOME": str(home)} if home else {}
    return subprocess.run(
        [SERINUS, *words],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
        env={**os.environ, **state, **environment},
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["lab", "--help"],
        ["crds", "--help"],
        ["lint", "--help"],
        ["check", "--help"],
        *(
            ["lab", command, "--help"]
            for command in ("up", "down", "status", "kubeconfig", "logs", "shell", "forward")
        ),
        *(
            [command, "--help"]
            for command in (
                *("get", "status", "explain", "history"),
                *("pause", "resume", "promote", "abort", "retry"),
            )
        ),
        ["operator", "--help"],
        ["loadtester", "--help"],
    ],
    ids=" ".join,
)
def test_everything_has_help(words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout.lower()
    if words[0] == "lab" and len(words) == 3:
        assert "Example: " in done.stdout


def test_help_is_quick_because_it_imports_little() -> None:
    code = (
        "import sys\nfrom serinus.cli import app, main\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"aiohttp", "kubernetes", "pyroute2", "cryptography", "structlog", "msgspec", "yaml"}
    assert heavy.isdisjoint(loaded)


def test_programs_in_pods_do_not_carry_the_command_line() -> None:
    code = (
        "import sys\nfrom serinus.cli.main import main\n"
        "sys.argv = ['serinus', 'loadtester', '-x']\n"
        "try:\n    main()\nexcept SystemExit:\n    print('typer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_version() -> None:
    assert run("version").stdout == f"{serinus.__version__}\n"


def test_crds_are_printed() -> None:
    assert list(yaml.safe_load_all(run("crds").stdout)) == crd_documents()


def test_crds_are_written(tmp_path: Path) -> None:
    assert run("crds", "--write", str(tmp_path / "crds")).returncode == 0
    written = {file.stem: file.read_text() for file in (tmp_path / "crds").iterdir()}
    assert written == crd_texts()


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["operator", "-nonsense"], 2, "serinus operator: unrecognized arguments: -nonsense"),
        (["loadtester", "-port=x"], 2, "serinus loadtester: -port must be a number"),
        (["lab", "kubeconfig"], 1, "start it with `serinus lab up`"),
        (["lab", "shell", "--name", "a"], 1, "start it with `serinus lab up --name a`"),
        (["lab", "logs", "--name", "a"], 1, "there is no lab a, so it has no log"),
        (["lab", "status", "--name", "a"], 1, "there is no lab a"),
        (["lab", "up", "--name", "../a"], 1, "a lab's name is made of letters"),
        (
            ["lab", "up", "--kuma", "1.0"],
            1,
            "the lab does not play Kuma '1.0'; it plays 1.8, 2.7, 2.14, 3.0",
        ),
        (
            ["lab", "up", "--kuma", "3.0", "--mesh-services", "disabled"],
            1,
            "Kuma 3.0 always has MeshServices",
        ),
        (["lab", "up", "--mesh-services", "some"], 2, "'exclusive', 'disabled'"),
        (["lab", "upgrade", "--kuma", "3.0"], 1, "there is no lab default; start it with"),
        (["lab", "upgrade", "--kuma", "9.9"], 1, "the lab does not play Kuma '9.9'"),
        (["lab", "up", "--port", "99999"], 2, "65535"),
        (["lab", "forward", "svc/podinfo", "9898"], 1, "there is no lab default"),
        (["lab", "forward", "node/a", "9898"], 2, '"node/a" is not a target; write pod/NAME'),
        (["lab", "forward", "pod/a", "x:80"], 2, "write for example 8080:9898"),
        (["crds", "--write", "/proc/nothing"], 1, "cannot write to /proc/nothing"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_in_a_line(
    words: list[str], status: int, text: str, tmp_path: Path
) -> None:
    done = run(*words, home=tmp_path)
    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_labs(tmp_path: Path) -> None:
    assert "There is no lab" in run("lab", "status", home=tmp_path).stdout
    assert json.loads(run("lab", "status", "-o", "json", home=tmp_path).stdout) == []
    assert run("lab", "down", "--name", "a", home=tmp_path).stdout == "There was no lab a.\n"
