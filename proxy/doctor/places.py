"""The home as files: may it be written, is there room, who may call according to it, what did others leave in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from native_routes.agent_yaml import AuthPolicy
from proxy.doctor.finding import Finding, degraded, ok, unusable
from proxy.home import HomeBusy, HomeError, HomeLock, PidFile
from proxy.settings import Settings

MB = 1024 * 1024
DISK_DEGRADED_BYTES = 1024 * MB  # a migration copies the database, and legacy keeps five such copies
DISK_UNUSABLE_BYTES = 64 * MB


def home(settings: Settings) -> Iterator[Finding]:
    for about, path in (("home", settings.home_path), ("logs", settings.logs_path)):
        there = _nearest(path)
        if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            yield unusable(
                about,
                f"{there} may not be written by user id {os.getuid()}",
                expected=f"{path}, readable and writable",
                fix=f"chown {os.getuid()} '{there}', or set {'SIGNET_LOG_DIR' if about == 'logs' else 'SIGNET_PATH'}",
            )
        else:
            yield ok(about, f"{path}" + ("" if path.exists() else ", to be made at the first start"))


def disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest(settings.home_path)).free
    text = f"{free // MB} MB free for {settings.home_path}"
    fix = "free disk space; old memory/memories.db.bak-v* files are often the largest"
    if free < DISK_UNUSABLE_BYTES:
        yield unusable("disk", text, expected=f"{DISK_DEGRADED_BYTES // MB} MB", fix=fix)
    elif free < DISK_DEGRADED_BYTES:
        yield degraded("disk", text, expected=f"{DISK_DEGRADED_BYTES // MB} MB", fix=fix)
    else:
        yield ok("disk", text)


def auth(settings: Settings) -> Iterator[Finding]:
    policy = AuthPolicy.load(settings.home_path)
    if policy.problem:
        expected = "an agent.yaml in which the auth section says what is meant"
        yield degraded("auth", policy.problem, expected=expected, fix="correct the file, then restart the proxy")
    if policy.mode != "local" or not settings.listens_beyond_loopback:
        if not policy.problem:  # else the mode is what the file counts as, and not what is in force
            yield ok("auth", f"auth.mode {policy.mode}, listening on {settings.listen_host}")
        return
    what = f"auth.mode local, listening on {settings.listen_host}: whoever reaches it may read and change every memory"
    fix = "set auth.mode to team or hybrid in agent.yaml, or SIGNET_HOST to 127.0.0.1"
    if settings.allow_insecure_bind:
        yield degraded("auth", what, expected="tokens, or loopback only", fix=fix)
    else:
        yield unusable("auth", f"{what}; `serve` refuses that", expected="tokens, or loopback only", fix=fix)


def left_behind(settings: Settings, document: dict[str, Any] | None) -> Iterator[Finding]:
    """Files that mislead: a pid file that names nobody, settings in the folder in which Bun is started."""
    named = PidFile(settings.home_path).read()
    path = settings.daemon_dir_path / "pid"
    if document is not None and document["legacy"]["kind"] == "attached":
        yield ok("pid file", f"names process {named}, the daemon's own" if named else "none")
        yield from _lock_holder(settings, document)
        return
    ours = document["proxy"]["pid"] if document else None
    if named is not None and ours is not None and named != ours:
        expected = f"{ours}, the proxy's; `signet stop` signals the number in this file"
        yield degraded("pid file", f"{path} names process {named}", expected=expected, fix="restart the proxy")
    elif named is not None and ours is None and not _alive(named):
        what = f"{path} names process {named}, which does not exist"
        yield degraded("pid file", what, expected="no file while nothing runs", fix=f"rm '{path}'")
    else:
        yield ok("pid file", f"names process {named}" if named else "none")
    yield from _lock_holder(settings, document)
    yield from _stray_settings(settings)


def _lock_holder(settings: Settings, document: dict[str, Any] | None) -> Iterator[Finding]:
    """The kernel drops the lock with its process, so the file alone says nothing; only the lock does."""
    if document is not None or not settings.daemon_dir_path.is_dir():
        return
    try:
        with HomeLock(settings.home_path):
            pass
    except HomeBusy as error:
        what = f"{error}; but it does not answer on port {settings.port}"
        yield degraded("lock", what, expected="a proxy that answers, or none", fix="stop it, or set its SIGNET_PORT")
    except (HomeError, OSError) as error:
        fix = "make .daemon writable, on a local disk"
        yield unusable("lock", str(error), expected="a home that can be locked", fix=fix)


def _stray_settings(settings: Settings) -> Iterator[Finding]:
    folder = settings.daemon_dir_path / "legacy-cwd"
    strays = [*folder.glob(".env*"), *folder.glob("bunfig.toml")] if folder.is_dir() else []
    for stray in strays:
        what = f"{stray}: Bun reads it when the legacy daemon starts"
        yield degraded("environment", what, expected="an empty folder", fix=f"rm '{stray}', then restart the proxy")


def _nearest(path: Path) -> Path:
    """The path, or the folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
