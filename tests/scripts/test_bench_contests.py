"""A contest of legacy and native notices what would make its figures worthless."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.harness import sqlite
from proxy.legacy.find import CHECKOUT_PATH
from proxy.legacy.processes import all_pids, environment_of
from scripts.benchmark import questions
from scripts.benchmark.agreement import disagreements
from scripts.benchmark.contests import CONTESTS
from scripts.benchmark.generator import Request, ask
from scripts.benchmark.homes.build import HomeSpec, put_into
from scripts.benchmark.homes.meaning import meaning
from scripts.benchmark.other_writer import writing
from scripts.benchmark.questions import Questions
from scripts.benchmark.remembering import remembering
from scripts.benchmark.rows import Budget, MeasurementError, Row
from scripts.benchmark.sides import Side, embedder

DEADLINE_S = 60
WRITTEN = """
    SELECT count(*), count(v.id) FROM memories m LEFT JOIN embeddings e ON e.source_id = m.id
    LEFT JOIN vec_embeddings_rowids v ON v.id = e.id WHERE m.rowid > 300
"""
SPEC = HomeSpec(1_000)
RECALL = Request("POST", "/api/memory/recall", '{"query": "tea"}')
FOUND = {
    "results": [{"id": "a", "score": 1, "source": "hybrid"}, {"id": "b", "score": 0.5, "source": "vector"}],
    "query": "tea",
    "method": "hybrid",
}


class Answers(ThreadingHTTPServer):
    """Says the same thing to everybody."""

    daemon_threads = True
    body: bytes
    status: int
    served_by: str


class Handler(BaseHTTPRequestHandler):
    server: Answers
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.status)
        self.send_header("x-signet-served-by", self.server.served_by)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)


@contextmanager
def answering(value: object, status: int = 200, served_by: str = "native") -> Iterator[int]:
    """The port of a server that answers this."""
    server = Answers(("127.0.0.1", 0), Handler)
    server.body, server.status, server.served_by = json.dumps(value, separators=(",", ":")).encode(), status, served_by
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def changed(change: Callable[[dict[str, object]], object]) -> dict[str, object]:
    value: dict[str, object] = json.loads(json.dumps(FOUND))
    change(value)
    return value


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        (changed(lambda value: value["results"].reverse()), "entry 0 is a"),  # type: ignore[attr-defined]
        (changed(lambda value: value["results"][1].update(score=0.49)), "score 0.5 and 0.49"),  # type: ignore[index]
        (changed(lambda value: value["results"].pop()), "2 and 1 entries"),  # type: ignore[attr-defined]
        (changed(lambda value: value.update(method="keyword")), "method is 'hybrid' and 'keyword'"),
        (changed(lambda value: value.pop("method")), "keys"),
    ],
)
def test_a_planted_difference_is_caught_and_told(planted: object, told: str) -> None:
    with answering(FOUND) as legacy, answering(planted) as native:
        (found,) = disagreements((legacy, native), [RECALL])
    assert told in found
    assert '"tea"' in found


def test_equal_answers_agree_and_what_is_new_in_each_is_not_compared() -> None:
    with answering(FOUND) as legacy, answering(changed(lambda value: value.update(query="x"))) as native:
        assert disagreements((legacy, legacy), [RECALL]) == []
        assert disagreements((legacy, native), [RECALL], frozenset({"query"})) == []


def test_an_answer_that_is_an_error_on_both_sides_is_no_agreement() -> None:
    with answering({"error": "Recall failed", "results": []}) as port, pytest.raises(MeasurementError, match="failed"):
        disagreements((port, port), [RECALL])


@pytest.mark.parametrize(
    ("value", "status", "served_by"),
    [
        (FOUND, 500, "native"),
        (FOUND, 200, "legacy"),
        ({"memories": [], "error": "Failed to load memories"}, 200, "native"),
    ],
)
def test_a_load_with_a_failed_reply_has_no_figure(value: object, status: int, served_by: str) -> None:
    with answering(value, status, served_by) as port, pytest.raises(MeasurementError, match="1 of 1 requests failed"):
        ask(port, [RECALL], clients=1, seconds=5, served_by="native")


def test_every_request_is_sent_once_and_every_latency_is_kept() -> None:
    with answering({"results": []}) as port:
        asked = ask(port, [RECALL] * 50, clients=4, seconds=DEADLINE_S, served_by="native")
    assert asked.requests == len(asked.latencies_ms) == asked.empty == 50
    assert 0 < asked.percentile(50) <= asked.percentile(99) <= asked.latencies_ms[-1]
    assert asked.duration_s < DEADLINE_S


def test_requests_are_sent_no_sooner_than_their_pace_allows() -> None:
    with answering({"results": []}) as port:
        asked = ask(port, [RECALL] * 20, clients=4, seconds=DEADLINE_S, per_s=50)
    assert asked.requests == 20
    assert asked.duration_s >= 19 / 50


def test_a_paced_load_ends_in_time_with_requests_that_were_not_due() -> None:
    with answering({"results": []}) as port:
        asked = ask(port, [RECALL] * 20, clients=4, seconds=0.5, per_s=10)
    assert 1 <= asked.requests <= 6


def test_a_side_that_remembers_less_than_it_is_told_voids_the_row(tmp_path: Path) -> None:
    told = repeat(Request("POST", "/api/memory/remember", '{"content": "tea"}'))
    with answering({"id": "a"}) as port:
        side = Side("native", port, 0, tmp_path, "native")
        with remembering(side, told, 20, 0.1):
            pass
        with pytest.raises(MeasurementError, match="native remembered"), remembering(side, told, 50_000, 0.1):
            pass


@pytest.mark.parametrize(
    "kind", [questions.recalls, questions.searches, questions.remembers, questions.rewrites, questions.retags]
)
def test_no_question_is_asked_twice(kind: Callable[[HomeSpec, str], Questions]) -> None:
    asked = list(islice(kind(SPEC, "a"), 3_000))
    assert len({(one.target.partition("&")[0], one.body) for one in asked}) == 3_000
    assert asked[:50] == list(islice(kind(SPEC, "a"), 50))
    assert asked[:50] != list(islice(kind(SPEC, "b"), 50))


def test_recall_is_asked_with_two_to_twelve_words() -> None:
    queries = [json.loads(one.body)["query"] for one in islice(questions.recalls(SPEC, "a"), 2_000)]
    assert {len(query.split()) for query in queries} == set(range(2, 13))
    assert any(not query.isascii() for query in queries)


def test_a_memory_is_forgotten_once_and_neither_changed_nor_forgotten_before() -> None:
    salts = ("sample before", "10 clients", "sample after")
    forgotten = [one.target for salt in salts for one in questions.forgets(SPEC, salt)]
    changed = {f"{one.target}?reason=bench" for one in islice(questions.retags(SPEC, "a"), 3_000)}
    assert len(set(forgotten)) == len(forgotten) > 300
    assert changed.isdisjoint(forgotten)


def test_texts_to_remember_are_never_cut_into_chunks() -> None:
    texts = [json.loads(one.body)["content"] for one in islice(questions.remembers(SPEC, "1 client"), 3_000)]
    assert max(len(text) for text in texts) <= 500


def test_the_embedder_means_the_same_as_the_builder(tmp_path: Path) -> None:
    text = "why did we choose the garden over Zoë"
    request = Request("POST", "/api/embeddings", json.dumps({"model": "bench", "prompt": text}))
    with embedder(SPEC.seed, tmp_path) as service:
        asked = ask(service.port, [request] * 20, clients=2, seconds=DEADLINE_S)
        vector = np.array(_embedding(service.port, request))
    assert asked.requests == 20
    assert np.abs(vector - meaning(SPEC.seed).of([text])[0]).max() < 1e-4


def _embedding(port: int, request: Request) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(request.method, request.target, request.body)
    vector: list[float] = json.loads(connection.getresponse().read())["embedding"]
    connection.close()
    return vector


def test_another_program_writes_whole_memories_at_the_pace_that_is_asked_for(tmp_path: Path) -> None:
    put_into(HomeSpec(300), tmp_path, tmp_path / "homes")
    database = sqlite.open_database(tmp_path / "memory" / "memories.db")
    side = Side("native", 0, 0, tmp_path)

    with writing(side, 1, 20):
        wait_for_more_than(database, 305)
    row: tuple[Any, ...] = database.execute(WRITTEN).fetchall()[0]
    memories, vectors = row

    assert memories == vectors > 5
    database.close()


def test_a_program_that_falls_behind_voids_the_row(tmp_path: Path) -> None:
    put_into(HomeSpec(300), tmp_path, tmp_path / "homes")
    side = Side("native", 0, 0, tmp_path)

    with pytest.raises(MeasurementError, match="memories in"), writing(side, 1, 1_000_000):
        time.sleep(0.05)  # how long the load lasts


def wait_for_more_than(database: sqlite.Connection, rows: int) -> None:
    ends_s = time.monotonic() + DEADLINE_S
    while int(sqlite.scalar(database, "SELECT count(*) FROM memories")) <= rows:
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_a_figure_of_sides_that_disagree_is_not_judged_and_fails_the_run() -> None:
    row = Row("w", "x", 12.0, Budget(10, at_most=False), void="answers differ")
    assert row.verdict == "not judged: answers differ"
    assert row.failed


def test_budgets_are_those_of_the_design() -> None:
    budgets = {
        (name, load.name, size): str(budget)
        for name, contest in CONTESTS.items()
        for load in contest.loads
        for size, budget in load.per_s.items()
    }
    assert budgets[("recall", "10 clients", 10_000)] == ">= 10"
    assert budgets[("recall", "10 clients", 100_000)] == ">= 20"
    assert budgets[("search", "10 clients", 10_000)] == ">= 4"
    assert budgets[("list", "first page, 10 clients", 10_000)] == ">= 1.2"
    assert budgets[("remember", "10 clients", 10_000)] == ">= 3"
    assert str(CONTESTS["recall"].main.p99[10_000]) == "<= 0.1"
    beside_writes = [load for load in CONTESTS["recall"].loads if load.written_per_s or load.remembered_per_s]
    assert len(beside_writes) == 2
    assert all(load.per_s == CONTESTS["recall"].main.per_s for load in beside_writes)
    assert all(load.p99 == CONTESTS["recall"].main.p99 for load in beside_writes)


def test_a_tiny_contest_measures_every_row_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Legacy here is legacy_ts; the real one is an argument."""
    homes, temporary, json_path = tmp_path / "homes", tmp_path / "temporary", tmp_path / "rows.json"
    temporary.mkdir()
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary)}
    tiny = ("--memories", "300", "--seconds", "0.1", "--rounds", "1", "--sample", "3", "--homes", str(homes))
    done = subprocess.run(
        (sys.executable, "-m", "scripts.benchmark", "list", *tiny, "--json", str(json_path)),
        cwd=CHECKOUT_PATH,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.suffix for path in homes.iterdir()] == [".db"]
    assert list(temporary.iterdir()) == []
    assert [pid for pid in all_pids() if environment_of(pid).get("HOME", "").startswith(str(temporary))] == []
    rows = {row["work"]: row for row in json.loads(json_path.read_text())["rows"]}
    assert rows["list, 300 memories: answers that differ"]["measured"] == 0
    speed = rows["list, 300 memories, first page, 10 clients: req/s"]["sides"]
    assert all(len(speed[side]) == 1 and speed[side][0] > 0 for side in ("legacy", "native"))
    assert "list, 300 memories: longest gap of the event loop" in rows
