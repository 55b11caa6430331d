"""What the operating system says about processes. Blocking: call it in a thread.

Linux reads /proc; elsewhere `ps` and `lsof` are asked. What a system cannot tell is None, never a guess.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ON_LINUX = sys.platform == "linux"
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One look at a process. `state` is the kernel's letter for its main thread: R, S, D, T, Z and so on."""

    state: str
    cpu_s: float
    rss_bytes: int

    @property
    def is_stopped(self) -> bool:
        return self.state in {"T", "t"}

    @property
    def wants_to_run(self) -> bool:
        """Running, waiting for a processor (an overloaded machine), or waiting for a disk."""
        return self.state in {"R", "D", "U"}


def look(pid: int) -> ProcessSample | None:
    """How process `pid` is doing; None when it is gone or cannot be seen."""
    return _look_proc(pid) if ON_LINUX else _look_ps(pid)


def _look_proc(pid: int) -> ProcessSample | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # Fields follow the command name in parentheses, which may itself contain spaces and parentheses: proc_pid_stat(5).
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ProcessSample(fields[0], ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))


def _look_ps(pid: int) -> ProcessSample | None:
    words = _run("ps", "-o", "state=,time=,rss=", "-p", str(pid)).split()
    if len(words) != 3:
        return None
    return ProcessSample(words[0][0], _clock_s(words[1]), int(words[2]) * 1024)


def _clock_s(text: str) -> float:
    """Seconds of `[hh:]mm:ss.cc`, as ps writes CPU time."""
    total = 0.0
    for part in text.replace("-", ":").split(":"):
        total = total * 60 + float(part)
    return total


def command_line(pid: int) -> str:
    """The command of a process with its arguments, at most 300 characters; "" when it is gone or hidden."""
    if not ON_LINUX:
        return _run("ps", "-o", "command=", "-p", str(pid)).strip()[:300]
    return " ".join(arguments_of(pid))[:300]


def arguments_of(pid: int) -> list[str]:
    """The command and its arguments; [] when the process is gone. Linux only."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode(errors="replace").rstrip("\0").split("\0")


def processes_with(variable: str, value: str) -> list[int]:
    """Processes that were started with `variable=value` in their environment. Linux only; [] elsewhere."""
    return [pid for pid in all_pids() if environment_of(pid).get(variable) == value]


def environment_of(pid: int) -> dict[str, str]:
    """What a process of this user was started with; {} when it cannot be read. Linux only."""
    try:
        raw = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition("=") for entry in raw.decode(errors="replace").split("\0"))
    return {name: value for name, _, value in pairs}


def holders_of(path: Path) -> list[int] | None:
    """Other processes of this user that have the file open; None when this system cannot tell.

    Never opens the file: closing it here would drop the locks that this process holds on it.
    """
    if not ON_LINUX:
        return None
    real = os.path.realpath(path)
    return [pid for pid in all_pids() if pid != os.getpid() and _has_open(pid, real)]


def _has_open(pid: int, real: str) -> bool:
    return any(target == real for _, target in open_files(pid))


def open_files(pid: int) -> Iterator[tuple[str, str]]:
    """(descriptor, target) pairs of a process; none when it is gone or belongs to somebody else. Linux only."""
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield descriptor, os.readlink(f"{folder}/{descriptor}")
        except OSError:
            continue


def all_pids() -> list[int]:
    """Every process that can be seen; [] outside Linux."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()] if ON_LINUX else []


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def run_lsof(*arguments: str) -> str:
    """What lsof prints; "" when there is none."""
    return _run("lsof", *arguments)
