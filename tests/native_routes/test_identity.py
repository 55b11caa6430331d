from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.native_routes.asking import ask


@dataclass(frozen=True)
class Context:
    home_path: Path


async def body(home: Path) -> bytes:
    return (await ask(Context(home), "GET", "/api/identity")).body


async def test_the_last_line_of_each_kind_counts_and_indented_ones_do_not(tmp_path: Path) -> None:
    (tmp_path / "IDENTITY.md").write_bytes(
        b"# Me\n- name: Bob\n- name:  Ada  \r\n  - creature: owl\n- vibe: - vibe: calm\n- Name: No\n"
    )

    assert await body(tmp_path) == b'{"name":"Ada","creature":"","vibe":"- vibe: calm"}'


async def test_an_empty_file_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "IDENTITY.md").touch()

    assert await body(tmp_path) == b'{"name":"","creature":"","vibe":""}'


async def test_without_a_file_the_agent_is_unknown(tmp_path: Path) -> None:
    assert await body(tmp_path) == b'{"name":"Unknown","creature":"","vibe":""}'
