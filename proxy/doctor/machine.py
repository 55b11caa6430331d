"""What the proxy needs of the machine: Bun, a daemon to front, vector search, two ports, a service that fits."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from native_routes.database import VectorSearchUnavailable, check_vector_search
from proxy import service, take_over
from proxy.doctor.finding import Finding, degraded, ok, unusable
from proxy.legacy import ports
from proxy.legacy.find import LegacyNotFound, find_bun, find_daemon
from proxy.listen import PortTakenError
from proxy.settings import Settings, process_environment
from proxy.unit_files import is_ours

BUN_TIMEOUT_S = 5.0


def bun(settings: Settings) -> Iterator[Finding]:
    if settings.legacy_url is not None:
        return
    try:
        path = find_bun(settings.bun_path, process_environment())
    except LegacyNotFound as error:
        yield unusable("bun", str(error), expected="a Bun to run the legacy daemon with", fix="install Bun, see above")
        return
    try:
        version = _first_line(path, "--version")
    except (OSError, subprocess.SubprocessError) as error:
        what = f"{path} does not run: {error}"
        yield unusable("bun", what, expected="a Bun that tells its version", fix="install Bun anew, or set SIGNET_BUN")
        return
    yield ok("bun", f"{version} at {path}")


def vector_search() -> Iterator[Finding]:
    try:
        yield ok("vectors", f"sqlite-vec {check_vector_search()} answers a nearest-neighbour query")
    except VectorSearchUnavailable as error:
        fix = "install the package again: pip install --force-reinstall sqlite-vec"
        yield degraded("vectors", str(error), expected="a nearest-neighbour query that answers", fix=fix)


def legacy_daemon(settings: Settings) -> Iterator[Finding]:
    if settings.legacy_url is not None:
        yield ok("legacy", f"attached to {settings.legacy_url}, which somebody else runs")
        return
    try:
        daemon = find_daemon(settings.legacy_daemon_path, process_environment())
    except LegacyNotFound as error:
        fix = "install Signet, or set SIGNET_LEGACY_DAEMON"
        yield unusable("legacy", str(error), expected="a legacy daemon to forward to", fix=fix)
        return
    what = "a Signet daemon" if daemon.kind == "signet" else "our stand-in, because no Signet is installed"
    yield ok("legacy", f"{what}: {daemon.path} (found by {daemon.found})")


def held_ports(settings: Settings, document: dict[str, Any] | None) -> Iterator[Finding]:
    """Who listens on the proxy's port and on legacy's. With a proxy running they are its own."""
    if document is not None:
        yield ok("ports", f"{settings.port} is the proxy's, legacy is on {document['legacy']['address']}")
        return
    if ports.is_free(settings.port):
        yield ok("port", f"{settings.port} is free")
    else:
        text = take_over.describe_holder(settings, PortTakenError(settings.listen_host, settings.port))
        yield unusable("port", text, expected=f"{settings.port} free, or held by the proxy", fix="see above")
    if settings.legacy_url is None and settings.legacy_port and not ports.is_free(settings.legacy_port):
        yield unusable(
            "legacy port",
            str(ports.port_holder(settings.legacy_port)),
            expected=f"{settings.legacy_port} free",
            fix="stop that process, or set SIGNET_LEGACY_PORT=0 to take any free port",
        )


def service_unit(settings: Settings) -> Iterator[Finding]:
    unit = service.this_machines(settings)
    if not unit.path.exists():
        yield ok("service", "not installed as a service; `signet-proxy service install` does that")
        return
    lines, good = service.describe(unit)
    if good:
        yield ok("service", "; ".join(lines))
    elif is_ours(unit.path):
        fix = "signet-proxy service install"
        yield degraded("service", "; ".join(lines), expected="a unit that is enabled and running", fix=fix)
    else:
        what = f"{unit.path} is not ours: at the next login it starts another daemon on this home"
        fix = "signet-proxy service install --replace"
        yield degraded("service", what, expected="our unit, or none", fix=fix)


def _first_line(program: Path, *arguments: str) -> str:
    """What the program prints first. Raises OSError, SubprocessError."""
    command = (str(program), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUN_TIMEOUT_S, check=True)
    return done.stdout.strip().partition("\n")[0]
