"""Evidence counts only for the code, contract and schema it was made with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from native_routes import GROUPS, contract
from native_routes.declaration import RouteGroup
from proxy.evidence import EVIDENCE_PATH, ROOT_PATH, PackagedEvidence

MODULE = "native_routes/memories/handlers.py"
GROUP = next(group for group in GROUPS if group.name == "memories")


def gap(folder: Path, **changes: Any) -> str | None:
    values = {
        "group": "memories",
        "contract": contract.VERSION,
        "schema_version": contract.SCHEMA_VERSION,
        "comparisons": 300,
        "differences": 0,
        "modules": {MODULE: hashlib.sha256((ROOT_PATH / MODULE).read_bytes()).hexdigest()},
    }
    (folder / "memories.json").write_text(json.dumps(values | changes))
    return PackagedEvidence([GROUP], folder)(GROUP)


def test_evidence_that_fits_this_code_is_no_gap(tmp_path: Path) -> None:
    assert gap(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"group": "recall"}, "it is for recall"),
        ({"contract": "0.58.2"}, "contract 0.58.2"),
        ({"schema_version": 31}, "schema 31"),
        ({"differences": 1}, "1 differences"),
        ({"comparisons": 0}, "0 comparisons"),
        ({"modules": {MODULE: "0" * 64}}, f"the code has changed since: {MODULE}"),
        ({"modules": {"native_routes/gone.py": "0" * 64}}, "native_routes/gone.py"),
        ({"modules": {}}, "no module is named"),
    ],
)
def test_evidence_of_anything_else_is_a_gap_that_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    assert named in (gap(tmp_path, **change) or "")


def test_missing_and_unreadable_evidence_are_gaps(tmp_path: Path) -> None:
    assert "no parity evidence for memories" in (PackagedEvidence([GROUP], tmp_path)(GROUP) or "")
    (tmp_path / "memories.json").write_text("{")
    assert "cannot be read" in (PackagedEvidence([GROUP], tmp_path)(GROUP) or "")


@pytest.mark.parametrize("path", sorted(EVIDENCE_PATH.glob("*.json")), ids=lambda path: path.stem)
def test_every_packaged_evidence_holds_for_the_code_it_is_packaged_with(path: Path) -> None:
    group: RouteGroup = next(group for group in GROUPS if group.name == path.stem)
    assert PackagedEvidence([group])(group) is None
