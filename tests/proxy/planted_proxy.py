"""The proxy with faults in its native answers that a request names, and a way to run it.

`python -m tests.proxy.planted_proxy serve` is `signet-proxy serve`, except that GROUPS are those below and need no
evidence. Legacy ignores the field `x-plant`; a native handler obeys it, so that a test decides per request what is
wrong with the native side.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import native_routes
import proxy.evidence
from native_routes import memories, recall
from native_routes.database import Connection
from native_routes.declaration import Handler, LeftToLegacy, NativeRequest, Route, RouteGroup
from native_routes.javascript.dates import iso_text
from native_routes.reply import Reply, json_reply
from tests.proxy.running_proxy import RunningProxy

LATE_S = 0.5  # the time of the routes that have their own


class PlantedProxy(RunningProxy):
    command = (sys.executable, "-m", "tests.proxy.planted_proxy", "serve")


def planted(handler: Handler) -> Handler:
    async def handle(request: NativeRequest) -> Reply:
        kind, _, detail = request.head.fields.get(b"x-plant", b"").decode().partition(":")
        if kind.startswith("slow"):
            await asyncio.sleep(float(detail))
        if kind == "slow-key":
            kind, detail = "key", "extra"
        if kind == "raise":
            raise KeyError(detail)
        reply = await handler(request)
        assert isinstance(reply, Reply)
        return spoiled(kind, detail, reply)

    return handle


def spoiled(kind: str, detail: str, reply: Reply) -> Reply:
    if kind == "status":
        return replace(reply, status=int(detail))
    if kind == "field":
        return replace(reply, headers=(*reply.headers, (b"x-planted", detail.encode())))
    if kind == "key":
        return replace(reply, body=reply.body[:-1] + f',"{detail}":1}}'.encode())
    if kind == "text":
        return replace(reply, body=reply.body.replace(detail.encode(), detail.upper().encode()))
    if kind == "layout":
        return replace(reply, body=json.dumps(json.loads(reply.body)).encode())
    return reply


async def write_note(request: NativeRequest) -> Reply:
    """Writes to a table of its own, and fails where the request says so."""
    where = request.head.fields.get(b"x-plant", b"").decode()
    body = json.loads(await request.body())

    def work(connection: Connection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS planted (text)")
        connection.execute("INSERT INTO planted VALUES (?)", (body["content"],))
        if where == "in work":
            raise KeyError(where)

    def works(connection: Connection, items: Sequence[None]) -> Sequence[None]:
        work(connection)
        return items

    if where == "left":
        raise LeftToLegacy
    if where == "before":
        raise KeyError(where)
    if where == "slowly":
        await asyncio.sleep(1.5)
    if where == "after, together":
        await request.context.writer.run_together(works, None)
    else:
        await request.context.writer.run(work)
    if where.startswith("after"):
        raise KeyError(where)
    return json_reply({"id": "planted"})


async def list_notes(request: NativeRequest) -> Reply:
    """What was written natively; or, where asked for what moves, an object that never is the same twice."""
    if request.head.fields.get(b"x-plant") == b"moving":
        now_ms = request.context.clock.now_ms()
        return json_reply({"generatedAt": iso_text(now_ms), "uptime": time.monotonic(), "requests": 7, "name": "tea"})
    return json_reply(await _notes(request))


async def _notes(request: NativeRequest) -> list[Any]:
    def work(connection: Connection) -> list[Any]:
        return connection.execute("SELECT text FROM planted ORDER BY rowid").fetchall()

    return [row[0] for row in await request.context.reader.run(work)]


def with_plants(group: RouteGroup) -> RouteGroup:
    routes = (replace(r, handler=r.handler and planted(r.handler), within_s=within_s(r)) for r in group.routes)
    return replace(group, routes=tuple(routes))


def within_s(route: Route) -> float | None:
    return LATE_S if route.path == "/api/memory/:id/history" else None


GROUPS = (
    *(group for group in native_routes.GROUPS if group.name in {"health", "status", "logs", "onepassword"}),
    with_plants(memories.GROUP),
    with_plants(recall.GROUP),
    RouteGroup("remember", 3, (Route("POST", "/api/memory/remember", write_note),), writes=frozenset({"planted"})),
    RouteGroup("config", 3, (Route("POST", "/api/config", write_note),), writes=frozenset({"planted"})),
    RouteGroup("identity", 3, (Route("GET", "/api/identity", list_notes),)),
)

if __name__ == "__main__":
    native_routes.GROUPS = GROUPS
    proxy.evidence.PackagedEvidence.__call__ = lambda self, group: None  # type: ignore[method-assign]

    import proxy.shadow
    from proxy.cli import main

    proxy.shadow.PAUSE_S = 0.3

    main(["serve"])
