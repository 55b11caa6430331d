"""Faults in answers: what a port from JavaScript to Python, or a proxy in between, gets wrong."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator

from tests.parity_tests.faulty_front import Events, Exchange, Fault

Spoil = Callable[[Exchange], None]


def on_list(name: str, spoil: Spoil) -> Fault:
    return Fault(name, "memory", "GET", "/api/memories", spoil)


def on_memory(name: str, spoil: Spoil) -> Fault:
    return Fault(name, "memory", "GET", "/api/memory/", spoil)


def on_remember(name: str, spoil: Spoil) -> Fault:
    return Fault(name, "memory", "POST", "/api/memory/remember", spoil)


def on_recall(name: str, spoil: Spoil) -> Fault:
    return Fault(name, "memory", "POST", "/api/memory/recall", spoil)


def on_refusal(name: str, spoil: Spoil) -> Fault:
    return Fault(name, "memory", "POST", "/api/memory/remember", spoil, nth=2)


def on_stream(name: str, spoil: Callable[[Events], Events]) -> Fault:
    return Fault(name, "stream", "GET", "/api/logs/stream", spoil_events=spoil)


def on_token(name: str, spoil: Spoil) -> Fault:
    return Fault(name, "token", "POST", "/api/auth/token", spoil)


def _swap_first_two(exchange: Exchange) -> None:
    data = exchange.json()
    data["memories"][0], data["memories"][1] = data["memories"][1], data["memories"][0]
    exchange.set_json(data)


def _swap_keys(exchange: Exchange) -> None:
    data = exchange.json()
    exchange.set_json({key: data[key] for key in reversed(data)})


def _list(change: Callable[[list[dict[str, object]]], object]) -> Spoil:
    def spoil(exchange: Exchange) -> None:
        data = exchange.json()
        change(data["memories"])
        exchange.set_json(data)

    return spoil


def _set(**values: object) -> Spoil:
    def spoil(exchange: Exchange) -> None:
        data = exchange.json()
        assert set(values) <= set(data), f"{values} are not in {data}"
        exchange.set_json(data | values)

    return spoil


def _time(change: Callable[[str], str]) -> Spoil:
    def spoil(exchange: Exchange) -> None:
        data = exchange.json()
        exchange.set_json(data | {"created_at": change(data["created_at"])})

    return spoil


def _cut_short(exchange: Exchange) -> None:
    exchange.body = exchange.body[:-20]


def _early_hints(exchange: Exchange) -> None:
    exchange.before = b"HTTP/1.1 103 Early Hints\r\n\r\n"


def _status(status: int, reason: str) -> Spoil:
    def spoil(exchange: Exchange) -> None:
        exchange.status, exchange.reason = status, reason

    return spoil


def _chunked(exchange: Exchange) -> None:
    exchange.drop_field("Content-Length")
    exchange.fields.append(("Transfer-Encoding", "chunked"))
    exchange.body = f"{len(exchange.body):x}\r\n".encode() + exchange.body + b"\r\n0\r\n\r\n"


def _escaped(exchange: Exchange) -> None:
    exchange.set_body(json.dumps(exchange.json(), separators=(",", ":")).encode())


def _decomposed(exchange: Exchange) -> None:
    exchange.set_body(unicodedata.normalize("NFD", exchange.body.decode()).encode())


def _score(exchange: Exchange) -> None:
    data = exchange.json()
    data["results"][0]["score"] = round(data["results"][0]["score"] - 0.01, 2)
    exchange.set_json(data)


def _forged(exchange: Exchange) -> None:
    data = exchange.json()
    exchange.set_json(data | {"token": data["token"][:-4] + ("AAAA" if data["token"][-4:] != "AAAA" else "BBBB")})


def _without_second(events: Events) -> Iterator[str]:
    for place, event in enumerate(events):
        if place != 1:
            yield event


def _twice(events: Events) -> Iterator[str]:
    for place, event in enumerate(events):
        yield from (event, event) if place == 1 else (event,)


def _turned(events: Events) -> Iterator[str]:
    for place, event in enumerate(events):
        if place == 1:
            second = event
        elif place == 2:
            yield from (event, second)
        else:
            yield event


def _renamed(events: Events) -> Iterator[str]:
    for event in events:
        yield event.replace('"level":"info"', '"level":"INFO"')


HOUR_ZONE = "+01:00"
ANSWER_FAULTS = (
    on_list("a header is dropped", lambda e: e.drop_field("Content-Type")),
    on_list("a header has another value", lambda e: e.set_field("Content-Type", "application/json; charset=utf-8")),
    on_list("a header is added", lambda e: e.set_field("X-Extra", "1")),
    on_list("a header is sent twice", lambda e: e.fields.append(("Access-Control-Allow-Origin", "*"))),
    on_list("the Date is in another form", lambda e: e.set_field("Date", "2026-01-01T00:00:00Z")),
    on_list("the reply is chunked instead of sized", _chunked),
    on_list("an older HTTP", lambda e: setattr(e, "version", "HTTP/1.0")),
    on_list("an interim answer that nobody asked for", _early_hints),
    on_list("bytes after the end of the body", lambda e: setattr(e, "after", b"\n")),
    on_remember("the status is 201", _status(201, "Created")),
    on_remember("the reason phrase differs", _status(200, "Fine")),
    on_memory("a null is left out", lambda e: e.replace('"project":null,', "")),
    on_memory("a null is an empty string", lambda e: e.replace('"project":null', '"project":""')),
    on_memory("an absent key is null", lambda e: e.replace('"project":null', '"project":null,"agent_id":null')),
    on_memory("a number is text", lambda e: e.replace('"pinned":0', '"pinned":"0"')),
    on_memory("a number has a fraction of zero", lambda e: e.replace('"confidence":1,', '"confidence":1.0,')),
    on_memory("a number is a boolean", lambda e: e.replace('"pinned":0', '"pinned":false')),
    on_memory("a key is written twice", lambda e: e.replace('"pinned":0', '"pinned":1,"pinned":0')),
    on_memory("keys come in another order", _swap_keys),
    on_list("items come in another order", _swap_first_two),
    on_list("the last item is missing", _list(lambda items: items.pop())),
    on_list("an item too many", _list(lambda items: items.append(items[0]))),
    on_list("the body is cut short", _cut_short),
    on_list("the body is empty", lambda e: e.set_body(b"")),
    on_list("HTML instead of JSON", lambda e: e.set_body(b"<!doctype html><p>Signet</p>")),
    on_list("JSON with spaces", lambda e: e.set_body(json.dumps(e.json(), ensure_ascii=False).encode())),
    on_memory("text beyond ASCII is escaped", _escaped),
    on_memory("text is decomposed", _decomposed),
    on_memory("bytes that are no UTF-8", lambda e: e.set_body(e.body.replace("ö".encode(), b"\xf6"))),
    on_remember("the answer names another id than the row", _set(id="11111111-2222-4333-8444-555555555555")),
    on_remember("the id has another form", _set(id="not-a-uuid")),
    on_memory("another memory's id", _set(id="11111111-2222-4333-8444-555555555555")),
    on_memory("a time an hour off", _time(lambda t: f"{t[:11]}{(int(t[11:13]) + 1) % 24:02d}{t[13:]}")),
    on_memory("a time without milliseconds", _time(lambda t: t[:19] + "Z")),
    on_memory("a time with a zone", _time(lambda t: t[:-1] + "+00:00")),
    on_memory("a time in SQLite's form", _time(lambda t: t[:19].replace("T", " "))),
    on_memory("a stale time", _time(lambda t: f"{int(t[:4]) - 1}{t[4:]}")),
    on_recall("a score is 0.01 off", _score),
    on_refusal("an error is worded otherwise", lambda e: e.replace("Invalid JSON body", "invalid JSON body")),
    on_refusal("a refusal is a 422", _status(422, "Unprocessable Entity")),
    on_stream("an event is missing", _without_second),
    on_stream("an event comes twice", _twice),
    on_stream("events change places", _turned),
    on_stream("an event's field differs", _renamed),
    on_token("a token is not signed with the home's secret", _forged),
    on_token("a token lives longer than asked", lambda e: e.replace('"token":"', '"token":"x')),
)
