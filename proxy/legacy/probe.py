"""Asking a daemon how it is: one GET /health on a connection of its own, within a fixed time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

_BODY_BYTES = 65_536
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
        # No proxies or certificates from the environment, and no kept connections: each probe proves a fresh accept.
        self._client = httpx.AsyncClient(
            trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def ask(self, host: str, port: int, within_s: float) -> Probe:
        """Never raises for what the daemon does."""
        try:
            async with asyncio.timeout(within_s):
                return _judge(*await self._get(host, port))
        except TimeoutError:
            return Probe(False, f"no answer from {host}:{port} within {within_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Probe(False, f"{host}:{port}: {str(error) or type(error).__name__}")

    async def close(self) -> None:
        await self._client.aclose()

    async def _get(self, host: str, port: int) -> tuple[int, bytes]:
        token = self._token()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        literal = f"[{host}]" if ":" in host else host
        async with self._client.stream("GET", f"http://{literal}:{port}/health", headers=headers) as reply:
            body = b""
            async for part in reply.aiter_bytes():
                body += part
                if len(body) > _BODY_BYTES:
                    break
            return reply.status_code, body


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
