"""A shell with a command, and what it prints: two sockets, as legacy gives it, and nothing else of this process.

Not by uvloop's subprocesses: they leave a command copies of its outputs, which a program that it starts in the
background keeps open though both are sent elsewhere, so that the command seems to last as long as that program.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

UNSTARTABLE: Final = {  # as legacy says it
    errno.ENOENT: 'Executable not found in $PATH: "sh"',
    errno.E2BIG: "E2BIG: argument list too long, posix_spawn 'sh'",
}
T = TypeVar("T")
OUTPUTS: Final = (1, 2)
KILLED_WITHIN_S: Final = 1.0  # a process that SIGKILL does not end waits for a disk


class CommandError(Exception):
    """The command could not be started, or was ended by a limit; the message names which."""


class Shell:
    """Started by `start`, ended by `end` whatever came of it. `code` is known once `complete` is done: below 0 for a
    signal."""

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes` of both outputs together, 0 for none."""
        self._loop = asyncio.get_running_loop()
        self.complete = self._loop.create_future()  # it has ended, and nobody holds its outputs open
        self.code = 0
        self._ended = self._loop.create_future()
        self._process: subprocess.Popen[bytes] | None = None
        self._limit_bytes = limit_bytes
        self._pieces = {descriptor: bytearray() for descriptor in OUTPUTS}
        self._waits_for = len(OUTPUTS) + 1  # its end, and that of each output
        self._open: list[asyncio.BaseTransport | socket.socket] = []

    async def start(self, command: str, environment: Mapping[str, str], folder: Path) -> None:
        """Raises CommandError."""
        pairs = [socket.socketpair() for _ in OUTPUTS]
        self._open += [ours for ours, _ in pairs]
        theirs = [their.fileno() for _, their in pairs]
        starting = self._loop.run_in_executor(None, _started, command, environment, folder, theirs)
        starting.add_done_callback(lambda _: _close([their for _, their in pairs]))
        try:
            await asyncio.shield(starting)
        finally:
            with contextlib.suppress(CommandError):
                self._process = await _whatever_comes(starting)  # cancelled or not, what runs must be known
                threading.Thread(target=self._wait, args=(self._process,), name="command", daemon=True).start()
        for descriptor, (ours, _) in zip(OUTPUTS, pairs, strict=True):
            transport, _ = await self._loop.create_unix_connection(partial(_Output, self, descriptor), sock=ours)
            self._open.insert(0, transport)

    async def end(self) -> None:
        """Kill what still runs, with all that it started, unless that moved to a session of its own."""
        try:
            if self._process is not None and self._waits_for:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await asyncio.wait([self._ended], timeout=KILLED_WITHIN_S)
        finally:
            _close(self._open)

    def text(self, descriptor: int) -> str:
        return self._pieces[descriptor].decode("utf-8", "replace")

    def received(self, descriptor: int, data: bytes) -> None:
        self._pieces[descriptor] += data
        if self._limit_bytes and sum(map(len, self._pieces.values())) > self._limit_bytes and not self.complete.done():
            problem = f"the command printed more than {self._limit_bytes} bytes and was ended"
            self.complete.set_exception(CommandError(problem))

    def one_less(self) -> None:
        """An output that nobody can write to any more, or the process, is over."""
        self._waits_for -= 1
        if not self._waits_for and not self.complete.done():
            self.complete.set_result(None)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._has_ended, code)

    def _has_ended(self, code: int) -> None:
        self.code = code
        self._ended.set_result(None)
        self.one_less()


def _close(ends: Sequence[asyncio.BaseTransport | socket.socket]) -> None:
    for end in ends:
        end.close()


async def _whatever_comes(future: asyncio.Future[T]) -> T:
    """Its result, which takes milliseconds, however often the caller is cancelled meanwhile."""
    while not future.done():
        with contextlib.suppress(asyncio.CancelledError, CommandError):
            await asyncio.shield(future)
    return future.result()


class _Output(asyncio.Protocol):
    def __init__(self, shell: Shell, descriptor: int) -> None:
        self._shell = shell
        self._descriptor = descriptor

    def data_received(self, data: bytes) -> None:
        self._shell.received(self._descriptor, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._shell.one_less()


def _started(command: str, environment: Mapping[str, str], folder: Path, outputs: list[int]) -> subprocess.Popen[bytes]:
    """Blocks until the shell runs. Raises CommandError."""
    stdout, stderr = outputs
    try:
        return subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=_spelt(environment),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(UNSTARTABLE.get(error.errno or 0, str(error))) from error
    except ValueError as error:
        raise CommandError(str(error)) from error


def _spelt(environment: Mapping[str, str]) -> dict[str, str]:
    """The same lines of an environment, with the first `=` of each behind the name: subprocess wants it so."""
    spelt = {}
    for name, value in environment.items():
        name, _, rest = f"{name}={value}".partition("=")
        spelt[name] = rest
    return spelt
