"""`python -m tests.durability.writing FOLDER SEED`: native handlers write as fast as they can, until they are killed.

Each answer goes to standard output as a line, after it was given: that is the ledger of what a client has been told.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from native_routes.daemon_log import DaemonLog
from native_routes.memory_config import MemoryConfigFile
from native_routes.outside import SystemClock
from native_routes.reader import Reader
from native_routes.searching.embedders import Embedder
from native_routes.writer import Writer
from tests.durability.ledger import Entry
from tests.native_routes.asking import ask, value
from tests.native_routes.loopback_embedder import LoopbackEmbedder

CLIENTS = 8
WORDS = ("tea", "harbour", "violin", "garden", "kernel", "budget", "parser", "sourdough")
CONFIG = """configVersion: 99
embedding:
  provider: ollama
  model: loopback
  base_url: {url}
memory:
  pipelineV2:
    enabled: true
    guardrails:
      maxContentChars: 120
      chunkTargetChars: 60
"""


@dataclass
class Context:
    home_path: Path  # of the configuration
    database_path: Path
    clock: SystemClock = field(default_factory=SystemClock)
    embedder: Embedder = field(default_factory=Embedder)

    def __post_init__(self) -> None:
        self.reader, self.writer = Reader(self.database_path, threads=1), Writer(self.database_path)
        self.config = MemoryConfigFile(self.home_path).read
        self.daemon_log = DaemonLog(self.home_path / "logs", self.clock)


class Client:
    """One client after another request; what it has stored it changes, forgets and recovers later."""

    def __init__(self, context: Context, seed: str) -> None:
        self._context = context
        self._random = random.Random(seed)
        self._seed = seed
        self._count = 0
        self._mine: list[str] = []

    async def run(self) -> None:
        while True:
            kind = self._random.choices(("remember", "long", "document", "change"), (6, 1, 1, 3))[0]
            await (self._change() if kind == "change" and self._mine else self._store(kind))

    async def _store(self, kind: str) -> None:
        text = self._text()
        if kind == "document":
            return await self._told("document", "/api/documents", {"source_type": "text", "content": text}, "")
        if kind == "long":
            text = " ".join(f"{text} Sentence {place}." for place in range(6))
        path = self._random.choice(("/api/memory/remember", "/api/memory/save"))
        return await self._told("remember", path, {"content": text}, "")

    async def _change(self) -> None:
        memory_id = self._random.choice(self._mine)
        kind = self._random.choice(("PATCH", "PATCH", "DELETE", "POST"))
        target = f"/api/memory/{memory_id}" + ("/recover" if kind == "POST" else "")
        body = {"reason": "durability"} | ({"content": self._text()} if kind == "PATCH" else {})
        await self._told("change", target, body, memory_id, kind)

    async def _told(self, op: str, target: str, body: dict[str, Any], memory_id: str, method: str = "POST") -> None:
        reply = await ask(self._context, method, target, json_body=body)
        told = value(reply)
        entry = Entry(op, reply.status, told, memory_id, str(body.get("content", "")))
        os.write(sys.stdout.fileno(), entry.line())
        if op == "remember" and reply.status == 200:
            self._mine += told.get("ids", [told.get("id")])

    def _text(self) -> str:
        self._count += 1
        words = " ".join(self._random.choices(WORDS, k=4))
        return f"{words} {self._seed} number {self._count}."


async def write(folder: Path, seed: str) -> None:
    async with LoopbackEmbedder() as embedder:
        home_path = folder / seed
        home_path.mkdir()
        (home_path / "agent.yaml").write_text(CONFIG.format(url=embedder.url))
        context = Context(home_path, folder / "memories.db")
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(Client(context, f"{seed}-{number}").run())


if __name__ == "__main__":
    print(json.dumps({"pid": os.getpid()}), flush=True)
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))
