"""Daemons that left our process group: legacy's self-update starts a detached copy of itself and exits with code 0.

It keeps the environment it was given, with our nonce, and is known by that. Linux only: elsewhere another process's
environment cannot be read, and the copy is met as the stranger that holds the port.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from proxy.legacy.child import DAEMON_VARIABLE, NONCE_VARIABLE
from proxy.legacy.processes import arguments_of, environment_of, look, processes_with

_TERM_GRACE_S = 2.0


def stop_escaped(nonce: str) -> list[int]:
    """Stop the processes that carry `nonce` and run the daemon; their pids. Blocking."""
    return _stop([pid for pid in processes_with(NONCE_VARIABLE, nonce) if _runs_daemon(pid)])


def stop_left_behind(home_path: Path) -> list[int]:
    """Stop daemons that an earlier proxy of this home started and that outlived it; their pids. Blocking.

    The caller holds the home's lock, so that proxy is gone.
    """
    return _stop([pid for pid in processes_with("SIGNET_PATH", str(home_path)) if _runs_daemon(pid)])


def _runs_daemon(pid: int) -> bool:
    """Whether a proxy started it as a daemon. A coding agent that legacy's scheduler started inherits the environment
    too, but runs something else."""
    daemon = environment_of(pid).get(DAEMON_VARIABLE)
    if daemon is None or pid == os.getpid():
        return False
    return any(os.path.realpath(word) == os.path.realpath(daemon) for word in arguments_of(pid)[1:3])


def _stop(pids: list[int]) -> list[int]:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        ends_s = time.monotonic() + _TERM_GRACE_S
        while time.monotonic() < ends_s and any(_is_alive(pid) for pid in pids):
            time.sleep(0.02)
    return pids


def _is_alive(pid: int) -> bool:
    sample = look(pid)
    return sample is not None and sample.state != "Z"
