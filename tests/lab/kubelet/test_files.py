"""The directory of all labs: one writer at a time, and it goes when it is empty."""

import os
import threading
from pathlib import Path

import pytest

from serinus.lab.files import only_one, take_away
from serinus.lab.paths import labs_root


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_the_lock_excludes_also_while_its_directory_comes_and_goes(state: Path) -> None:
    inside: list[int] = []
    most = 0
    failures: list[BaseException] = []

    def work() -> None:
        nonlocal most
        try:
            for _ in range(40):
                with only_one():
                    inside.append(1)
                    most = max(most, len(inside))
                    (labs_root() / "mine").mkdir()
                    (labs_root() / "mine").rmdir()
                    inside.pop()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert most == 1
    assert list(state.iterdir()) == []


def test_what_a_pod_has_closed_goes_too_and_what_it_links_to_stays(state: Path) -> None:
    outside = state / "outside"
    outside.mkdir(mode=0o750)
    closed = state / "lab" / "volume" / "closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner" / "file").touch()
    (closed.parent / "link").symlink_to(outside)
    (closed / "inner").chmod(0)
    closed.chmod(0)
    take_away(state / "lab")
    take_away(state / "lab")
    assert list(state.iterdir()) == [outside]
    assert outside.stat().st_mode & 0o777 == 0o750


def test_a_relative_state_directory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/somewhere")
    assert labs_root() == Path("/somewhere/.local/state/serinus/labs")
    assert not os.path.lexists("relative")
