"""`python -m scripts.benchmark.generator_process < order.json`: asks, and prints every latency as JSON.

Kept connections, one request at a time on each; a slow reply delays only its own connection. Replies are parsed only as
far as needed to know their end, status and who answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httptools

from scripts.benchmark.own_load import loop_factory

GRACE_S = 60.0
LOOK_S = 0.001  # how often it is looked whether a client is free again
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


class Client(asyncio.Protocol):
    """One connection. Whenever it has nothing to do, `free` is called with it, to let it ask or end."""

    def __init__(self, tally: Tally, free: Callable[[Client], None]) -> None:
        self._tally, self._free = tally, free
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = False
        self._request = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._free(self)

    def ask(self, request: bytes, due_s: float) -> None:
        """Send it; its latency begins at `due_s`."""
        self._request, self._waiting = request, True
        self._size, self._head, self._served_by = 0, b"", b""
        self._due_s = due_s
        self._transport.write(request)

    def end(self) -> None:
        self._transport.close()
        self._end()

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
        self._free(self)

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
    tally = Tally(order["served_by"].encode())
    requests = [_bytes(order["port"], *request) for request in order["requests"]]
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    load = _as_due if order["per_s"] else _one_after_another
    clients = await load(order, requests, tally, began_s)
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


async def _one_after_another(
    order: dict[str, Any], requests: Sequence[bytes], tally: Tally, began_s: float
) -> list[Client]:
    """Each client takes the next request as soon as its reply is whole, until there is none or time is up."""
    left, ends_s = iter(requests), began_s + order["seconds"]

    def free(client: Client) -> None:
        now_s = time.perf_counter()
        request = next(left, None) if now_s < ends_s else None
        if request is None:
            client.end()
        else:
            client.ask(request, now_s)

    return [await _connect(order["port"], tally, free) for _ in range(order["clients"])]


async def _as_due(order: dict[str, Any], requests: Sequence[bytes], tally: Tally, began_s: float) -> list[Client]:
    """Each request when it is due, by a client that is free, and by one more as long as there may be more."""
    clients: list[Client] = []
    idle: list[Client] = []
    ends_s, is_over = began_s + order["seconds"], False

    def free(client: Client) -> None:
        if is_over:
            client.end()
        else:
            idle.append(client)

    for number, request in enumerate(requests):
        due_s = began_s + number / order["per_s"]
        if max(due_s, time.perf_counter()) > ends_s:
            break
        await asyncio.sleep(due_s - time.perf_counter())
        while not (idle := [client for client in idle if not client.over.done()]):  # without those that were closed
            if len(clients) < order["clients"]:
                clients.append(await _connect(order["port"], tally, free))
            else:
                await asyncio.sleep(LOOK_S)
        idle.pop().ask(request, due_s)
    is_over = True
    for client in idle:
        client.end()
    return clients


async def _connect(port: int, tally: Tally, free: Callable[[Client], None]) -> Client:
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(lambda: Client(tally, free), "127.0.0.1", port))[1]


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
