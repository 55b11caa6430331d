"""Exchanges that nobody thought of: random sound ones arrive identical, random broken ones never pass as sound.

Seeded, so that a failure can be repeated; the seed is the test's parameter.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest

from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.upstream import OK, UpstreamConnection
from tests.proxy.wire.wire import LAST_CHUNK, Wire, chunked_post, chunks, get, message, ok, post

EXCHANGES = 60
MUTATIONS = 120
INSERTED = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"5",
    b"-",
    b"\xff",
    b"\x0b",
    b"GET / HTTP/1.1\r\n",
]


def cut(data: bytes, source: random.Random) -> list[bytes]:
    """`data` in one to six pieces."""
    at = sorted(source.randrange(len(data) + 1) for _ in range(source.randrange(6)))
    return [piece for a, b in zip([0, *at], [*at, len(data)], strict=True) if (piece := data[a:b])]


def mutated(data: bytes, source: random.Random) -> bytes:
    """`data` with one to three bytes dropped, doubled, changed or inserted."""
    for _ in range(source.randrange(1, 4)):
        at = source.randrange(len(data))
        change = source.choice(
            [b"", data[at : at + 1] * 2, source.randbytes(1), data[at : at + 1] + source.choice(INSERTED)]
        )
        data = data[:at] + change + data[at + 1 :]
    return data


def sound_request(body: bytes, source: random.Random) -> bytes:
    return source.choice([post(body), chunked_post(chunks(*cut(body, source)) + LAST_CHUNK)])


def sound_reply(body: bytes, source: random.Random) -> bytes:
    head = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")
    return source.choice([ok(body=body), head + chunks(*cut(body, source)) + LAST_CHUNK])


def answer_if_whole(upstream: UpstreamConnection) -> None:
    with suppress(Ended):
        upstream.read_request()
        upstream.send(OK)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sound_exchanges_in_random_pieces_arrive_identical(wire: Wire, seed: int) -> None:
    source, client = random.Random(seed), wire.client()
    for _ in range(EXCHANGES):
        sent, answered = (source.randbytes(source.choice([0, 1, 7, 300, 70_000])) for _ in range(2))
        client.send_pieces(cut(sound_request(sent, source), source), gap_s=0.0005)
        upstream = wire.upstream_for(client)
        assert upstream.read_request().body == sent
        upstream.send_pieces(cut(sound_reply(answered, source), source), gap_s=0.0005)
        assert client.read_reply().body == answered
        wire.upstream.release(upstream)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_broken_requests_reach_legacy_well_formed_or_not_at_all(wire: Wire, seed: int) -> None:
    """`read_request` is strict: what reaches legacy is a sound request, or one that the proxy has given up half way."""
    source = random.Random(seed)
    for _ in range(MUTATIONS):
        request = mutated(sound_request(b"hello", source), source)
        client = wire.client()
        client.send(request)
        client.finish_sending()
        deadline = time.monotonic() + 5
        while not client.readable(0.001):
            assert time.monotonic() < deadline, f"neither answered nor closed: {request!r}"
            if not wire.upstream.got_nothing_for(0.001):
                answer_if_whole(wire.upstream.newest_held())
        with suppress(Ended):
            assert client.read_reply().status >= 200
        client.close()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_broken_replies_reach_a_client_well_formed_or_as_an_error(wire: Wire, seed: int) -> None:
    """`read_reply` is strict: what reaches a client is a sound reply, an error of the proxy, or visibly cut short."""
    source = random.Random(seed)
    for _ in range(MUTATIONS):
        reply = mutated(sound_reply(b"hello", source), source)
        client, upstream = wire.ask(get())
        upstream.read_request()
        upstream.send(reply)
        upstream.finish_sending()
        with suppress(Ended):
            assert client.read_reply().status >= 200
        client.close()
