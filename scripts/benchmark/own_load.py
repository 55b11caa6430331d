"""A load generator for machines without wrk, run as a process of its own: `python -m scripts.benchmark.own_load JSON`.

Kept connections, one request at a time on each, every latency kept. Prints one line of JSON like wrk_report.lua.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httptools

GRACE_S = 10.0


@dataclass(slots=True)
class Tally:
    """`latencies_ns` of every whole reply; `failed` counts wrong statuses and lost connections."""

    expected_status: int
    latencies_ns: array[int] = field(default_factory=lambda: array("Q"))
    received_bytes: int = 0
    failed: int = 0


class Caller(asyncio.Protocol):
    """One connection that sends its request again as soon as the reply is whole, until `ends_ns`."""

    def __init__(self, request: bytes, tally: Tally, ends_ns: int) -> None:
        self._request = request
        self._tally = tally
        self._ends_ns = ends_ns
        self._parser = httptools.HttpResponseParser(self)
        self._whole = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._tally.received_bytes += len(data)
        self._parser.feed_data(data)
        if not self._whole:
            return
        self._whole = False
        now_ns = time.perf_counter_ns()
        self._tally.latencies_ns.append(now_ns - self._sent_ns)
        if now_ns < self._ends_ns:
            self._send()
        else:
            self.over.set_result(None)
            self._transport.close()

    def on_message_complete(self) -> None:
        self._whole = True
        if self._parser.get_status_code() != self._tally.expected_status:
            self._tally.failed += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self._tally.failed += 1
            self.over.set_result(None)


def request_bytes(order: dict[str, Any]) -> bytes:
    body: bytes = order["body"].encode()
    head = f"{order['method']} {order['path']} HTTP/1.1\r\nHost: 127.0.0.1:{order['port']}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def run(order: dict[str, Any]) -> dict[str, Any]:
    """Load as ordered; counts and latencies in microseconds."""
    loop = asyncio.get_running_loop()
    tally = Tally(order["status"])
    request = request_bytes(order)
    began_ns = time.perf_counter_ns()
    ends_ns = began_ns + int(order["seconds"] * 1e9)
    callers = [
        (await loop.create_connection(lambda: Caller(request, tally, ends_ns), "127.0.0.1", order["port"]))[1]
        for _ in range(order["connections"])
    ]
    _, unfinished = await asyncio.wait([caller.over for caller in callers], timeout=order["seconds"] + GRACE_S)
    duration_us = (time.perf_counter_ns() - began_ns) // 1000
    latencies = sorted(tally.latencies_ns) or [0]
    return {
        "requests": len(tally.latencies_ns),
        "duration_us": duration_us,
        "bytes": tally.received_bytes,
        "p50_us": latencies[len(latencies) // 2] / 1e3,
        "p99_us": latencies[len(latencies) * 99 // 100] / 1e3,
        "max_us": latencies[-1] / 1e3,
        "failed": tally.failed + len(unfinished),
    }


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # where it is not packaged, asyncio's own loop has a lower ceiling, which the report shows
        return None
    return uvloop.new_event_loop


def main() -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(json.dumps(runner.run(run(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
