"""What a running proxy says about itself, or that none runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from native_routes import contract
from proxy.doctor.finding import Finding, degraded, ok
from proxy.settings import Settings

FIXES = {
    "legacy": "see `signet-proxy status` for its last death, and proxy-legacy.log for its last words",
    "database": "see proxy-*.log; a newer Signet than the contract is forwarded to and needs no fix",
    "auth": "correct agent.yaml, then restart the proxy",
    "cutover": "correct the file, or write it anew with `signet-proxy cutover set`",
    "journal": "free disk space, or make .daemon writable",
}


def told(settings: Settings, document: dict[str, Any]) -> Iterator[Finding]:
    proxy, legacy = document["proxy"], document["legacy"]
    yield ok("proxy", f"signet-proxy {proxy['version']} runs as process {proxy['pid']}")
    if Path(proxy["home"]).resolve() != settings.home_path.resolve():
        expected = f"one for {settings.home_path}"
        fix = "set SIGNET_PATH to that home, or SIGNET_PORT to the port of the proxy that is meant"
        yield degraded("proxy", f"the one on this port serves {proxy['home']}", expected=expected, fix=fix)
    if legacy["version"] not in {None, contract.VERSION}:
        yield ok("contract", f"legacy is version {legacy['version']}, so every group is forwarded")
    if legacy["schema_version"] is not None:
        yield ok("schema", f"version {legacy['schema_version']}, legacy's lock {_seen(legacy)}")
    for finding in document["degraded"]:
        component = finding["component"]
        fix = FIXES.get(component.partition(" ")[0]) or f"signet-proxy cutover lift {component.partition(' ')[2]}"
        yield degraded(component, f"{finding['effect']} (since {finding['since']})", expected="none of this", fix=fix)


def nobody(settings: Settings) -> Finding:
    return degraded(
        "proxy",
        f"no proxy answers on port {settings.port}",
        expected="a running proxy",
        fix="signet-proxy serve, or signet-proxy service install",
    )


def _seen(legacy: dict[str, Any]) -> str:
    return "is seen" if legacy["lock_visible"] else "is not seen"
