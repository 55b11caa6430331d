"""Taking the port over from a bare Signet daemon of the same home, as a service unit does at its first start."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from proxy.asking import credentials
from proxy.legacy import ports
from proxy.listen import BindError, PortTakenError
from proxy.settings import Settings

WAIT_S = 10.0  # an idle Signet takes 2 s to stop; one in the middle of an extraction takes longer


def describe_holder(settings: Settings, taken: PortTakenError) -> str:
    """Who holds the port and what the operator can do about it. Blocking."""
    holder = ports.port_holder(taken.port)
    if _bare_signet_pid(settings) is not None:
        return (
            f"{holder}: a Signet daemon of this home. Stop it with `signet stop`, "
            "or let the proxy do so: signet-proxy serve --take-over"
        )
    return f"{holder}. Stop it, or set SIGNET_PORT to another port"


def take_over(settings: Settings, taken: PortTakenError) -> int:
    """Stop the bare Signet of our home that holds the port and wait until it is free; its pid.

    Raises BindError when the holder is anybody else: a stranger is never signalled. Blocking.
    """
    pid = _bare_signet_pid(settings)
    holder = ports.port_holder(taken.port)
    if pid is None or (holder.pid is not None and holder.pid != pid):
        raise BindError(f"{holder}, which is no Signet daemon of {settings.home_path}; it is not taken over")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + WAIT_S
    while not ports.is_free(taken.port):
        if time.monotonic() > deadline:
            raise BindError(f"{holder} did not stop within {WAIT_S:.0f} s of SIGTERM; stop it, then start again")
        time.sleep(0.05)
    return pid


def _bare_signet_pid(settings: Settings) -> int | None:
    """The pid of a Signet daemon, not a proxy, that serves our home on our port; None for anything else."""
    import httpx  # only where the port is taken

    try:
        reply = httpx.get(
            f"http://127.0.0.1:{settings.port}/health", headers=credentials(settings), timeout=5.0, trust_env=False
        )
        body = reply.json()
        same_home = Path(body["agentsDir"]).resolve() == settings.home_path.resolve()
        pid = int(body["pid"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError, OSError):
        return None
    return pid if same_home and "x-signet-served-by" not in reply.headers else None
