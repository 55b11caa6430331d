"""Sequences of changes, forgetting and recovering against a model of a few lines; rows in a real database."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from native_routes.changing.content import hash_of, normalize
from tests.native_routes.changing_home import ChangingHome, changing_home

T = TypeVar("T")
NAMES = ("a", "b", "c")
DAY_MS = 86_400_000
WINDOW_MS = 30 * DAY_MS

names = st.sampled_from(NAMES)
contents = st.sampled_from(["Tea", "tea!", "Coffee", "  coffee ", "water"])
types = st.sampled_from(["fact", "rule"])
versions = st.none() | st.integers(-2, 2)  # from the one that is right
actors = st.sampled_from(["operator", "pipeline"])


@dataclass
class Memory:
    content: str
    type: str = "fact"
    pinned: bool = False
    version: int = 1
    forgotten_ms: int | None = None
    events: int = 0

    def changed(self) -> None:
        self.version += 1
        self.events += 1


class Mutations(RuleBasedStateMachine):
    """The model says each status; after each step its memories are those of the database."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Memory] = {}
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.home: ChangingHome = self.run(self.stack.enter_async_context(changing_home(Path(self.folder.name))))

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def fill(self) -> None:
        for name in NAMES:
            self.model[name] = Memory(f"Memory {name}")
            stored = normalize(f"Memory {name}")
            self.home.database.memory(name, content=stored.storage, content_hash=stored.hash)

    @rule(name=names, content=contents | st.none(), type_=types, off=versions)
    def change(self, name: str, content: str | None, type_: str, off: int | None) -> None:
        body = self._body(name, off, type=type_) | ({} if content is None else {"content": content})
        self._asked("PATCH", name, body, self._change(name, content, type_, off))

    @rule(name=names, pinned=st.booleans())
    def pin(self, name: str, pinned: bool) -> None:
        memory = self.model[name]
        expected = "deleted" if memory.forgotten_ms is not None else "updated"
        if expected == "updated" and memory.pinned == pinned:
            expected = "no_changes"
        if expected == "updated":
            memory.pinned = pinned
            memory.changed()
        self._asked("PATCH", name, self._body(name, None, pinned=pinned), expected)

    @rule(name=names, force=st.booleans(), actor=actors, off=versions)
    def forget(self, name: str, force: bool, actor: str, off: int | None) -> None:
        body = self._body(name, off, force=force)
        self._asked("DELETE", name, body, self._forget(name, force, actor, off), actor)

    @rule(name=names, off=versions)
    def recover(self, name: str, off: int | None) -> None:
        memory, body = self.model[name], self._body(name, off)
        if memory.forgotten_ms is None:
            expected = "not_deleted"
        elif off:
            expected = "version_conflict"
        elif self.home.clock.ms - memory.forgotten_ms > WINDOW_MS:
            expected = "retention_expired"
        elif self._twin(name, memory.content):
            expected = "thrown"
        else:
            expected = "recovered"
            memory.forgotten_ms = None
            memory.changed()
        self._asked("POST", f"{name}/recover", body, expected)

    @rule(force=st.booleans(), limit=st.integers(1, 3))
    def forget_by_type(self, force: bool, limit: int) -> None:
        """Of the rules that are not forgotten, pinned ones come first."""
        body = {"mode": "execute", "reason": "r", "type": "rule", "force": force, "limit": limit}
        status, told = self.run(self.home.told("POST", "/api/memory/forget", body))
        active = [name for name in NAMES if self.model[name].type == "rule" and self.model[name].forgotten_ms is None]
        taken = [result["id"] for result in told["results"]]
        assert status == 200
        assert len(taken) == min(limit, len(active))
        assert set(taken) <= set(active)
        pinned = [self.model[name].pinned for name in taken]
        assert pinned == sorted(pinned, reverse=True)
        expected = [self._forget(name, force, "operator", None) for name in taken]
        assert [result["status"] for result in told["results"]] == expected

    @rule(entries=st.lists(st.tuples(names, contents | st.none(), types, versions), min_size=1, max_size=4))
    def change_many(self, entries: list[tuple[str, str | None, str, int | None]]) -> None:
        patches: list[dict[str, Any]] = []
        expected = []
        for name, content, type_, off in entries:
            patch: dict[str, Any] = {"id": name, "type": type_} | ({} if content is None else {"content": content})
            if off is not None and self.model[name].version + off > 0:
                patch["if_version"] = self.model[name].version + off
            patches.append(patch)
            expected.append(self._change(name, content, type_, off if "if_version" in patch else None))
        told = self.run(self.home.told("POST", "/api/memory/modify", {"reason": "r", "patches": patches}))[1]
        assert [result["status"] for result in told["results"]] == expected

    @rule(days=st.sampled_from([1, 10, 29, 31]))
    def wait(self, days: int) -> None:
        self.home.clock.ms += days * DAY_MS

    @rule(name=names)
    def write_from_outside(self, name: str) -> None:
        """As legacy's worker does, in another process."""
        self.home.database.execute("UPDATE memories SET version = version + 1 WHERE id = ?", (name,))
        self.model[name].version += 1

    @invariant()
    def rows_are_the_model(self) -> None:
        if not self.model:
            return
        rows = self.home.database.execute(
            "SELECT m.id, content, content_hash, type, pinned, version, is_deleted, deleted_at IS NULL,"
            " (SELECT count(*) FROM memory_history h WHERE h.memory_id = m.id) FROM memories m ORDER BY m.id"
        )
        assert rows == [
            (
                name, memory.content, hash_of(normalize(memory.content).normalized), memory.type, int(memory.pinned),
                memory.version, int(memory.forgotten_ms is not None), int(memory.forgotten_ms is None), memory.events,
            )
            for name, memory in self.model.items()
        ]  # fmt: skip
        self.home.check_full_text()

    def _body(self, name: str, off: int | None, **fields: Any) -> dict[str, Any]:
        """With the version that is right now, plus `off`."""
        if off is not None:
            fields["if_version"] = self.model[name].version + off
        return {"reason": "r", **fields}

    def _asked(self, method: str, path: str, body: dict[str, Any], expected: str, actor: str = "") -> None:
        fields = {b"x-signet-actor-type": actor.encode()}
        reply = self.run(self.home.ask(method, f"/api/memory/{path}", body, fields=fields))
        if body.get("if_version", 1) <= 0:
            assert reply.status == 400
        elif expected == "thrown":
            assert reply.status == 500
        else:
            assert f'"status":"{expected}"'.encode() in reply.body

    def _change(self, name: str, content: str | None, type_: str, off: int | None) -> str:
        memory = self.model[name]
        stored = memory.content if content is None else normalize(content).storage
        if memory.forgotten_ms is not None:
            return "deleted"
        if off:
            return "version_conflict"
        if stored != memory.content and self._twin(name, stored):
            return "duplicate_content_hash"
        if (stored, type_) == (memory.content, memory.type):
            return "no_changes"
        memory.content, memory.type = stored, type_
        memory.changed()
        return "updated"

    def _forget(self, name: str, force: bool, actor: str, off: int | None) -> str:
        memory = self.model[name]
        if memory.forgotten_ms is not None:
            return "already_deleted"
        if off:
            return "version_conflict"
        if memory.pinned and not force:
            return "pinned_requires_force"
        if memory.pinned and actor == "pipeline":
            return "autonomous_force_denied"
        memory.forgotten_ms = self.home.clock.ms
        memory.changed()
        return "deleted"

    def _twin(self, name: str, content: str) -> bool:
        """Whether another memory that is not forgotten has this content, but for case and punctuation."""
        wanted = normalize(content).hash
        return any(
            other != name and memory.forgotten_ms is None and normalize(memory.content).hash == wanted
            for other, memory in self.model.items()
        )


TestMutations = Mutations.TestCase
TestMutations.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
