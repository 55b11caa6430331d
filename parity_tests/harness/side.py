"""One side of a comparison, running: a daemon under Bun, the native proxy, or whatever answers at a URL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from parity_tests.harness import http
from parity_tests.harness.faketime import Clock
from parity_tests.harness.homes.build import SECRET
from parity_tests.harness.names import token
from parity_tests.harness.native_terms import SHIFT_VARIABLE
from parity_tests.harness.scope import native_groups
from parity_tests.harness.silent_legacy import SilentLegacy
from parity_tests.harness.sqlite import VECTOR_LIBRARY
from proxy.legacy.find import CHECKOUT_PATH, STAND_IN_PATH, LegacyNotFound, find_bun
from proxy.legacy.ports import free_port
from proxy.settings import process_environment

PIN_PATH: Final = Path(__file__).with_name("pin.ts")
_BOOT_S: Final = 15.0
_STOP_S: Final = 8.0
_PORT_TRIES: Final = 3
_KEPT_VARIABLES: Final = ("LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class SideError(Exception):
    """A side cannot be started; the message says why and what to do."""


class PortTaken(SideError):
    """Another process got the port that was free a moment ago."""


@dataclass(frozen=True, slots=True)
class SideKind:
    """How to start a side. Exactly one of `daemon_path`, `url` and neither (the native proxy) applies."""

    name: str  # "legacy_ts", "native", "signet" or the URL
    daemon_path: Path | None = None
    url: str | None = None
    seed: str | None = None  # pins random values of a daemon under Bun
    front: Callable[[Side], AbstractContextManager[tuple[str, int]]] | None = None  # takes its place; gives its address

    @property
    def is_native(self) -> bool:
        return self.url is None and self.daemon_path is None

    @property
    def owns_home(self) -> bool:
        """Whether its data directory is one of ours, so that rows and files can be compared."""
        return self.url is None


def side_kind(text: str) -> SideKind:
    """`legacy_ts`, `native`, a URL, or the path of a daemon. Raises SideError."""
    if text == "legacy_ts":
        if not (STAND_IN_PATH.parents[1] / "node_modules").is_dir():
            raise SideError("legacy_ts has no packages yet: run scripts/serve or scripts/test once")
        return SideKind("legacy_ts", daemon_path=STAND_IN_PATH)
    if text == "native":
        return SideKind("native")
    if text.startswith("http://"):
        return SideKind(text, url=text)
    path = Path(text).expanduser().resolve()
    if not path.is_file():
        raise SideError(f"{text}: no such daemon. Give legacy_ts, native, http://host:port, or the path of a daemon.js")
    return SideKind("legacy_ts" if path == STAND_IN_PATH else "signet", daemon_path=path)


@dataclass(slots=True)
class Side:
    """Started by `with`; `restart` keeps home and port. The home folder must be filled before."""

    kind: SideKind
    user_home: Path
    clock: Clock
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    host: str = "127.0.0.1"
    public: tuple[str, int] | None = None
    booted_s: float = 0.0
    fault: str = ""  # how its process ended, when not in order
    _process: subprocess.Popen[bytes] | None = None
    _behind: SilentLegacy | None = None  # the native side's
    _boots: int = -1  # after the first; each draws other random values

    @property
    def home(self) -> Path:
        return self.user_home / ".agents"

    @property
    def address(self) -> tuple[str, int]:
        """Where requests go: to what stands in front of the side, when something does."""
        return self.public or (self.host, self.port)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def output(self) -> str:
        path = self.user_home.parent / "output.txt"
        return path.read_text(errors="replace")[-3000:] if path.is_file() else ""

    def now_s(self) -> float:
        """This side's clock; it moves as ours does."""
        return self.clock.now_s()

    def __enter__(self) -> Self:
        if self.kind.url is not None:
            parts = urlsplit(self.kind.url)
            self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
            self.booted_s = self.now_s()
            return self
        for _ in range(_PORT_TRIES - 1):
            self.port = free_port()
            with suppress(PortTaken):
                self._start()
                return self
        self.port = free_port()
        self._start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop()

    def restart(self) -> None:
        """Raises SideError when it was not running any more, or does not come up."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """End it in order. Raises SideError when it had ended before, or crashed while stopping."""
        self._stop()
        if self.fault:
            raise SideError(f"{self.kind.name} {self.fault}:\n{self.output}")

    def _start(self) -> None:
        self._boots += 1
        self.fault = ""  # a port that was taken is none of the process that has the next one
        if self.kind.is_native:
            self._behind = SilentLegacy(self.home).__enter__()
            modes = "".join(f"  {name}: native\n" for name in sorted(native_groups()))
            (self.home / ".daemon" / "cutover.yaml").write_text(f"groups:\n{modes}")
        self.clock.start()
        self.booted_s = self.now_s()
        with (self.user_home.parent / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                self._command(),
                env=self._environment(),
                cwd=self.user_home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        process, self._process = self._process, None
        behind, self._behind = self._behind, None
        try:
            self._end(process)
        finally:
            if behind is not None:
                behind.__exit__()

    def _end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None:
            return
        if process.poll() is not None:
            self.fault = f"had ended by itself, with code {process.returncode}, before it was stopped"
            return
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.fault = f"did not end within {_STOP_S:g} s of SIGTERM and was killed"
        else:
            if code not in {0, -signal.SIGTERM}:
                self.fault = f"ended with code {code} on SIGTERM"

    def _command(self) -> tuple[str, ...]:
        if self.kind.daemon_path is None:
            return (sys.executable, "-m", "parity_tests.harness.native_server")
        preload = ("--preload", str(PIN_PATH)) if self.kind.seed is not None else ()
        return (str(bun_path()), *preload, str(self.kind.daemon_path))

    def _environment(self) -> dict[str, str]:
        inherited = process_environment()
        return (
            {name: inherited[name] for name in _KEPT_VARIABLES if name in inherited}
            | {"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC", "HOME": str(self.user_home)}
            | {"SIGNET_PATH": str(self.home), "SIGNET_LOG_DIR": str(self.home / ".daemon" / "logs")}
            | {"SIGNET_HOST": "127.0.0.1", "SIGNET_PORT": str(self.port), "SIGNET_VEC_PATH": vector_library()}
            | ({"PARITY_SEED": f"{self.kind.seed}{self._boots or ''}"} if self.kind.seed is not None else {})
            | (self.clock.environment() if self._behind is None else self._native_environment(self._behind))
            | dict(self.environment)
        )

    def _native_environment(self, behind: SilentLegacy) -> dict[str, str]:
        shift = {SHIFT_VARIABLE: repr(self.clock.shift_s)}
        return {"SIGNET_LEGACY_URL": behind.url, "PYTHONPATH": str(CHECKOUT_PATH)} | shift

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                kind = PortTaken if self._is_port_taken() else SideError
                raise kind(f"{self.kind.name} ended while starting:\n{self.output}")
            try:
                if self._is_up():
                    return
            except (OSError, http.NoAnswer, ValueError):
                pass
            time.sleep(0.01)
        raise SideError(f"{self.kind.name} did not answer within {_BOOT_S:g} s:\n{self.output}")

    def _is_up(self) -> bool:
        """A daemon answers /health; so does the proxy, once it has found what is behind it and its modes are in force.

        One request to /health arrives on either side: legacy counts it among its own figures.
        """
        if self.kind.is_native:
            cutover = self._ask("/_proxy/cutover", authorized=True)
            if cutover.status != 200 or not all_native(cutover.body):
                return False
        health = self._ask("/health")
        if health.status == 401:  # legacy wants a token for it in team mode
            health = self._ask("/health", authorized=True)
        pid = json.loads(health.body).get("pid")
        if pid != self.pid:
            raise PortTaken(f"port {self.port} is answered by process {pid}, not by {self.kind.name}, {self.pid}")
        return True

    def _is_port_taken(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1.0):
                return True
        except OSError:
            return False

    def _ask(self, path: str, *, authorized: bool = False) -> http.Answer:
        fields = [("Host", f"127.0.0.1:{self.port}")]
        if authorized:
            fields.append(("Authorization", f"Bearer {token('admin', SECRET, int(self.now_s()))}"))
        with http.connect((self.host, self.port), 2.0) as connection:
            connection.send("GET", path, fields, None)
            return connection.read_answer("GET")


def all_native(cutover: bytes) -> bool:
    """Whether every group that can be native is, by the proxy's own page."""
    page = json.loads(cutover)
    groups = page.get("groups", ()) if isinstance(page, dict) else ()  # else another process has our port
    effective = {group["group"]: group["effective"] for group in groups}
    return all(effective.get(name) == "native" for name in native_groups())


def bun_path() -> Path:
    """Raises SideError."""
    environment = process_environment()
    chosen = environment.get("SIGNET_BUN")
    try:
        return find_bun(Path(chosen) if chosen else None, environment)
    except LegacyNotFound as error:
        raise SideError(str(error)) from error


def vector_library() -> str:
    """The library with its suffix, as legacy wants it; SQLite itself adds the suffix to what Python loads."""
    stem = Path(VECTOR_LIBRARY)
    return str(next(path for path in sorted(stem.parent.glob(f"{stem.name}.*")) if path.suffix != ".py"))
