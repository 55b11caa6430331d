"""The file of secrets has one writer at a time, forwarded requests included, and nobody holds it by sending slowly."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import httpx

from tests.proxy.planted_proxy import PlantedProxy


def test_a_client_that_does_not_send_its_body_holds_nobody_up(tmp_path: Path) -> None:
    with PlantedProxy(tmp_path) as proxy:
        proxy.until_legacy("ready")
        with closing(socket.create_connection(("127.0.0.1", int(proxy.environment["SIGNET_PORT"])))) as stalled:
            stalled.sendall(
                b"POST /api/secrets/1password/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
            )
            proxy.wait_for(lambda: proxy.status()["counters"]["in_flight"] == 2)  # it, and who asks

            other = httpx.post(f"{proxy.url}/api/secrets/1password/connect", content=b"{}", trust_env=False, timeout=5)
            stalled.sendall(b"{}   ")
            assert stalled.recv(4096).startswith(b"HTTP/1.1 200")

    assert other.status_code == 200
    assert other.headers["x-signet-served-by"] == "legacy"
