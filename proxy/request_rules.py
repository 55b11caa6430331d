"""What a request head must be to go on, beyond what the parser demands: version, target, Host, framing, Connection.

Source: RFC 9110 §7.2, RFC 9112 §3 and §6. What is refused here never reaches legacy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy import hop_headers
from proxy.exchange import Field
from proxy.head import Head

# What survives URL parsing unchanged: legacy answers 400 to the rest. Source: RFC 3986 §3.2.2.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)


class RejectedError(Exception):
    """The bytes are no request that may go on: answered with `status`, then the connection is closed."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Request:
    """A head that may go on, and what follows from it for the connection."""

    head: Head
    keep_alive: bool
    has_body: bool
    awaits_continue: bool
    wants_upgrade: bool  # to a WebSocket; other upgrades are not offered to legacy


def judge(
    method: str, target: bytes, version: str, raw_fields: list[Field], fields: dict[bytes, bytes], peer: str | None
) -> Request:
    """The request, its target in origin form. Raises RejectedError. May put a new Host into both field arguments."""
    if version not in ("1.1", "1.0"):
        raise RejectedError(505, f"HTTP/{version} is not supported; use HTTP/1.1")
    if method == "CONNECT":
        raise RejectedError(405, "CONNECT is not supported: this is not a forward proxy")
    if target[:1] != b"/":
        target = _origin_form(method, target, raw_fields, fields)
    _check_host(fields.get(b"host"), version)
    has_body = _check_framing(version, fields)
    options = hop_headers.named_by_connection(fields.get(b"connection"))
    if options and (stripped := hop_headers.stripped_end_to_end(options)) is not None:
        raise RejectedError(400, f"Connection may not name the end-to-end field {stripped.decode('latin-1')!r}")
    is_1_1 = version == "1.1"
    return Request(
        Head(method, target, version, raw_fields, fields, peer),
        keep_alive=b"close" not in options and (is_1_1 or b"keep-alive" in options),
        has_body=has_body,
        awaits_continue=is_1_1 and fields.get(b"expect", b"").lower() == b"100-continue",
        wants_upgrade=b"upgrade" in options and is_1_1 and _opens_websocket(method, fields) and not has_body,
    )


def _opens_websocket(method: str, fields: dict[bytes, bytes]) -> bool:
    return method == "GET" and fields.get(b"upgrade", b"").lower() == b"websocket"


def _check_framing(version: str, fields: dict[bytes, bytes]) -> bool:
    """Whether a body follows. The parser has refused what is malformed or contradicts itself."""
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        return fields.get(b"content-length", b"0") != b"0"
    if version == "1.0" or coding.lower() != b"chunked":
        raise RejectedError(400, f"Transfer-Encoding {coding.decode('latin-1')!r} is not supported, only chunked")
    return True


def _origin_form(method: str, target: bytes, raw_fields: list[Field], fields: dict[bytes, bytes]) -> bytes:
    """The path of an absolute target; its authority replaces Host. Source: RFC 9112 §3.2.2."""
    if target == b"*" and method == "OPTIONS":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise RejectedError(400, "the request target is neither a path nor an absolute URL")
    authority, rest = absolute.groups()
    if not authority or b"@" in authority:
        raise RejectedError(400, "the request target names no host, or user information")
    if fields.get(b"host") != authority:
        fields[b"host"] = authority
        raw_fields[:] = [(b"Host", authority), *((n, v) for n, v in raw_fields if n.lower() != b"host")]
    if not rest:
        return b"*" if method == "OPTIONS" else b"/"
    return rest if rest[:1] == b"/" else b"/" + rest


def _check_host(host: bytes | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise RejectedError(400, "the Host field is missing")
        return
    match = _HOST.fullmatch(host)
    if match is None or int((match[2] or b":0")[1:] or 0) > 65535:
        raise RejectedError(400, "the Host field is malformed")
