"""The committed evidence fits the committed code and corpus: CI fails when a change was not certified again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity_tests.harness.cli import corpus_digest_of
from parity_tests.harness.evidence import EVIDENCE_PATH, stale

FILES = sorted(EVIDENCE_PATH.glob("*.json"))


def test_some_group_is_certified() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_evidence_holds_for_the_committed_code_and_corpus(path: Path) -> None:
    assert stale(json.loads(path.read_text()), path.stem, corpus_digest_of(path.stem)) == []
