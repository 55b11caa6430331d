"""`/health` for Signet's clients, `/health/live` and `/health/ready` for monitors. All answer from memory."""

from __future__ import annotations

from dataclasses import asdict

from native_routes.declaration import NativeRequest
from native_routes.health.vitals import HealthContext
from native_routes.reply import Reply, json_reply


async def health(request: NativeRequest) -> Reply:
    """200, legacy's keys in its order, then ours.

    Legacy: GET /health, whose `status` is the constant "healthy"; the truth is in /health/ready.
    Differs: needs no token in any mode; `uptime`, `pid` and `port` are the proxy's; the key `proxy` is added.
    """
    context: HealthContext = request.context
    vitals = context.vitals()
    return json_reply(
        {
            "status": "healthy",
            "uptime": vitals.uptime_s,
            "pid": vitals.pid,
            "version": vitals.version,
            "port": vitals.port,
            "agentsDir": vitals.agents_dir,
            "db": vitals.db,
            "updateAvailable": vitals.update_available,
            "pendingRestart": vitals.pending_restart,
            "proxy": {
                "version": vitals.proxy_version,
                "legacy": vitals.legacy_state,
                "degraded": sorted({finding.component for finding in context.degraded()}),
            },
        }
    )


async def live(request: NativeRequest) -> Reply:
    """200 as long as this process serves requests."""
    context: HealthContext = request.context
    vitals = context.vitals()
    return json_reply({"live": True, "pid": vitals.pid, "uptime": vitals.uptime_s})


async def ready(request: NativeRequest) -> Reply:
    """200 when every request can be answered as it should be, else 503; `degraded` names what is wrong, worst first.

    How many memories there are is not told: anybody may ask.
    """
    context: HealthContext = request.context
    degraded = [asdict(finding) for finding in context.degraded()]
    vectors = context.vectors_document()
    told = None if vectors is None else {name: vectors[name] for name in ("mode", "form", "bytes_each")}
    return json_reply({"ready": not degraded, "degraded": degraded, "vectors": told}, 503 if degraded else 200)
