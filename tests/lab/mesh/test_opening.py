"""Files, read and replaced under the watch of one inotify instance."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serinus.lab.mesh.opening import Openings

PATIENCE = 60.0
AT_ONCE = 0.01


@pytest.fixture
async def openings() -> AsyncIterator[Openings]:
    found = Openings()
    yield found
    found.close()


def made(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


async def test_each_file_is_told_apart(openings: Openings, tmp_path: Path) -> None:
    one, other = (made(tmp_path / name, name) for name in ("one", "other"))
    watches = openings.watch(one), openings.watch(other)
    one.read_text()
    assert await openings.over(watches[0], PATIENCE)
    assert not await openings.over(watches[1], AT_ONCE)


async def test_two_wait_at_once(openings: Openings, tmp_path: Path) -> None:
    files = [made(tmp_path / name, name) for name in ("one", "other")]
    waits = [asyncio.create_task(openings.over(openings.watch(file), PATIENCE)) for file in files]
    for file, wait in zip(reversed(files), reversed(waits), strict=True):
        file.read_text()
        assert await wait


async def test_a_file_that_is_renamed_is_still_the_same(openings: Openings, tmp_path: Path) -> None:
    watch = openings.watch(made(tmp_path / "new", "text"))
    (tmp_path / "new").replace(tmp_path / "file").read_text()
    assert await openings.over(watch, PATIENCE)


async def test_nobody_waits_for_a_file_that_was_replaced(
    openings: Openings, tmp_path: Path
) -> None:
    watch = openings.watch(made(tmp_path / "file", "old"))
    made(tmp_path / "new", "new").replace(tmp_path / "file")
    assert await openings.over(watch, PATIENCE)
