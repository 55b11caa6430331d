"""What a running proxy says about itself, or that none runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from native_routes import contract
from proxy.doctor.finding import Finding, degraded, ok
from proxy.settings import Settings

LAST_WORDS = "see `signet-proxy status` for its last death, and proxy-legacy.log for its last words"
# By reason code, as in docs/operating.md.
FIXES = {
    "legacy_starting": f"wait for its boot; if it repeats, {LAST_WORDS}",
    "legacy_busy": "none needed: a daemon that works is not killed",
    "legacy_wedged": "wait for the restart, or `kill -CONT` a process that is stopped",
    "legacy_down": f"remove the cause that is named; {LAST_WORDS}",
    "database_unreadable": "give this user the right to read and write memories.db",
    "lock_unproven": "restart the proxy",
    "agent_yaml_problem": "correct agent.yaml, then restart the proxy",
    "file_not_in_force": "correct the file, or write it anew with `signet-proxy cutover set`",
    "frozen": "find out why, then `signet-proxy cutover lift GROUP`",
    "vectors_off": "as the finding says; see also `vectors` above",
    "vectors_slow": "none needed: answers are the same; the finding says why they are slow",
    "embedder_failing": "start the embedder, or correct `embedding` in agent.yaml (`provider: none` for words alone)",
    "accesses_waiting": "find out which program writes to the database for so long",
    "search_step_failed": "as the finding says; it is forgotten after 10 minutes",
    "log_not_written": "free disk space, or make the log folder writable",
    "journal_closed": "free disk space, or make .daemon writable",
    "records_lost": "free disk space",
    "damaged": "lift the freezes that you are sure of, then restart the proxy",
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
        component, code = finding["component"], finding["reason_code"]
        fix = FIXES.get(code, f"look for {code} in docs/operating.md")  # of a proxy of another version
        fix = fix.replace("GROUP", component.removeprefix("group "))
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
