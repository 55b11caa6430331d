"""Who listens on a port. Blocking: call it in a thread."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.legacy import processes

_LISTENING = "0A"  # Linux: include/net/tcp_states.h
# Below those that systems give to outgoing connections: one of these could be taken before the server has started.
_SERVERS: Final = range(20_000, 32_768)


@dataclass(frozen=True, slots=True)
class PortHolder:
    """`pid` is None when the holder belongs to another user, or when nobody listens: then the port is the local end of
    some client's connection and is free again when that ends."""

    port: int
    pid: int | None
    command: str
    listens: bool = True

    def __str__(self) -> str:
        if not self.listens:
            return f"port {self.port} is in use by a connection, nobody listens on it"
        if self.pid is None:
            return f"port {self.port} is held by a process of another user"
        return f"port {self.port} is held by process {self.pid} ({self.command or 'unknown command'})"


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now; connections in TIME_WAIT do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody uses now; another process that asks at the same time is most likely given another one."""
    for port in random.sample(_SERVERS, 100):
        if is_free(port, host):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_holder(port: int) -> PortHolder:
    """The process listening on `port`; only meaningful when the port is not free."""
    if not processes.ON_LINUX:
        return _named(port, _holder_lsof(port))
    inodes = _listening_inodes(port)
    return _named(port, _holder_proc(inodes)) if inodes else PortHolder(port, None, "", listens=False)


def _named(port: int, pid: int | None) -> PortHolder:
    return PortHolder(port, pid, processes.command_line(pid) if pid is not None else "")


def _holder_proc(inodes: set[str]) -> int | None:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in processes.all_pids():
        if any(target in wanted for _, target in processes.open_files(pid)):
            return pid
    return None


def _listening_inodes(port: int) -> set[str]:
    """Inodes of listening sockets: columns local_address, st and inode of /proc/net/tcp and tcp6, proc_net(5)."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (Path("/proc/net") / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(columns[9])
    return inodes


def _holder_lsof(port: int) -> int | None:
    words = processes.run_lsof("-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t").split()
    return int(words[0]) if words and words[0].isdigit() else None
