"""About forty memories that look like a person's: types, tags, projects, pins, deletions, a graph, jobs, documents."""

from __future__ import annotations

import json
from typing import Final

from parity_tests.harness.homes.rows import FIXED, Rows
from parity_tests.harness.seeded_id import uid

SMALL_FILES: Final = {
    "IDENTITY.md": "# Identity\n- name: Ada\n- creature: owl\n- vibe: calm\n",
    "USER.md": "# User\nLikes tea.\n",
    "AGENTS.md": "# Agents\nBe brief. Größe zählt.\n",
    "skills/brew/SKILL.md": "---\nname: brew\ndescription: How to brew tea\n---\nBoil water first.\n",
}
_THINGS = ("tea", "garden", "parser", "harbour", "violin", "budget", "kernel", "sourdough")
_FACTS = (
    "The {0} schedule changes every second Tuesday.",
    "Prefer the short {0} guide over the long one",
    "We decided to keep the {0} notes in plain text.",
    "Never restart the {0} job before noon",
    "A bug in the {0} code shows up with café names",
)
_TYPES = ("fact", "preference", "decision", "rule", "issue")
_AGES = ("1h", "5h", "1d", "3d", "10d", "40d", "100d", "400d")


def fill_small(rows: Rows) -> None:
    ids = [_memory(rows, number) for number in range(40)]
    _special(rows)
    for number in range(0, 30, 3):
        rows.history(ids[number], 1, "updated", old_content="before", new_content="after", metadata='{"n":1}')
        rows.history(ids[number], 2, "updated", old_content="after", new_content=None, actor_type="sdk")
    _graph(rows, ids)
    _work(rows, ids)


def _memory(rows: Rows, number: int) -> str:
    thing, fact = _THINGS[number % 8], number // 8
    content = _FACTS[fact].format(thing)
    created = rows.ago(_AGES[number % 8]) if number % 2 else f"2025-03-{number % 28 + 1:02d}T09:30:00.{number:03d}Z"
    memory_id = rows.memory(
        f"small-{number}",
        content,
        type=_TYPES[fact],
        importance=round(0.3 + (number % 8) / 10, 1),
        tags=(None, "work", "work,home", "home,Über")[number % 4],
        project=(None, "/p", "/q")[number % 3],
        who=("daemon", "ann", "bob")[number % 3],
        pinned=int(number % 13 == 5),
        created_at=created,
        access_count=number % 6,
        last_accessed=rows.ago(_AGES[(number + 2) % 8], sql=True) if number % 4 == 1 else None,
        confidence=1.0 if number % 5 else 0.75,
    )
    if number % 4 != 3:
        rows.embedding(memory_id, content)
    return memory_id


def _special(rows: Rows) -> None:
    """Rows that scenarios name: ${...} is not needed, their ids follow from their names and stand in the README."""
    rows.memory("pinned", "Critical pinned memory about tea", pinned=1, importance=1.0, type="rule", tags="critical")
    deleted = rows.memory(
        "deleted", "A deleted memory about tea", is_deleted=1, deleted_at=rows.ago("2d"), created_at=rows.ago("9d")
    )
    rows.history(deleted, 3, "deleted", old_content="A deleted memory about tea", metadata='{"force":false}')
    rows.memory("expired", "Deleted too long ago", is_deleted=1, deleted_at=rows.ago("31d"), created_at=rows.ago("60d"))
    rows.memory("session", "Said in a session", source_type="session_end", source_id="S1", runtime_path="plugin")
    rows.memory("astral", "Emoji 😀 and 日本語 with café", tags="emoji,😀", who="Zoë")


def _graph(rows: Rows, ids: list[str]) -> None:
    entities = [rows.entity(thing.title(), "concept", mentions=5 - n % 5) for n, thing in enumerate(_THINGS)]
    for number, memory_id in enumerate(ids):
        rows.mention(memory_id, entities[number % 8], _THINGS[number % 8])
    for number in range(7):
        rows.insert(
            "relations",
            id=uid("relation", number),
            source_entity_id=entities[number],
            target_entity_id=entities[number + 1],
            relation_type="relates_to",
            strength=0.5 + number / 20,
            created_at=FIXED,
        )
        rows.insert(
            "entity_dependencies",
            id=uid("dependency", number),
            source_entity_id=entities[number],
            target_entity_id=entities[(number + 3) % 8],
            dependency_type="uses",
            strength=0.4 + number / 10,
            created_at=FIXED,
            updated_at=FIXED,
        )
    for number in range(12):
        _aspect(rows, number, entities[number % 8], ids)
    rows.insert("entities", id=uid("entity", "Other"), name="Other", entity_type="person", created_at=FIXED,
                updated_at=FIXED, canonical_name="other", agent_id="other", pinned=1, pinned_at=FIXED)  # fmt: skip


def _aspect(rows: Rows, number: int, entity_id: str, ids: list[str]) -> None:
    aspect_id = uid("aspect", number)
    rows.insert(
        "entity_aspects",
        id=aspect_id,
        entity_id=entity_id,
        name=f"Aspect {number}",
        canonical_name=f"aspect {number}",
        weight=0.2 + number / 20,
        created_at=FIXED,
        updated_at=FIXED,
    )
    for place in range(3):
        rows.insert(
            "entity_attributes",
            id=uid("attribute", number, place),
            aspect_id=aspect_id,
            memory_id=ids[(number * 3 + place) % len(ids)],
            kind="constraint" if place == 2 else "attribute",
            content=f"Attribute {place} of aspect {number}",
            normalized_content=f"attribute {place} of aspect {number}",
            importance=0.4 + place / 10,
            status="active" if number % 5 else "superseded",
            created_at=FIXED,
            updated_at=FIXED,
        )


def _work(rows: Rows, ids: list[str]) -> None:
    for number, status in enumerate(("completed", "dead", "failed", "done")):
        rows.job(f"small-{status}", ids[number], status, attempts=number, error=None if number % 2 else "boom")
    for number, status in enumerate(("done", "failed", "queued")):
        document_id = uid("document", number)
        rows.insert(
            "documents",
            id=document_id,
            source_url=f"https://example.org/{number}",
            source_type=("url", "text", "file")[number],
            content_type="text/plain",
            title=f"Document {number}",
            raw_content=None if number == 0 else f"Text of document {number}",
            status=status,
            error="Empty content" if status == "failed" else None,
            chunk_count=number,
            memory_count=number,
            metadata_json=json.dumps({"n": number}) if number else None,
            created_at=rows.ago(f"{number + 1}d"),
            updated_at=rows.ago(f"{number + 1}h"),
        )
        rows.insert("document_memories", document_id=document_id, memory_id=ids[number], chunk_index=number)
    rows.insert("summary_jobs", id=uid("summary", 1), session_key="S1", harness="codex", transcript="user: hi",
                status="completed", created_at=FIXED, completed_at=FIXED)  # fmt: skip
    rows.insert("session_summaries", id=uid("session-summary", 1), project="/p", kind="session",
                content="Talked of tea.", earliest_at=FIXED, latest_at=FIXED, session_key="S1", harness="codex",
                created_at=FIXED)  # fmt: skip
