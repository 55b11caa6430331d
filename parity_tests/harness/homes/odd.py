"""Rows that no careful program writes, and that legacy answers all the same."""

from __future__ import annotations

from parity_tests.harness.homes.rows import FIXED, Rows
from parity_tests.harness.seeded_id import uid


def fill_odd(rows: Rows) -> None:
    _columns(rows)
    _texts(rows)
    _times(rows)
    _embeddings(rows)
    _jobs(rows)
    rows.history(uid("memory", "odd-gone"), 1, "deleted", old_content="its memory is gone")
    rows.history("system", 2, "none", reason="no such memory", metadata="{not json")


def _columns(rows: Rows) -> None:
    """Columns that are NULL, of another type, or out of range."""
    rows.memory("odd-nulls", "Odd nulls", tags=None, who=None, source_type=None, importance=None, confidence=None,
                pinned=None, access_count=None, version=None, update_count=None, extraction_status=None)  # fmt: skip
    rows.memory("odd-text-importance", "Odd text importance", importance="high", access_count="many")
    rows.memory("odd-number-text", "Odd number text importance", importance="0.25", pinned="1")
    rows.memory("odd-huge", "Odd huge importance", importance=1e300, version=9_007_199_254_740_993)
    rows.memory("odd-negative", "Odd negative importance", importance=-3, access_count=-1, version=-2)
    rows.memory("odd-no-hash", "Odd without hash", content_hash=None, normalized_content=None)
    rows.memory("odd-json-tags", "Odd JSON tags", tags='["a", 5, null, "b,c"]')
    rows.memory("odd-comma-tags", "Odd comma tags", tags=" , a ,,B, ")
    rows.memory("odd-empty", "", tags="", who="", project="", type="")
    rows.memory("odd-type", "Odd unknown type", type="no such type", source_type="no such source", source_id="x")
    rows.memory("odd-deleted-no-date", "Odd deleted without date", is_deleted=1, deleted_at=None)
    rows.memory("odd-deleted-bad-date", "Odd deleted with a bad date", is_deleted=1, deleted_at="yesterday")
    rows.memory("odd-deleted-pinned", "Odd deleted and pinned", is_deleted=1, pinned=1, deleted_at=rows.ago("1d"))
    rows.memory("odd-is-deleted-null", "Odd neither deleted nor not", is_deleted=None)
    rows.memory("odd-is-deleted-two", "Odd deleted twice", is_deleted=2)


def _texts(rows: Rows) -> None:
    rows.memory("odd-astral", "Odd astral 😀👩‍👩‍👧 𐍈 end")
    rows.memory("odd-cut", "o" * 499 + "😀" + "z" * 40)
    rows.memory("odd-long", "Odd long. " + "sentence with words and more words. " * 120)
    rows.memory("odd-controls", "Odd controls", content="tab\there\nnew\u0001line\u2028sep\u007f")
    rows.memory("odd-nul", "Odd nul", content="before\u0000after")
    rows.memory("odd-quotes", 'Odd "quotes" and \\ back </script>')
    rows.memory("odd-nfd", "Odd cafe\u0301 against café")
    rows.memory("odd-rtl", "Odd مرحبا بالعالم")
    rows.memory("odd/id with space", "Odd id", id="odd/id with space")
    rows.memory("odd-id-unicode", "Odd unicode id", id="odd-ü-😀")


def _times(rows: Rows) -> None:
    rows.memory(
        "odd-future", "Odd from the future", created_at="2099-12-31T23:59:59.999Z", last_accessed=rows.ago("-3d")
    )
    rows.memory("odd-sql-now", "Odd sql time", created_at="2025-06-01 10:00:00", updated_at=rows.ago("2d", sql=True))
    rows.memory("odd-no-time", "Odd no time", created_at="", updated_at="")
    rows.memory("odd-bad-time", "Odd bad time", created_at="not a date", last_accessed="garbage")
    rows.memory("odd-day", "Odd day only", created_at="2025-06-02")
    rows.memory("odd-zone", "Odd zone", created_at="2025-06-03T01:00:00+05:30")
    for number in range(4):
        rows.memory(f"odd-tie-{number}", f"Odd tie number {number}", created_at=FIXED, importance=0.5)


def _embeddings(rows: Rows) -> None:
    twice = rows.memory("odd-two-vectors", "Odd with two vectors")
    rows.embedding(twice, "Odd with two vectors")
    rows.embedding(twice, "Odd with another vector", indexed=False)
    short = rows.memory("odd-short-vector", "Odd short vector")
    rows.embedding(short, "Odd short vector", indexed=False, vector=bytes(32), dimensions=8)
    broken = rows.memory("odd-broken-vector", "Odd broken vector")
    rows.embedding(broken, "Odd broken vector", indexed=False, vector=b"\x00\x01\x02", dimensions=768)
    same = rows.memory("odd-same-vector", "Odd with two vectors again")
    rows.embedding(same, "Odd with two vectors again")
    rows.embedding("no-such-memory", "Odd vector of nobody", source_id="no-such-memory")
    rows.embedding(same, "Odd vector of a document", source_type="document", source_id=uid("document", 0))


def _jobs(rows: Rows) -> None:
    owner = rows.memory("odd-jobs", "Odd owner of jobs")
    for status in ("pending", "leased", "completed", "done", "failed", "dead", "strange"):
        rows.job(
            f"odd-{status}",
            owner,
            status,
            attempts=3 if status == "dead" else 1,
            error="boom" if status in {"failed", "dead"} else None,
            leased_at=rows.ago("1d") if status == "leased" else None,
            completed_at=FIXED if status in {"completed", "done"} else None,
            failed_at=FIXED if status in {"failed", "dead"} else None,
        )
    rows.job("odd-nobody", None, "pending", job_type="document_ingest", payload="{not json")
