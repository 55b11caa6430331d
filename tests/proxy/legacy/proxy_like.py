"""A process that supervises a daemon as the proxy does, to be killed: `python -m ... HOME PORT [DAEMON]`.

Prints one JSON line when the daemon is accepted, then goes on until killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.proxy.legacy.running import build, environment_for


async def main(home: str, port: str, daemon: str | None = None) -> None:
    environment = environment_for(Path(home), Path(daemon) if daemon else None, SIGNET_LEGACY_PORT=port)
    supervised = await build(environment)
    await supervised.legacy.start()
    status = await supervised.ready()
    # structlog writes to stdout too; this line is known by its first character.
    print(json.dumps({"pid": status.pid, "port": status.port}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
