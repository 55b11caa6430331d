"""The native side is the proxy with native groups in force; what it does not answer itself is seen to be forwarded."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity_tests.harness import http
from parity_tests.harness.faketime import Clock
from parity_tests.harness.homes import build
from parity_tests.harness.scope import native_groups
from parity_tests.harness.side import Side, all_native, side_kind


@pytest.mark.parametrize("home", ["empty", "team"])
def test_native_groups_answer_and_everything_else_is_forwarded_to_nobody(tmp_path: Path, home: str) -> None:
    side = Side(side_kind("native"), tmp_path / "user", Clock())
    built = build.build(home, int(side.now_s()))
    build.clone(built, side.home)
    (side.home / "agent.yaml").write_text(built.design.config)
    with side:
        health = ask(side, "/health")
        forwarded = ask(side, "/no/such/route")
    assert (health.status, served_by(health)) == (200, "native")
    assert (forwarded.status, served_by(forwarded)) in {(404, "legacy"), (401, "native")}


def ask(side: Side, target: str) -> http.Answer:
    with http.connect(side.address) as connection:
        connection.send("GET", target, [("Host", f"127.0.0.1:{side.port}")], None)
        return connection.read_answer("GET")


def served_by(answer: http.Answer) -> str:
    return dict((name.lower(), value) for name, value in answer.fields)["x-signet-served-by"]


def test_modes_count_only_when_every_native_group_has_its_own() -> None:
    modes = ",".join(f'{{"group":"{name}","effective":"native"}}' for name in native_groups())
    assert all_native(f'{{"groups":[{modes}]}}'.encode())
    assert not all_native(f'{{"groups":[{modes}]}}'.replace("native", "shadow", 1).encode())
