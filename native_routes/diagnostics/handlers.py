"""Both routes: the report, and one domain of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_routes.database import DatabaseError
from native_routes.declaration import NativeRequest
from native_routes.diagnostics.report import Context, Report, current_report
from native_routes.javascript.objects import METHODS, PROTOTYPE
from native_routes.reply import UNCAUGHT, Refusal, Reply, json_reply

EMPTY: Final = Reply(200, b"", ((b"content-type", b"application/json"),))


async def show_report(request: NativeRequest) -> Reply:
    """Every domain and the composite of them; 500 when the database cannot be read."""
    report = await _report(request)
    return report if isinstance(report, Reply) else json_reply(report)


async def show_domain(request: NativeRequest) -> Reply:
    """One domain, or the composite. Legacy looks the name up among all that an object has.

    Differs: legacy sends nothing in chunks for the names of an object's methods; here it has a length of 0.
    """
    report = await _report(request)
    if isinstance(report, Reply):
        return report
    name = request.params["domain"]
    if name in METHODS:
        return EMPTY
    domain: Any = {} if name == PROTOTYPE else report.get(name)
    if not isinstance(domain, Mapping):
        raise Refusal(400, f"Unknown domain: {name}")
    return json_reply(domain)


async def _report(request: NativeRequest) -> Report | Reply:
    context: Context = request.context
    try:
        return await current_report(context)
    except DatabaseError:
        return UNCAUGHT
