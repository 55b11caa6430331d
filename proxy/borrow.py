"""What only legacy's memory still knows: asked for with a GET of ours, kept, and shown with its age.

A native answer that borrows must not hang with legacy, so nobody waits longer than he said, and after a miss nobody
waits at all for a while: the kept value is given, and legacy is asked behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from native_routes.javascript.json_text import parse_json
from native_routes.outside import BORROW_WITHIN_S
from proxy.legacy.status import Legacy
from proxy.own_request import WholeReply, own_request
from proxy.upstream import ConnectError, ConnectionLostError, Pool, UpstreamError

ASK_WITHIN_S: Final = 10.0  # for the ask itself, which goes on when its callers have gone
SILENT_S: Final = 5.0  # after a miss nobody waits for so long
LOOP_PARSE_BYTES: Final = 65_536  # 0.6 ms; a longer reply is parsed in a thread
MOST_TARGETS: Final = 64


@dataclass(frozen=True, slots=True)
class Borrowed:
    """What is kept of one target. `age_s` is None when legacy has never answered it; `problem` ended the last ask."""

    target: str
    age_s: float | None
    problem: str | None


class Borrower:
    """Answers native handlers with what legacy says. One for the whole process; used on the event loop only."""

    def __init__(self, pool: Pool, legacy: Legacy, own_token: Callable[[], str | None]) -> None:
        """`own_token` gives the token for legacy, None where it wants none."""
        self._pool = pool
        self._legacy = legacy
        self._own_token = own_token
        self._loans: dict[bytes, _Loan] = {}

    async def borrow(self, target: bytes, within_s: float = BORROW_WITHIN_S) -> Mapping[str, Any] | None:
        """The JSON object that legacy answers to `GET target`, or the last one it answered; None when it never did.

        What is returned belongs to all who ask: it must not be changed.
        """
        loan = self._loan(target)
        if not self._legacy.accepts():
            return loan.value
        loop = asyncio.get_running_loop()
        if loop.time() < loan.silent_until:
            loan.refresh()
            return loan.value
        answered = loan.ask()
        await asyncio.wait((answered,), timeout=within_s)
        if not answered.done():
            loan.silent_until = loop.time() + SILENT_S
            loan.problem = f"no answer within {within_s:g} s"
            self._legacy.note_failure()
        return loan.value

    def borrowed(self) -> list[Borrowed]:
        """What is kept, by target, for the status of the proxy."""
        return [loan.shown() for _, loan in sorted(self._loans.items())]

    async def close(self) -> None:
        """End what is being asked. Idempotent."""
        tasks = [loan.task for loan in self._loans.values() if loan.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _loan(self, target: bytes) -> _Loan:
        loan = self._loans.pop(target, None) or _Loan(self._get, target)
        self._loans[target] = loan  # the one asked for last is last, so the first may go
        if len(self._loans) > MOST_TARGETS:
            oldest = self._loans.pop(next(iter(self._loans)))
            if oldest.task is not None:
                oldest.task.cancel()
        return loan

    async def _get(self, target: bytes) -> Mapping[str, Any]:
        """Raises UpstreamError, TimeoutError, ValueError when no JSON object comes."""
        async with asyncio.timeout(ASK_WITHIN_S):
            head = own_request(target, self._legacy.address, self._own_token(), "application/json")
            status, body = await self._exchange(head)
        if status != 200:
            raise ValueError(f"legacy answered {status}")
        text = body.decode()
        found = parse_json(text) if len(text) <= LOOP_PARSE_BYTES else await asyncio.to_thread(parse_json, text)
        if not isinstance(found, Mapping):
            raise ValueError("legacy answered no JSON object")
        return found

    async def _exchange(self, head: bytes) -> tuple[int, bytes]:
        self._pool.set_address(self._legacy.address)
        connection = self._pool.take_idle()
        if connection is not None:
            try:
                return await WholeReply().read(connection, head)
            except ConnectionLostError as lost:
                if lost.replied:
                    raise
        try:
            return await WholeReply().read(await self._pool.connect(), head)
        except ConnectError:
            self._legacy.note_failure()
            raise


class _Loan:
    """The last value of one target. At most one ask is under way; whoever comes meanwhile gets the next one's value,
    because the one under way may have been answered before what the caller has just done."""

    def __init__(self, get: Callable[[bytes], Any], target: bytes) -> None:
        self._get = get
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Future[None] | None = None
        self._value_at = 0.0
        self.value: Mapping[str, Any] | None = None
        self.problem: str | None = None
        self.silent_until = 0.0  # on the loop's clock
        self.task: asyncio.Task[None] | None = None

    def ask(self) -> asyncio.Future[None]:
        """Done when legacy has answered, or has failed to, a question that was put after this call."""
        if self._next is None:
            self._next = self._loop.create_future()
        self._work()
        return self._next

    def refresh(self) -> None:
        """Ask if nobody does."""
        if self.task is None:
            self.ask()

    def shown(self) -> Borrowed:
        age_s = None if self.value is None else self._loop.time() - self._value_at
        return Borrowed(self._target.decode("latin-1"), age_s, self.problem)

    def _work(self) -> None:
        if self.task is None:
            self.task = self._loop.create_task(self._ask_all(), name="borrow")

    async def _ask_all(self) -> None:
        try:
            while self._next is not None:
                answered, self._next = self._next, None
                try:
                    await self._ask_once()
                finally:
                    answered.set_result(None)
        finally:
            self.task = None

    async def _ask_once(self) -> None:
        asked_at = self._loop.time()
        try:
            self.value = await self._get(self._target)
        except TimeoutError:
            self.problem = f"no answer within {ASK_WITHIN_S:g} s"
        except (UpstreamError, ValueError, RecursionError) as error:
            self.problem = str(error) or type(error).__name__
        else:
            self._value_at = asked_at  # not later than what it tells
            self.problem = None
            self.silent_until = 0.0
