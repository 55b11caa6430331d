"""`GET` and `POST /api/config`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

from native_routes.config.files import SUFFIXES, list_files, save_file
from native_routes.daemon_log import DaemonLog
from native_routes.declaration import NativeRequest
from native_routes.javascript.values import truthy
from native_routes.reply import Refusal, Reply, json_reply
from native_routes.request_body import read_told_json


class Context(Protocol):
    @property
    def home_path(self) -> Path: ...
    @property
    def daemon_log(self) -> DaemonLog: ...


async def show_files(request: NativeRequest) -> Reply:
    """The agent's files with their content; 200 also when they cannot be read. Legacy: GET /api/config."""
    context: Context = request.context
    try:
        files = await asyncio.to_thread(list_files, context.home_path)
    except OSError as error:
        context.daemon_log.error("api", "Error loading config files", error)
        return json_reply({"files": [], "error": "Failed to load config files"})
    return json_reply({"files": files})


async def write_file(request: NativeRequest) -> Reply:
    """Replace or create one file at the top of the home. Legacy: POST /api/config."""
    context: Context = request.context
    try:
        name, content = _wanted(await read_told_json(request))
        await asyncio.to_thread(save_file, context.home_path, name, content)
    except (ValueError, TypeError, OSError) as error:
        context.daemon_log.error("api", "Error saving config file", error)
        raise Refusal(500, "Failed to save file") from error
    context.daemon_log.info("api", "Config file updated", {"file": name})
    return json_reply({"success": True})


def _wanted(body: Any) -> tuple[str, str]:
    """Name and content. Raises Refusal, and TypeError where legacy throws: null as body, a name that is no text."""
    if body is None:
        raise TypeError("the body is null")
    values = body if isinstance(body, dict) else {}
    name, content = values.get("file"), values.get("content")
    if not truthy(name) or not isinstance(content, str):
        raise Refusal(400, "Invalid request")
    if isinstance(name, str | list) and ("/" in name or ".." in name):
        raise Refusal(400, "Invalid file name")
    if not isinstance(name, str):
        raise TypeError("the file's name is no text")
    if not name.endswith(SUFFIXES):
        raise Refusal(400, "Invalid file type")
    if "\0" in name:
        raise TypeError("the file's name has a null byte")
    return name, content
