"""Fixtures of the wire tests: one proxy per test process, a clean line for every test."""

from __future__ import annotations

import resource
from collections.abc import Generator, Iterator

import pytest

from tests.proxy.wire.process import ProxyProcess
from tests.proxy.wire.upstream import Upstream
from tests.proxy.wire.wire import Wire

OPEN_FILES = 4096  # 500 streams need two sockets each here, and as many in the proxy, which inherits the limit
STDERR_SIZE = pytest.StashKey[tuple[ProxyProcess, int]]()


@pytest.fixture(scope="session")
def shared_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProxyProcess, Upstream]]:
    """A proxy and the upstream it is attached to, for as long as the test process lives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))
    upstream = Upstream()
    try:
        proxy = ProxyProcess(upstream.port, tmp_path_factory.mktemp("wire") / "home")
        yield proxy, upstream
        proxy.stop()
    finally:
        upstream.close()


@pytest.fixture
def wire(shared_line: tuple[ProxyProcess, Upstream], request: pytest.FixtureRequest) -> Iterator[Wire]:
    """The shared proxy with no connection open on either side."""
    line = Wire(*shared_line)
    offset = line.proxy.stderr_size()
    request.node.stash[STDERR_SIZE] = (line.proxy, offset)
    yield line
    hang_up(line)
    assert_no_traceback(line.proxy, offset)


@pytest.fixture
def own_wire(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Wire]:
    """A proxy of the test's own, for tests that take its upstream away or measure its memory."""
    upstream = Upstream()
    try:
        proxy = ProxyProcess(upstream.port, tmp_path_factory.mktemp("own") / "home")
        request.node.stash[STDERR_SIZE] = (proxy, 0)
        line = Wire(proxy, upstream)
        yield line
        hang_up(line)
        proxy.stop()
        assert_no_traceback(proxy, 0)
    finally:
        upstream.close()


def hang_up(line: Wire) -> None:
    """Clients first, and a round trip behind them, so that the proxy knows they have gone when the upstream goes.

    Otherwise it may try a GET again on a fresh connection, which would arrive in the next test.
    """
    for client in line.clients:
        client.reset()
    line.proxy.wait_until_live()
    line.upstream.forget_all()


def assert_no_traceback(proxy: ProxyProcess, offset: int) -> None:
    """Whatever a peer sent, it must not have been a surprise."""
    assert "Traceback" not in proxy.stderr_since(offset), proxy.stderr_since(offset)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the proxy wrote during the test, on failure only."""
    report = yield
    if report.failed and STDERR_SIZE in item.stash:
        proxy, offset = item.stash[STDERR_SIZE]
        report.sections.append(("proxy stderr", proxy.stderr_since(offset)))
    return report
