"""The short form of `scripts/durability`: what was acknowledged survives kill -9, and nothing is there by halves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.ledger import Ledger
from tests.durability.rounds import Rounds


@pytest.mark.parametrize("processes", [1, 2])
def test_acknowledged_writes_survive_a_kill_and_nothing_is_half_written(tmp_path: Path, processes: int) -> None:
    rounds = Rounds(tmp_path, processes)
    assert rounds.run(2) == []
    assert rounds.ledger.memories
    _check_that_loss_is_noticed(rounds)


def _check_that_loss_is_noticed(rounds: Rounds) -> None:
    ledger = Ledger(memories={"never stored": True}, documents={"nor this": "j"}, groups={"g"}, versions={"x": 3})
    faults = ledger.faults(rounds.database_path)
    assert len(faults) == 7, faults
