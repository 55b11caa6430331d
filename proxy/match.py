"""Which route a raw request target executes on the legacy daemon.

The raw bytes are forwarded, so this must see the very route that legacy will: its adapter parses the target as a URL,
its router decodes the path once more, and the first registered route that fits wins. What no URL parser reads in one
way only has no path here and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from native_routes.declaration import Route, RouteGroup

CACHE_ENTRIES: Final = 4096
CACHED_TARGET_BYTES: Final = 512  # longer ones are rare, and would make the cache large
NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})

# Only an authority that every URL parser reads alike; user names, IPv4 written as one number and the like are refused.
_ABSOLUTE = re.compile(rb"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?(?=[/\\?#]|$)")
_UNUSABLE = re.compile(rb"[\x00-\x20\x7f]")
_SEPARATOR = re.compile(r"[/\\]")
_SINGLE_DOT: Final = frozenset({".", "%2e"})
_DOUBLE_DOT: Final = frozenset({"..", ".%2e", "%2e.", "%2e%2e"})
# Source: WHATWG URL, path percent-encode set. Legacy reads raw bytes beyond ASCII as UTF-8, U+FFFD for what is none.
# As what it leaves: a class that reaches to U+10FFFF takes 4 ms to compile.
_ENCODED = re.compile(r"[^!$-;=@-\]_a-z|~]")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_RESERVED: Final = frozenset(b";/?:@&=+$,#")  # decodeURI leaves their escapes as they are


@dataclass(frozen=True, slots=True)
class Match:
    path: str  # decoded, as the router sees it; "" = the target is no path and must be refused
    group: RouteGroup | None
    route: Route | None
    params: Mapping[str, str]


UNUSABLE: Final = Match("", None, None, NO_PARAMS)


class Matcher:
    """Finds the route for a target. Remembers a bounded number of answers, keyed by what stands before the query."""

    def __init__(self, groups: Iterable[RouteGroup]) -> None:
        self._exact: dict[tuple[str, str], tuple[int, RouteGroup, Route]] = {}
        self._patterns: dict[tuple[str, int], list[tuple[int, tuple[str, ...], RouteGroup, Route]]] = {}
        self._seen: dict[tuple[str, bytes], Match] = {}
        order = 0
        for group in groups:
            for route in group.routes:
                self._add(order, group, route)
                order += 1

    def match(self, method: str, target: bytes) -> Match:
        """The first registered route that fits, HEAD as GET. The path is "" when the target is not to be used."""
        key = (method, target.partition(b"?")[0])
        found = self._seen.get(key)
        if found is None:
            found = self._find("GET" if method == "HEAD" else method, decoded_path(key[1]))
            if len(key[1]) <= CACHED_TARGET_BYTES:
                if len(self._seen) >= CACHE_ENTRIES:
                    self._seen.clear()  # a flood of ids; the few plain paths are back after one request each
                self._seen[key] = found
        return found

    def _add(self, order: int, group: RouteGroup, route: Route) -> None:
        segments = tuple(route.path.split("/"))
        if ":" in route.path:
            self._patterns.setdefault((route.method, len(segments)), []).append((order, segments, group, route))
        else:
            self._exact.setdefault((route.method, route.path), (order, group, route))

    def _find(self, method: str, path: str) -> Match:
        if not path:
            return UNUSABLE
        best: tuple[int, RouteGroup, Route] | None = None
        for registered in (method, "ALL"):
            for found in (self._exact.get((registered, path)), self._first_pattern(registered, path)):
                if found and (best is None or found[0] < best[0]):
                    best = found
        if best is None:
            return Match(path, None, None, NO_PARAMS)
        _, group, route = best
        return Match(path, group, route, _params(route, path))

    def _first_pattern(self, method: str, path: str) -> tuple[int, RouteGroup, Route] | None:
        segments = path.split("/")
        for order, pattern, group, route in self._patterns.get((method, len(segments)), ()):
            if all(seen if part[:1] == ":" else part == seen for part, seen in zip(pattern, segments, strict=True)):
                return order, group, route
        return None


def _params(route: Route, path: str) -> Mapping[str, str]:
    if ":" not in route.path:
        return NO_PARAMS
    pairs = zip(route.path.split("/"), path.split("/"), strict=True)
    return MappingProxyType({part[1:]: _decoded(seen, frozenset()) for part, seen in pairs if part[:1] == ":"})


def decoded_path(target: bytes) -> str:
    """The path on which the router works, or "" for a target that is not a path.

    Legacy: the adapter's `new URL(...)`, then the router's decodeURI with %25 protected.
    """
    normal = _normal_path(target)
    if "%" not in normal:
        return normal
    return _decoded(normal.replace("%25", "%2525"), _RESERVED)


def _normal_path(target: bytes) -> str:
    """The `pathname` of the WHATWG URL: dot segments resolved, backslashes turned, the rest percent-encoded."""
    if _UNUSABLE.search(target):
        return ""
    if not target.startswith(b"/"):
        authority = _ABSOLUTE.match(target)
        if authority is None or int(authority[1] or 0) > 65535:
            return ""
        target = target[authority.end() :]
    path = target.partition(b"#")[0].partition(b"?")[0].decode(errors="replace") or "/"
    if "/." not in path and "\\" not in path and "%" not in path:
        return path  # what else is encoded below, the router decodes again
    resolved: list[str] = []
    segments = _SEPARATOR.split(path)[1:]
    for position, segment in enumerate(segments, 1):
        dots = segment.lower()
        if dots in _DOUBLE_DOT:
            del resolved[-1:]
        elif dots not in _SINGLE_DOT:
            resolved.append(_ENCODED.sub(_percent_encoded, segment))
            continue
        if position == len(segments):
            resolved.append("")
    return "/" + "/".join(resolved)


def _percent_encoded(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode())


def _decoded(text: str, keep: frozenset[int]) -> str:
    """JavaScript's decodeURI (keep=_RESERVED) or decodeURIComponent (keep=none), malformed runs left as they are.

    Legacy: one malformed escape anywhere makes the router decode run by run; a run with a malformed part stays whole.
    As runs are decoded alike in both ways, run by run is right for every text.
    """
    return _ESCAPES.sub(lambda run: _decoded_run(run[0], keep), text)


def _decoded_run(run: str, keep: frozenset[int]) -> str:
    octets = bytes.fromhex(run.replace("%", ""))
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return run
    if keep.isdisjoint(octets):
        return text
    escapes = iter(range(0, len(run), 3))
    pieces: list[str] = []
    for character in text:
        start = next(escapes)
        for _ in character.encode()[1:]:
            next(escapes)
        pieces.append(run[start : start + 3] if ord(character) in keep else character)
    return "".join(pieces)
