"""Legacy's `/api/status` shows its own process; a client must see ours, because `signet stop` signals that pid."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace

from proxy.forward import Terms

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


def with_status_rewrite(terms: Terms, rewrite: Rewrite) -> Terms:
    # A compressed or partial body could not be rewritten, so legacy is not asked for one.
    return replace(terms, rewrite=rewrite, drop=terms.drop | {b"accept-encoding", b"range"})
