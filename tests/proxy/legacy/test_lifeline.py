"""The daemon dies with the proxy, however the proxy dies."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.legacy.ports import free_port, is_free
from tests.proxy.legacy import daemons
from tests.proxy.legacy.running import build as build_supervised
from tests.proxy.legacy.running import child_pid, environment_for, group_is_alive, in_another_process, until

CHECKOUT_PATH = Path(__file__).parents[3]


@contextmanager
def proxy_like(home: Path, port: int, daemon: Path | None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running supervisor process and the pid of its daemon."""
    command = [sys.executable, "-m", "tests.proxy.legacy.proxy_like", str(home), str(port)]
    with subprocess.Popen(
        command + ([str(daemon)] if daemon else []), cwd=CHECKOUT_PATH, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("{"))
            yield process, json.loads(line)["pid"]
        finally:
            process.kill()


@pytest.mark.parametrize(
    "behaviour", [daemons.OBEDIENT, daemons.IGNORES_SIGTERM, None], ids=["obedient", "ignores SIGTERM", "stand-in"]
)
async def test_when_the_proxy_is_killed_its_daemon_is_gone_and_the_port_free_within_two_seconds(
    tmp_path: Path, behaviour: str | None
) -> None:
    daemon = daemons.write_daemon(tmp_path, behaviour) if behaviour is not None else None
    port = free_port()
    with proxy_like(tmp_path / "home", port, daemon) as (process, pid):
        assert not is_free(port)
        process.kill()
        killed_s = time.monotonic()
        await until(lambda: is_free(port) and not group_is_alive(pid), within_s=2.0)
    assert time.monotonic() - killed_s < 2.0


async def test_a_new_proxy_starts_on_the_home_of_a_killed_one_and_keeps_its_rows(tmp_path: Path) -> None:
    port = free_port()
    home = tmp_path / "home"
    with proxy_like(home, port, None) as (process, _):
        saved = in_another_process(_REMEMBER, str(port))
        process.kill()
    supervised = await build_supervised(environment_for(home, None, SIGNET_LEGACY_PORT=str(port)))
    try:
        await supervised.legacy.start()
        status = await supervised.ready()
        assert child_pid(status)
        rows = (await supervised.get("/api/memories")).json()["memories"]
        assert [row["id"] for row in rows] == [saved]
    finally:
        await supervised.legacy.stop(3.0)
        await supervised.journal.close()


_REMEMBER = """
import json, sys, urllib.request
request = urllib.request.Request(
    f"http://127.0.0.1:{sys.argv[1]}/api/memory/remember",
    json.dumps({"content": "the row that survives"}).encode(), {"content-type": "application/json"})
print(json.load(urllib.request.urlopen(request))["id"])
"""
