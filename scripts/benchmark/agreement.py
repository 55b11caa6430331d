"""Whether both sides give the same answers: a figure of a side that answers something else means nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from typing import Any

from scripts.benchmark.generator import Request
from scripts.benchmark.rows import MeasurementError

Ports = tuple[int, int]


def disagreements(ports: Ports, requests: Sequence[Request], ignored: frozenset[str] = frozenset()) -> list[str]:
    """What differs, one line for each request whose answers differ; [] when all agree.

    Compared are the whole bodies, so ids, their order, scores and all else; `ignored` are keys of the top level whose
    values are new in every answer. Raises MeasurementError when an answer is no 200 or no JSON.
    """
    found = []
    for request in requests:
        legacy, native = (_answer(port, request) for port in ports)
        for key in ignored:
            legacy.pop(key, None)
            native.pop(key, None)
        if legacy != native:
            found.append(f"{request.method} {request.target} {request.body}: {_difference(legacy, native)}")
    return found


def _answer(port: int, request: Request) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"} if request.body else {}
    try:
        connection.request(request.method, request.target, request.body.encode() or None, headers)
        reply = connection.getresponse()
        body = reply.read()
        value = json.loads(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MeasurementError(f"{request.method} {request.target} {request.body}: {error}") from error
    finally:
        connection.close()
    if reply.status != 200 or not isinstance(value, dict) or "error" in value:
        raise MeasurementError(f"{request.method} {request.target} {request.body}: {reply.status} {body[:300]!r}")
    return value


def _difference(legacy: dict[str, Any], native: dict[str, Any]) -> str:
    """The first one, told shortly."""
    if legacy.keys() != native.keys():
        return f"keys {list(legacy)} and {list(native)}"
    for key, ours in native.items():
        theirs = legacy[key]
        if ours == theirs:
            continue
        if isinstance(ours, list) and isinstance(theirs, list):
            return f"{key}: {_first_different(theirs, ours)}"
        return f"{key} is {theirs!r} and {ours!r}"
    return "nothing"


def _first_different(theirs: list[Any], ours: list[Any]) -> str:
    if len(theirs) != len(ours):
        return f"{len(theirs)} and {len(ours)} entries"
    place, (their, our) = next((n, pair) for n, pair in enumerate(zip(theirs, ours, strict=True)) if pair[0] != pair[1])
    if not isinstance(their, dict) or not isinstance(our, dict):
        return f"entry {place} is {their!r} and {our!r}"
    keys = [key for key in {**their, **our} if their.get(key) != our.get(key)]
    if "id" in keys:
        return f"entry {place} is {_brief(their)} and {_brief(our)}"
    return f"entry {place}: " + ", ".join(f"{key} {their.get(key)!r} and {our.get(key)!r}" for key in keys[:3])


def _brief(entry: dict[str, Any]) -> str:
    return f"{entry.get('id')} (score {entry.get('score')}, {entry.get('source')})"
