"""One request's line and fields as received: what the edge, the matcher and the forwarder look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """Nothing is decoded or repaired here, so that what is judged is what is forwarded."""

    method: str  # "GET"
    target: bytes  # raw request target as received
    version: str  # "1.1" | "1.0"
    raw_fields: list[tuple[bytes, bytes]]  # names as sent, order kept
    fields: Mapping[bytes, bytes]  # lower-case name -> value; repeated ones joined with b", "
    peer: str | None  # IP address of the TCP peer
