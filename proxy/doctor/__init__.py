"""`signet-proxy doctor`: what can keep the proxy from running well, each with what was expected and a fix.

While a proxy runs it alone opens the database, so it is asked. Without one the file is opened read-only, after it was
shown that nobody holds it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from proxy.asking import NoProxyError, RefusedError, ask, front_url
from proxy.doctor import database, machine, places, running
from proxy.doctor.finding import Finding, Level, degraded
from proxy.settings import Settings

EXIT_CODES: dict[Level, int] = {"ok": 0, "degraded": 1, "unusable": 2}


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which a start would meet it. Takes up to some seconds; never raises for them."""
    document, refusal = _ask(settings)
    findings = [*places.home(settings), *places.disk(settings), *places.auth(settings)]
    findings += [*machine.bun(settings), *machine.vector_search(), *machine.legacy_daemon(settings)]
    findings += [*machine.held_ports(settings, document), *places.left_behind(settings, document)]
    findings += machine.service_unit(settings)
    if document is not None:
        findings += running.told(settings, document)
    elif refusal is not None:
        findings.append(refusal)
    else:
        findings += [*database.look(settings), running.nobody(settings)]
    return findings


def _ask(settings: Settings) -> tuple[dict[str, Any] | None, Finding | None]:
    """The running proxy's status document, or why it could not be had; both None when no proxy runs."""
    try:
        return ask(settings, "/_proxy/status"), None
    except NoProxyError:
        return None, None
    except RefusedError as error:
        return None, degraded(
            "proxy",
            f"the proxy on {front_url(settings)} does not answer this user: {error}",
            expected="an answer to an admin token made from .daemon/auth-secret",
            fix="run the doctor as the user who runs the proxy, with the same SIGNET_PATH",
        )


def report(findings: Sequence[Finding], *, as_json: bool) -> tuple[str, int]:
    """What to print, and the exit code: that of the worst finding."""
    worst = max((finding.level for finding in findings), key=EXIT_CODES.__getitem__)
    if as_json:
        document = {"level": worst, "findings": [asdict(finding) for finding in findings]}
        return json.dumps(document, indent=2), EXIT_CODES[worst]
    lines = [line for finding in findings for line in _lines(finding)]
    return "\n".join([*lines, f"in all: {worst}"]), EXIT_CODES[worst]


def _lines(finding: Finding) -> list[str]:
    lines = [f"{finding.level:9} {finding.about}: {finding.what}"]
    if finding.level != "ok":
        lines += [f"{'':9}   expected: {finding.expected}", f"{'':9}   fix: {finding.fix}"]
    return lines
