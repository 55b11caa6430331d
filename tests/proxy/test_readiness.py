"""What native searches make `/health/ready` say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from native_routes.agent_yaml import AuthPolicy
from native_routes.searching.embedders import EmbedderState, EmbedderStatus
from native_routes.searching.vector_index import VectorMode, VectorStatus
from proxy.cutover import Cutover, Facts
from proxy.journal import Journal
from proxy.legacy.status import LegacyState, LegacyStatus
from proxy.readiness import Searching, findings
from proxy.services import SHOWN_S, Rising
from proxy.settings import Settings

READY = LegacyStatus(
    LegacyState.READY, "signet", "127.0.0.1", 3851, since=0.0, version="0.58.1", schema_version=30, lock_visible=True
)
WELL = Searching(
    VectorStatus(VectorMode.MEMORY, vectors=3), EmbedderStatus(EmbedderState.READY, "ollama", "nomic"), None, None
)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "proxy.db")
    await journal.open()
    yield journal
    await journal.close()


@pytest.mark.parametrize(
    ("searching", "code"),
    [
        (None, None),
        (WELL, None),
        (replace(WELL, vectors=VectorStatus(VectorMode.UNASKED)), None),
        (replace(WELL, embedder=EmbedderStatus(EmbedderState.OFF, "none", "")), None),
        (replace(WELL, vectors=VectorStatus(VectorMode.OFF, "no table vec_embeddings")), "vectors_off"),
        (replace(WELL, vectors=VectorStatus(VectorMode.SQLITE, "over the limit")), "vectors_slow"),
        (replace(WELL, embedder=EmbedderStatus(EmbedderState.COOLING, "ollama", "", "refused")), "embedder_failing"),
        (replace(WELL, accesses_problem="database is locked"), "accesses_waiting"),
        (replace(WELL, failed="keywords: fts5: syntax error"), "search_step_failed"),
    ],
)
async def test_each_thing_wrong_with_searches_has_its_code(
    journal: Journal, tmp_path: Path, searching: Searching | None, code: str | None
) -> None:
    settings = Settings.from_env({"SIGNET_PATH": str(tmp_path)})
    cutover = Cutover((), settings, journal, lambda: Facts.of(READY), lambda group: None)

    found = list(findings(READY, cutover, journal.health, AuthPolicy(), losing=False, searching=searching))

    assert [finding.reason_code for finding in found] == ([] if code is None else [code])


def test_a_number_that_rose_is_shown_for_ten_minutes() -> None:
    rising = Rising()

    assert [rising.rose_lately(number, now) for number, now in ((0, 1.0), (2, 2.0), (2, SHOWN_S))] == [
        False, True, True,
    ]  # fmt: skip
    assert not rising.rose_lately(2, 2.0 + SHOWN_S)
    assert rising.rose_lately(3, 2.0 + 2 * SHOWN_S)
