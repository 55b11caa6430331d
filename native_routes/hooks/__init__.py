"""What harnesses report while a session lives, and what they are told in return."""

from __future__ import annotations

from native_routes.declaration import Route, RouteGroup

GROUP = RouteGroup(
    name="hooks",
    phase=5,
    routes=(
        # needs=None as documented: a harness with any valid token may report its session.
        Route("POST", "/api/hooks/session-start"),
        Route("POST", "/api/hooks/user-prompt-submit"),
        Route("POST", "/api/hooks/session-end"),
        Route("POST", "/api/hooks/remember"),
        Route("POST", "/api/hooks/recall"),
        Route("POST", "/api/hooks/pre-compaction"),
        Route("POST", "/api/hooks/compaction-complete"),
    ),
    remembers=frozenset({
        "session_claims", "presence", "continuity", "checkpoint_queue", "prompt_dedup", "harness_last_seen",
        "predictor_process",
    }),
)  # fmt: skip
