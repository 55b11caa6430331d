"""Which requests were made, by whom, and how long they took, in legacy's terms. Counted at the front door, whichever
side answered; forgotten at the end of the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_routes.analytics.latency import Latencies
from native_routes.javascript.objects import in_key_order

KEY_CHARACTERS: Final = 4_000_000  # of all keys together: about 20 MB, and tens of thousands of different paths
REMEMBER: Final = "POST /api/memory/remember"
# Legacy's other names for it post to it in turn, so that it is counted too. 401 and 403 end them before.
ALIASES: Final = frozenset({"POST /api/memory/save", "POST /api/hook/remember"})
REFUSED: Final = frozenset({401, 403})
OPERATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "remember": ("/remember", "/save"),
    "recall": ("/recall", "/search", "/similar"),
    "mutate": ("/modify", "/forget", "/recover"),
}
"""What a path is about: the first operation of which it contains a word."""
ACTOR_FIELDS: Final = ("requests", "remembers", "recalls", "mutations")  # requests = about none of them


class Endpoint:
    """One method and path."""

    __slots__ = ("count", "errors", "field", "key", "latencies", "streams", "total_ms")

    def __init__(self, key: str, field: int, latencies: Latencies | None) -> None:
        self.key = key
        self.field = field  # of ACTOR_FIELDS
        self.latencies = latencies
        self.streams = False  # it has no end of its own, so its time counts as none
        self.count = 0
        self.errors = 0
        self.total_ms = 0

    def shown(self) -> dict[str, int]:
        return {"count": self.count, "errors": self.errors, "totalLatencyMs": self.total_ms}


class Usage:
    """One for the whole process; event loop only. `add` is on the way of every request."""

    def __init__(self) -> None:
        self.latencies: dict[str, Latencies] = {name: Latencies() for name in OPERATIONS}
        self._endpoints: dict[str, Endpoint] = {}
        self._actors: dict[bytes, list[int]] = {}
        self._characters = 0

    def endpoint(self, method: str, path: str) -> Endpoint:
        """What `add` takes for a decoded path; callers may keep it."""
        key = f"{method} {path}"
        known = self._endpoints.get(key)
        return known if known is not None else self._new(key, path)

    def add(self, endpoint: Endpoint, status: int, seconds: float, actor: bytes | None) -> None:
        """One exchange; 0 for a client that left before the reply, `x-signet-actor` as received.

        Differs: legacy keeps every different path and actor for ever; here those beyond KEY_CHARACTERS are left out.
        """
        ms = 0 if endpoint.streams else int(seconds * 1000)
        if endpoint.key in ALIASES and status not in REFUSED:
            self._count(self.endpoint("POST", REMEMBER.partition(" ")[2]), status, ms)
        self._count(endpoint, status, ms)
        if actor:
            counts = self._actors.get(actor)
            if counts is None:
                counts = [0] * len(ACTOR_FIELDS)
                if self._has_room(len(actor)):
                    self._actors[actor] = counts
            counts[endpoint.field] += 1

    def shown(self) -> dict[str, Any]:
        """As `/api/analytics/usage` shows it. Legacy counts providers and connectors nowhere."""
        endpoints = {key: seen.shown() for key, seen in self._endpoints.items()}
        actors = {
            actor.decode("latin-1"): dict(zip(ACTOR_FIELDS, counts, strict=True))
            for actor, counts in self._actors.items()
        }
        return {"endpoints": endpoints, "actors": in_key_order(actors), "providers": {}, "connectors": {}}

    def _new(self, key: str, path: str) -> Endpoint:
        for field, (operation, words) in enumerate(OPERATIONS.items(), start=1):
            if any(word in path for word in words):
                return Endpoint(key, field, self.latencies[operation])
        return Endpoint(key, 0, None)

    def _count(self, endpoint: Endpoint, status: int, ms: int) -> None:
        if not endpoint.count and self._has_room(len(endpoint.key)):
            self._endpoints[endpoint.key] = endpoint
        endpoint.count += 1
        endpoint.total_ms += ms
        if status >= 400:
            endpoint.errors += 1
        if endpoint.latencies is not None:
            endpoint.latencies.add(ms)

    def _has_room(self, characters: int) -> bool:
        if self._characters + characters > KEY_CHARACTERS:
            return False
        self._characters += characters
        return True
