"""Settings from an environment: what is taken, what is refused, and that one error names everything."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from native_routes.searching.vector_form import VectorForm
from proxy.settings import ENVIRONMENT, Settings, SettingsError


def test_empty_environment_gives_the_home_and_ports_that_signet_users_know(tmp_path: Path) -> None:
    settings = Settings.from_env({"HOME": str(tmp_path)})
    assert settings.home_path == tmp_path / ".agents"
    assert (settings.host, settings.port, settings.legacy_port) == ("127.0.0.1", 3850, 3851)
    assert settings.database_path == tmp_path / ".agents" / "memory" / "memories.db"
    assert settings.logs_path == tmp_path / ".agents" / ".daemon" / "logs"


@pytest.mark.parametrize("value", ["abc", "0", "65536", "-1", "3850x", "٣"])
def test_port_that_is_no_port_is_refused_with_the_range(value: str) -> None:
    with pytest.raises(SettingsError, match="expected an integer from 1 to 65535"):
        Settings.from_env({"SIGNET_PORT": value})


def test_blank_values_count_as_unset() -> None:
    settings = Settings.from_env({"SIGNET_PORT": " ", "SIGNET_PATH": "", "SIGNET_LEGACY_URL": ""})
    assert (settings.port, settings.legacy_url) == (3850, None)


def test_every_bad_value_is_named_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_env(
            {
                "SIGNET_PORT": "x",
                "SIGNET_LEGACY_DAEMON": str(tmp_path / "missing.js"),
                "SIGNET_LEGACY_URL": "https://elsewhere",
                "SIGNET_TRUSTED_PROXIES": "10.0.0.0/8, nobody",
                "SIGNET_ALLOW_INSECURE_BIND": "perhaps",
            }
        )
    named = str(raised.value)
    assert len(named.splitlines()) == 5
    assert all(
        name in named
        for name in (
            "SIGNET_PORT='x'",
            "SIGNET_LEGACY_DAEMON=",
            "SIGNET_LEGACY_URL=",
            "'nobody'",
            "SIGNET_ALLOW_INSECURE_BIND=",
        )
    )


def test_legacy_may_not_have_the_port_of_the_proxy() -> None:
    with pytest.raises(SettingsError, match="SIGNET_LEGACY_PORT=4000"):
        Settings.from_env({"SIGNET_PORT": "4000", "SIGNET_LEGACY_PORT": "4000"})
    attached = {"SIGNET_PORT": "3851", "SIGNET_LEGACY_URL": "http://127.0.0.1:3852"}
    assert Settings.from_env(attached).port == 3851


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3851", "http://127.0.0.1", "http://h:1/path", "http://:80", "http://h:70000"]
)
def test_attach_address_other_than_host_and_port_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="expected http://HOST:PORT"):
        Settings.from_env({"SIGNET_LEGACY_URL": url})


@pytest.mark.parametrize(
    ("host", "beyond"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("127.1.2.3", False), ("0.0.0.0", True)],
)
def test_what_counts_as_beyond_loopback(host: str, beyond: bool) -> None:
    assert Settings.from_env({"SIGNET_HOST": host}).listens_beyond_loopback is beyond
    assert Settings.from_env({"SIGNET_BIND": host, "SIGNET_HOST": "127.0.0.1"}).listens_beyond_loopback is beyond


def test_every_variable_has_a_meaning_and_every_field_without_one_a_default() -> None:
    assert all(meaning.endswith(".") for meaning in ENVIRONMENT.values())
    assert len(ENVIRONMENT) == sum(1 for field in fields(Settings) if field.metadata["env"])


@pytest.mark.parametrize("share", ["2", "-0.1", "nan", "half", "1e999"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(SettingsError, match=r"SIGNET_SHADOW_SHARE=.*: expected a number from 0 to 1"):
        Settings.from_env({"HOME": "/nowhere", "SIGNET_SHADOW_SHARE": share})


def test_vectors_are_kept_in_a_form_that_exists() -> None:
    assert Settings.from_env({"HOME": "/nowhere", "SIGNET_VECTORS": "INT8"}).vectors_form is VectorForm.INT8
    with pytest.raises(SettingsError, match="SIGNET_VECTORS='float16': expected float32 or int8"):
        Settings.from_env({"HOME": "/nowhere", "SIGNET_VECTORS": "float16"})


def test_shadow_is_off_on_or_in_between() -> None:
    for share in ("0", "0.25", "1"):
        assert Settings.from_env({"HOME": "/nowhere", "SIGNET_SHADOW_SHARE": share}).shadow_share == float(share)
