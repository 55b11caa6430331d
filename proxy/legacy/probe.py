"""Asking a daemon how it is: one GET /health on a connection of its own, within a fixed time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.own_request import WholeReply, own_request
from proxy.upstream import Pool, UpstreamError

TokenSource = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer to `/health`. `answered`: something spoke HTTP, so whoever listens is alive.

    `problem` is None when the daemon is healthy with its database open; the other fields are what it said, or None.
    """

    answered: bool
    problem: str | None
    pid: int | None = None
    version: str | None = None
    agents_dir: str | None = None
    update_available: bool = False
    pending_restart: bool = False


class Prober:
    """Asks one address. `token` is called before each probe; None sends none."""

    def __init__(self, token: TokenSource | None = None) -> None:
        self._token = token or (lambda: None)

    async def ask(self, host: str, port: int, within_s: float) -> Probe:
        """Never raises for what the daemon does."""
        try:
            async with asyncio.timeout(within_s):
                return _judge(*await self._get(host, port, within_s))
        except TimeoutError:
            return Probe(False, f"no answer from {host}:{port} within {within_s:g} s")
        except UpstreamError as error:
            return Probe(False, str(error))

    async def _get(self, host: str, port: int, within_s: float) -> tuple[int, bytes]:
        """Status and body, on a connection that is closed afterwards: each probe proves a fresh accept."""
        pool = Pool(asyncio.get_running_loop(), idle_s=0.0, connect_timeout_s=within_s)
        pool.set_address((host, port))
        head = own_request(b"/health", (host, port), self._token(), "application/json")
        connection = await pool.connect()
        try:
            return await WholeReply().read(connection, head)
        finally:
            connection.close()


def _judge(status: int, body: bytes) -> Probe:
    if status in {401, 403}:
        return Probe(True, f"/health answers {status}: the daemon does not accept our token")
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if status != 200 or not isinstance(values, dict):
        return Probe(True, f"/health answers {status} without the JSON of a Signet daemon")
    return Probe(
        True,
        _problem(values),
        _number(values.get("pid")),
        _text(values.get("version")),
        _text(values.get("agentsDir")),
        update_available=values.get("updateAvailable") is True,
        pending_restart=values.get("pendingRestart") is True,
    )


def _problem(values: dict[str, Any]) -> str | None:
    if values.get("status") != "healthy":
        return f"/health says status {values.get('status')!r}"
    # Legacy's status is the constant "healthy"; `db` is what it knows.
    return None if values.get("db") is True else "/health says that the database is not open"


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
