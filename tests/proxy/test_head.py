"""The head is a value: nothing on the way may change what is judged and forwarded."""

from __future__ import annotations

import dataclasses

import pytest

from proxy.head import Head


def test_head_cannot_be_changed_after_it_was_judged() -> None:
    head = Head("GET", b"/", "1.1", [(b"Host", b"a")], {b"host": b"a"}, "127.0.0.1")

    with pytest.raises(dataclasses.FrozenInstanceError):
        head.target = b"/api/secrets"  # type: ignore[misc]  # the point of the test
