"""When a file is read for the first time: a sign that its reader needs no part in.

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


class Opening:
    """Waits for a reader of the file that was last given to `watch`; `close` it.

    Raises:
        OSError: this user has no inotify instance left.
    """

    def __init__(self) -> None:
        self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._watch = -1

    def watch(self, path: Path) -> None:
        """The file that is at ``path`` now; it may be renamed."""
        self._watch = _checked(
            _libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_CLOSE_NOWRITE)
        )

    async def over(self, patience: float) -> bool:
        """Whether somebody has read the file, in ``patience`` seconds from now at the most."""
        loop, read = asyncio.get_running_loop(), asyncio.Event()

        def look() -> None:
            # A file that has been replaced since may have been read, too.
            events = os.read(self._descriptor, 64 * _EVENT.size)
            if any(watch == self._watch for watch, *_ in _EVENT.iter_unpack(events)):
                read.set()

        loop.add_reader(self._descriptor, look)
        try:
            async with asyncio.timeout(patience):
                await read.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._descriptor)
        return True

    def close(self) -> None:
        os.close(self._descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
