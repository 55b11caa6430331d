"""What every native reply differs in by design (docs/differences.md), put into an expectation before the comparison."""

from __future__ import annotations

from typing import Final

from parity_tests.harness.tree import Object, Tree

SHIFT_VARIABLE: Final = "PARITY_CLOCK_SHIFT_S"
"""Seconds that the native side's clock is ahead of the real one."""
SERVED_BY: Final = ("x-signet-served-by", "native")
CONNECTION_HEADERS: Final = frozenset({"connection", "keep-alive"})
"""About the daemon's own connection, so the proxy does not send them. Source: RFC 9110 §7.6.1"""


def expected_of_native(expected: Tree, got: Tree, method: str) -> Tree:
    """The expectation without connection headers, and with the mark that the answer is native: one that is
    forwarded, or answered by an error of the proxy's, differs.

    Source: RFC 9110 §8.6 lets a reply to HEAD carry GET's Content-Length or leave it out.
    """
    if not isinstance(expected, Object) or not isinstance(headers := expected.get("headers"), Object):
        return expected
    kept = [(name, value) for name, value in headers.pairs if name not in CONNECTION_HEADERS]
    length = _header(got, "content-length")
    if method == "HEAD" and length is not None and not headers.has("content-length"):
        kept.append(("content-length", length))
    changed = Object(sorted([*kept, SERVED_BY], key=lambda pair: pair[0]))
    return Object((name, changed if name == "headers" else value) for name, value in expected.pairs)


def _header(answer: Tree, name: str) -> Tree:
    headers = answer.get("headers") if isinstance(answer, Object) else None
    return headers.get(name) if isinstance(headers, Object) else None
