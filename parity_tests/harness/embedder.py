"""A loopback model server: embeds and completes as told, and keeps what it was asked. Behaviours have names."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from parity_tests.harness.tree import Object, Tree, of
from parity_tests.harness.vectors import DIMENSIONS, text_vector

BEHAVIOURS: Final = {
    "ok": "a vector that follows from the text",
    "slow": "the same after 400 ms",
    "429": "429 with Retry-After and a JSON error",
    "500": "500 without a body",
    "wrong-dimensions": "a vector of 8 numbers",
    "empty": "200 with an empty JSON object",
    "garbage": "200 with a body that is not JSON",
    "html": "200 with an HTML page",
    "no-length": "a vector that follows from the text, in a reply without a length",
    "moved": "307 to the same path below /moved, where it does well",
    "found": "302 to the same path below /moved, which is then asked without a body",
    "not-a-number": "a vector that begins with NaN, which is no JSON",
    "minus-zero": "a vector of minus zeros, among bytes that are no UTF-8",
    "odd-bytes": "such a vector, with a byte order mark before and bytes beside it that are no UTF-8",
    "below-zero": "a number below zero in place of a vector",
    "array-like": "an object that has a length, and the vector's numbers by their place",
    "hang": "no answer until the connection closes",
    "close": "the connection is closed without an answer, at once",
}
_SLOW_S: Final = 0.4
_MOVED: Final = "/moved"
_REDIRECTS: Final = {"moved": 307, "found": 302}
_KEPT_HEADERS: Final = ("authorization", "content-type", "x-api-key")


class UnknownBehaviour(Exception):
    """A scenario names a behaviour that the model server does not have."""


class Embedder:
    """Serves on a free loopback port while entered."""

    def __init__(self, behaviour: str = "ok") -> None:
        self._calls: list[Tree] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.behave(behaviour)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.embedder = self
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def behave(self, behaviour: str) -> None:
        """Raises UnknownBehaviour."""
        if behaviour not in BEHAVIOURS:
            raise UnknownBehaviour(f"embedder {behaviour!r}: known are {', '.join(BEHAVIOURS)}")
        self.behaviour = behaviour

    def take_calls(self) -> list[Tree]:
        """What was asked since the last time."""
        with self._lock:
            calls, self._calls = self._calls, []
        return calls

    def note(self, call: Tree) -> None:
        with self._lock:
            self._calls.append(call)

    def pause(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    embedder: Embedder
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what was asked is in the report."""

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def _answer(self, body: bytes | None) -> None:
        embedder = self.server.embedder
        asked = _json(body)
        kept = Object((name, self.headers[name]) for name in _KEPT_HEADERS if name in self.headers)
        embedder.note(Object([("call", f"{self.command} {self.path}"), ("headers", kept), ("body", of(asked))]))
        if embedder.behaviour in {"hang", "close"}:
            embedder.pause(60 if embedder.behaviour == "hang" else 0)
            self.close_connection = True
            return
        if embedder.behaviour == "slow":
            embedder.pause(_SLOW_S)
        if embedder.behaviour == "no-length":
            self.close_connection = True
        if embedder.behaviour in _REDIRECTS and not self.path.startswith(_MOVED):
            self._send(_REDIRECTS[embedder.behaviour], "text/plain", b"", location=_MOVED + self.path)
        else:
            self._send(*_reply(embedder.behaviour, self.path, asked))

    def _send(self, status: int, kind: str, body: bytes, location: str | None = None) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status == 429:
                self.send_header("Retry-After", "7")
            if location is not None:
                self.send_header("Location", location)
            if self.close_connection:
                self.send_header("Connection", "close")
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the daemon did not wait


def _json(body: bytes | None) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return repr(body)


def _reply(behaviour: str, path: str, asked: Any) -> tuple[int, str, bytes]:
    if behaviour == "429":
        return 429, "application/json", b'{"error":"too many requests"}'
    if behaviour == "500":
        return 500, "text/plain", b""
    if behaviour == "garbage":
        return 200, "application/json", b'{"embedding": [0.1,'
    if behaviour == "not-a-number":
        return 200, "application/json", b'{"embedding":[NaN' + b",0.5" * (DIMENSIONS - 1) + b"]}"
    if behaviour == "minus-zero":
        return 200, "application/json", b'{"x":"\xff","embedding":[-0' + b",-0,0.5" * (DIMENSIONS // 2 - 1) + b",-0]}"
    if behaviour == "html":
        return 200, "text/html", b"<!doctype html><title>not a model</title>"
    reply = {} if behaviour == "empty" else _good(path, asked, 8 if behaviour == "wrong-dimensions" else DIMENSIONS)
    return 200, "application/json", _ODDLY.get(behaviour, bytes)(json.dumps(reply).encode())


def _array_like(reply: bytes) -> bytes:
    """Of Ollama's vector; another reply stays as it is."""
    numbers = json.loads(reply).get("embedding")
    if numbers is None:
        return reply
    return json.dumps({"embedding": {"length": len(numbers)} | dict(enumerate(numbers))}).encode()


_ODDLY: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "odd-bytes": lambda reply: b'\xef\xbb\xbf{"model":"\xff",' + reply[1:],
    "below-zero": lambda reply: b'{"embedding":-5}',
    "array-like": _array_like,
}


def _good(path: str, asked: Any, dimensions: int) -> dict[str, Any]:
    """Ollama's and OpenAI's shapes."""
    asked = asked if isinstance(asked, dict) else {}
    if path.endswith("/api/embeddings"):
        return {"embedding": text_vector(str(asked.get("prompt")), dimensions)}
    if path.endswith("/embeddings"):
        return {"data": [{"index": 0, "embedding": text_vector(str(asked.get("input")), dimensions)}]}
    if path.endswith("/chat/completions"):
        return {"choices": [{"message": {"role": "assistant", "content": "[]"}}]}
    if path.endswith("/api/generate"):
        return {"response": "[]", "done": True}
    if path.endswith("/api/tags"):
        return {"models": [{"name": "parity"}, {"name": "parity:latest"}]}
    return {"data": [{"id": "parity"}]}
