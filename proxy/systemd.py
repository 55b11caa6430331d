"""What systemd asks of a service of Type=notify: say when it is ready, prove that it lives, take over its sockets.

Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3). Every function does nothing useful, and no harm, where
the process was not started by systemd.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

_FIRST_FD = 3


class Notifier:
    """Sends states to the service manager. A manager that is gone is no reason to fail."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # "@name" is a socket in Linux's abstract namespace, which begins with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @property
    def is_wanted(self) -> bool:
        return bool(self._address)

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Restart the manager's watchdog; to be sent at least twice per `watchdog_interval_s`."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)  # a manager that does not read must not stop the event loop
            channel.sendto(message.encode(), self._address)


def watchdog_interval_s(environment: Mapping[str, str]) -> float | None:
    """Within how many seconds the manager wants a sign of life; None when it watches nobody or another process."""
    watched = environment.get("WATCHDOG_PID", "")
    if watched and watched != str(os.getpid()):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdigit() and int(text) > 0 else None


def inherited_sockets(environment: Mapping[str, str]) -> list[socket.socket]:
    """Listening sockets that the manager opened for this process, now the caller's; [] without socket activation."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environment.get("LISTEN_FDS", "")
    sockets = []
    for fd in range(_FIRST_FD, _FIRST_FD + (int(count) if count.isdigit() else 0)):
        os.set_inheritable(fd, False)
        sockets.append(socket.socket(fileno=fd))
    return sockets
