"""The file of secrets has one writer at a time, forwarded requests included, and nobody holds it by sending slowly."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx

from tests.proxy.planted_proxy import PlantedProxy
from tests.proxy.running_proxy import EveryGroupNative

# Reads the file of secrets, and writes it when told, with one more: as legacy does, with a pause in between.
CONNECTS_WHEN_TOLD = """
openDatabase();
const path = `${home}/.secrets/secrets.enc`;
listen(async (request) => {
  if (new URL(request.url).pathname.endsWith("/connect")) {
    const stored = JSON.parse(await Bun.file(path).text());
    writeFileSync(`${home}/has-read`, "");
    while (!existsSync(`${home}/may-write`)) await Bun.sleep(5);
    stored.secrets.OP_SERVICE_ACCOUNT_TOKEN = { ciphertext: "", created: "", updated: "" };
    writeFileSync(path, JSON.stringify(stored));
  }
  return Response.json(health);
});
"""


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


def test_a_secret_stored_while_legacy_connects_to_1password_is_not_lost(tmp_path: Path) -> None:
    with EveryGroupNative(tmp_path, "secrets", daemon=CONNECTS_WHEN_TOLD) as proxy, ThreadPoolExecutor() as clients:
        proxy.until_legacy("ready")
        proxy.wait_for(lambda: proxy.get("/api/secrets").headers["x-signet-served-by"] == "native")
        proxy.post("/api/secrets/FIRST", {"value": "1"})
        connecting = clients.submit(proxy.post, "/api/secrets/1password/connect", {"token": "t"})
        proxy.wait_for((proxy.home_path / "has-read").exists)
        storing = clients.submit(proxy.post, "/api/secrets/SECOND", {"value": "2"})
        proxy.wait_for(lambda: proxy.status()["counters"]["in_flight"] == 3)  # both, and who asks
        (proxy.home_path / "may-write").touch()

        assert storing.result().json() == {"success": True, "name": "SECOND"}
        assert connecting.result().headers["x-signet-served-by"] == "legacy"
        assert proxy.get("/api/secrets").json() == {"secrets": ["FIRST", "OP_SERVICE_ACCOUNT_TOKEN", "SECOND"]}
