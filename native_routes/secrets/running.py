"""Running a command with secrets in its environment, and hiding them in what it prints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from native_routes.javascript.values import utf16_length
from native_routes.secrets.shell import CommandError, Shell

__all__ = ["CommandError", "Limits", "Outcome", "hider", "run_command"]

SHORTEST_HIDDEN: Final = 4  # UTF-16 units; shorter values are everywhere
HIDDEN: Final = "[REDACTED]"


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
    if any("\0" in text for text in (command, *environment, *environment.values())):
        raise CommandError("the command, and the name and value of each variable, must be without null bytes")
    shell = Shell(limits.output_bytes)
    try:
        await shell.start(command, environment, folder)
        async with asyncio.timeout(limits.seconds or None):
            await shell.complete
    except TimeoutError:
        raise CommandError(f"the command was ended after {limits.seconds:g} s") from None
    finally:
        await shell.end()
    stdout, stderr = await asyncio.to_thread(_hidden, shell, list(values))  # there may be megabytes
    return Outcome(stdout, stderr, shell.code if shell.code >= 0 else 1)


def _hidden(shell: Shell, values: list[str]) -> tuple[str, str]:
    hide = hider(values)
    return hide(shell.text(1)), hide(shell.text(2))


def hider(values: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each of `values` in a text, in their order.

    Differs: a value that holds another one goes before it, and marks are not searched; legacy shows what is left of the
    longer one, and marks its own marks.
    """
    hidden = _longer_before_its_parts([value for value in values if utf16_length(value) >= SHORTEST_HIDDEN])

    def hide(text: str) -> str:
        pieces = [text]
        for value in hidden:
            pieces = [part for piece in pieces for part in piece.split(value)]
        return HIDDEN.join(pieces)

    return hide


def _longer_before_its_parts(values: Sequence[str]) -> list[str]:
    """Each once, in the given order but for those that hold one of an earlier place."""
    by_length = sorted(values, key=len, reverse=True)
    return list(dict.fromkeys(longer for value in values for longer in by_length if value in longer))
