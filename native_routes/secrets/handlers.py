"""The routes of secrets. A value leaves this process in the environment of a command, and in no reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from native_routes.daemon_log import DaemonLog
from native_routes.declaration import NativeRequest
from native_routes.javascript.values import to_text, truthy, well_formed
from native_routes.outside import Clock, now_text
from native_routes.reply import Refusal, Reply, json_reply
from native_routes.request_body import read_told_json
from native_routes.secrets.opening import SecretError, open_secret
from native_routes.secrets.running import CommandError, Limits, run_command
from native_routes.secrets.sealing import UnsealError, machine_key, seal
from native_routes.secrets.store import NAME, SecretsFile, StoreError

T = TypeVar("T")


class Context(Protocol):
    """`secrets_lock` is held by whoever writes the file, forwarded requests included."""

    @property
    def home_path(self) -> Path: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def secrets_lock(self) -> asyncio.Lock: ...
    @property
    def command_limits(self) -> Limits: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


async def list_secrets(request: NativeRequest) -> Reply:
    """Names, oldest first. Legacy: GET /api/secrets."""
    context: Context = request.context
    try:
        return json_reply({"secrets": await _with_store(context, lambda store: store.names)})
    except (StoreError, OSError) as error:
        context.daemon_log.error("secrets", "Failed to list secrets", error)
        raise Refusal(500, "Failed to list secrets") from error


async def put_secret(request: NativeRequest) -> Reply:
    """Store or replace one. Legacy: POST /api/secrets/:name. Differs: the file is written whole, and one at a time."""
    context: Context = request.context
    name = request.params["name"]
    value = await _value(request, name)
    if not NAME.fullmatch(name):
        wanted = "Use letters, digits, and underscores only."
        raise _not_stored(context, name, SecretError(f"Invalid secret name '{name}'. {wanted}"))
    try:
        key = await asyncio.to_thread(machine_key, context.environment)
        sealed, now = seal(value, key), now_text(context.clock)
        await _alone(context, lambda store: store.put(name, sealed, now))
    except (StoreError, OSError) as error:
        raise _not_stored(context, name, error) from error
    context.daemon_log.info("secrets", "Secret stored", {"name": name})
    return json_reply({"success": True, "name": name})


async def remove_secret(request: NativeRequest) -> Reply:
    """Remove one. Legacy: DELETE /api/secrets/:name."""
    context: Context = request.context
    name = request.params["name"]

    def remove(store: SecretsFile) -> bool:
        if not store.holds(name):
            return False
        store.remove(name)
        return True

    try:
        removed = await _alone(context, remove)
    except (StoreError, OSError) as error:
        context.daemon_log.error("secrets", "Failed to delete secret", error, {"name": name})
        raise Refusal(500, str(error)) from error
    if not removed:
        raise Refusal(404, f"Secret '{name}' not found")
    context.daemon_log.info("secrets", "Secret deleted", {"name": name})
    return json_reply({"success": True, "name": name})


async def run_with_secrets(request: NativeRequest) -> Reply:
    """Run a command with the secrets that the body names. Legacy: POST /api/secrets/exec."""
    asked = await _asked(request, None)
    if not asked.secrets:
        raise Refusal(400, "secrets map is required")
    return await _run(request.context, asked, {"secretCount": len(asked.secrets)}, None)


async def run_with_secret(request: NativeRequest) -> Reply:
    """Run a command with one secret, under its own name or as the body says. Legacy: POST /api/secrets/:name/exec."""
    name = request.params["name"]
    asked = await _asked(request, {"name": name}, {name: name})
    return await _run(request.context, asked, {"name": name}, {"name": name})


@dataclass(frozen=True, slots=True)
class _Asked:
    command: str
    secrets: Mapping[str, Any]  # name of the variable -> name of the secret


async def _asked(
    request: NativeRequest, failed: Mapping[str, Any] | None, usual: Mapping[str, Any] | None = None
) -> _Asked:
    """`failed` goes into the log with what is no request."""
    try:
        body = await read_told_json(request)
        if body is None:
            raise TypeError("null is not an object (evaluating 'body.command')")
    except (ValueError, TypeError) as error:
        raise _not_run(request.context, error, failed) from error
    fields = body if isinstance(body, dict) else {}
    if not truthy(fields.get("command")):
        raise Refusal(400, "command is required")
    named = fields.get("secrets")
    secrets = (usual or {}) if named is None else _own_entries(named)
    command = well_formed(to_text(fields["command"]))
    return _Asked(command, {well_formed(variable): name for variable, name in secrets.items()})


async def _run(context: Context, asked: _Asked, done: Mapping[str, Any], failed: Mapping[str, Any] | None) -> Reply:
    """Whatever the exit code. `done` and `failed` go into the log. Differs: see `running.py`."""
    try:
        key = await asyncio.to_thread(machine_key, context.environment)
        values = await _with_store(context, lambda store: _resolve(store, key, asked.secrets))
        outcome = await run_command(
            asked.command,
            {**context.environment, **values},
            values.values(),
            folder=context.home_path,
            limits=context.command_limits,
        )
    except (SecretError, StoreError, UnsealError, CommandError, OSError) as error:
        raise _not_run(context, error, failed) from error
    context.daemon_log.info("secrets", "exec_with_secrets completed", {**done, "code": outcome.code})
    shown = {"stdout": outcome.stdout, "stderr": outcome.stderr, "code": outcome.code}
    return await asyncio.to_thread(json_reply, shown)


def _not_run(context: Context, error: Exception, failed: Mapping[str, Any] | None) -> Refusal:
    context.daemon_log.error("secrets", "exec_with_secrets failed", error, failed)
    return Refusal(500, str(error))


def _resolve(store: SecretsFile, key: bytes, names: Mapping[str, Any]) -> dict[str, str]:
    """Variable -> value, in order; the first that cannot be had fails all. Raises SecretError and others."""
    return {variable: open_secret(store, key, name) for variable, name in names.items()}


async def _value(request: NativeRequest, name: str) -> str:
    """What is to be stored under `name`. Refuses what is no text, and what is empty."""
    try:
        body = await read_told_json(request)
        if body is None:
            raise TypeError("null is not an object (evaluating 'body.value')")
    except (ValueError, TypeError) as error:
        raise _not_stored(request.context, name, error) from error
    value = body.get("value") if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise Refusal(400, "value is required")
    return value


def _not_stored(context: Context, name: str, error: Exception) -> Refusal:
    context.daemon_log.error("secrets", "Failed to store secret", error, {"name": name})
    return Refusal(400, str(error))


def _own_entries(value: Any) -> dict[str, Any]:
    """`Object.entries(value)`."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        value = list(map(chr, memoryview(value.encode("utf-16-le", "surrogatepass")).cast("H")))
    return {str(place): item for place, item in enumerate(value)} if isinstance(value, list) else {}


async def _with_store(context: Context, work: Callable[[SecretsFile], T]) -> T:
    return await asyncio.to_thread(lambda: work(SecretsFile.of(context.home_path)))


async def _alone(context: Context, work: Callable[[SecretsFile], T]) -> T:
    """The same while nobody else writes the file: until the thread is done, also when the caller has left before."""
    await context.secrets_lock.acquire()
    writing = asyncio.ensure_future(_with_store(context, work))
    writing.add_done_callback(lambda _: context.secrets_lock.release())
    return await asyncio.shield(writing)
