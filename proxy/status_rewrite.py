"""Legacy's `/health` and `/api/status` show its own process; a client must see ours: `signet stop` signals that pid."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace

from proxy.field_lines import Terms

# The keys are top level and come before any nested object. Legacy: GET /api/status, key order.
_PID = re.compile(rb'^(\{(?:"[^"]*":(?:"[^"]*"|[0-9.]+|true|false|null),)*?"pid":)\d+')
_PORT = re.compile(rb'^(\{(?:"[^"]*":(?:"[^"]*"|[0-9.]+|true|false|null),)*?"port":)\d+')
_HOST = re.compile(rb'^(\{(?:"[^"]*":(?:"[^"]*"|[0-9.]+|true|false|null),)*?"host":)"[^"]*"')
_BIND_HOST = re.compile(rb'^(\{(?:"[^"]*":(?:"[^"]*"|[0-9.]+|true|false|null),)*?"bindHost":)"[^"]*"')


Rewrite = Callable[[bytes], bytes]


def rewriter(port: int, host: str, bind_host: str) -> Rewrite:
    """A function that puts our pid, port, host and bind address into a status body and leaves every other byte."""
    values = (
        (_PID, str(os.getpid()).encode()),
        (_PORT, str(port).encode()),
        (_HOST, json.dumps(host).encode()),
        (_BIND_HOST, json.dumps(bind_host).encode()),
    )

    def rewrite(body: bytes) -> bytes:
        for pattern, value in values:
            body = pattern.sub(lambda found, value=value: found[1] + value, body, count=1)  # type: ignore[misc]
        return body

    return rewrite


def with_status_rewrite(terms: Terms, rewrite: Rewrite, token: str | None = None) -> Terms:
    """`terms` for a reply that shows its process. `token` goes along where legacy wants one and we do not."""
    # A compressed or partial body could not be rewritten, so legacy is not asked for one.
    drop, add = terms.drop | {b"accept-encoding", b"range"}, terms.add
    if token is not None:
        drop, add = drop | {b"authorization"}, (*add, (b"authorization", f"Bearer {token}".encode()))
    return replace(terms, rewrite=rewrite, drop=drop, add=add)
