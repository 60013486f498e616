"""Labs come and go, and leave nothing."""

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from lab.kubelet.running_lab import Lab, alive, descendants, eventually, pod, shell
from serinus.lab import world
from serinus.lab.requirements import lacking
from serinus.lab.world import LabError, LabInfo

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(lacking()), reason=f"this machine lacks {[str(x) for x in lacking()]}"),
]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


def test_two_labs_side_by_side_and_nothing_left(state: Path) -> None:
    before = mounts()
    old, new = Lab(world.up("old", "1.8")), Lab(world.up("new", "2.14"))
    pids = descendants(old.info.pid) | descendants(new.info.pid)
    assert [info.name for info in world.list_labs()] == ["new", "old"]
    assert (old.info.kuma, new.info.kuma) == ("1.8", "2.14")
    old.apply(pod("mine", shell("c", "sleep 1000")))
    old.ready("mine")
    pids |= descendants(old.info.pid)
    assert world.down("old")
    new.kubectl("get", "pods", "-A")
    assert world.down("new")
    assert not world.down("new")
    assert alive(pids) == set()
    assert mounts() == before
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("which", ["outer", "inner"])
def test_after_a_kill_the_state_is_taken_up_or_away(state: Path, which: str) -> None:
    lab = Lab(world.up("killed"))
    lab.kubectl("create", "configmap", "kept")
    lab.apply(pod("again", shell("c", "sleep 1000")))
    lab.ready("again")
    pids = descendants(lab.info.pid)
    inner = lab.info.node_pid
    assert inner is not None
    os.kill(lab.info.pid if which == "outer" else inner, signal.SIGKILL)
    eventually(lambda: alive(pids) == set(), "all processes have ended")
    stopped = world.status("killed")
    assert stopped is not None
    assert not stopped.running
    lab = Lab(world.up("killed"))
    lab.kubectl("get", "configmap", "kept")
    lab.ready("again")
    os.kill(lab.info.pid, signal.SIGKILL)
    assert world.down("killed")
    assert list(state.iterdir()) == []


def test_a_port_that_is_taken_is_named(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=f"port {port} of 127.0.0.1 cannot be had"):
            world.up("taken", port=port)
    assert list(state.iterdir()) == []


def test_a_state_directory_that_cannot_be_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(state / "file"))
    with pytest.raises(LabError, match=r"file.*set XDG_STATE_HOME"):
        world.up("nowhere")
    assert not world.down("nowhere")


def test_a_reused_process_id_is_not_killed() -> None:
    mine = LabInfo("x", os.getpid(), 1, 1, "2.14", "")
    assert not mine.running
    assert mine.node_pid is None


@pytest.mark.parametrize(
    ("name", "kuma", "words"), [("a/b", None, "letters"), ("a", "9.9", "does not play Kuma")]
)
def test_bad_wishes_are_refused(state: Path, name: str, kuma: str | None, words: str) -> None:
    with pytest.raises(LabError, match=words):
        world.up(name, kuma)
    assert world.list_labs() == []


def test_a_lab_that_cannot_start_leaves_nothing_but_its_last_words(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A python that finds no serinus fails at once, inside the namespaces.
    broken = state / "broken"
    (broken / "serinus").mkdir(parents=True)
    (broken / "serinus/__init__.py").write_text("raise RuntimeError('broken on purpose')")
    monkeypatch.syspath_prepend(str(broken))
    with pytest.raises(LabError, match="broken on purpose"):
        world.up("failing")
    shutil.rmtree(broken)
    assert world.status("failing") is None
    assert list(state.iterdir()) == []


def test_a_control_plane_without_its_programs_is_refused(state: Path) -> None:
    (state / "etcd").write_text("not to be run")
    with pytest.raises(LabError, match=r"no etcd and no kube-apiserver.*tests/controlplane/build"):
        world.up("lacking", control_plane=state)
    (state / "etcd").unlink()
    assert list(state.iterdir()) == []


def test_a_lab_stays_on_the_control_plane_that_it_began_with(state: Path) -> None:
    lab = Lab(world.up("mine"))
    os.kill(lab.info.pid, signal.SIGKILL)
    eventually(lambda: not lab.info.running, "it has stopped")
    with pytest.raises(LabError, match="on the embedded control plane, not running"):
        world.up("mine", control_plane=state)
    assert world.down("mine")
