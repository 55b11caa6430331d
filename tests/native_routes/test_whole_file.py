"""Files of the home on a disk that takes no more: the old one stays whole, no draft is left, and the client is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from native_routes.whole_file import _draft_of, _overwrite, is_draft, replace_file
from tests.native_routes import test_config, test_secrets
from tests.native_routes.asking import ask, value

LIMIT_BYTES = 20_000
TOO_MUCH = "x" * 50_000


async def answers(home_path: Path) -> list[Any]:
    """What the two routes that write files answer, before and while no file may grow beyond LIMIT_BYTES."""
    import resource

    (home_path / "home").mkdir()
    config, secrets = test_config.Context(home_path / "home"), test_secrets.Context(home_path)
    told = []
    for text in ("short", TOO_MUCH):
        saved = await ask(config, "POST", "/api/config", json_body={"file": "USER.md", "content": text})
        put = await ask(secrets, "POST", f"/api/secrets/S{len(text)}", json_body={"value": text})
        told += [[saved.status, value(saved)], [put.status, "error" in value(put)]]
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    await secrets.daemon_log.close()
    await config.daemon_log.close()
    return told


def test_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.native_routes.test_whole_file", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    saved, put, not_saved, not_put = json.loads(done.stdout)
    assert (saved, put) == ([200, {"success": True}], [200, False])
    assert (not_saved, not_put) == ([500, {"error": "Failed to save file"}], [400, True])
    assert {path.name: path.read_text() for path in (tmp_path / "home").iterdir()} == {"USER.md": "short"}
    assert [path.name for path in (tmp_path / ".secrets").iterdir()] == ["secrets.enc"]
    assert list(json.loads((tmp_path / ".secrets" / "secrets.enc").read_text())["secrets"]) == ["S5"]


@pytest.mark.parametrize("old", [b"", b"old text"])
def test_a_new_text_takes_the_place_of_the_old_one_and_of_its_links(tmp_path: Path, old: bytes) -> None:
    (tmp_path / "file").write_bytes(old)
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_no_file_is_written_into_and_keeps_its_name(tmp_path: Path) -> None:
    """A configuration file may be a link to /dev/null; as root, a file would take the place of the device."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(OSError, match="No such device"):
        replace_file(tmp_path / "link", b"nobody reads")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    replace_file(tmp_path / "link", b"new")
    with pytest.raises(BlockingIOError):
        replace_file(tmp_path / "link", b"x" * 1_000_000)
    read = os.read(reader, 3)
    os.close(reader)

    assert read == b"new"
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_all_permissions_of_the_old_file_are_kept(tmp_path: Path) -> None:
    """Setting an owner takes the set-user-id bit away."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o4755)
    replace_file(tmp_path / "file", b"new")

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o4755


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep access lists in ways of their own")
@pytest.mark.parametrize("kind", ["access", "default"])
def test_the_access_list_of_the_old_file_is_kept_and_no_other_taken(tmp_path: Path, kind: str) -> None:
    """Without it, the file's group may do what another user may; with the folder's, others may do more."""
    nobody, every = 0xFFFFFFFF, 6
    entries = (1, every, nobody), (2, every, 1234), (4, 0, nobody), (0x10, every, nobody), (0x20, 0, nobody)
    octets = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o660)
    try:
        os.setxattr(tmp_path / "file" if kind == "access" else tmp_path, f"system.posix_acl_{kind}", octets)
    except OSError:
        pytest.skip("the file system has no access lists")
    before = attributes(tmp_path / "file")
    replace_file(tmp_path / "file", b"new")

    assert attributes(tmp_path / "file") == before
    assert (tmp_path / "file").read_bytes() == b"new"


def attributes(path: Path) -> tuple[int, dict[str, bytes]]:
    return path.stat().st_mode, {name: os.getxattr(path, name) for name in os.listxattr(path)}


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path) -> None:
    """Root may write any file, here as in legacy."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o444)
    is_root = os.geteuid() == 0
    with contextlib.nullcontext() if is_root else pytest.raises(PermissionError):
        replace_file(tmp_path / "file", b"new")

    assert (tmp_path / "file").read_bytes() == (b"new" if is_root else b"old")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_draft_is_known_by_its_name(tmp_path: Path) -> None:
    assert is_draft(_draft_of(tmp_path / "USER.md"))
    assert is_draft(_draft_of(tmp_path / ("long\n" * 40)))
    assert not is_draft(tmp_path / "novel.draft")
    assert not is_draft(tmp_path / ".novel.draft")


@pytest.mark.parametrize("new", [b"", b"new", b"as long", b"a longer text"])
def test_where_no_draft_can_be_the_new_text_is_written_over_the_old_one(tmp_path: Path, new: bytes) -> None:
    (tmp_path / "file").write_bytes(b"old one")
    _overwrite(tmp_path / "file", new)

    assert (tmp_path / "file").read_bytes() == new


def test_a_full_disk_leaves_the_old_text_also_where_no_draft_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old text")
    fill = (
        "import resource, sys; from pathlib import Path; from native_routes.whole_file import _overwrite;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY));"
        "_overwrite(Path(sys.argv[1]), b'x' * 50_000)"
    )
    command = [sys.executable, "-c", fill, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert "File too large" in done.stderr
    assert (tmp_path / "file").read_bytes() == b"old text"


if __name__ == "__main__":
    print(json.dumps(asyncio.run(answers(Path(sys.argv[1])))))
