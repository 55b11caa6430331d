"""What becomes of every object of the schema in a comparison. One that is not named here fails the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ROWS: Final = frozenset(
    [
        "connectors",
        "conversations",
        "document_memories",
        "documents",
        "embeddings",
        "entities",
        "entity_aspects",
        "entity_attributes",
        "entity_dependencies",
        "ingestion_jobs",
        "memories",
        "memories_cold",
        "memory_entity_mentions",
        "memory_history",
        "memory_jobs",
        "predictor_comparisons",
        "predictor_training_log",
        "predictor_training_pairs",
        "relations",
        "scheduled_tasks",
        "schema_migrations",
        "schema_migrations_audit",
        "session_checkpoints",
        "session_memories",
        "session_scores",
        "session_summaries",
        "session_summary_children",
        "session_summary_memories",
        "skill_meta",
        "sqlite_sequence",
        "summary_jobs",
        "task_meta",
        "task_runs",
        "telemetry_events",
        "umap_cache",
    ]
)
"""Compared row by row."""

FTS: Final[Mapping[str, str]] = {"memories_fts": "content"}
"""Table -> indexed columns: integrity-checked against the content table, and compared by vocabulary."""

VECTORS: Final = frozenset({"vec_embeddings"})
"""Compared by id and bytes."""

IGNORED: Final[Mapping[str, str]] = {
    "memories_fts_config": "inside of memories_fts",
    "memories_fts_data": "inside of memories_fts; the same index can be stored in several ways",
    "memories_fts_docsize": "inside of memories_fts",
    "memories_fts_idx": "inside of memories_fts",
    "vec_embeddings_chunks": "inside of vec_embeddings",
    "vec_embeddings_info": "inside of vec_embeddings",
    "vec_embeddings_rowids": "inside of vec_embeddings",
    "vec_embeddings_vector_chunks00": "inside of vec_embeddings; places of deleted vectors are reused in any order",
}

IGNORED_FILES: Final[Mapping[str, str]] = {
    ".agents/memory/memories.db": "read through SQLite",
    ".agents/memory/memories.db-wal": "read through SQLite",
    ".agents/memory/memories.db-shm": "read through SQLite",
    ".agents/.daemon/pid": "the supervisor's business",
    ".agents/.daemon/last-healthy-start": "the supervisor's business",
    ".agents/.daemon/cutover.yaml": "the proxy's own",
    ".agents/.daemon/proxy.lock": "the proxy's own",
    ".agents/.daemon/proxy.db": "the proxy's own",
    ".agents/.daemon/proxy.db-wal": "the proxy's own",
    ".agents/.daemon/proxy.db-shm": "the proxy's own",
}
IGNORED_FOLDERS: Final[Mapping[str, str]] = {
    ".agents/.daemon/logs": "compared through /api/logs and its stream",
    ".agents/.daemon/legacy-cwd": "the proxy's own",
    ".bun": "the runtime's cache",
    ".cache": "the runtime's cache",
}


def unclassed(names: set[str]) -> set[str]:
    """Tables that no class covers."""
    return names - ROWS - set(FTS) - VECTORS - set(IGNORED)
