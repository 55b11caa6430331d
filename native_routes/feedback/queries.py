"""What feedback writes."""

from __future__ import annotations

from typing import Final

from native_routes.query import Command

# The mean of all feedback to a memory in a session. A count of NULL makes the mean NULL, and the count 1.
RATE: Final = Command(
    """
    UPDATE session_memories
    SET agent_relevance_score = CASE
            WHEN agent_relevance_score IS NULL THEN :score
            ELSE (agent_relevance_score * agent_feedback_count + :score) / (agent_feedback_count + 1)
        END,
        agent_feedback_count = COALESCE(agent_feedback_count, 0) + 1
    WHERE session_key = :session_key AND memory_id = :memory_id
    """
)
