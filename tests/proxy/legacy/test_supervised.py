"""A daemon under supervision, from its first boot to its end, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from native_routes.database import vector_library_path
from proxy.home import PidFile
from proxy.legacy import LegacyState
from proxy.legacy.locks import holds_shared_lock
from proxy.legacy.ports import free_port, is_free
from tests.proxy.legacy import daemons
from tests.proxy.legacy.conftest import Supervise
from tests.proxy.legacy.running import FAST, build, child_pid, environment_for, group_is_alive, is_alive, kill, until


async def test_a_ready_daemon_is_accepted_and_its_facts_are_shown(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    status = await supervised.ready()
    assert (status.state, status.version, status.schema_version) == (LegacyState.READY, "0.58.1", 30)
    assert status.agents_dir == str(supervised.settings.home_path)
    assert status.speaks_contract
    assert supervised.legacy.address == ("127.0.0.1", supervised.settings.legacy_port)


async def test_the_daemon_is_told_where_to_listen_and_to_log_and_nothing_of_the_service_manager(
    supervise: Supervise,
) -> None:
    hostile = {"SIGNET_BIND": "0.0.0.0", "SIGNET_LOG_FILE": "/tmp/x", "NOTIFY_SOCKET": "/run/n", "LISTEN_FDS": "2"}
    supervised = await supervise(daemons.OBEDIENT, environment=hostile)
    await supervised.ready()
    told = (await supervised.get("/environment")).json()
    environment = told["environment"]
    assert environment["SIGNET_HOST"] == "127.0.0.1"
    assert environment["SIGNET_PORT"] == str(supervised.settings.legacy_port)
    assert environment["SIGNET_LOG_DIR"] == str(supervised.settings.logs_path)
    assert environment["SIGNET_VEC_PATH"] == str(vector_library_path())
    assert not hostile.keys() & environment.keys()
    assert told["cwd"] == str(supervised.settings.daemon_dir_path / "legacy-cwd")


async def test_the_pid_file_names_the_proxy_after_every_boot_and_is_gone_after_the_stop(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    pid_file = PidFile(supervised.settings.home_path)
    first = await supervised.ready()
    assert pid_file.read() == os.getpid()
    kill(first.pid)
    await supervised.next_child(first.pid)
    assert pid_file.read() == os.getpid()
    await supervised.legacy.stop(2.0)
    assert not pid_file.path.exists()


async def test_a_killed_daemon_is_started_again_and_leaves_a_record_of_its_death(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    kill(first.pid)
    second = await supervised.next_child(first.pid)
    assert second.restarts == 1
    (record,) = await supervised.journal.recent("death", 5)
    assert (record["pid"], record["signal"], record["code"], record["requested"]) == (first.pid, "SIGKILL", None, False)
    assert record["peak_rss_bytes"] > 10_000_000
    assert record["uptime_s"] > 0


@pytest.mark.parametrize("code", [0, 3])
async def test_an_exit_that_nobody_asked_for_is_a_crash_whatever_its_code(supervise: Supervise, code: int) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    await supervised.get("/exit", code=code)
    second = await supervised.next_child(first.pid)
    assert second.last_death is not None
    assert (second.last_death.code, second.last_death.requested) == (code, False)


async def test_a_crash_loop_opens_the_breaker_with_the_last_words_and_what_to_do(supervise: Supervise) -> None:
    supervised = await supervise(daemons.CRASHES_AT_ONCE)
    status = await supervised.becomes(LegacyState.DOWN)
    assert len(await supervised.journal.recent("death", 10)) == FAST.breaker_exits
    assert status.reason is not None
    assert "no such table: memories" in status.reason
    assert "proxy-legacy.log" in status.reason
    assert await supervised.legacy.wait_accepting(5.0) is False


async def test_after_the_breaker_one_try_is_made_and_a_repaired_daemon_is_back(supervise: Supervise) -> None:
    policy = replace(FAST, breaker_retry_s=0.3)
    supervised = await supervise(daemons.CRASHES_UNLESS_REPAIRED, policy)
    await supervised.becomes(LegacyState.DOWN)
    (supervised.settings.home_path / "repaired").touch()
    status = await supervised.ready()
    assert status.restarts >= FAST.breaker_exits


async def test_a_stopped_daemon_is_wedged_at_once_and_goes_on_without_a_restart(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT, replace(FAST, grace_s=60.0))
    first = await supervised.ready()
    kill(first.pid, signal.SIGSTOP)
    wedged = await supervised.becomes(LegacyState.WEDGED)
    assert wedged.reason is not None
    assert f"kill -CONT {first.pid}" in wedged.reason
    assert not supervised.legacy.accepts()
    kill(first.pid, signal.SIGCONT)
    again = await supervised.becomes(LegacyState.READY)
    assert (again.pid, again.restarts) == (first.pid, 0)


async def test_a_daemon_that_stays_stopped_is_killed_after_the_grace_window_once(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    kill(first.pid, signal.SIGSTOP)
    second = await supervised.next_child(first.pid)
    assert second.restarts == 1
    assert second.last_death is not None
    assert second.last_death.signal == "SIGKILL"
    assert second.last_death.uptime_s >= FAST.grace_s


async def test_a_hang_without_progress_is_killed_after_the_grace_window(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    await supervised.get("/hang", seconds=60)
    second = await supervised.next_child(first.pid)
    assert second.restarts == 1
    assert LegacyState.WEDGED in supervised.states()


async def test_a_daemon_that_computes_longer_than_the_grace_window_is_busy_and_not_killed(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    await supervised.get("/compute", seconds=FAST.grace_s * 1.5)
    busy = await supervised.becomes(LegacyState.BUSY)
    assert supervised.legacy.accepts()
    assert busy.reason is not None
    assert "no answer" in busy.reason
    ready = await supervised.becomes(LegacyState.READY)
    assert (ready.pid, ready.restarts) == (first.pid, 0)
    assert LegacyState.WEDGED not in supervised.states()


async def test_computing_does_not_help_beyond_the_ceiling(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT, replace(FAST, busy_ceiling_s=2.0))
    first = await supervised.ready()
    await supervised.get("/compute", seconds=60)
    assert (await supervised.next_child(first.pid)).restarts == 1


async def test_a_daemon_that_never_listens_is_given_the_grace_window_and_then_started_again(
    supervise: Supervise,
) -> None:
    supervised = await supervise(daemons.NEVER_LISTENS)
    await until(lambda: supervised.status.restarts > 0, 20.0)
    assert not supervised.legacy.accepts()
    (death,) = await supervised.journal.recent("death", 1)
    assert death["uptime_s"] >= FAST.grace_s


async def test_a_daemon_without_its_database_is_alive_but_not_ready(supervise: Supervise) -> None:
    supervised = await supervise(daemons.DATABASE_SHUT)
    await until(lambda: supervised.status.reason and "database is not open" in supervised.status.reason)
    assert supervised.status.state is LegacyState.STARTING
    assert not supervised.legacy.accepts()


async def test_probes_carry_a_minted_token_where_the_daemon_wants_one(supervise: Supervise) -> None:
    tokens = ["expired"]
    supervised = await supervise(daemons.NEEDS_TOKEN, probe_token=lambda: tokens[-1])
    await until(lambda: supervised.status.reason and "does not accept our token" in supervised.status.reason)
    assert not supervised.legacy.accepts()
    tokens.append("minted")
    assert (await supervised.ready()).restarts == 0


async def test_ten_megabytes_of_output_neither_stop_the_daemon_nor_grow_the_log_for_ever(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    await supervised.ready()
    for _ in range(3):
        assert (await supervised.get("/print", bytes=10_500_000)).status_code == 200
    logs = [supervised.settings.logs_path / f"proxy-legacy.log{end}" for end in ("", ".1", ".2", ".3")]
    await until(lambda: [log.exists() for log in logs] == [True, True, True, False])
    await supervised.legacy.stop(5.0)  # the output has ended: nothing is moved any more
    sizes = [log.stat().st_size for log in logs[:3]]
    assert max(sizes) <= 10 * 1024 * 1024
    assert sum(sizes) > 20_000_000


async def test_output_that_the_disk_does_not_take_is_lost_and_the_daemon_goes_on(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    await supervised.ready()
    log = supervised.settings.logs_path / "proxy-legacy.log"
    log.unlink(missing_ok=True)
    log.symlink_to("/dev/full")  # every write answers ENOSPC
    first = await supervised.ready()
    kill(first.pid)
    second = await supervised.next_child(first.pid)
    assert (await supervised.get("/print", bytes=1_000_000)).status_code == 200
    assert supervised.status.pid == second.pid


async def test_a_detached_replacement_is_stopped_and_the_daemon_is_ours_again(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    await supervised.get("/replace-yourself")
    second = await supervised.next_child(first.pid)
    (record,) = await supervised.journal.recent("legacy_replacement_stopped", 1)
    (escaped,) = record["pids"]
    assert not is_alive(escaped)
    assert escaped != second.pid
    assert (await supervised.get("/health")).json()["pid"] == second.pid


async def test_a_port_held_by_a_stranger_is_refused_with_its_pid_and_command(supervise: Supervise) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        supervised = await supervise(daemons.OBEDIENT, environment={"SIGNET_LEGACY_PORT": str(port)})
        status = await supervised.becomes(LegacyState.DOWN)
        assert status.reason is not None
        assert f"port {port} is held by process {os.getpid()} (" in status.reason
        assert "SIGNET_LEGACY_PORT" in status.reason
    assert (await supervised.ready()).port == port


async def test_port_zero_falls_forward_to_a_free_port_when_the_usual_one_is_taken(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        monkeypatch.setattr("proxy.legacy.supervised.FIRST_PORT", taken)
        supervised = await supervise(daemons.OBEDIENT, environment={"SIGNET_LEGACY_PORT": "0"})
        status = await supervised.ready()
        assert status.port not in {0, taken}
        assert supervised.legacy.address == ("127.0.0.1", status.port)


async def test_a_missing_daemon_or_bun_is_down_with_the_fix_and_starts_when_it_is_there(tmp_path: Path) -> None:
    daemon = daemons.write_daemon(tmp_path, daemons.OBEDIENT)
    supervised = await build(environment_for(tmp_path / "home", daemon))
    aside = daemon.rename(tmp_path / "moved.js")
    try:
        await supervised.legacy.start()
        status = await supervised.becomes(LegacyState.DOWN)
        assert status.reason is not None
        assert "SIGNET_LEGACY_DAEMON" in status.reason
        aside.rename(daemon)
        await supervised.ready()
    finally:
        await supervised.legacy.stop(2.0)
        await supervised.journal.close()


async def test_another_version_is_forwarded_to_but_does_not_speak_the_contract(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OTHER_VERSION)
    status = await supervised.ready()
    assert (status.version, status.speaks_contract) == ("0.59.0", False)


async def test_a_newer_schema_is_reported(supervise: Supervise) -> None:
    supervised = await supervise(daemons.NEWER_SCHEMA)
    assert (await supervised.ready()).schema_version == 31


async def test_without_a_visible_lock_requests_are_forwarded_and_the_status_says_so(supervise: Supervise) -> None:
    supervised = await supervise(daemons.WITHOUT_DATABASE)
    status = await supervised.ready()
    assert (status.lock_visible, status.schema_version) == (False, None)
    assert status.database_problem is not None


async def test_a_file_that_is_no_database_is_reported_and_stops_nothing(supervise: Supervise, tmp_path: Path) -> None:
    database = tmp_path / "home" / "memory" / "memories.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"this is not SQLite " * 100)
    supervised = await supervise(daemons.WITHOUT_DATABASE)
    status = await supervised.ready()
    assert status.schema_version is None
    assert status.database_problem is not None
    assert "not a database" in status.database_problem


async def test_a_stop_ends_the_daemon_with_its_group_and_frees_the_port(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    pid = child_pid(await supervised.ready())
    await asyncio.gather(supervised.legacy.stop(3.0), supervised.legacy.stop(3.0))
    assert not is_alive(pid)
    await until(lambda: not group_is_alive(pid))
    assert is_free(supervised.settings.legacy_port)
    assert supervised.status.last_death is not None
    assert (supervised.status.last_death.code, supervised.status.last_death.requested) == (0, True)
    assert supervised.status.state is LegacyState.DOWN


async def test_a_daemon_that_ignores_sigterm_is_killed_when_the_time_is_over(supervise: Supervise) -> None:
    supervised = await supervise(daemons.IGNORES_SIGTERM)
    pid = child_pid(await supervised.ready())
    await supervised.legacy.stop(0.3)
    assert not is_alive(pid)
    assert supervised.status.last_death is not None
    assert supervised.status.last_death.signal == "SIGKILL"


async def test_a_stopped_daemon_still_ends_cleanly(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    kill((await supervised.ready()).pid, signal.SIGSTOP)
    await supervised.becomes(LegacyState.WEDGED)
    await supervised.legacy.stop(10.0)
    assert supervised.status.last_death is not None
    assert supervised.status.last_death.code == 0


async def test_a_stop_in_the_middle_of_a_start_leaves_no_process(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    await until(lambda: supervised.status.pid is not None)
    pid = child_pid(supervised.status)
    await supervised.legacy.stop(2.0)
    assert not is_alive(pid)


async def test_a_stop_right_after_the_start_leaves_no_process(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    await supervised.legacy.stop(2.0)
    assert is_free(supervised.settings.legacy_port)
    assert supervised.status.pid is None


async def test_a_stop_without_a_start_is_harmless(tmp_path: Path) -> None:
    supervised = await build(environment_for(tmp_path / "home", daemons.write_daemon(tmp_path, daemons.OBEDIENT)))
    await supervised.legacy.stop(1.0)
    await supervised.journal.close()
    assert supervised.status.state is LegacyState.DOWN


async def test_a_waiting_request_goes_on_as_soon_as_the_restarted_daemon_accepts(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    kill(first.pid)
    await supervised.becomes(LegacyState.STARTING)
    assert await supervised.legacy.wait_accepting(20.0) is True
    assert supervised.status.pid != first.pid


async def test_a_noted_failure_is_probed_before_the_interval_is_over(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT, replace(FAST, probe_interval_s=3600.0, look_interval_s=3600.0))
    await supervised.ready()
    await supervised.get("/hang", seconds=1)

    def is_busy_after_a_note() -> bool:
        supervised.legacy.note_failure()
        return supervised.status.state is LegacyState.BUSY

    await until(is_busy_after_a_note)


async def test_failures_noted_during_a_boot_do_not_disturb_it(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)

    def is_ready_despite_notes() -> bool:
        supervised.legacy.note_failure()
        return supervised.legacy.accepts()

    await until(is_ready_despite_notes)
    assert supervised.status.restarts == 0


async def test_every_change_of_state_is_told_and_written_down(supervise: Supervise) -> None:
    supervised = await supervise(daemons.OBEDIENT)
    first = await supervised.ready()
    kill(first.pid)
    await supervised.next_child(first.pid)
    expected = [LegacyState.STARTING, LegacyState.READY, LegacyState.STARTING, LegacyState.READY]

    def told() -> list[LegacyState]:
        return [state for state in supervised.states() if state is not LegacyState.BUSY]

    # Listeners hear of a change one turn of the loop after it.
    await until(lambda: told() == expected, 5.0, lambda: str(told()))
    written = [LegacyState(record["state"]) for record in await supervised.journal.recent("legacy_state", 10)]
    assert written[0] is LegacyState.READY


async def test_the_stand_in_is_booted_twice_on_an_empty_home_and_then_holds_its_lock(supervise: Supervise) -> None:
    supervised = await supervise(None)
    status = await supervised.ready()
    booting_again = {s.pid for s in supervised.seen if s.reason and "booting again" in s.reason}
    assert len(booting_again - {status.pid}) == 1
    assert (status.kind, status.restarts, status.schema_version) == ("stand-in", 0, 30)
    assert status.lock_visible
    assert holds_shared_lock(child_pid(status), supervised.settings.database_path)
    assert holds_shared_lock(os.getpid(), supervised.settings.database_path), "the anchor is held"


async def test_a_second_start_of_a_migrated_home_boots_once(supervise: Supervise) -> None:
    supervised = await supervise(None)
    await supervised.ready()
    await supervised.legacy.stop(3.0)
    again = await supervise(None)
    status = await again.ready()
    assert not any(s.reason and "booting again" in s.reason for s in again.seen)
    assert status.lock_visible


async def test_the_journal_keeps_the_last_words_without_colours(supervise: Supervise) -> None:
    supervised = await supervise('openDatabase(); console.log("\\x1b[31mdying\\x1b[0m of it"); process.exit(2);')
    await supervised.becomes(LegacyState.DOWN)
    (death, *_) = await supervised.journal.recent("death", 1)
    assert death["last_output"] == ["dying of it"]
    assert json.dumps(death)


async def test_free_ports_are_free_and_no_connection_gets_them_unasked() -> None:
    ports = {free_port() for _ in range(20)}
    assert all(is_free(port) for port in ports)
    assert len(ports) > 15
    assert max(ports) < 32_768  # where Linux begins with those of outgoing connections
