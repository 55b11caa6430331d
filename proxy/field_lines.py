"""The head of a request as legacy gets it, and the field lines of its reply as the client gets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy import hop_headers
from proxy.exchange import Exchange, Field
from proxy.exchange_copy import ExchangeCopy

SERVED_BY_LEGACY = b"x-signet-served-by: legacy\r\n"
ALLOW_ORIGIN = b"access-control-allow-origin"
CORS_FIELDS = frozenset({ALLOW_ORIGIN, b"access-control-allow-credentials", b"access-control-expose-headers"})
OUR_MARKS = frozenset({b"x-signet-served-by", b"x-signet-proxy-error"})  # only we say who answered
ANY_ORIGIN: tuple[Field, ...] = ((ALLOW_ORIGIN, b"*"),)
USUAL_OPTIONS = frozenset({b"close", b"keep-alive"})  # of Connection: they name no field


@dataclass(frozen=True, slots=True)
class Terms:
    """What the edge decided about one request: how it is sent on, and what its reply may grant."""

    drop: frozenset[bytes] = frozenset()  # lower-case request fields that stay here
    add: tuple[Field, ...] = ()
    grant: tuple[Field, ...] = ANY_ORIGIN  # CORS fields of the reply, instead of legacy's
    rewrite: Callable[[bytes], bytes] | None = None  # applied to a whole JSON reply body
    copy: ExchangeCopy | None = None  # hears of all that passes, to compare legacy with native


PLAIN_TERMS = Terms()


def request_head(exchange: Exchange, terms: Terms) -> bytes:
    """The request line and fields as legacy gets them: the client's, in order, less what ends at this hop."""
    head = exchange.head
    fields = head.fields
    named = hop_headers.named_by_connection(fields.get(b"connection"))
    drop = terms.drop
    pieces = [head.method.encode("ascii"), b" ", head.target, b" HTTP/1.1\r\n"]
    if b"host" not in fields:
        pieces.append(b"host: 127.0.0.1\r\n")  # an HTTP/1.0 client; legacy takes it the same way
    http_1_0 = head.version == "1.0"
    for name, value in head.raw_fields:
        lower, ends_here = hop_headers.classify(name)
        if ends_here or lower in drop or (named and lower in named) or (http_1_0 and lower == b"expect"):
            continue
        pieces += (name, b": ", value, b"\r\n")
    for name, value in terms.add:
        pieces += (name, b": ", value, b"\r\n")
    if b"transfer-encoding" in fields:
        pieces.append(b"transfer-encoding: chunked\r\n")
    if exchange.wants_upgrade:
        pieces += (b"connection: Upgrade\r\nupgrade: ", fields[b"upgrade"], b"\r\n")
    pieces.append(b"\r\n")
    return b"".join(pieces)


def reply_pieces(fields: list[Field], grant: tuple[Field, ...], *, keeps_length: bool = True) -> list[bytes]:
    """Legacy's reply fields as lines, less what ends at this hop, with our CORS grant and our mark."""
    named: frozenset[bytes] | None = None
    replaces_cors = grant is not ANY_ORIGIN and grant != ANY_ORIGIN
    pieces: list[bytes] = []
    for name, value in fields:
        lower, ends_here = hop_headers.classify(name)
        if ends_here:
            if lower == b"connection":
                named = (named or frozenset()) | hop_headers.named_by_connection(value)
            continue
        if lower in OUR_MARKS or (replaces_cors and lower in CORS_FIELDS):
            continue
        if not keeps_length and lower == b"content-length":
            continue
        pieces += (name, b": ", value, b"\r\n")
    if named and not named <= USUAL_OPTIONS:
        pieces = _without(pieces, named)
    if replaces_cors:
        for name, value in grant:
            pieces += (name, b": ", value, b"\r\n")
    pieces.append(SERVED_BY_LEGACY)
    return pieces


def _without(pieces: list[bytes], named: frozenset[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for i in range(0, len(pieces), 4):
        lower = pieces[i].lower()
        if lower not in named or lower in hop_headers.END_TO_END:
            kept += pieces[i : i + 4]
    return kept
