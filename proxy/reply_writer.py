"""A reply of our own onto the wire: CORS grant, date, and the mark that it was answered natively."""

from __future__ import annotations

import http
import time
from email.utils import formatdate

from native_routes.reply import Reply
from proxy.exchange import Exchange, Field

NATIVE: tuple[Field, ...] = ((b"x-signet-served-by", b"native"),)
REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}

_date: tuple[int, bytes] = (0, b"")


def send_reply(exchange: Exchange, reply: Reply, grant: tuple[Field, ...]) -> None:
    """Send `reply` whole, in legacy's field order: grant, its own fields, length, date."""
    fields = (*grant, *reply.headers, (b"date", _http_date()), *NATIVE)
    exchange.answer(reply.status, REASONS.get(reply.status, b""), fields, reply.body)


def _http_date() -> bytes:
    """Now, as RFC 9110 §5.6.7 writes it; formatted once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode())
    return _date[1]
