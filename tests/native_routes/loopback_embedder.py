"""A small embedding service on loopback with named behaviours; texts with the same words get nearby vectors."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any, Literal

import numpy as np

Behaviour = Literal["answers", "fails", "hangs", "closes", "is no json", "sends text", "sends half", "sends zeros"]
DIMENSIONS = 768


def text_vector(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Unit length, shape (768,); the sum of a direction for each word."""
    words = text.lower().split() or [text]
    total = np.sum([np.random.default_rng(_seed(word)).standard_normal(DIMENSIONS) for word in words], axis=0)
    vector: np.ndarray[Any, np.dtype[np.float32]] = (total / np.linalg.norm(total)).astype(np.float32)
    return vector


def _seed(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


class LoopbackEmbedder:
    """Use as an async context manager. `asked` counts the texts, `requests` keeps path, fields and body of each."""

    def __init__(self, behaviour: Behaviour = "answers") -> None:
        self.behaviour: Behaviour = behaviour
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.connections = 0
        self.was_asked = asyncio.Event()
        self.release = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> LoopbackEmbedder:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release.set()
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def drop_connections(self) -> None:
        for writer in tuple(self._open):
            writer.close()
            await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = json.loads(await reader.readexactly(int(fields["content-length"])))
        path = lines[0].split()[1]
        text = body.get("prompt", body.get("input"))
        self.asked[text] += 1
        self.was_asked.set()
        self.requests.append((path, fields, body))
        if self.behaviour == "closes":
            return False
        if self.behaviour == "hangs":
            await self.release.wait()
        status = "503 Service Unavailable" if self.behaviour == "fails" else "200 OK"
        reply = self._reply(path, text)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(reply)}\r\n\r\n".encode() + reply)
        await writer.drain()
        return True

    def _reply(self, path: str, text: str) -> bytes:
        if self.behaviour == "is no json":
            return b"<html>"
        vector: Any = text_vector(text).tolist()
        if self.behaviour == "sends text":
            vector = "no vector"
        elif self.behaviour == "sends half":
            vector = vector[: DIMENSIONS // 2]
        elif self.behaviour == "sends zeros":
            vector = [0.0] * DIMENSIONS
        ollama = path.endswith("/api/embeddings")
        return json.dumps({"embedding": vector} if ollama else {"data": [{"embedding": vector}]}).encode()
