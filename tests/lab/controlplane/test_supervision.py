"""Programs of the lab are kept running, and end with it."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from logged import captured
from serinus.lab.supervision import keep_running

SECONDS = 60.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - a file tells nobody that it grew
            await asyncio.sleep(0.02)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def test_a_program_that_ends_is_started_again_and_its_last_words_are_told(
    tmp_path: Path,
) -> None:
    output = tmp_path / "output"
    with captured() as told:
        keeping = asyncio.create_task(
            keep_running(
                "brief", ["sh", "-c", "echo $WORD; exit 3"],
                environment={"WORD": "why it ended"}, output=output,
            )
        )  # fmt: skip
        await until(lambda: len(lines(output)) == 2)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    assert told[0]["program"] == "brief"
    assert told[0]["status"] == 3
    assert told[0]["last_words"] == "why it ended"


async def test_it_ends_when_that_is_asked_for(tmp_path: Path) -> None:
    output = tmp_path / "output"
    script = "trap 'echo bye; exit' TERM; echo $$; while :; do sleep 0.05; done"
    keeping = asyncio.create_task(keep_running("long", ["sh", "-c", script], output=output))
    await until(lambda: len(lines(output)) == 1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    pid, last = lines(output)
    assert last == "bye"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_it_need_not_be_there_any_more(tmp_path: Path) -> None:
    output = tmp_path / "output"
    keeping = asyncio.create_task(
        keep_running("gone", ["sh", "-c", "echo $$; sleep 1000"], output=output)
    )
    await until(lambda: len(lines(output)) == 1)
    # In one go: it is dead, and nobody has noticed yet.
    os.kill(int(lines(output)[0]), 9)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert keeping.cancelled()
