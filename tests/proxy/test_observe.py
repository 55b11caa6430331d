"""The log: where lines go, what they never contain, and that a full disk costs lines only."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from proxy import observe
from proxy.observe import Log


@pytest.fixture
def started() -> Iterator[Callable[..., Log]]:
    """Starts logs, and puts the process's logging back afterwards."""
    root = logging.getLogger()
    handlers, level, logs = list(root.handlers), root.level, []

    def start(logs_path: Path, stream: Any = None) -> Log:
        log = Log(logs_path, io.StringIO() if stream is None else stream)
        log.start()
        logs.append(log)
        return log

    yield start
    for log in logs:
        log.stop()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(logs_path: Path) -> list[dict[str, Any]]:
    (path,) = logs_path.glob("proxy-*.log")
    return [json.loads(line) for line in path.read_text().splitlines()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_file_has_one_json_object_per_line_common_keys_first(tmp_path: Path, started: Callable[..., Log]) -> None:
    log = started(tmp_path)
    structlog.get_logger("proxy.test").warning("something_happened", port=3850)
    log.stop()

    (line,) = lines(tmp_path)
    assert list(line) == ["timestamp", "level", "logger", "event", "port"]
    assert (line["level"], line["logger"], line["event"], line["port"]) == (
        "warning",
        "proxy.test",
        "something_happened",
        3850,
    )


def test_stderr_has_json_unless_it_is_a_terminal(tmp_path: Path, started: Callable[..., Log]) -> None:
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        log = started(tmp_path, stream)
        structlog.get_logger().info("hello", port=3850)
        log.stop()

    assert json.loads(pipe.getvalue())["event"] == "hello"
    assert "hello" in terminal.getvalue()
    assert "{" not in terminal.getvalue()


def test_lines_of_libraries_are_in_the_same_form(tmp_path: Path, started: Callable[..., Log]) -> None:
    log = started(tmp_path)
    logging.getLogger("uvicorn.error").warning("slow %s", "client")
    log.stop()

    (line,) = lines(tmp_path)
    assert (line["event"], line["logger"]) == ("slow client", "uvicorn.error")


def test_a_traceback_is_rendered_where_it_was_caught(tmp_path: Path, started: Callable[..., Log]) -> None:
    log = started(tmp_path)
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        structlog.get_logger().exception("unexpected")
    log.stop()

    (line,) = lines(tmp_path)
    assert "ZeroDivisionError: by nothing" in line["exception"]


@pytest.mark.parametrize("key", ["authorization", "auth_secret", "token", "password", "cookie", "api_key"])
def test_values_under_secret_names_are_never_written(tmp_path: Path, started: Callable[..., Log], key: str) -> None:
    log = started(tmp_path)
    structlog.get_logger().info("request", **{key: "hunter2"})
    log.stop()

    assert lines(tmp_path)[0][key] == "***"


def test_bearer_tokens_inside_text_are_never_written(tmp_path: Path, started: Callable[..., Log]) -> None:
    log = started(tmp_path)
    structlog.get_logger().info("sent", head="GET / Authorization: Bearer abc.def")
    log.stop()

    assert lines(tmp_path)[0]["head"] == "GET / Authorization: Bearer ***"


def test_a_folder_that_cannot_be_written_costs_lines_and_nothing_else(
    tmp_path: Path, started: Callable[..., Log]
) -> None:
    blocked = tmp_path / "logs"
    blocked.write_text("not a folder")
    pipe = io.StringIO()

    log = started(blocked, pipe)
    structlog.get_logger().info("first")
    structlog.get_logger().info("second")
    log.stop()

    assert log.lines_lost == 2
    assert len(pipe.getvalue().splitlines()) == 2


def test_a_folder_that_can_be_written_again_gets_the_next_line(tmp_path: Path, started: Callable[..., Log]) -> None:
    blocked = tmp_path / "logs"
    blocked.write_text("not a folder")
    log = started(blocked)
    structlog.get_logger().info("lost")
    log.drain()
    blocked.unlink()
    structlog.get_logger().info("kept")
    log.stop()

    assert [line["event"] for line in lines(blocked)] == ["kept"]


def test_a_closed_stderr_costs_nothing_but_its_lines(tmp_path: Path, started: Callable[..., Log]) -> None:
    pipe = io.StringIO()
    log = started(tmp_path, pipe)
    pipe.close()
    structlog.get_logger().info("still_logged")
    log.stop()

    assert lines(tmp_path)[0]["event"] == "still_logged"


def test_only_the_newest_files_of_ours_are_kept(tmp_path: Path, started: Callable[..., Log]) -> None:
    for day in range(1, 13):
        (tmp_path / f"proxy-2020-01-{day:02}.log").write_text("")
    others = {"signet-2020-01-01.log", "proxy-legacy.log", "daemon.out.log"}
    for name in others:
        (tmp_path / name).write_text("")

    log = started(tmp_path)
    structlog.get_logger().info("today")
    log.stop()

    names = {path.name for path in tmp_path.iterdir()}
    assert others <= names
    assert len(names - others) == observe.FILES_KEPT
    assert "proxy-2020-01-12.log" in names


def test_a_full_queue_loses_lines_instead_of_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "QUEUE_LIMIT", 2)
    log = Log(tmp_path, io.StringIO())
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "text", None, None)

    for _ in range(5):
        log.handle(record)

    assert log.lines_lost == 3
