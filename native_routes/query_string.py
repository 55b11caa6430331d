"""The query of a request target, read as Hono reads it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def query_parameter(target: bytes, name: str) -> str | None:
    """The first value of `name`, "" when it stands without one, None when it is absent.

    A name written plainly wins over an earlier one that hides behind escapes; `+` is a space; escapes that are not
    UTF-8 stay as they are, and a number sign begins nothing. `name` is ASCII and needs no escape.
    """
    pairs = _pairs(target.partition(b"?")[2])
    for key, value in pairs:
        if key == name:
            return _decoded(value)
    for key, value in pairs:
        if ("%" in key or "+" in key) and _decoded(key) == name:
            return _decoded(value)
    return None


@lru_cache(maxsize=4)  # a request asks for one after the other
def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values as they are written."""
    if not query:
        return []
    found = (pair.partition("=") for pair in query.decode("utf-8", "replace").split("&"))
    return [(key, value) for key, _, value in found]


def _decoded(text: str) -> str:
    text = text.replace("+", " ")
    if "%" not in text:
        return text
    try:
        return _unescaped(text)
    except UnicodeDecodeError:
        return _ESCAPES.sub(lambda run: _run(run[0]), text)


def _unescaped(text: str) -> str:
    """`decodeURIComponent(text)`; UnicodeDecodeError where that throws."""
    if "%" in _ESCAPES.sub("", text):
        raise UnicodeDecodeError("uri", b"", 0, 0, "a percent sign without two digits")
    return _ESCAPES.sub(lambda run: bytes.fromhex(run[0].replace("%", "")).decode(), text)


def _run(run: str) -> str:
    try:
        return _unescaped(run)
    except UnicodeDecodeError:
        return run
