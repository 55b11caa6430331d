"""What stands behind a native side instead of a daemon: it holds the database as legacy does, and answers nothing.

The proxy sees an attached daemon of the pinned contract with its lock on the home's database, so native groups may
answer. Whatever they forward or borrow gets a 404, which a comparison shows.
"""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from native_routes import contract
from parity_tests.harness import sqlite


class SilentLegacy:
    """Serves on a free loopback port while entered."""

    def __init__(self, home: Path) -> None:
        self._database = sqlite.open_database(home / "memory" / "memories.db")
        sqlite.scalar(self._database, "SELECT count(*) FROM schema_migrations")  # from now on it holds its lock
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.health = json.dumps(
            {"status": "healthy", "uptime": 1, "pid": os.getpid(), "version": contract.VERSION}
            | {"port": self._server.server_address[1], "agentsDir": str(home), "db": True}
        ).encode()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._database.close()


class _Server(ThreadingHTTPServer):
    health: bytes
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        body = self.server.health if self.path == "/health" else b"nobody answers here"
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET
