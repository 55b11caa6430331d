"""The command line against a running proxy, without one, and with settings that cannot be used."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from native_routes.tokens import Claims, verify
from proxy.legacy.ports import free_port
from proxy.settings import ENVIRONMENT
from tests.proxy.legacy.running import environment_for
from tests.proxy.running_proxy import RunningProxy, command_line

TEAM = "auth:\n  mode: team\n"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    with RunningProxy(tmp_path_factory.mktemp("cli")) as running:
        running.until_legacy("ready")
        yield running


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """The environment of a user for whom no proxy runs."""
    (tmp_path / "home").mkdir()
    return environment_for(tmp_path / "home", None, SIGNET_PORT=str(free_port()))


def test_status_shows_proxy_legacy_and_groups_and_ends_with_0(proxy: RunningProxy) -> None:
    result = proxy.cli("status")

    assert result.exit_code == 0
    assert f"pid {proxy.pid}" in result.output
    assert "legacy    ready since" in result.output
    assert re.search(r"health\b.*: native, the default", result.output)
    assert "last death: none on record" in result.output


def test_status_as_json_is_the_document_of_the_page(proxy: RunningProxy) -> None:
    document = json.loads(proxy.cli("status", "--json").output)

    assert document["proxy"]["pid"] == proxy.pid


def test_cutover_set_tells_what_it_moved_and_what_holds_it(proxy: RunningProxy) -> None:
    result = proxy.cli("cutover", "set", "tasks", "native")

    assert result.exit_code == 0
    assert "asked for native, held at legacy: no native handlers yet" in result.output


def test_cutover_list_has_a_row_for_every_group(proxy: RunningProxy) -> None:
    document = json.loads(proxy.cli("cutover", "list", "--json").output)
    lines = proxy.cli("cutover", "list").output.splitlines()

    assert lines[0].split() == ["GROUP", "ANSWERS", "ASKED", "CAP", "WHY"]
    assert [line.split()[0] for line in lines[1:]] == [row["group"] for row in document["groups"]]


def test_freeze_makes_status_end_with_1_until_it_is_lifted(proxy: RunningProxy) -> None:
    frozen = proxy.cli("cutover", "freeze", "memories", "--reason", "answers diverged")
    degraded = proxy.cli("status")
    proxy.cli("cutover", "lift", "memories")

    assert "memories" in frozen.output
    assert degraded.exit_code == 1
    assert "group memories: answered by legacy until lifted: answers diverged" in degraded.output
    assert proxy.cli("status").exit_code == 0


def test_a_refusal_of_the_proxy_is_one_line_and_1(proxy: RunningProxy) -> None:
    result = proxy.cli("cutover", "set", "recal", "native")

    assert result.exit_code == 1
    assert result.output.startswith("Error: unknown group recal: expected some of ")
    assert len(result.output.splitlines()) == 1


def test_in_team_mode_the_command_line_brings_its_own_token(tmp_path: Path) -> None:
    with RunningProxy(tmp_path, agent_yaml=TEAM) as proxy:
        assert proxy.get("/_proxy/status").status_code == 401

        assert "auth.mode team" in proxy.cli("status").output


@pytest.mark.parametrize("command", [("status",), ("cutover", "list"), ("cutover", "lift", "recall")])
def test_without_a_proxy_the_error_says_how_to_start_one(alone: dict[str, str], command: tuple[str, ...]) -> None:
    result = command_line(alone, *command)

    assert result.exit_code == 2
    assert f"no signet-proxy answers on http://127.0.0.1:{alone['SIGNET_PORT']}" in result.output
    assert "signet-proxy serve" in result.output


def test_a_proxy_that_does_not_answer_is_told_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.asking.TIMEOUT_S", 0.3)
    with RunningProxy(tmp_path) as proxy:
        os.kill(proxy.pid, signal.SIGSTOP)
        result = proxy.cli("status")
        os.kill(proxy.pid, signal.SIGCONT)

    assert result.exit_code == 2
    assert "does not answer within 0.3 s" in result.output


def test_every_bad_setting_is_named_at_once(alone: dict[str, str]) -> None:
    result = command_line(alone | {"SIGNET_PORT": "abc", "SIGNET_BUN": "/nope"}, "serve")

    assert result.exit_code == 78
    assert "SIGNET_PORT='abc'" in result.output
    assert "SIGNET_BUN='/nope'" in result.output


def test_serve_on_a_taken_port_names_the_holder_and_leaves_it_alone(proxy: RunningProxy, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    environment = environment_for(tmp_path / "home", None, SIGNET_PORT=proxy.environment["SIGNET_PORT"])

    refused = subprocess.run(
        (sys.executable, "-m", "proxy", "serve"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: port ")
    assert f"process {proxy.pid}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert proxy.get("/health").status_code == 200


def test_serve_in_a_home_that_is_a_file_says_so(alone: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = command_line(alone | {"SIGNET_PATH": str(tmp_path / "file")}, "serve")

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot create {tmp_path / 'file'}")


def test_serve_help_lists_every_environment_variable(alone: dict[str, str]) -> None:
    text = command_line(alone, "serve", "--help").output

    assert [name for name in ENVIRONMENT if name not in text] == []


SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def team(alone: dict[str, str]) -> dict[str, str]:
    """The environment of a home in team mode with a secret."""
    home_path = Path(alone["SIGNET_PATH"])
    (home_path / "agent.yaml").write_text(TEAM)
    (home_path / ".daemon").mkdir()
    (home_path / ".daemon" / "auth-secret").write_bytes(SECRET)
    return alone


def claims_of(token: str) -> Claims:
    claims = verify(SECRET, token.strip(), time.time())
    assert isinstance(claims, Claims), claims
    return claims


def test_token_create_prints_a_token_with_role_scope_and_time(team: dict[str, str]) -> None:
    words = ("--role", "agent", "--ttl", "12h", "--sub", "ci", "--scope-project", "p", "--scope-agent", "a")
    result = command_line(team, "token", "create", *words)

    claims = claims_of(result.output)
    assert (claims.role, claims.sub, dict(claims.scope)) == ("agent", "ci", {"project": "p", "agent": "a"})
    assert claims.exp - claims.iat == 12 * 3600


def test_a_token_is_for_its_role_and_a_week_by_default(team: dict[str, str]) -> None:
    claims = claims_of(command_line(team, "token", "create", "--role", "readonly").output)

    assert (claims.sub, dict(claims.scope), claims.exp - claims.iat) == ("token:readonly", {}, 7 * 24 * 3600)


@pytest.mark.parametrize("ttl", ["0", "-5", "1w", "soon", "1.5h"])
def test_a_time_that_is_none_is_refused_with_examples(team: dict[str, str], ttl: str) -> None:
    result = command_line(team, "token", "create", "--role", "agent", f"--ttl={ttl}")

    assert result.exit_code == 2
    assert "expected a time such as 90, 30m, 12h or 7d" in result.output


@pytest.mark.parametrize(
    ("agent_yaml", "advice"), [("", "set auth.mode to team or hybrid"), (TEAM, "start the proxy once")]
)
def test_token_create_without_a_secret_says_how_to_get_one(alone: dict[str, str], agent_yaml: str, advice: str) -> None:
    (Path(alone["SIGNET_PATH"]) / "agent.yaml").write_text(agent_yaml)

    result = command_line(alone, "token", "create", "--role", "admin")

    assert result.exit_code == 1
    assert "auth-secret does not exist" in result.output
    assert advice in result.output


def test_an_empty_secret_is_refused(team: dict[str, str]) -> None:
    (Path(team["SIGNET_PATH"]) / ".daemon" / "auth-secret").write_bytes(b"")

    result = command_line(team, "token", "create", "--role", "admin")

    assert result.exit_code == 1
    assert "is empty" in result.output
