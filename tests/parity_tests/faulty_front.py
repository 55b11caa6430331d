"""A server on loopback that stands before a good daemon and spoils what one fault says, and nothing else."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity_tests.harness import http, sqlite
from parity_tests.harness.side import Side


@dataclass(slots=True)
class Exchange:
    """A request and the good answer to it, which a fault may change."""

    method: str
    target: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    home: Path
    version: str = "HTTP/1.1"
    before: bytes = b""  # sent before the answer
    after: bytes = b""  # and after its end

    def replace(self, old: str, new: str) -> None:
        """The first `old` in the body becomes `new`; Content-Length follows."""
        assert old.encode() in self.body, f"{old} is not in {self.body[:500]!r}"
        self.set_body(self.body.replace(old.encode(), new.encode(), 1))

    def set_body(self, body: bytes) -> None:
        self.body = body
        self.set_field("Content-Length", str(len(body)))

    def set_field(self, name: str, value: str) -> None:
        self.drop_field(name)
        self.fields.append((name, value))

    def drop_field(self, name: str) -> None:
        self.fields = [field for field in self.fields if field[0].lower() != name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)

    def set_json(self, value: Any) -> None:
        self.set_body(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def sql(self, statement: str) -> None:
        database = sqlite.open_database(self.home / "memory" / "memories.db")
        try:
            database.execute(statement)
        finally:
            database.close()


Events = Iterator[str]


@dataclass(frozen=True, slots=True)
class Fault:
    """Applies to answers of `method` to targets that hold `target`; `spoil_events` to a stream instead."""

    name: str
    scenario: str
    method: str
    target: str
    spoil: Callable[[Exchange], None] | None = None
    spoil_events: Callable[[Events], Events] | None = None
    nth: int = 1  # of the matching requests


@dataclass(slots=True)
class Front:
    """Serves while entered; `planted` counts how often the fault was applied."""

    fault: Fault | None
    planted: int = 0
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def before(self, side: Side) -> Iterator[tuple[str, int]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=self._accept, args=(server, side), daemon=True).start()
            try:
                yield "127.0.0.1", server.getsockname()[1]
            finally:
                # Closing alone does not wake a thread in accept().
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)

    def _accept(self, server: socket.socket, side: Side) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, side), daemon=True).start()

    def _serve(self, client: socket.socket, side: Side) -> None:
        with client, contextlib.suppress(OSError, http.NoAnswer):
            request = _read_request(client)
            method, target, _ = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            with http.connect((side.host, side.port)) as upstream:
                upstream.sock.sendall(request)
                _, _, _, fields = upstream.read_head()
                if any(value == "text/event-stream" for _, value in fields):
                    self._relay_events(client, upstream, method, target)
                else:
                    _send(client, self._spoiled(upstream.read_answer(method), method, target, side.home))

    def _spoiled(self, answer: http.Answer, method: str, target: str, home: Path) -> Exchange:
        exchange = Exchange(method, target, answer.status, answer.reason, list(answer.fields), answer.body, home)
        if self.fault is not None and self.fault.spoil is not None and self._is_meant(method, target):
            self.fault.spoil(exchange)
        return exchange

    def _is_meant(self, method: str, target: str) -> bool:
        fault = self.fault
        if fault is None or method != fault.method or fault.target not in target:
            return False
        with self._lock:
            self._seen += 1
            self.planted += self._seen == fault.nth
            return self._seen == fault.nth

    def _relay_events(self, client: socket.socket, upstream: http.Connection, method: str, target: str) -> None:
        _, status, reason, fields = upstream.read_head()
        head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        client.sendall(f"{head}\r\n".encode("latin-1"))
        events = upstream.events(1_000_000)
        if self.fault is not None and self.fault.spoil_events is not None and self._is_meant(method, target):
            events = self.fault.spoil_events(events)
        for event in events:
            data = f"{event}\n\n".encode()
            client.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _read_request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(client)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += _more(client)
    return head + b"\r\n\r\n" + body


def _more(client: socket.socket) -> bytes:
    piece = client.recv(65_536)
    if not piece:
        raise http.NoAnswer("the client is gone")
    return piece


def _send(client: socket.socket, exchange: Exchange) -> None:
    head = f"{exchange.version} {exchange.status} {exchange.reason}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in exchange.fields)
    client.sendall(exchange.before + f"{head}\r\n".encode("latin-1") + exchange.body + exchange.after)
