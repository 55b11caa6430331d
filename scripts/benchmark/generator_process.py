"""`python -m scripts.benchmark.generator_process < order.json`: asks, and prints every latency as JSON.

Kept connections, one request at a time on each; a slow reply delays only its own connection. Replies are parsed only as
far as needed to know their end, status and who answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httptools

from scripts.benchmark.own_load import loop_factory

GRACE_S = 60.0
SMALL_REPLY_BYTES = 400  # an error reply is; what memories say must not be mistaken for one


@dataclass(slots=True)
class Tally:
    served_by: bytes
    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    empty: int = 0
    first_failure: str = ""
    ended_s: float = 0.0

    def fail(self, what: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or what


Due = Iterator[tuple[float, bytes]]
"""Requests, each with the time before which it must not be sent; 0: at once."""


class Client(asyncio.Protocol):
    """Takes the next request as soon as its reply is whole, until there is none or time is up."""

    def __init__(self, requests: Due, tally: Tally, ends_s: float) -> None:
        self._requests, self._tally, self._ends_s = requests, tally, ends_s
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = False
        self._request = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send()

    def _send(self) -> None:
        now_s = time.perf_counter()
        due_s, request = next(self._requests, (0.0, b"")) if now_s < self._ends_s else (0.0, b"")
        if not request or due_s > self._ends_s:
            self._transport.close()
            self._end()
        elif due_s > now_s:
            asyncio.get_running_loop().call_later(due_s - now_s, self._write, request, due_s)
        else:
            self._write(request, due_s or now_s)

    def _write(self, request: bytes, due_s: float) -> None:
        self._request, self._waiting = request, True
        self._size, self._head, self._served_by = 0, b"", b""
        self._due_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-signet-served-by":
            self._served_by = value

    def on_body(self, body: bytes) -> None:
        if self._size < SMALL_REPLY_BYTES:
            self._head += body
        self._size += len(body)

    def on_message_complete(self) -> None:
        tally, now_s = self._tally, time.perf_counter()
        self._waiting = False
        problem = self._problem()
        if problem:
            tally.fail(f"{self._request[:300]!r}: {problem}")
        else:
            tally.latencies_ms.append((now_s - self._due_s) * 1e3)
            tally.ended_s = now_s
            tally.empty += self._size < SMALL_REPLY_BYTES and b'"results":[]' in self._head
        self._send()

    def _problem(self) -> str:
        status = self._parser.get_status_code()
        if status != 200 or (self._size < SMALL_REPLY_BYTES and b'"error":' in self._head):
            return f"status {status}, {self._head[:200]!r}"
        if self._tally.served_by and self._served_by != self._tally.served_by:
            return f"expected an answer by {self._tally.served_by!r}, got {self._served_by!r}"
        return ""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._tally.fail(f"{self._request[:300]!r}: the connection was lost: {exc}")
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def run(order: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    tally = Tally(order["served_by"].encode())
    wires = [_bytes(order["port"], *request) for request in order["requests"]]
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    requests = _due(wires, began_s, order["per_s"])
    ends_s = began_s + order["seconds"]
    clients = [
        (await loop.create_connection(lambda: Client(requests, tally, ends_s), "127.0.0.1", order["port"]))[1]
        for _ in range(order["clients"])
    ]
    _, unfinished = await asyncio.wait([client.over for client in clients], timeout=order["seconds"] + GRACE_S)
    if unfinished:
        tally.fail(f"{len(unfinished)} replies did not come within {GRACE_S:g} s")
    return {
        "latencies_ms": sorted(round(latency, 4) for latency in tally.latencies_ms),
        "duration_s": tally.ended_s - began_s,
        "empty": tally.empty,
        "failed": tally.failed,
        "first_failure": tally.first_failure,
        "cpu_s": time.process_time() - began_cpu_s,
    }


def _due(requests: Sequence[bytes], began_s: float, per_s: float) -> Due:
    for number, request in enumerate(requests):
        yield (began_s + number / per_s if per_s else 0.0), request


def _bytes(port: int, method: str, target: str, text: str) -> bytes:
    body = text.encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def main() -> None:
    order = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        json.dump(runner.run(run(order)), sys.stdout)


if __name__ == "__main__":
    main()
