from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from native_routes import GROUPS
from proxy.legacy.ports import free_port
from tests.proxy.legacy.daemons import OBEDIENT, write_daemon
from tests.proxy.legacy.running import environment_for

# Serves, asks for /health, and prints what was imported when the answer came.
ASKING = """
import os, signal, socket, sys, threading, time

def ask(port):
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(b"GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
                status = connection.recv(65536).split()[1].decode()
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    print(status, *sorted(sys.modules), flush=True)
    deadline = time.monotonic() + 20
    while len(sys.argv) > 1 and sys.argv[1] not in sys.modules and time.monotonic() < deadline:
        time.sleep(0.01)
    print(*sorted(sys.modules), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=ask, args=(int(os.environ["SIGNET_PORT"]),), daemon=True).start()
from proxy.cli import main
main(["serve"])
"""
# Each took 2 to 100 ms of the start, or megabytes of a proxy that only forwards.
LATER = frozenset(
    {
        *("httpx", "urllib.request", "numpy", "nacl", "onnxruntime", "tokenizers", "plistlib"),
        *("proxy.backup.make", "proxy.doctor", "proxy.memory_search", "proxy.service", "proxy.unit_files"),
        *("native_routes.daemon_log", "native_routes.memory_config", "native_routes.searching.embedding_provider"),
    }
)


def imported(folder: Path, cutover_yaml: str, awaited: str = "") -> tuple[frozenset[str], frozenset[str]]:
    """What is imported when the first /health is answered, and when `awaited` is imported too."""
    home_path = folder / "home"
    (home_path / ".daemon").mkdir(parents=True)
    (home_path / ".daemon" / "cutover.yaml").write_text(cutover_yaml)
    environment = environment_for(home_path, write_daemon(folder, OBEDIENT), SIGNET_PORT=str(free_port()))
    asked = subprocess.run(
        [sys.executable, "-c", ASKING, *([awaited] if awaited else [])],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    first, later = asked.stdout.splitlines()
    status, *modules = first.split()
    assert status == "200"
    return frozenset(modules), frozenset(later.split())


def test_first_health_is_answered_before_what_only_other_answers_need_is_imported(tmp_path: Path) -> None:
    modules, _ = imported(tmp_path, "groups: {}\n")

    assert "proxy.serve" in modules
    assert modules & LATER == frozenset()
    groups = {f"native_routes.{group.name}." for group in GROUPS} - {"native_routes.health."}
    # The front door counts what the analytics group shows.
    light = {"native_routes.analytics.usage", "native_routes.analytics.latency"}
    assert {name for name in modules - light if name.startswith(tuple(groups))} == set()


def test_handlers_that_clients_ask_first_are_imported_ahead_where_they_are_wanted_native(tmp_path: Path) -> None:
    memories = "native_routes.memories.handlers"
    first, later = imported(tmp_path, "groups:\n  memories: native\n  status: legacy\n", memories)

    assert memories not in first
    assert memories in later
    assert "native_routes.status.handlers" not in later
