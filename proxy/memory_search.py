"""What native answers need to search by meaning: the embedder, the vectors in memory, the counts of accesses.

Made when the first request asks for it, because numpy and the vectors take memory and time that a proxy which only
forwards should not spend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from native_routes.embedders import Embedder
from native_routes.recall.access_tracking import AccessTracker
from native_routes.recall.search import Searcher
from native_routes.vectors import VectorSearch


class MemorySearch:
    """One for the process; to be made on the event loop, and closed before the database's anchor is let go."""

    def __init__(self, database_path: Path, environment: Mapping[str, str]) -> None:
        self.embedder = Embedder(openai_api_key=environment.get("OPENAI_API_KEY", ""))
        self.tracker = AccessTracker()
        self.searcher = Searcher(self.tracker)
        self.vectors = VectorSearch(database_path, books=self.tracker)

    async def close(self) -> None:
        """Write what is pending, then close."""
        await self.vectors.close()
        await self.embedder.close()
