"""When files are read for the first time: a sign that their reader needs no part in.

An Envoy's admin interface listens inside its pod, where nobody else reaches it. But it reads its
files on the one thread on which it also applies them; so once it has closed a file, whatever it
reads later it applies later. inotify tells that, also across mount namespaces.
"""

import asyncio
import ctypes
import os
import struct
from pathlib import Path
from typing import Final

_IN_CLOSE_NOWRITE: Final = 0x10
_EVENT: Final = struct.Struct("iIII")
"""Its watch, what happened, a cookie, and the length of a name: none follows for a single file."""
_libc = ctypes.CDLL(None, use_errno=True)


class Openings:
    """Watches any number of files with one inotify instance, since a user has few; `close` it.

    Raises:
        OSError: this user has no inotify instance left.
    """

    def __init__(self) -> None:
        self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._awaited: dict[int, asyncio.Event] = {}
        self._waiting = 0

    def watch(self, path: Path) -> int:
        """A watch of the file that is at ``path`` now; it may be renamed. The kernel forgets it
        with the file."""
        name = os.fsencode(path)
        watch = _checked(_libc.inotify_add_watch(self._descriptor, name, _IN_CLOSE_NOWRITE))
        self._awaited[watch] = asyncio.Event()
        return watch

    async def over(self, watch: int, patience: float) -> bool:
        """Whether somebody has read that file, or it has been replaced, in ``patience`` seconds
        from now at the most."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.add_reader(self._descriptor, self._look)
        self._waiting += 1
        try:
            async with asyncio.timeout(patience):
                await self._awaited[watch].wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
            if not self._waiting:
                loop.remove_reader(self._descriptor)
            del self._awaited[watch]
        return True

    def _look(self) -> None:
        for watch, *_ in _EVENT.iter_unpack(os.read(self._descriptor, 64 * _EVENT.size)):
            # Also when the kernel forgets the watch, with the file: nobody will read it any more.
            if watch in self._awaited:
                self._awaited[watch].set()

    def close(self) -> None:
        os.close(self._descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
