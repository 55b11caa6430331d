"""The sockets that clients connect to, bound before anything else is started."""

from __future__ import annotations

import errno
import socket

from proxy.operator_error import OperatorError
from proxy.settings import LOOPBACK_NAMES, Settings

BACKLOG = 2048
# Accepted connections inherit it: an upload that legacy does not read waits in the client, not in the kernel.
RECEIVE_BUFFER_BYTES = 1_048_576


class PortTakenError(Exception):
    """Somebody listens on the port already."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is taken")
        self.host = host
        self.port = port


class BindError(OperatorError):
    """The address cannot be bound; the message names the cause and the fix."""


def bind(settings: Settings) -> list[socket.socket]:
    """Listening sockets. A loopback name means 127.0.0.1 and ::1: legacy's /mcp tools call `localhost`, which may
    be either; a machine without IPv6 is served on 127.0.0.1 alone. Raises PortTakenError, BindError.
    """
    host = settings.listen_host
    if host not in LOOPBACK_NAMES:
        return [_bind(host, settings.port)]
    sockets = [_bind("127.0.0.1", settings.port)]
    try:
        sockets.append(_bind("::1", settings.port))
    except BindError:
        pass  # no IPv6 here
    except PortTakenError:
        sockets[0].close()
        raise
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise BindError(f"cannot make a socket for {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            # Without this `::` would also take 0.0.0.0 on some systems and not on others.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port) from error
        raise BindError(
            f"cannot listen on {host}:{port}: {error.strerror}; check SIGNET_HOST and SIGNET_PORT"
        ) from error
    return listener
