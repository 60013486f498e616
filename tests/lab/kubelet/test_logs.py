"""Logs: written from pipes, read back as kubectl asks."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serinus.lab.kubelet import logs
from serinus.lab.kubelet.logs import ContainerLog, LogQuery, read_log


async def read(file: Path, live: ContainerLog | None = None, **query: object) -> list[bytes]:
    return [line async for line in read_log(file, live, LogQuery(**query))]  # type: ignore[arg-type]


async def written(file: Path, content: bytes) -> ContainerLog:
    log = ContainerLog(file)
    pipe = log.pipe("stdout")
    os.write(pipe, content)
    os.close(pipe)
    while not log.ended:
        await log.grown()
    return log


async def test_lines_are_kept_with_their_time(tmp_path: Path) -> None:
    file = tmp_path / "0.log"
    await written(file, b"one\ntwo words\n\nrest")
    assert await read(file) == [b"one\n", b"two words\n", b"\n", b"rest\n"]
    assert await read(file, tail=1) == [b"rest\n"]
    assert await read(file, tail=0) == []
    assert await read(file, limit_bytes=6) == [b"one\n", b"tw"]
    (stamped,) = await read(file, tail=1, timestamps=True)
    assert stamped.endswith(b"Z rest\n")
    assert await read(file, since=datetime.now(UTC) + timedelta(seconds=5)) == []


async def test_following_ends_with_the_container(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log")
    pipe = log.pipe("stderr")
    following = asyncio.create_task(read(log.file, log, follow=True))
    for word in (b"a", b"b", b"c"):
        os.write(pipe, word + b"\n")
        await log.grown()
    os.close(pipe)
    assert await asyncio.wait_for(following, 60) == [b"a\n", b"b\n", b"c\n"]


async def test_a_large_log_is_set_aside_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "ROTATE_BYTES", 400)
    file = tmp_path / "0.log"
    await written(file, b"".join(b"line %d\n" % number for number in range(40)))
    assert file.with_suffix(".log.1").stat().st_size <= 400
    shown = await read(file)
    assert shown[-1] == b"line 39\n"
    assert len(shown) < 40


@pytest.mark.parametrize("query", [{"tailLines": "x"}, {"sinceTime": "noon"}])
def test_a_bad_question_names_its_parameter(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        LogQuery.parse(query)
