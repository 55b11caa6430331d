"""What a handler takes from outside the home: time, new ids, the legacy daemon. All that a parity test pins is here."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Final, Protocol

from native_routes.javascript.dates import iso_text

BORROW_WITHIN_S: Final = 0.25


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970, as JavaScript's `Date.now()`."""
        ...


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def now_text(clock: Clock) -> str:
    """Now as JavaScript's `toISOString()`: the form in which the database keeps time."""
    return iso_text(clock.now_ms())


def new_id() -> str:
    """A random UUID in lower case, as `crypto.randomUUID()`."""
    return str(uuid.uuid4())


class Legacy(Protocol):
    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None:
        """The JSON object that legacy answers to `GET target` now; None when it is silent, fails, or sends another."""
        ...
