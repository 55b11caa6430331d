"""Running a command with secrets in its environment, and hiding them in what it prints."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from native_routes.javascript.values import utf16_length

SHORTEST_HIDDEN: Final = 4  # UTF-16 units; shorter values are everywhere
HIDDEN: Final = "[REDACTED]"
UNSTARTABLE: Final = {  # as legacy says it
    errno.ENOENT: 'Executable not found in $PATH: "sh"',
    errno.E2BIG: "E2BIG: argument list too long, posix_spawn 'sh'",
}
KILLED_WITHIN_S: Final = 1.0  # a process that SIGKILL does not end waits for a disk


class CommandError(Exception):
    """The command could not be started, or was ended by a limit; the message names which."""


@dataclass(frozen=True, slots=True)
class Limits:
    """0 = none."""

    seconds: float = 0
    output_bytes: int = 0  # of both outputs together


@dataclass(frozen=True, slots=True)
class Outcome:
    """`code` is 1 for a command that a signal ended."""

    stdout: str
    stderr: str
    code: int


async def run_command(
    command: str, environment: Mapping[str, str], values: Iterable[str], *, folder: Path, limits: Limits
) -> Outcome:
    """What `sh -c command` printed, each of `values` hidden. Raises CommandError.

    Differs: legacy leaves standard input open and never writes to it, so a command that reads it hangs for ever.
    Cancelled, or when a limit is hit, the whole process group is ended.
    """
    if any("\0" in text for text in (command, *environment, *environment.values())):  # uvloop would cut it off there
        raise CommandError("the command, and the name and value of each variable, must be without null bytes")
    loop = asyncio.get_running_loop()
    try:
        transport, output = await loop.subprocess_exec(
            lambda: _Output(loop, limits.output_bytes), "sh", "-c", command,
            stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CommandError(UNSTARTABLE.get(error.errno or 0, str(error))) from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    try:
        async with asyncio.timeout(limits.seconds or None):
            await output.complete
    except BaseException as error:
        # Ended with all that it started, unless that moved to a session of its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        await asyncio.wait([output.ended], timeout=KILLED_WITHIN_S)
        if isinstance(error, TimeoutError):
            raise CommandError(f"the command was ended after {limits.seconds:g} s") from None
        raise
    finally:
        transport.close()
    code = transport.get_returncode()
    stdout, stderr = await asyncio.to_thread(_hidden, output, list(values))  # there may be megabytes
    return Outcome(stdout, stderr, code if code is not None and code >= 0 else 1)


def _hidden(output: _Output, values: list[str]) -> tuple[str, str]:
    hide = hider(values)
    return hide(output.text(1)), hide(output.text(2))


class _Output(asyncio.SubprocessProtocol):
    """Collects both outputs; `complete` once the process has ended and nobody holds its outputs open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_bytes: int) -> None:
        self.complete: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()  # of the process, its outputs aside
        self._limit_bytes = limit_bytes
        self._pieces: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self._waits_for = 3  # the process and its two outputs

    def text(self, descriptor: int) -> str:
        return self._pieces[descriptor].decode("utf-8", "replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._pieces[fd] += data
        if self._limit_bytes and sum(map(len, self._pieces.values())) > self._limit_bytes and not self.complete.done():
            problem = f"the command printed more than {self._limit_bytes} bytes and was ended"
            self.complete.set_exception(CommandError(problem))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._one_less()

    def process_exited(self) -> None:
        self.ended.set_result(None)
        self._one_less()

    def _one_less(self) -> None:
        self._waits_for -= 1
        if not self._waits_for and not self.complete.done():
            self.complete.set_result(None)


def hider(values: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each of `values` in a text, the longest first.

    Differs: legacy replaces one after the other, so that a value which begins with another one shows its rest.
    """
    hidden = sorted({value for value in values if utf16_length(value) >= SHORTEST_HIDDEN}, key=len, reverse=True)
    if not hidden:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, hidden)))
    return lambda text: pattern.sub(HIDDEN, text)
