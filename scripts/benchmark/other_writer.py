"""Another program that writes memories into a side's database, as legacy's workers and hooks do while people ask."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parity_tests.harness import sqlite
from proxy.legacy.find import CHECKOUT_PATH
from scripts.benchmark.homes import build, corpus, meaning
from scripts.benchmark.rows import LEAST_SHARE, MeasurementError
from scripts.benchmark.sides import Side

STOP_S: Final = 10.0


@contextlib.contextmanager
def writing(side: Side, seed: int, per_s: int) -> Iterator[None]:
    """So many memories a second, each in a transaction, while the block runs. Raises MeasurementError when slower."""
    command = (sys.executable, "-m", "scripts.benchmark.other_writer", str(side.home_path), str(seed), str(per_s))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT_PATH
    ) as other:
        assert other.stdout is not None
        try:
            if other.stdout.readline() != "ready\n":
                raise MeasurementError("the other program did not start writing")
            began_s = time.perf_counter()
            yield
            lasted_s = time.perf_counter() - began_s
            told, _ = other.communicate(timeout=STOP_S)
        finally:
            other.kill()
    if other.returncode != 0 or int(told) < LEAST_SHARE * per_s * lasted_s:
        raise MeasurementError(f"the other program wrote {told.strip() or 'nothing'} memories in {lasted_s:.1f} s")


def main(home: str, seed: str, per_s: str) -> None:
    """Write until standard input ends, then say how many."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark, which ends this
    of_words = meaning.meaning(int(seed))
    database = sqlite.open_database(Path(home) / "memory" / "memories.db")
    # Texts of another seed; the number of rows so far keeps those of one round apart from the next one's.
    begun = int(sqlite.scalar(database, "SELECT max(rowid) FROM memories"))
    portion = next(corpus.memories(int(seed) + 2 + begun, corpus.AT_ONCE))
    vectors = of_words.of([memory.content for memory in portion])
    over = threading.Event()
    threading.Thread(target=_when_input_ends, args=(over,), daemon=True).start()
    print("ready", flush=True)
    written, due_s = 0, time.perf_counter()
    for memory, vector in zip(portion, vectors, strict=True):
        if over.wait(max(0.0, due_s - time.perf_counter())):
            break
        database.execute("BEGIN IMMEDIATE")
        build.insert(database, [memory], vector[None])
        database.execute("COMMIT")
        written, due_s = written + 1, due_s + 1 / int(per_s)
    database.close()
    print(written)


def _when_input_ends(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
