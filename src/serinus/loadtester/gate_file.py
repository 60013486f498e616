"""Gates in a file, which replicas share by a volume."""

import asyncio
import fcntl
import os
from pathlib import Path

import msgspec

from serinus.loadtester.gates import OPEN, GatesUnavailable


class FileGates:
    """Gates in a JSON object of ``path``, `{"podinfo.test": "open"}`.

    The file is replaced as a whole, by a rename, so nobody ever reads half of one. Writers wait
    for each other by a lock on a file beside it, which the kernel takes from one that dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.place = f"the file {path}"

    async def opened(self) -> frozenset[str]:
        return await asyncio.to_thread(self._read)

    async def put(self, key: str, is_open: bool) -> None:
        await asyncio.to_thread(self._write, key, is_open)

    async def close(self) -> None:
        return

    def _read(self) -> frozenset[str]:
        return frozenset(key for key, text in self._kept().items() if text == OPEN)

    def _kept(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            if self._path.parent.is_dir():
                return {}
            raise GatesUnavailable(f"there is no folder {self._path.parent} for gates") from None
        except OSError as error:
            raise self._unavailable(error) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise GatesUnavailable(
                f'{self.place} does not hold gates, such as {{"podinfo.test":"open"}}: {error}'
            ) from error

    def _write(self, key: str, is_open: bool) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                kept = self._kept()
                kept.pop(key, None)
                if is_open:
                    kept[key] = OPEN
                with fresh.open("wb") as file:
                    file.write(msgspec.json.encode(kept, order="sorted"))
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self._path)
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> GatesUnavailable:
        return GatesUnavailable(f"{self.place} cannot be used: {error.strerror}")
