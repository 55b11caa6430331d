from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from native_routes.daemon_log import DaemonLog
from tests.native_routes.asking import StoppedClock, ask, value


@dataclass
class Context:
    home_path: Path

    def __post_init__(self) -> None:
        self.daemon_log = DaemonLog(self.home_path.parent / "logs", StoppedClock())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


async def save(home: Path, **body: Any) -> tuple[int, Any]:
    reply = await ask(Context(home), "POST", "/api/config", json_body=body)
    return reply.status, value(reply)


async def listed(home: Path) -> Any:
    return value(await ask(Context(home), "GET", "/api/config"))


async def test_the_agents_own_files_come_first_and_the_rest_as_people_sort(home: Path) -> None:
    for name in ("b.md", "_x.md", "Z.md", "USER.md", "é.md", "a.yaml", "A.md", "agent.yaml", "notes.txt", "c.MD"):
        (home / name).write_text(name)
    (home / "folder.md").mkdir()

    names = [file["name"] for file in (await listed(home))["files"]]

    assert names == ["agent.yaml", "USER.md", "_x.md", "A.md", "a.yaml", "b.md", "é.md", "Z.md"]


async def test_size_counts_bytes_and_text_that_is_not_utf8_is_marked(home: Path) -> None:
    (home / "a.md").write_bytes(b"\xef\xbb\xbfna\xefve")

    assert (await listed(home))["files"] == [{"name": "a.md", "content": "\ufeffna\ufffdve", "size": 8}]


async def test_a_dangling_link_fails_the_list_with_200(home: Path) -> None:
    (home / "a.md").write_text("here")
    (home / "gone.md").symlink_to(home / "nowhere")

    reply = await ask(Context(home), "GET", "/api/config")

    assert reply.status == 200
    assert reply.body == b'{"files":[],"error":"Failed to load config files"}'


async def test_a_saved_file_is_there_whole_and_nothing_else_is(home: Path) -> None:
    assert await save(home, file="agent.yaml", content="name: Ada 😀\n") == (200, {"success": True})

    assert (home / "agent.yaml").read_text() == "name: Ada 😀\n"
    assert os.listdir(home) == ["agent.yaml"]


async def test_a_file_that_was_there_keeps_its_permissions(home: Path) -> None:
    (home / "SOUL.md").write_text("a longer text than the new one")
    (home / "SOUL.md").chmod(0o640)

    await save(home, file="SOUL.md", content="short")

    assert (home / "SOUL.md").read_text() == "short"
    assert stat.S_IMODE((home / "SOUL.md").stat().st_mode) == 0o640


async def test_through_a_link_the_file_behind_it_is_written(home: Path) -> None:
    elsewhere = home.parent / "dotfiles"
    elsewhere.mkdir()
    (elsewhere / "agent.yaml").write_text("old")
    (home / "agent.yaml").symlink_to(elsewhere / "agent.yaml")

    await save(home, file="agent.yaml", content="new")

    assert (home / "agent.yaml").is_symlink()
    assert (elsewhere / "agent.yaml").read_text() == "new"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "Invalid request"),
        ({"file": "", "content": "x"}, 400, "Invalid request"),
        ({"file": "a.md", "content": None}, 400, "Invalid request"),
        ({"file": "a.md", "content": 5}, 400, "Invalid request"),
        ({"file": "a..md", "content": "x"}, 400, "Invalid file name"),
        ({"file": "../a.md", "content": "x"}, 400, "Invalid file name"),
        ({"file": ["/"], "content": "x"}, 400, "Invalid file name"),
        ({"file": "a.txt", "content": "x"}, 400, "Invalid file type"),
        ({"file": "a.MD", "content": "x"}, 400, "Invalid file type"),
        ({"file": 5, "content": "x"}, 500, "Failed to save file"),
        ({"file": ["a.md"], "content": "x"}, 500, "Failed to save file"),
        ({"file": "nul\0.md", "content": "x"}, 500, "Failed to save file"),
    ],
)
async def test_refusals_change_nothing(home: Path, body: dict[str, Any], status: int, error: str) -> None:
    assert await save(home, **body) == (status, {"error": error})
    assert os.listdir(home) == []


@pytest.mark.parametrize("body", [b"", b"{oops", b"null"])
async def test_a_body_that_is_no_object_cannot_be_saved(home: Path, body: bytes) -> None:
    reply = await ask(Context(home), "POST", "/api/config", body=body)

    assert (reply.status, value(reply)) == (500, {"error": "Failed to save file"})


async def test_a_disk_that_refuses_leaves_the_old_text(home: Path) -> None:
    (home / "a.md").mkdir()  # a folder cannot be replaced by a file, whoever asks
    (home / "a.md" / "inside").write_text("kept")

    assert await save(home, file="a.md", content="new") == (500, {"error": "Failed to save file"})
    assert (home / "a.md" / "inside").read_text() == "kept"
    assert os.listdir(home) == ["a.md"]


async def test_the_longest_name_that_the_disk_takes_is_saved(home: Path) -> None:
    name = "中" * 84 + ".md"  # 255 bytes

    assert await save(home, file=name, content="x") == (200, {"success": True})
    assert os.listdir(home) == [name]
    assert await save(home, file="a" * 300 + ".md", content="x") == (500, {"error": "Failed to save file"})


@pytest.mark.parametrize("code", [0xD800, 0xDCFF])
async def test_half_a_character_in_a_name_is_marked_as_in_content(home: Path, code: int) -> None:
    half = chr(code)
    await save(home, file=f"{half}.md", content=half)

    assert os.listdir(os.fsencode(home)) == ["\ufffd.md".encode()]
    assert (home / "\ufffd.md").read_text() == "\ufffd"


async def test_a_body_that_is_nested_without_end_fails_and_raises_nothing(home: Path) -> None:
    body = b'{"file":' + b"[" * 900 + b"]" * 900 + b',"content":"x"}'
    reply = await ask(Context(home), "POST", "/api/config", body=body)

    assert (reply.status, value(reply)) == (500, {"error": "Failed to save file"})


async def test_a_name_that_is_no_utf8_hides_no_other_file(home: Path) -> None:
    (home / "a.md").write_text("here")
    (home / os.fsdecode(b"\xff.md")).write_text("odd")

    assert sorted(file["name"] for file in (await listed(home))["files"]) == ["a.md", "\ufffd.md"]
