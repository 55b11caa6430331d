"""Which header fields end at this hop. Everything else is forwarded as it came, in order, both ways.

Source: RFC 9110 §7.6.1 (Connection), §6.5 (trailers), RFC 9112 §6-7 (framing); Caddy's reverse_proxy agrees.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

HOP_BY_HOP: Mapping[bytes, str] = {
    b"connection": "names the options of one connection",
    b"keep-alive": "timing of one connection; ours differs from legacy's",
    b"proxy-connection": "an old misspelling of Connection",
    b"te": "what the next hop may do to the framing; we relay trailers without being asked",
    b"transfer-encoding": "framing of one connection; written anew for the next",
    b"upgrade": "offered to the next hop only together with Connection: upgrade",
    b"http2-settings": "part of an h2c upgrade, which we never pass on",
    b"proxy-authenticate": "from a proxy to its client",
    b"proxy-authorization": "from a client to its proxy",
}

# A client that lists one of these in Connection asks us to strip it, which would change what the request means
# to legacy after we have judged it (who calls, how long the body is): refused, never obeyed.
END_TO_END = frozenset(
    {
        b"accept",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"origin",
        b"referer",
        b"via",
    }
)
END_TO_END_PREFIXES = (b"x-signet-", b"x-forwarded-", b"x-real-ip", b"mcp-", b"sec-", b"access-control-")

# Fields that decide framing, routing or identity mean nothing, or something dangerous, behind a body.
# Source: RFC 9110 §6.5.1.
FORBIDDEN_IN_TRAILERS = frozenset({*HOP_BY_HOP, *END_TO_END, b"set-cookie", b"trailer", b"content-range"})

# Name as sent -> (lower-case name, ends here). Clients send few spellings; the bound is against those who do not.
_known: dict[bytes, tuple[bytes, bool]] = {}
_KNOWN_LIMIT = 2048


def classify(name: bytes) -> tuple[bytes, bool]:
    """`name` in lower case, and whether the field ends at this hop."""
    known = _known.get(name)
    if known is None:
        lower = name.lower()
        known = (lower, lower in HOP_BY_HOP)
        if len(_known) < _KNOWN_LIMIT and len(name) <= 64:
            _known[name] = known
    return known


NO_OPTIONS: frozenset[bytes] = frozenset()
_usual_options = {
    b"keep-alive": frozenset({b"keep-alive"}),
    b"close": frozenset({b"close"}),
}


def named_by_connection(value: bytes | None) -> frozenset[bytes]:
    """Lower-case options listed in a Connection field; empty when there is none."""
    if value is None:
        return NO_OPTIONS
    usual = _usual_options.get(value)
    if usual is not None:
        return usual
    return frozenset(option for part in value.lower().split(b",") if (option := part.strip(b" \t")))


def stripped_end_to_end(named: Iterable[bytes]) -> bytes | None:
    """The first end-to-end field that a Connection field tries to have removed; None when there is none."""
    for name in named:
        if name in END_TO_END or name.startswith(END_TO_END_PREFIXES):
            return name
    return None


def allowed_trailers(fields: Collection[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The trailer fields that may be relayed, in order."""
    if not fields:
        return []
    return [
        (name, value)
        for name, value in fields
        if (lower := name.lower()) not in FORBIDDEN_IN_TRAILERS and not lower.startswith(END_TO_END_PREFIXES)
    ]
