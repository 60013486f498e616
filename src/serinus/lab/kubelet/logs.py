"""Containers' logs: what a container prints, line by line, each with its time.

The file's lines are those of the container runtime interface: ``TIME stdout F text``. A file
that grew past a bound is set aside once; the one set aside before it goes.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROTATE_BYTES = 8 * 1024 * 1024
LONGEST_LINE = 64 * 1024
LISTENER_PIECES = 1024
"""How many reads' worth a client that is attached may lag behind before it is let go."""

Piece = tuple[str, bytes]
"""The stream, and what came."""
Pieces = asyncio.Queue[Piece | None]


def now_text() -> str:
    """The time as Kubernetes writes it, to the nanosecond (of which we know the microsecond)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class ContainerLog:
    """One run of a container: its two streams go to one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rotations = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        self._out = file.open("ab", 0)
        self._size = file.stat().st_size
        self._open_pipes = 0
        self._partial: dict[int, bytes] = {}
        self._grown = asyncio.Event()
        self._listeners: set[Pieces] = set()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._open_pipes == 0

    def pipe(self, stream: str) -> int:
        """A file descriptor for the container to write to; close it after the start."""
        read_end, write_end = os.pipe()
        self.follow(read_end, stream)
        return write_end

    def follow(self, fd: int, stream: str) -> None:
        """Write down what ``fd`` brings until its end, and close it then."""
        os.set_blocking(fd, False)
        self._open_pipes += 1
        asyncio.get_running_loop().add_reader(fd, self._read, fd, stream)

    def listen(self) -> Pieces:
        """What comes from now on, as it comes; None is the end, also for who is too slow."""
        pieces: Pieces = asyncio.Queue(LISTENER_PIECES)
        if self.ended:
            pieces.put_nowait(None)
        else:
            self._listeners.add(pieces)
        return pieces

    def unlisten(self, pieces: Pieces) -> None:
        self._listeners.discard(pieces)

    def _tell(self, piece: Piece | None) -> None:
        for pieces in list(self._listeners):
            if piece is None or pieces.full():
                self._listeners.discard(pieces)
                if pieces.full():
                    pieces.get_nowait()
                pieces.put_nowait(None)
            else:
                pieces.put_nowait(piece)

    def write(self, stream: str, text: bytes) -> None:
        """Add one line."""
        line = f"{now_text()} {stream} F ".encode() + text + b"\n"
        if self._size + len(line) > ROTATE_BYTES:
            self._out.close()
            self.file.rename(self.file.with_suffix(".log.1"))
            self._out = self.file.open("ab", 0)
            self._size, self.rotations = 0, self.rotations + 1
        self._out.write(line)
        self._size += len(line)

    async def grown(self) -> None:
        """Wait until there is more, or nothing more will come."""
        if not self.ended:
            await self._grown.wait()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _read(self, fd: int, stream: str) -> None:
        try:
            data = os.read(fd, LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            # A terminal whose other side is closed answers EIO instead of an end.
            data = b""
        if data:
            self._tell((stream, data))
        *lines, rest = (self._partial.get(fd, b"") + data).split(b"\n")
        if len(rest) >= LONGEST_LINE or (rest and not data):
            lines, rest = [*lines, rest], b""
        self._partial[fd] = rest
        for line in lines:
            self.write(stream, line)
        if not data:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
            self._partial.pop(fd, None)
            self._open_pipes -= 1
            if self.ended:
                self._out.close()
                self._tell(None)
        self._wake()


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What ``kubectl logs`` may ask for. ``since`` is a moment."""

    follow: bool = False
    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit_bytes: int | None = None

    @classmethod
    def parse(cls, query: dict[str, str]) -> "LogQuery":
        """From an URL's parameters; raises ValueError with the name of a bad one."""

        def number(name: str) -> int | None:
            text = query.get(name, "")
            if text and not text.isdecimal():
                raise ValueError(f"{name}: {text!r} is not a count")
            return int(text) if text else None

        since = None
        if seconds := number("sinceSeconds"):
            since = datetime.now(UTC) - timedelta(seconds=seconds)
        if text := query.get("sinceTime"):
            try:
                since = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError(f"sinceTime: {text!r} is not a time (RFC 3339)") from None
        return cls(
            follow=query.get("follow") in {"true", "1"},
            tail=number("tailLines"),
            since=since,
            timestamps=query.get("timestamps") in {"true", "1"},
            limit_bytes=number("limitBytes"),
        )

    def shown(self, line: bytes) -> bytes | None:
        """A line of the file as the asker wants it, or None when it is too old."""
        stamp, _, rest = line.partition(b" ")
        if self.since is not None:
            with contextlib.suppress(ValueError):
                # fromisoformat knows microseconds, not nanoseconds.
                moment = datetime.fromisoformat(stamp[:26].decode() + "+00:00")
                if moment < self.since:
                    return None
        text = rest.split(b" ", 2)[2] if rest.count(b" ") >= 2 else b""
        return stamp + b" " + text if self.timestamps else text


async def read_log(file: Path, live: ContainerLog | None, query: LogQuery) -> AsyncIterator[bytes]:
    """The lines that ``query`` asks for, with their newline; follows ``live`` when it says so."""
    sent = 0
    history = list(_lines(file.with_suffix(".log.1"))) + list(_lines(file))
    position, rotations = _end(file), live.rotations if live else 0
    shown = [text for line in history if (text := query.shown(line)) is not None]
    if query.tail is not None:
        shown = shown[len(shown) - min(query.tail, len(shown)) :]
    while True:
        for text in shown:
            line = text + b"\n"
            if query.limit_bytes is not None and sent + len(line) > query.limit_bytes:
                yield line[: query.limit_bytes - sent]
                return
            sent += len(line)
            yield line
        if not query.follow or live is None:
            return
        ended = live.ended
        if not ended and _end(file) == position and rotations == live.rotations:
            await live.grown()
        if rotations != live.rotations:
            position, rotations = 0, live.rotations
        fresh = _from(file, position)
        position += len(fresh)
        lines = fresh.splitlines()
        shown = [text for line in lines if (text := query.shown(line)) is not None]
        if ended and not fresh:
            return


def _end(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _from(file: Path, position: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(position)
        return opened.read()


def _lines(file: Path) -> Iterator[bytes]:
    if file.exists():
        yield from file.read_bytes().splitlines()
