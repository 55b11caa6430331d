"""What is measured: legacy alone, the proxy with its own legacy behind it, nginx in front of that same legacy.

Each has a home and a HOME of its own in a temporary folder, a free port, and loopback only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from native_routes import GROUPS
from native_routes.database import vector_library_path
from proxy.caps import EXEMPT
from proxy.legacy.find import CHECKOUT_PATH, STAND_IN_PATH, find_bun
from proxy.legacy.ports import free_port
from proxy.settings import process_environment
from scripts.benchmark import machine
from scripts.benchmark.rows import Budget
from scripts.benchmark.running import Running, get

# Provider none: a default one would ask the internet for a model. The pipeline would ask an LLM.
# What is measured here is forwarding, also of what ships native.
CUTOVER_YAML = "groups:\n" + "".join(f"  {group.name}: legacy\n" for group in GROUPS if group.name not in EXEMPT)
AGENT_YAML = "embedding:\n  provider: none\nmemory:\n  pipelineV2:\n    enabled: false\n"
FORWARDED = "/api/features"  # the cheapest route of all
HEALTH = "/health"

NGINX_CONF = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 10000000;
    upstream legacy {{
        server 127.0.0.1:{upstream};
        keepalive 1024;
        keepalive_requests 10000000;
        keepalive_timeout 4s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://legacy;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Daemon:
    """The legacy daemon to measure with, and the Bun that runs it."""

    path: Path
    bun_path: Path

    @classmethod
    def choose(cls, path: Path | None) -> Daemon:
        """`path`, else legacy_ts. Raises LegacyNotFound when there is no Bun."""
        return cls((path or STAND_IN_PATH).resolve(), find_bun(None, process_environment()))

    @property
    def is_stand_in(self) -> bool:
        return self.path == STAND_IN_PATH.resolve()

    def budget(self, of_signet: Budget | None) -> Budget | None:
        """A budget that is a share of Signet's own figure; the stand-in does too little to be measured against."""
        return None if self.is_stand_in else of_signet


class Place:
    """A folder with a home in it, and the environment of a user who has nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home_path = folder / "home"
        self.home_path.mkdir(parents=True)
        (folder / "user").mkdir()
        (self.home_path / "agent.yaml").write_text(AGENT_YAML)
        (self.home_path / ".daemon").mkdir()
        (self.home_path / ".daemon" / "cutover.yaml").write_text(CUTOVER_YAML)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": process_environment().get("PATH", ""),
            "HOME": str(self.folder / "user"),
            "SIGNET_PATH": str(self.home_path),
            "SIGNET_HOST": "127.0.0.1",
            "SIGNET_LOG_DIR": str(self.home_path / ".daemon" / "logs"),
            **more,
        }


def legacy_alone(daemon: Daemon, place: Place) -> Running:
    """Legacy as the proxy would start it, with the sqlite-vec library given: left to search, it starts later."""
    port = free_port()
    environment = place.environment(SIGNET_PORT=str(port), SIGNET_VEC_PATH=str(vector_library_path()))
    return Running("legacy", (str(daemon.bun_path), str(daemon.path)), environment, place.folder, port)


def supervising_proxy(daemon: Daemon, place: Place) -> Running:
    """The proxy, which starts a legacy of its own."""
    port = free_port()
    environment = place.environment(
        SIGNET_PORT=str(port),
        SIGNET_LEGACY_PORT=str(free_port()),
        SIGNET_LEGACY_DAEMON=str(daemon.path),
        SIGNET_BUN=str(daemon.bun_path),
        PYTHONPATH=str(CHECKOUT_PATH),
    )
    return Running("proxy", (sys.executable, "-m", "proxy", "serve"), environment, place.folder, port)


def legacy_behind(proxy: Running) -> tuple[int, int]:
    """Pid and port of the legacy that a proxy supervises."""
    legacy = json.loads(get(proxy.port, "/_proxy/status"))["legacy"]
    return int(legacy["pid"]), int(legacy["address"].rpartition(":")[2])


def nginx(upstream_port: int, folder: Path) -> Running | None:
    """nginx in front of a port; None when it is not installed."""
    path = machine.program("nginx")
    if path is None:
        return None
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""  # a worker of another user could not enter our folder
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder, port=port, upstream=upstream_port, user=user))
    command = (path, "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(folder / "nginx.conf"))
    return Running("nginx", command, process_environment(), folder, port)


def worker_of(nginx_pid: int) -> int:
    """The pid of nginx's only worker; the master's where the system does not tell."""
    try:
        children = Path(f"/proc/{nginx_pid}/task/{nginx_pid}/children").read_text().split()
    except OSError:
        children = []
    return int(children[0]) if children else nginx_pid


@dataclass(frozen=True, slots=True)
class Site:
    """The three sides in front of one legacy process, all running."""

    home_path: Path
    ports: Mapping[str, int]
    pids: Mapping[str, int]  # of "legacy" too
