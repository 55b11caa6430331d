"""What a group keeps in memory between requests, such as a cache: one of each kind for each running proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
_kept: Final[WeakKeyDictionary[object, dict[Any, Any]]] = WeakKeyDictionary()


def kept(owner: object, make: Callable[[], T]) -> T:
    """What `make()`, usually a class, returned when this owner asked for it first.

    The owner is a part of the request's context that lives as long as the proxy does, its Reader for example; with it
    the state goes. Event loop only.
    """
    states = _kept.setdefault(owner, {})
    if make not in states:
        states[make] = make()
    found: T = states[make]
    return found
