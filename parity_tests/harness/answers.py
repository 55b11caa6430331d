"""An answer as a tree that can be recorded and compared: status line, fields, and the body in the kind that it has."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from parity_tests.harness import tree
from parity_tests.harness.http import Answer
from parity_tests.harness.observation import Surroundings
from parity_tests.harness.rules import Rule
from parity_tests.harness.tree import Number, Object, Path, Tree


def parse_json(body: bytes) -> Tree:
    """Raises ValueError when the body is not JSON."""
    return tree.parse(body.decode())


def case_tree(answer: Answer, method: str, surroundings: Surroundings, digests: Sequence[Rule]) -> Tree:
    """status, reason, headers, kind of body, body, events; what is out of the ordinary in HTTP only when it is."""
    parts: list[tuple[str, Tree]] = [
        ("status", Number(str(answer.status))),
        ("reason", answer.reason),
        ("headers", _headers(answer, method, surroundings)),
        *_body(answer, surroundings),
    ]
    odd = [
        ("version", answer.version, answer.version in {"HTTP/1.1", ""}),
        ("interim", list(answer.interim), not answer.interim),
        ("after_the_end", f"{len(answer.rest)} bytes", not answer.rest),
    ]
    parts += [(name, tree.of(value)) for name, value, usual in odd if not usual]
    if answer.events:
        parts.append(("events", [event_tree(event, surroundings) for event in answer.events]))
    seen = Object(parts)
    return _reduced(seen, digests, ()) if digests else seen


def _headers(answer: Answer, method: str, surroundings: Surroundings) -> Object:
    """Names in lower case and sorted, values in their order; a Content-Length that is true says only that."""
    values: dict[str, list[str]] = {}
    for name, value in answer.fields:
        values.setdefault(name.lower(), []).append(value)
    if values.get("content-length") == [str(len(answer.body))] and method != "HEAD" and not answer.cut:
        values["content-length"] = ["(of the body)"]
    pairs: list[tuple[str, Tree]] = []
    for name in sorted(values):
        named: list[Tree] = [surroundings.text(value) for value in values[name]]
        pairs.append((name, named[0] if len(named) == 1 else named))
    return Object(pairs)


def _body(answer: Answer, surroundings: Surroundings) -> list[tuple[str, Tree]]:
    if not answer.body:
        return [("kind", "empty")]
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return [("kind", "bytes"), ("body", base64.b64encode(answer.body).decode())]
    try:
        parsed = tree.parse(text)
    except ValueError:
        return [("kind", "text"), ("body", surroundings.text(text))]
    # Bytes and tree say the same when the text is what JavaScript writes for the tree.
    kind = "json" if tree.stringify(parsed) == text else "json in another layout"
    return [("kind", kind), ("body", surroundings.tree(parsed))]


def event_tree(event: str, surroundings: Surroundings) -> Tree:
    """The lines of an event; data that is JSON as a tree."""
    pairs: list[tuple[str, Tree]] = []
    for line in event.split("\n"):
        name, _, value = line.partition(": ")
        try:
            parsed = tree.parse(value) if name == "data" else value
        except ValueError:
            parsed = value
        if name == "data" and tree.stringify(parsed) != value:
            parsed = value
        pairs.append((name, surroundings.tree(parsed)))
    return Object(pairs)


def _reduced(value: Tree, digests: Sequence[Rule], path: Path) -> Tree:
    if any(rule.covers(path) for rule in digests):
        return digest_of(value)
    if isinstance(value, Object):
        return Object((key, _reduced(item, digests, (*path, key))) for key, item in value.pairs)
    if isinstance(value, list):
        return [_reduced(item, digests, (*path, index)) for index, item in enumerate(value)]
    return value


def digest_of(value: Tree) -> Tree:
    text = value if isinstance(value, str) else tree.stringify(value)
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return tree.of({"digest": sha256[:32], "characters": len(text)})
