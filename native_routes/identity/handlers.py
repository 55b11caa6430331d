"""`GET /api/identity`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Protocol

from native_routes.declaration import NativeRequest
from native_routes.javascript.primitives import trim
from native_routes.reply import Reply, json_reply

FIELDS: Final = ("name", "creature", "vibe")
UNKNOWN: Final = {"name": "Unknown", "creature": "", "vibe": ""}


class Context(Protocol):
    @property
    def home_path(self) -> Path: ...


async def show_identity(request: NativeRequest) -> Reply:
    """Name, creature and vibe from IDENTITY.md; "Unknown" where it cannot be read. Legacy: GET /api/identity."""
    context: Context = request.context
    try:
        text = await asyncio.to_thread((context.home_path / "IDENTITY.md").read_bytes)
    except OSError:
        return json_reply(UNKNOWN)
    return json_reply(read_identity(text.decode("utf-8", "replace")))


def read_identity(text: str) -> dict[str, str]:
    """From lines such as `- name: Ada`; they count when the hyphen is their first character, the last of each wins."""
    found = dict.fromkeys(FIELDS, "")
    for line in text.split("\n"):
        for field in FIELDS:
            marker = f"- {field}:"
            if line.startswith(marker):
                found[field] = trim(line.removeprefix(marker))
    return found
