"""One run of the daemon as our child: started so that it cannot outlive us, reaped with its last words."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from native_routes.database import vector_library_path
from proxy.legacy.output import OutputDrain
from proxy.legacy.status import Death

NONCE_VARIABLE = "SIGNET_PROXY_NONCE"
DAEMON_VARIABLE = "SIGNET_PROXY_DAEMON"

# The daemon must die with the proxy, also when that is killed with SIGKILL. The proxy holds the write end of a pipe; a
# watcher in the daemon's process group reads the other end and kills the group when it ends. `exec` makes the shell's
# pid, group and session the daemon's own. PR_SET_PDEATHSIG would do it on Linux only, and for the starting thread.
# dash takes a group after `-s KILL --`, but not after `-KILL --`.
_LAUNCHER = """
exec 3<&0 </dev/null
(
  trap '' TERM INT HUP QUIT
  exec >/dev/null 2>&1
  read -r _ <&3
  kill -s KILL -- -$$
) &
exec 3<&-
exec "$@"
"""

# Legacy must not take these from us: where to listen is ours to say, a fixed log file would mix with ours, and the
# service manager's sockets and watchdog belong to the proxy.
_DROPPED = frozenset(
    {"SIGNET_BIND", "SIGNET_LOG_FILE", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}
    | {"LISTEN_FDNAMES", "SIGNET_LEGACY_URL", "SIGNET_LEGACY_DAEMON", "SIGNET_LEGACY_PORT", "SIGNET_BUN"}
)


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything that one boot needs. `nonce` marks the daemon and whatever it starts."""

    bun_path: Path
    daemon_path: Path
    home_path: Path
    logs_path: Path
    port: int
    nonce: str
    environment: Mapping[str, str]

    def child_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in self.environment.items() if name not in _DROPPED}
        return kept | {
            "SIGNET_PORT": str(self.port),
            "SIGNET_HOST": "127.0.0.1",
            "SIGNET_PATH": str(self.home_path),
            "SIGNET_LOG_DIR": str(self.logs_path),
            # Given, legacy does not search for it, which takes up to 3 s.
            "SIGNET_VEC_PATH": str(vector_library_path()),
            NONCE_VARIABLE: self.nonce,
            DAEMON_VARIABLE: str(self.daemon_path),
        }

    @property
    def working_path(self) -> Path:
        """A folder of ours: Bun reads .env and bunfig.toml from where it is started."""
        return self.home_path / ".daemon" / "legacy-cwd"

    @property
    def output_path(self) -> Path:
        return self.logs_path / "proxy-legacy.log"


class Child:
    """A running daemon. `exited` is fulfilled on the loop, once, after its whole process group is gone."""

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int, output: OutputDrain) -> None:
        self.pid = process.pid
        self.started_s = time.monotonic()
        self.stop_requested = False
        self.last_rss_bytes: int | None = None
        self._process = process
        self._lifeline = lifeline
        self._output = output
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[Death] = self._loop.create_future()
        self._signals = threading.Lock()  # held while the pid is given back, so that no signal hits its next owner
        self._reaped = False
        threading.Thread(target=self._reap, name="legacy reaper", daemon=True).start()

    @classmethod
    async def start(cls, launch: Launch) -> Self:
        """Start the daemon. Raises OSError when the system refuses."""
        process, lifeline, output = await asyncio.to_thread(_spawn, launch)
        return cls(process, lifeline, output)

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.started_s

    def last_output(self) -> tuple[str, ...]:
        return self._output.last_lines()

    def ask_to_stop(self) -> None:
        """SIGTERM; legacy closes its database and exits with code 0. SIGCONT lets a stopped process do that too."""
        self.stop_requested = True
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to everything in the daemon's process group."""
        with self._signals:
            if not self._reaped:
                _kill_group(self.pid)

    async def stop(self, within_s: float) -> Death:
        """SIGTERM, and SIGKILL to the group when `within_s` is over."""
        self.ask_to_stop()
        try:
            return await asyncio.wait_for(asyncio.shield(self.exited), within_s)
        except TimeoutError:
            self.kill()
            return await asyncio.shield(self.exited)

    def _signal(self, number: signal.Signals) -> None:
        with self._signals, contextlib.suppress(ProcessLookupError):
            if not self._reaped:
                os.kill(self.pid, number)

    def _reap(self) -> None:
        """On its own thread: wait for the exit, end the group, take the exit status and what the kernel counted."""
        if hasattr(os, "waitid"):
            # Leaves the zombie in place, so that pid and group number cannot be anybody else's while we kill the group.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._signals:
            _, status, usage = os.wait4(self.pid, 0) if not hasattr(os, "waitid") else self._collect()
            self._reaped = True
        self._process.returncode = os.waitstatus_to_exitcode(status)  # for Popen: reaped, do not wait or warn
        os.close(self._lifeline)
        self._output.finish(within_s=0.5)
        death = self._death(self._process.returncode, usage.ru_maxrss)
        with contextlib.suppress(RuntimeError):  # the loop may be gone already
            self._loop.call_soon_threadsafe(self._settle, death)

    def _collect(self) -> tuple[int, int, resource.struct_rusage]:
        _kill_group(self.pid)
        collected = os.wait4(self.pid, 0)
        # As process 1 of a container we inherit what the daemon leaves behind, and nobody else collects it.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.pid, 0)
        return collected

    def _settle(self, death: Death) -> None:
        if not self.exited.done():
            self.exited.set_result(death)

    def _death(self, exit_code: int, peak: int) -> Death:
        return Death(
            pid=self.pid,
            at=time.time(),
            code=exit_code if exit_code >= 0 else None,
            signal=signal.Signals(-exit_code).name if exit_code < 0 else None,
            uptime_s=round(self.uptime_s, 3),
            peak_rss_bytes=peak * (1 if sys.platform == "darwin" else 1024),  # getrusage(2): KiB, on macOS bytes
            last_rss_bytes=self.last_rss_bytes,
            requested=self.stop_requested,
            last_output=self._output.last_lines(),
        )


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _spawn(launch: Launch) -> tuple[subprocess.Popen[bytes], int, OutputDrain]:
    launch.working_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lifeline_read, lifeline_write = os.pipe()
    output_read, output_write = os.pipe()
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _LAUNCHER, "sh", str(launch.bun_path), str(launch.daemon_path)],
            stdin=lifeline_read,
            stdout=output_write,
            stderr=output_write,
            cwd=launch.working_path,
            env=launch.child_environment(),
            start_new_session=True,
        )
    except OSError:
        os.close(lifeline_write)
        os.close(output_read)
        raise
    finally:
        os.close(lifeline_read)
        os.close(output_write)
    return process, lifeline_write, OutputDrain(output_read, launch.output_path)
