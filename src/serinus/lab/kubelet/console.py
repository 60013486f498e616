"""A container's standard streams: its log, and where ``stdin`` or ``tty`` ask for it, a client.

A container with ``tty`` has a terminal, whose other side is here; one with ``stdin`` alone a pipe.
What is typed reaches the program from any client that is attached; what it prints goes to the log
and to all of them.
"""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios

import msgspec

from serinus.lab.kubelet.logs import ContainerLog
from serinus.lab.kubelet.manifest import Container


class _Size(msgspec.Struct, rename="pascal"):
    width: int
    height: int


class Console:
    """The streams of one run of a container."""

    def __init__(self, log: ContainerLog, spec: Container) -> None:
        self.log = log
        self.streams: tuple[int, int, int]
        """What the program is to have as standard input, output and error."""
        self._input: int | None = None
        self._terminal = spec.tty
        self._once = spec.stdin_once and not spec.tty
        if spec.tty:
            master, slave = pty.openpty()
            log.follow(os.dup(master), "stdout")
            self._input = master
            self.streams = (slave, slave, slave)
        else:
            stdin = subprocess.DEVNULL
            if spec.stdin:
                stdin, self._input = os.pipe()
            self.streams = (stdin, log.pipe("stdout"), log.pipe("stderr"))
        if self._input is not None:
            os.set_blocking(self._input, False)

    def started(self) -> None:
        """The program has its streams (or will never): they are closed here."""
        for fd in set(self.streams) - {subprocess.DEVNULL}:
            os.close(fd)

    async def type(self, data: bytes) -> None:
        """Have the program read ``data``; dropped when it reads nothing any more."""
        if self._input is not None:
            with contextlib.suppress(OSError):
                await write_all(self._input, data)

    def resize(self, message: bytes) -> None:
        """The client's window has another size."""
        if self._terminal and self._input is not None:
            resize(self._input, message)

    def client_ended_input(self) -> None:
        """With ``stdinOnce`` the program's input ends with the first client's."""
        if self._once:
            self.close()

    def close(self) -> None:
        """Nothing can be typed any more."""
        if self._input is not None:
            os.close(self._input)
            self._input = None


async def write_all(fd: int, data: bytes) -> None:
    """Write everything to a descriptor that does not block; raises OSError if nobody reads."""
    loop = asyncio.get_running_loop()
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            writable = asyncio.Event()
            loop.add_writer(fd, writable.set)
            try:
                await writable.wait()
            finally:
                loop.remove_writer(fd)


def resize(master: int, message: bytes) -> None:
    """Give a terminal the size in a client's message; one that is none is passed over."""
    with contextlib.suppress(msgspec.MsgspecError, struct.error):
        size = msgspec.json.decode(message, type=_Size)
        packed = struct.pack("HHHH", size.height, size.width, 0, 0)
        fcntl.ioctl(master, termios.TIOCSWINSZ, packed)
