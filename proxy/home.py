"""The data directory as one proxy's: its folders, the lock held for life, and the pid file that `signet stop` reads."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from proxy.operator_error import OperatorError

BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")


class HomeError(OperatorError):
    """The home cannot be used by this process; the message names the cause and the fix."""


class HomeBusy(HomeError):
    """Another proxy runs for this home."""


def create_home(home_path: Path, logs_path: Path) -> None:
    """The home with `.daemon` and the log folder. What exists keeps its mode; what we create only its owner may read.

    Raises HomeError. Legacy creates everything else.
    """
    for path in (home_path, home_path / ".daemon", logs_path):
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"cannot create {path}: {error.strerror}; set SIGNET_PATH to a folder of yours") from error
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise HomeError(f"{path} may not be written by user id {os.getuid()}; change its owner or set SIGNET_PATH")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a home. `boot_id` is empty where the system has none; `started_at` is Unix time."""

    pid: int
    started_at: float
    boot_id: str
    nonce: str

    @classmethod
    def this_process(cls) -> Self:
        return cls(os.getpid(), time.time(), boot_id(), secrets.token_hex(8))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The holder a lock file names; None when it is missing or unreadable. Says nothing about who is alive."""
        try:
            values = json.loads(path.read_text())
            return cls(int(values["pid"]), float(values["started_at"]), str(values["boot_id"]), str(values["nonce"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def boot_id() -> str:
    try:
        return BOOT_ID_PATH.read_text().strip()
    except OSError:
        return ""


class HomeLock:
    """`.daemon/proxy.lock`, an flock held until release or the end of the process, however it ends.

    Whether somebody holds the home is decided by the lock alone, never by the pid in the file: pids are reused.
    """

    def __init__(self, home_path: Path) -> None:
        self.path = home_path / ".daemon" / "proxy.lock"
        self._fd: int | None = None
        self.holder: Holder | None = None

    def acquire(self) -> Holder:
        """Take the lock and write who we are. Raises HomeBusy naming the holder, HomeError when locks do not work."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise self._refusal(error) from error
        self._fd = fd
        self.holder = Holder.this_process()
        # A full disk must not keep the proxy from starting: the lock counts, the text only helps a human.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(asdict(self.holder)).encode() + b"\n", 0)
        return self.holder

    def _refusal(self, error: OSError) -> HomeError:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            return HomeError(f"cannot lock {self.path}: {error.strerror}; the home must be on a local file system")
        home = self.path.parent.parent
        holder = Holder.read(self.path)
        if holder is None:
            return HomeBusy(f"another signet-proxy runs for {home}; stop it first (see {self.path})")
        return HomeBusy(
            f"another signet-proxy, process {holder.pid}, runs for {home}; stop it with `kill {holder.pid}` "
            "or start this one with another SIGNET_PATH"
        )

    def release(self) -> None:
        """Give the home up. The file stays: removing it would let two processes lock two files of one name."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class PidFile:
    """`.daemon/pid`: the number that Signet's CLI signals on `signet stop`. It must be ours, so that the proxy stops
    and takes legacy with it; legacy overwrites the file at each boot and removes it at each exit."""

    def __init__(self, home_path: Path) -> None:
        self.path = home_path / ".daemon" / "pid"

    def write(self) -> bool:
        """Put our pid there in one step; False when the disk does not take it (nothing else depends on it)."""
        temporary = self.path.with_name(f"pid.{os.getpid()}.tmp")
        try:
            temporary.write_text(str(os.getpid()))
            temporary.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True

    def read(self) -> int | None:
        try:
            return int(self.path.read_text().strip())
        except (OSError, ValueError):
            return None

    def remove(self) -> None:
        """Take the file away if it names us."""
        if self.read() == os.getpid():
            with contextlib.suppress(OSError):
                self.path.unlink()


def create_auth_secret(home_path: Path) -> bool:
    """Make `.daemon/auth-secret`, 32 random bytes that only the owner may read, unless there is one already.

    False when it exists or cannot be made. Legacy does the same at its first boot with auth.mode team or hybrid.
    """
    path = home_path / ".daemon" / "auth-secret"
    temporary = path.with_name(f"auth-secret.{os.getpid()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(32))
        os.link(temporary, path)  # unlike a rename, never replaces the one legacy has just made
    except OSError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True
