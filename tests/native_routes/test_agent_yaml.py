"""The configuration as legacy's own parser reads it, and the policy that follows, its silent traps reported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from native_routes.agent_yaml import AuthPolicy, Limit, parse, read_config

SECRET = bytes(range(32))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".daemon").mkdir()
    (tmp_path / ".daemon" / "auth-secret").write_bytes(SECRET)
    return tmp_path


def write(home: Path, text: str, name: str = "agent.yaml") -> None:
    (home / name).write_text(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: 1\nb: -2.50\nc: x", {"a": 1, "b": -2.5, "c": "x"}),
        ("max: 5 # five", {"max": "5 # five"}),
        ("a: '768'\nb: \"false\"\nc: 'mixed\"", {"a": 768, "b": False, "c": "mixed"}),
        ("a: null\nb: ~\nc: True", {"a": None, "b": None, "c": "True"}),
        ("a: 1e3\nb: .5\nc: +1\nd: 012", {"a": "1e3", "b": ".5", "c": "+1", "d": 12}),
        ("a:\nb:\n  c: 1", {"a": {}, "b": {"c": 1}}),
        ("a: |\n  b: 1\nc: |-\n  d: 2", {"a": {"b": 1}, "c": "", "d": 2}),
        ("a:\n  b:\n    c: 1\n  d: 2\ne: 3", {"a": {"b": {"c": 1}, "d": 2}, "e": 3}),
        ("# no\n---\n...\n\nno colon\n- item\n- name: x", {"- name": "x"}),
        ("a: http://h:1/x", {"a": "http://h:1/x"}),
        ("\ufeffa: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("a: 1\na: 2", {"a": 2}),
        ("a:\n# b: 1\n\n---\n...\n  c: 2\n  # d: 3\n  e: 4", {"a": {"c": 2, "e": 4}}),
        ("a:\nno colon closes it\n  b: 1", {"a": {}, "b": 1}),
        ("a: 9007199254740993\nb: -0", {"a": 9007199254740992, "b": 0}),
        ("a: " + "9" * 400, {"a": math.inf}),
        ("a: 12345678901234567890", {"a": 12345678901234567168}),
        ("a: \u0663", {"a": "\u0663"}),
        ("", {}),
    ],
)
def test_text_is_read_as_legacys_parser_reads_it(text: str, values: dict[str, Any]) -> None:
    parsed = parse(text)

    assert parsed == values
    assert [type(value) for value in parsed.values()] == [type(value) for value in values.values()]


def test_first_readable_file_is_used_alone(home: Path) -> None:
    write(home, "name: third", "config.yaml")
    assert read_config(home).values == {"name": "third"}

    write(home, "other: second", "AGENT.yaml")
    assert read_config(home).values == {"other": "second"}

    (home / "agent.yaml").mkdir()  # there, and cannot be read
    config = read_config(home)
    assert config.values == {"other": "second"}
    assert config.problem is not None
    assert "agent.yaml cannot be read" in config.problem


def test_policy_without_a_file_is_local_without_a_problem(home: Path) -> None:
    policy = AuthPolicy.load(home)

    assert (policy.mode, policy.problem) == ("local", None)
    assert policy.limits == {
        "forget": Limit(60_000, 30),
        "modify": Limit(60_000, 60),
        "batchForget": Limit(60_000, 5),
        "admin": Limit(60_000, 10),
        "cross-agent-message": Limit(60_000, 120),
    }


def test_policy_takes_mode_secret_limits_and_lifetimes(home: Path) -> None:
    write(
        home,
        "auth:\n  mode: hybrid\n  defaultTokenTtlSeconds: 60\n  sessionTokenTtlSeconds: 0\n"
        "  rateLimits:\n    modify:\n      max: 1\n    forget:\n      windowMs: 1000.5\n      max: -1\n"
        "    admin:\n      max: true\n",
    )

    policy = AuthPolicy.load(home)

    assert (policy.mode, policy.secret, policy.problem) == ("hybrid", SECRET, None)
    assert policy.limits["modify"] == Limit(60_000, 1)
    assert policy.limits["admin"] == Limit(60_000, 10)
    assert policy.limits["forget"] == Limit(1000.5, 30)
    assert (policy.default_token_ttl_s, policy.session_token_ttl_s) == (60, 86_400)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("auth:\n  mode: team # all of us", "comments need a line of their own"),
        ("auth:\n  mode: Team", "expected local, hybrid or team"),
        ("auth: # who may call\n  mode: team", "expected a section"),
        ("auth: {mode: team}", "expected a section"),
        ("auth:\n  mode: 5", "expected local, hybrid or team"),
        ("auth:\n  mode:\n", "expected local, hybrid or team"),
        ("", "holds no setting"),
    ],
)
def test_what_legacy_silently_reads_as_local_is_reported(home: Path, text: str, words: str) -> None:
    write(home, text)

    policy = AuthPolicy.load(home)

    assert policy.mode == "local"
    assert policy.problem is not None
    assert words in policy.problem
    assert "agent.yaml" in policy.problem
    assert ("a line of their own" in policy.problem) is (words == "comments need a line of their own")


@pytest.mark.parametrize(("content", "words"), [(b"", "anybody could sign"), (b"short", "expected at least 32")])
def test_a_weak_secret_is_reported_and_an_empty_one_not_used(home: Path, content: bytes, words: str) -> None:
    write(home, "auth:\n  mode: team")
    (home / ".daemon" / "auth-secret").write_bytes(content)

    policy = AuthPolicy.load(home)

    assert policy.secret == (content or None)
    assert policy.problem is not None
    assert words in policy.problem


def test_secret_that_is_not_there_yet_is_no_problem(home: Path) -> None:
    write(home, "auth:\n  mode: team")
    (home / ".daemon" / "auth-secret").unlink()

    assert AuthPolicy.load(home) == AuthPolicy(mode="team", secret=None)


@pytest.mark.parametrize("broken", ["", "auth:\n  mode: team # broken", None])
def test_a_broken_or_vanished_file_does_not_open_a_daemon_that_asked_for_tokens(home: Path, broken: str | None) -> None:
    write(home, "auth:\n  mode: team")
    previous = AuthPolicy.load(home)
    if broken is None:
        (home / "agent.yaml").unlink()
    else:
        write(home, broken)

    policy = AuthPolicy.reload(previous, home)

    assert (policy.mode, policy.secret) == ("team", SECRET)
    assert policy.problem is not None
    assert "auth.mode team stays" in policy.problem
    assert "agent.yaml" in policy.problem


def test_unreadable_file_is_named_when_the_policy_is_kept(home: Path) -> None:
    write(home, "auth:\n  mode: team")
    previous = AuthPolicy.load(home)
    (home / "agent.yaml").unlink()
    (home / "agent.yaml").mkdir()
    write(home, "", "config.yaml")

    policy = AuthPolicy.reload(previous, home)

    assert policy.mode == "team"
    assert policy.problem is not None
    assert "agent.yaml cannot be read" in policy.problem


def test_policy_that_still_asks_for_tokens_is_taken_whatever_its_problem(home: Path) -> None:
    write(home, "auth:\n  mode: team")
    previous = AuthPolicy.load(home)
    write(home, "auth:\n  mode: hybrid")
    (home / ".daemon" / "auth-secret").write_bytes(b"short")

    assert AuthPolicy.reload(previous, home).mode == "hybrid"


def test_policy_that_was_local_stays_what_legacy_makes_of_the_file(home: Path) -> None:
    write(home, "auth:\n  mode: team # x")

    policy = AuthPolicy.reload(AuthPolicy(), home)

    assert policy == AuthPolicy.load(home)
    assert policy.mode == "local"


def test_weak_secret_does_not_matter_in_local_mode(home: Path) -> None:
    (home / ".daemon" / "auth-secret").write_bytes(b"short")

    assert AuthPolicy.load(home).problem is None


def test_a_clear_change_to_local_is_taken(home: Path) -> None:
    write(home, "auth:\n  mode: team")
    previous = AuthPolicy.load(home)
    write(home, "name: x\nauth:\n  mode: local")

    assert AuthPolicy.reload(previous, home).mode == "local"


def test_secret_does_not_show_in_the_policys_text(home: Path) -> None:
    assert repr(SECRET) not in repr(AuthPolicy.load(home))
