"""Whether the answer that is being made is sent to nobody: in shadow legacy answers, and tells its log of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_is_only_compared: ContextVar[bool] = ContextVar("only_compared", default=False)


@contextlib.contextmanager
def only_compared() -> Iterator[None]:
    """Around the making of such an answer; holds in the tasks that are begun there too."""
    before = _is_only_compared.set(True)
    try:
        yield
    finally:
        _is_only_compared.reset(before)


def is_only_compared() -> bool:
    return _is_only_compared.get()
