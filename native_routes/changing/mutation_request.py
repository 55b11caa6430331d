"""What the requests that change one memory have in common: the reason, the version seen, the kill switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from native_routes.database import ConstraintViolated, SchemaMismatch
from native_routes.declaration import NativeRequest
from native_routes.javascript.coercion import optional_positive_integer, optional_text
from native_routes.javascript.primitives import trim
from native_routes.javascript.values import UnbindableError
from native_routes.memory_config import MemoryConfig
from native_routes.query_string import query_parameter
from native_routes.reply import Refusal

# Where a statement of legacy throws: a token without a subject or with one that is no text, a model's name that is
# none, content that was stored anew meanwhile, a table that lacks a column. Nothing catches it there.
THROWS: Final = (ConstraintViolated, SchemaMismatch, UnbindableError)
IF_VERSION: Final = "if_version must be a positive integer"
NO_REASON: Final = "reason is required"


def read_memory_id(request: NativeRequest) -> str:
    memory_id = trim(request.params["id"])
    if not memory_id:
        raise Refusal(400, "memory id is required")
    return memory_id


def read_reason(payload: Mapping[str, Any], target: bytes = b"") -> str:
    """From the body, else from the query of `target`."""
    reason = optional_text(payload.get("reason")) or optional_text(query_parameter(target, "reason"))
    if reason is None:
        raise Refusal(400, NO_REASON)
    return reason


def read_if_version(payload: Mapping[str, Any], target: bytes = b"") -> int | None:
    """From the body, else from the query of `target`; None when neither has it. Both must be right where they stand."""
    in_query = query_parameter(target, "if_version")
    of_body = optional_positive_integer(payload.get("if_version"))
    of_query = optional_positive_integer(in_query)
    if ("if_version" in payload and of_body is None) or (in_query is not None and of_query is None):
        raise Refusal(400, IF_VERSION)
    return of_query if of_body is None else of_body


async def unfrozen(read_config: Callable[[], Awaitable[MemoryConfig]]) -> MemoryConfig:
    """The configuration; refuses with 503 while its kill switch is on."""
    config = await read_config()
    if config.pipeline["mutationsFrozen"]:
        raise Refusal(503, "Mutations are frozen (kill switch active)")
    return config
