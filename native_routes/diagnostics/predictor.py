"""The predictor's domain: its settings, what training left in the database and in its state file, and its process.

The process is legacy's child, so whether it lives is for legacy to tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from native_routes.database import Connection, StatementError, translated
from native_routes.diagnostics.queries import COMPARISONS, TRAININGS, Comparison
from native_routes.diagnostics.score import Domain, status_of, within_bounds
from native_routes.javascript.json_text import parse_json
from native_routes.javascript.values import bindable, to_number
from native_routes.pipeline_config import is_number
from native_routes.stored_values import as_json

AGENT: Final = "default"  # legacy asks for no other
STATE_PATH: Final = Path("memory", "predictor", f"state-{AGENT}.json")
LOSING_BELOW: Final = 0.3  # of the comparisons won: the world has moved away from the model
DISABLED: Final[Domain] = {
    "score": 0,
    "status": "disabled",
    "sidecarAlive": False,
    "modelVersion": 0,
    "trainingSessions": 0,
    "successRate": 0,
    "alpha": 1,
    "coldStartExited": False,
    "lastTrainedAt": None,
    "crashCount": 0,
    "crashDisabled": False,
}


@dataclass(frozen=True, slots=True)
class PredictorState:
    """What the predictor wrote down of itself; both fractions are between 0 and 1."""

    success_rate: float = 0.5
    alpha: float = 1.0
    cold_start_exited: bool = False
    last_training_at: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """What the database knows of it."""

    sessions: int
    model_version: Any  # as JSON
    drifting: bool


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The predictor's process, as legacy told last. `score_ms` is the median of its scoring, 0 without a sample."""

    alive: bool = False
    crash_count: float = 0
    crash_disabled: bool = False
    score_ms: float = 0

    @classmethod
    def told(cls, diagnostics: Mapping[str, Any] | None, latency: Mapping[str, Any] | None) -> Sidecar:
        """From legacy's diagnostics and latencies; without them there is none."""
        domain = _section(diagnostics, "predictor")
        crashes, median = domain.get("crashCount"), _section(latency, "predictor_score").get("p50")
        return cls(
            alive=domain.get("sidecarAlive") is True,
            crash_count=crashes if is_number(crashes) else 0,
            crash_disabled=domain.get("crashDisabled") is True,
            score_ms=median if is_number(median) else 0,
        )


def predictor_domain(
    settings: Mapping[str, Any], sidecar: Sidecar, state: PredictorState, training: Training
) -> Domain:
    """`settings` is the section of the configuration. While it collects sessions its status is `cold_start`."""
    runs = sidecar.alive and not sidecar.crash_disabled
    score = within_bounds(_score(settings, sidecar, state, training) if runs else 0)
    status = "unhealthy" if not runs else status_of(score) if state.cold_start_exited else "cold_start"
    return {
        "score": score,
        "status": status,
        "sidecarAlive": sidecar.alive,
        "modelVersion": training.model_version,
        "trainingSessions": training.sessions,
        "successRate": state.success_rate,
        "alpha": state.alpha,
        "coldStartExited": state.cold_start_exited,
        "lastTrainedAt": state.last_training_at,
        "crashCount": sidecar.crash_count,
        "crashDisabled": sidecar.crash_disabled,
    }


def _score(settings: Mapping[str, Any], sidecar: Sidecar, state: PredictorState, training: Training) -> float:
    rate = state.success_rate
    score = 0.8 + min(0.2, rate * 0.2) if rate > 0.4 else 0.5 + rate * 0.5
    score = score if state.cold_start_exited else 0.6
    score -= 0.1 if sidecar.crash_count > 0 else 0
    score -= 0.2 if sidecar.score_ms > 0 and sidecar.score_ms > settings["scoreTimeoutMs"] * 0.8 else 0
    score -= 0.1 if training.drifting else 0
    return score


def read_training(connection: Connection, window: float) -> Training:
    """`window` is the number of comparisons that tell a drift."""
    found = TRAININGS.one(connection, agent=AGENT)
    assert found is not None
    version = 0 if found.newest_model is None else as_json(found.newest_model)
    return Training(found.number, version, _is_drifting(connection, window))


def _is_drifting(connection: Connection, window: float) -> bool:
    """Whether the newest comparisons are there in full number and mostly lost; never for a window of 2.5."""
    try:
        with translated():
            recent = COMPARISONS.all(connection, agent=AGENT, limit=bindable(window))
    except StatementError:
        return False
    won = sum(map(_is_won, recent))
    return bool(recent) and len(recent) >= window and won / len(recent) < LOSING_BELOW


def _is_won(comparison: Comparison) -> bool:
    won = comparison.predictor_won
    return not isinstance(won, bytes) and to_number(won) == 1


def read_state(home_path: Path) -> PredictorState:
    """Blocks on the disk. Whatever is missing or unusable in the file has its default."""
    try:
        stored = parse_json((home_path / STATE_PATH).read_bytes().decode(errors="replace"))
    except (OSError, ValueError, RecursionError):
        return PredictorState()
    values = stored if isinstance(stored, Mapping) else {}
    exited, trained = values.get("coldStartExited"), values.get("lastTrainingAt")
    return PredictorState(
        success_rate=_fraction(values.get("successRate"), 0.5),
        alpha=_fraction(values.get("alpha"), 1.0),
        cold_start_exited=exited is True,
        last_training_at=trained if isinstance(trained, str) else None,
    )


def _fraction(value: Any, default: float) -> float:
    return within_bounds(value) if is_number(value) and math.isfinite(value) else default


def _section(answer: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    section = (answer or {}).get(name)
    return section if isinstance(section, Mapping) else {}
