"""The service definitions, with the names and log files that self-hosting users know from Signet's own.

Source: systemd.service(5), systemd.exec(5), systemd.syntax(7), launchd.plist(5).
"""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.parsers.expat import ExpatError

from proxy import __version__
from proxy.operator_error import SETTINGS_EXIT_CODE

SYSTEMD_NAME = "signet.service"
LAUNCHD_LABEL = "ai.signet.daemon"
MARK = "# Written by signet-proxy"
RESTART_S = 5
WATCHDOG_S = 30  # the event loop says that it lives three times as often
START_S = 60  # READY comes when the port is bound, which a take-over may delay by 10 s
STOP_S = 45  # legacy gets 30 s under a service manager: it may be in the middle of an extraction


@dataclass(frozen=True, slots=True)
class Program:
    """What the service runs. Paths are absolute; both log files are appended to."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_path: Path
    output_path: Path
    errors_path: Path


@dataclass(frozen=True, slots=True)
class Unit:
    """A service definition and where its manager looks for it."""

    manager: Literal["systemd", "launchd"]
    path: Path
    text: str


def systemd_unit(program: Program, user_home: Path) -> Unit:
    path = user_home / ".config" / "systemd" / "user" / SYSTEMD_NAME
    environment = "\n".join(f"Environment={_quoted(f'{k}={v}')}" for k, v in program.environment.items())
    command = " ".join(_quoted(word).replace("$", "$$") for word in program.command)
    return Unit(
        "systemd",
        path,
        f"""{MARK} {__version__}; `signet-proxy service uninstall` removes it.
[Unit]
Description=Signet memory daemon, behind signet-proxy
After=network.target

[Service]
Type=notify
ExecStart={command}
WorkingDirectory={_unspecified(program.working_path)}
{environment}
Restart=on-failure
RestartSec={RESTART_S}
RestartPreventExitStatus={SETTINGS_EXIT_CODE}
WatchdogSec={WATCHDOG_S}
LimitNOFILE=65536
TimeoutStartSec={START_S}
TimeoutStopSec={STOP_S}
# The proxy stops the legacy daemon itself, in its own order.
KillMode=mixed
StandardOutput=append:{_unspecified(program.output_path)}
StandardError=append:{_unspecified(program.errors_path)}

[Install]
WantedBy=default.target
""",
    )


def launchd_plist(program: Program, user_home: Path) -> Unit:
    values = {
        "Label": LAUNCHD_LABEL,
        "ProgramArguments": list(program.command),
        "EnvironmentVariables": dict(program.environment),
        "WorkingDirectory": str(program.working_path),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},  # restart on failure only
        "ThrottleInterval": RESTART_S,
        "ExitTimeOut": STOP_S,
        "StandardOutPath": str(program.output_path),
        "StandardErrorPath": str(program.errors_path),
    }
    path = user_home / "Library" / "LaunchAgents" / f"{LAUNCHD_LABEL}.plist"
    return Unit("launchd", path, plistlib.dumps(values, sort_keys=False).decode())


def is_ours(path: Path) -> bool:
    """Whether the file at `path` is a unit that signet-proxy wrote. False when there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if path.suffix != ".plist":
        return data.startswith(MARK.encode())
    try:
        command = plistlib.loads(data).get("ProgramArguments", [])
    except (ValueError, ExpatError, plistlib.InvalidFileException, AttributeError):
        return False
    return [word for word in command if word in {"-m", "proxy", "serve"}] == ["-m", "proxy", "serve"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{_unspecified(escaped)}"'


def _unspecified(text: object) -> str:
    """Without specifiers: `%h` in a path means just that."""
    return str(text).replace("%", "%%")
