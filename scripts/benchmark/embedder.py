"""`python -m scripts.benchmark.embedder SEED PORT`: an Ollama for 768 dimensions that knows our vocabulary.

A process of its own that all sides ask; a vector costs it a tenth of a millisecond, whoever asks. The numbers have as
many digits as a real Ollama's, since reading them is a part of what both sides do.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

import httptools
import numpy as np

from scripts.benchmark.homes.meaning import Meaning, meaning
from scripts.benchmark.own_load import loop_factory

STEPS: Final = 40_000  # between -1 and 1
TAGS: Final = b'{"models":[{"name":"bench"},{"name":"bench:latest"}]}'


class Words:
    """Every number that may be sent, as text; 80,001 of them."""

    def __init__(self) -> None:
        grid = (np.arange(-STEPS, STEPS + 1) / STEPS).astype(np.float32)
        self._texts = [repr(value).encode() for value in grid.astype(np.float64).tolist()]

    def of(self, known: Meaning, text: str) -> bytes:
        places = np.rint(known.of([text])[0] * STEPS).astype(np.int64) + STEPS
        return b",".join(map(self._texts.__getitem__, places.tolist()))


class Connection(asyncio.Protocol):
    def __init__(self, known: Meaning, words: Words) -> None:
        self._known, self._words = known, words
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        reply = self._reply(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(reply)}\r\n\r\n"
        self._transport.write(head.encode() + reply)

    def _reply(self, body: bytes) -> bytes:
        if self._url != b"/api/embeddings":
            return TAGS
        return b'{"embedding":[' + self._words.of(self._known, json.loads(body)["prompt"]) + b"]}"


async def serve(seed: int, port: int) -> None:
    known, words = meaning(seed), Words()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(known, words), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(int(sys.argv[1]), int(sys.argv[2])))
