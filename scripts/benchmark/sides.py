"""Legacy by itself and the proxy answering by itself, each on its own copy of the same home, with one embedder.

Behind the native side stands the harness's silent stand-in, which holds the database as legacy does and answers 404:
what is forwarded is seen at once. Evidence is not asked for here; that answers agree is checked by the benchmark.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from parity_tests.harness import sqlite
from parity_tests.harness.homes.configs import CONFIGS
from parity_tests.harness.scope import native_groups
from parity_tests.harness.silent_legacy import SilentLegacy
from proxy.legacy.find import CHECKOUT_PATH
from proxy.legacy.ports import free_port
from scripts.benchmark.rows import MeasurementError
from scripts.benchmark.running import Running, get
from scripts.benchmark.targets import HEALTH, Daemon, Place, legacy_alone

LEGACY, NATIVE = "legacy", "native"
BOTH = (LEGACY, NATIVE)
STILL_S = 0.5  # without a commit: what a side writes later than its answers is written


@dataclass(frozen=True, slots=True)
class Side:
    """A running side. `served_by` is what its replies must say; "" where they say nothing."""

    name: str
    port: int
    pid: int
    home_path: Path
    served_by: str = ""


@contextlib.contextmanager
def embedder(seed: int, folder: Path) -> Iterator[Running]:
    """The embedding service, answering."""
    port = free_port()
    command = (sys.executable, "-m", "scripts.benchmark.embedder", str(seed), str(port))
    environment = {"PYTHONPATH": str(CHECKOUT_PATH), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with Running("embedder", command, environment, folder, port) as running:
        running.until_200("/api/tags")
        yield running


def place(folder: Path, embedder_port: int) -> Place:
    """An empty home that asks this embedder, with no worker that would change rows by itself."""
    made = Place(folder)
    config = CONFIGS["ollama"].replace("${embedder}", f"http://127.0.0.1:{embedder_port}")
    (made.home_path / "agent.yaml").write_text(config)
    (made.home_path / "memory").mkdir()
    (made.home_path / ".daemon" / "logs").mkdir(parents=True)
    return made


@contextlib.contextmanager
def legacy_side(daemon: Daemon, where: Place) -> Iterator[Side]:
    with legacy_alone(daemon, where) as running:
        running.until_200(HEALTH)
        yield Side(LEGACY, running.port, running.pid, where.home_path)


@contextlib.contextmanager
def native_side(group: str, where: Place, settings: Mapping[str, str]) -> Iterator[Side]:
    """Every native group answers natively, `group` among them. Raises MeasurementError when it cannot."""
    if group not in native_groups():
        raise MeasurementError(f"{group} is not answered natively yet")
    modes = "".join(f"  {name}: native\n" for name in sorted(native_groups()))
    (where.home_path / ".daemon" / "cutover.yaml").write_text(f"groups:\n{modes}")
    port = free_port()
    command = (sys.executable, "-m", "parity_tests.harness.native_server")
    with SilentLegacy(where.home_path) as behind:
        environment = where.environment(
            SIGNET_PORT=str(port), SIGNET_LEGACY_URL=behind.url, PYTHONPATH=str(CHECKOUT_PATH), **settings
        )
        with Running("native", command, environment, where.folder, port) as running:
            running.until_200("/_proxy/cutover")
            running.until(lambda: _is_native(port, group), f"{group} to be native")
            yield Side(NATIVE, port, running.pid, where.home_path, served_by=NATIVE)


def _is_native(port: int, group: str) -> bool:
    groups = json.loads(get(port, "/_proxy/cutover"))["groups"]
    return any(one["group"] == group and one["effective"] == NATIVE for one in groups)


def copy_database(side: Side, home_path: Path) -> None:
    """The side's database as it is once nothing has been written for a while, through SQLite's backup.

    Only for a side behind which nobody migrates: this process opens and closes the file.
    """
    source = sqlite.open_database(side.home_path / "memory" / "memories.db")
    try:
        sqlite.wait_until_still(source, STILL_S)
        target = sqlite.open_database(home_path / "memory" / "memories.db")
        try:
            sqlite.copy_into(source, target)
            target.execute("PRAGMA journal_mode = WAL")
        finally:
            target.close()
    finally:
        source.close()
