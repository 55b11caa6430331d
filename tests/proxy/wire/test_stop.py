"""The proxy is told to stop while replies are under way."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from tests.proxy.wire.http1 import Ended
from tests.proxy.wire.process import ProxyProcess
from tests.proxy.wire.upstream import Upstream, UpstreamConnection
from tests.proxy.wire.wire import STREAM_HEAD, Wire, chunks, get

EVENT = chunks(b"data: 1\n\n")
GAP_S = 0.0005


def test_a_stream_that_never_pauses_ends_with_the_proxy_and_surprises_nobody(tmp_path: Path) -> None:
    upstream = Upstream()
    proxy = ProxyProcess(upstream.port, tmp_path / "home")
    line = Wire(proxy, upstream)
    try:
        client, legacy = line.ask(get(b"/api/logs/stream"))
        legacy.read_request()
        legacy.send(STREAM_HEAD + EVENT)
        client.read_reply_head()
        sending = threading.Thread(target=send_until_closed, args=(legacy,))
        sending.start()
        assert client.read_chunk() == b"data: 1\n\n"

        proxy.stop()

        sending.join(5)
        assert not sending.is_alive(), "legacy still sends to nobody"
        said = proxy.stderr_since(0)
        assert "Traceback" not in said, said
        assert "reply_cut_short" not in said  # it was we who ended it
    finally:
        proxy.stop()
        for client in line.clients:
            client.close()
        upstream.forget_all()
        upstream.close()


def send_until_closed(connection: UpstreamConnection) -> None:
    with suppress(OSError, Ended):
        while not connection.readable(GAP_S):
            connection.send(EVENT)
