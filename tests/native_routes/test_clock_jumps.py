"""The wall clock set forward and back while memories are written: ids, versions, history and windows stay sane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.native_routes.changing_home import ChangingHome, changing_home

DAY_MS = 86_400_000
REMEMBER = "/api/memory/remember"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[ChangingHome]:
    async with changing_home(tmp_path) as home:
        yield home


async def test_versions_and_history_go_on_in_the_order_of_writing_wherever_the_clock_stands(home: ChangingHome) -> None:
    _, told = await home.told("POST", REMEMBER, {"content": "before the jumps"})
    target = f"/api/memory/{told['id']}"
    for number, jump_days in enumerate((-400, 800, -1, 0, -30)):
        home.clock.ms += jump_days * DAY_MS
        body = {"reason": str(number), "content": f"text {number}", "if_version": number + 1}
        status, changed = await home.told("PATCH", target, body)
        assert (status, changed["newVersion"]) == (200, number + 2)

    assert home.history("reason, old_content, new_content") == [
        ("0", "before the jumps", "text 0"),
        *((str(number), f"text {number - 1}", f"text {number}") for number in range(1, 5)),
    ]
    assert home.memory(told["id"], "content, version, update_count") == ("text 4", 6, 5)
    home.check_full_text()


async def test_ids_stay_unique_while_the_clock_stands_still_or_repeats_itself(home: ChangingHome) -> None:
    ids = set()
    for number in range(40):
        home.clock.ms += (-3, 0, 3, 0)[number % 4]
        ids.add((await home.told("POST", REMEMBER, {"content": f"memory {number}"}))[1]["id"])
    assert len(ids) == 40


@pytest.mark.parametrize(
    ("jump_ms", "status"), [(-400 * DAY_MS, 200), (30 * DAY_MS, 200), (30 * DAY_MS + 1, 409), (400 * DAY_MS, 409)]
)
async def test_what_was_forgotten_later_than_now_can_be_recovered_and_the_window_ends_to_the_millisecond(
    home: ChangingHome, jump_ms: int, status: int
) -> None:
    home.database.memory("m")
    await home.told("DELETE", "/api/memory/m?reason=r", body=b"")
    home.clock.ms += jump_ms
    assert (await home.told("POST", "/api/memory/m/recover?reason=r", body=b""))[0] == status


async def test_expired_window_opens_again_when_the_clock_is_put_right(home: ChangingHome) -> None:
    home.database.memory("m")
    await home.told("DELETE", "/api/memory/m?reason=r", body=b"")
    home.clock.ms += 400 * DAY_MS
    assert (await home.told("POST", "/api/memory/m/recover?reason=r", body=b""))[1]["status"] == "retention_expired"
    home.clock.ms -= 400 * DAY_MS
    assert (await home.told("POST", "/api/memory/m/recover?reason=r", body=b""))[1]["status"] == "recovered"


async def test_token_of_a_preview_is_good_whatever_the_clock_does_meanwhile(home: ChangingHome) -> None:
    for number in range(30):
        home.database.memory(f"m{number}", content=f"tea {number}")
    wanted = {"query": "tea", "limit": 30}
    _, preview = await home.told("POST", "/api/memory/forget", wanted)
    home.clock.ms -= 90 * DAY_MS
    confirmed = {**wanted, "mode": "execute", "reason": "r", "confirm_token": preview["confirmToken"]}
    _, told = await home.told("POST", "/api/memory/forget", confirmed)
    assert told["deleted"] == 30
