"""What is borrowed from a daemon that answers, hangs, dies and comes back: over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest

from proxy.borrow import MOST_TARGETS, Borrower
from proxy.legacy.attached import AttachedLegacy
from proxy.own_request import REPLY_LIMIT_BYTES
from proxy.settings import Settings
from proxy.upstream import Pool

STATUS = b"/api/status"
QUICK_S = 0.2  # less than anybody waits for legacy
DEADLINE_S = 5.0


class Daemon:
    """Answers each GET with `reply`, which a test sets: a body to send, or None to be silent until it is set again."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.status = 200
        self.closes = False  # after each reply, without saying so
        self._reply: bytes | None = b"{}"
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def says(self, value: Any) -> None:
        await self.sends(json.dumps(value).encode())

    async def sends(self, body: bytes | None) -> None:
        async with self._changed:
            self._reply = body
            self._changed.notify_all()

    async def asked(self, times: int) -> None:
        """Return when so many requests have come."""
        async with asyncio.timeout(DEADLINE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.heads) >= times)

    async def falls_silent(self) -> None:
        await self.sends(None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                async with self._changed:
                    self.heads.append(head.decode())
                    self._changed.notify_all()
                    await self._changed.wait_for(lambda: self._reply is not None)
                body = self._reply or b""
                writer.write(b"HTTP/1.1 %d Any\r\ncontent-length: %d\r\n\r\n%b" % (self.status, len(body), body))
                await writer.drain()
                if self.closes:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(writer)
            writer.close()


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    running = await Daemon().start()
    yield running
    await running.says({})  # whoever still waits ends
    await running.stop()


@pytest.fixture
async def borrower(daemon: Daemon, tmp_path: Path) -> AsyncIterator[Borrower]:
    url = f"http://127.0.0.1:{daemon.port}"
    settings = Settings.from_env({"HOME": str(tmp_path), "SIGNET_LEGACY_URL": url})
    pool = Pool(asyncio.get_running_loop(), idle_s=4.0, connect_timeout_s=2.0)
    made = Borrower(pool, AttachedLegacy(settings), lambda: "a.token")
    yield made
    await made.close()
    pool.close()


async def until_told(borrower: Borrower, value: Any) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while (told := await borrower.borrow(STATUS)) != value:
        assert time.monotonic() < end_s, told
        await asyncio.sleep(0.005)


async def timed(borrower: Borrower, within_s: float = 0.25) -> tuple[Any, float]:
    began_s = time.monotonic()
    return await borrower.borrow(STATUS, within_s), time.monotonic() - began_s


async def test_each_call_gets_what_legacy_says_then(daemon: Daemon, borrower: Borrower) -> None:
    for number in range(3):
        await daemon.says({"activeSessions": number})
        assert await borrower.borrow(STATUS) == {"activeSessions": number}
    [kept] = borrower.borrowed()
    assert (kept.target, kept.problem) == ("/api/status", None)
    assert kept.age_s is not None
    assert kept.age_s < DEADLINE_S


async def test_request_carries_our_token_and_legacys_address(daemon: Daemon, borrower: Borrower) -> None:
    await borrower.borrow(b"/api/embeddings/status")
    [head] = daemon.heads
    assert head.startswith("GET /api/embeddings/status HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{daemon.port}\r\n" in head
    assert "authorization: Bearer a.token\r\n" in head


async def test_silence_is_waited_for_once_and_then_the_kept_value_comes_at_once(
    daemon: Daemon, borrower: Borrower
) -> None:
    await daemon.says({"n": 1})
    await borrower.borrow(STATUS)
    await daemon.falls_silent()
    value, took_s = await timed(borrower)
    assert value == {"n": 1}
    assert took_s >= 0.25
    for _ in range(20):
        value, took_s = await timed(borrower)
        assert value == {"n": 1}
        assert took_s < QUICK_S
    assert len(daemon.heads) == 2, "one ask is under way, whoever else comes"
    assert borrower.borrowed()[0].problem == "no answer within 0.25 s"


async def test_answer_that_comes_after_its_caller_left_is_kept_for_the_next(daemon: Daemon, borrower: Borrower) -> None:
    await daemon.falls_silent()
    assert await borrower.borrow(STATUS, 0.01) is None
    assert borrower.borrowed()[0].age_s is None
    await daemon.says({"n": 2})
    await until_told(borrower, {"n": 2})
    assert borrower.borrowed()[0].problem is None


async def test_caller_who_comes_during_an_ask_gets_the_answer_to_a_later_one(
    daemon: Daemon, borrower: Borrower
) -> None:
    await daemon.falls_silent()
    first = asyncio.ensure_future(borrower.borrow(STATUS, DEADLINE_S))
    await daemon.asked(1)
    others = [asyncio.ensure_future(borrower.borrow(STATUS, DEADLINE_S)) for _ in range(5)]
    await asyncio.sleep(0)
    await daemon.says({"n": 3})
    assert await asyncio.gather(first, *others) == [{"n": 3}] * 6
    assert len(daemon.heads) == 2, "the five shared one ask, put after they came"


async def test_dead_legacy_is_answered_for_from_what_is_kept(daemon: Daemon, borrower: Borrower) -> None:
    await daemon.says({"n": 4})
    await borrower.borrow(STATUS)
    await daemon.stop()
    value, took_s = await timed(borrower)
    assert value == {"n": 4}
    assert took_s < QUICK_S
    assert "does not listen" in (borrower.borrowed()[0].problem or "")
    await daemon.start()
    await daemon.says({"n": 5})
    await until_told(borrower, {"n": 5})


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (500, b'{"n": 9}', "legacy answered 500"),
        (200, b"[1]", "legacy answered no JSON object"),
        (200, b"<html>", "Expecting value"),
        (200, b"\xff", "codec can't decode"),
        (200, b" " * (REPLY_LIMIT_BYTES + 1), "a reply over"),
    ],
)
async def test_answer_that_is_no_json_object_leaves_the_kept_value(
    daemon: Daemon, borrower: Borrower, status: int, body: bytes, problem: str
) -> None:
    await daemon.says({"n": 6})
    await borrower.borrow(STATUS)
    daemon.status = status
    await daemon.sends(body)
    assert await borrower.borrow(STATUS, DEADLINE_S) == {"n": 6}
    assert problem in (borrower.borrowed()[0].problem or "")


async def test_long_answer_is_read_whole(daemon: Daemon, borrower: Borrower) -> None:
    value = {"models": ["a model" * 10] * 5000}
    await daemon.says(value)
    assert await borrower.borrow(STATUS, DEADLINE_S) == value


async def test_idle_connection_that_legacy_closed_is_replaced(daemon: Daemon, borrower: Borrower) -> None:
    daemon.closes = True
    for number in range(3):
        await daemon.says({"n": number})
        assert await borrower.borrow(STATUS, DEADLINE_S) == {"n": number}


async def test_no_more_targets_are_kept_than_there_is_room_for(daemon: Daemon, borrower: Borrower) -> None:
    for number in range(MOST_TARGETS + 3):
        await borrower.borrow(b"/api/sessions/%d" % number)
    kept = {one.target for one in borrower.borrowed()}
    assert len(kept) == MOST_TARGETS
    assert "/api/sessions/2" not in kept
    assert "/api/sessions/3" in kept


async def test_close_ends_an_ask_and_its_caller_is_answered(daemon: Daemon, borrower: Borrower) -> None:
    await daemon.falls_silent()
    waiting = asyncio.ensure_future(borrower.borrow(STATUS, DEADLINE_S))
    await daemon.asked(1)
    await borrower.close()
    assert await asyncio.wait_for(waiting, QUICK_S) is None
