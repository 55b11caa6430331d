"""The legacy release whose answers this project gives: the pinned contract. Any other release is forwarded only."""

from __future__ import annotations

VERSION = "0.58.1"
SCHEMA_VERSION = 30  # highest migration of that release; native answers are proven on no other schema
