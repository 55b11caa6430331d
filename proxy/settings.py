"""Every setting of the proxy, read once from the environment. Nothing else in the project reads `os.environ`.

`signet-proxy serve --help` and `docs/operating.md` list them; a test keeps that list equal to this one.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from native_routes.searching.vector_form import VectorForm
from proxy.operator_error import SETTINGS_EXIT_CODE, OperatorError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# Legacy rewrites these to 127.0.0.1; as the proxy's host they mean both loopback addresses.
ANY_ADDRESSES = frozenset({"0.0.0.0", "::"})


class SettingsError(OperatorError):
    """One or more settings are unusable. The message lists every bad value with what was expected."""

    exit_code = SETTINGS_EXIT_CODE


def setting(default: Any, env: str | None, meaning: str) -> Any:
    return field(default=default, metadata={"env": env, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decided. Frozen; units are in the names; sizes in bytes, times in seconds."""

    home_path: Path = field(metadata={"env": "SIGNET_PATH", "meaning": "Data directory; default ~/.agents."})
    port: int = setting(3850, "SIGNET_PORT", "Port that clients use.")
    host: str = setting("127.0.0.1", "SIGNET_HOST", "Address clients use; 0.0.0.0 needs auth.mode team or hybrid.")
    bind_host: str = setting("", "SIGNET_BIND", "Listen address when it differs from SIGNET_HOST.")
    allow_insecure_bind: bool = setting(
        False, "SIGNET_ALLOW_INSECURE_BIND", "1 = listen beyond loopback without tokens (containers)."
    )
    allowed_hosts: frozenset[str] = setting(
        frozenset(), "SIGNET_ALLOWED_HOSTS", "Extra Host names to be called by without a token in mode local; * = any."
    )
    allowed_origins: frozenset[str] = setting(
        frozenset(), "SIGNET_ALLOWED_ORIGINS", "Extra browser origins, comma separated; * = any, as legacy does."
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = setting(
        (), "SIGNET_TRUSTED_PROXIES", "Addresses or networks whose X-Forwarded-* are believed, comma separated."
    )
    legacy_daemon_path: Path | None = setting(
        None, "SIGNET_LEGACY_DAEMON", "Legacy daemon to run: path of its daemon.js."
    )
    legacy_url: str | None = setting(
        None, "SIGNET_LEGACY_URL", "Attach to a legacy daemon that someone else runs, e.g. http://127.0.0.1:3851."
    )
    legacy_port: int = setting(
        3851, "SIGNET_LEGACY_PORT", "Port of the legacy daemon; 0 = 3851, or any free port when that is taken."
    )
    bun_path: Path | None = setting(None, "SIGNET_BUN", "Bun to run the legacy daemon with; default: found.")
    log_dir_path: Path | None = setting(None, "SIGNET_LOG_DIR", "Log directory; default <home>/.daemon/logs.")
    shadow_share: float = setting(
        0.1, "SIGNET_SHADOW_SHARE", "Share of the reads of groups in mode shadow that is compared, from 0 to 1."
    )
    shadow_shows_values: bool = setting(
        False, "SIGNET_SHADOW_VALUES", "1 = keep values and queries of differing answers, which are your memories."
    )

    vectors_form: VectorForm = setting(
        VectorForm.FLOAT32, "SIGNET_VECTORS", "How vectors are kept in memory: float32, or int8 for a fifth of it."
    )
    vectors_limit_bytes: int = setting(
        1_073_741_824, "SIGNET_VECTORS_LIMIT", "Bytes that they may take; beyond it int8, then SQLite searches, slowly."
    )

    exec_timeout_s: float = setting(
        0, "SIGNET_EXEC_TIMEOUT", "Seconds that a command with secrets may run; 0 = any time, as legacy."
    )
    exec_output_limit_bytes: int = setting(
        67_108_864, "SIGNET_EXEC_OUTPUT_LIMIT", "Bytes that such a command may print; 0 = any number, as legacy."
    )

    header_bytes_limit: int = setting(16_384, None, "Request line and fields together; more is 431.")
    header_deadline_s: float = setting(10.0, None, "Time for a request head to arrive in full.")
    client_idle_s: float = setting(75.0, None, "How long an idle client connection is kept.")
    upstream_idle_s: float = setting(4.0, None, "Legacy closes idle connections after 5 s; ours go first.")
    upstream_connect_timeout_s: float = setting(2.0, None, "Loopback; longer means legacy is not listening.")
    restart_wait_s: float = setting(5.0, None, "How long a safe request waits for a restarting legacy.")
    half_close_grace_s: float = setting(0.2, None, "After a client's FIN a reply under way may still finish.")
    mcp_in_flight_limit: int = setting(32, None, "Exchanges on /mcp at once; its tools call back into this port.")
    native_deadline_s: float = setting(45.0, None, "Time for a native answer; an embedder may take 30 s of it.")
    shadow_in_flight_limit: int = setting(2, None, "Comparisons under way at once; others are left out and counted.")
    shadow_body_limit_bytes: int = setting(1_048_576, None, "Longer replies are not compared.")
    shadow_within_s: float = setting(
        5.0, None, "Time for legacy's reply and for each native answer to compare with it."
    )
    stop_grace_s: float = setting(1.5, None, "How long open exchanges may finish at shutdown.")

    @property
    def listen_host(self) -> str:
        """The address to bind; loopback names mean both loopback families."""
        return self.bind_host or self.host

    @property
    def listens_beyond_loopback(self) -> bool:
        return self.listen_host not in LOOPBACK_NAMES and not self.listen_host.startswith("127.")

    @property
    def daemon_dir_path(self) -> Path:
        return self.home_path / ".daemon"

    @property
    def database_path(self) -> Path:
        return self.home_path / "memory" / "memories.db"

    @property
    def logs_path(self) -> Path:
        return self.log_dir_path or self.daemon_dir_path / "logs"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Settings from `env`, by default the process environment.

        Raises SettingsError naming every bad value at once, so that an operator fixes them in one go.
        """
        return _Reader(os.environ if env is None else env).read()


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._errors: list[str] = []

    def read(self) -> Settings:
        home = self._text("SIGNET_PATH")
        home_path = Path(home).expanduser() if home else Path(self._env.get("HOME", "~")).expanduser() / ".agents"
        daemon, bun, log_dir = (self._text(n) for n in ("SIGNET_LEGACY_DAEMON", "SIGNET_BUN", "SIGNET_LOG_DIR"))
        settings = Settings(
            home_path=home_path.absolute(),
            port=self._port("SIGNET_PORT", 3850, lowest=1),
            host=self._text("SIGNET_HOST") or "127.0.0.1",
            bind_host=self._text("SIGNET_BIND"),
            allow_insecure_bind=self._flag("SIGNET_ALLOW_INSECURE_BIND"),
            allowed_hosts=frozenset(name.lower() for name in self._list("SIGNET_ALLOWED_HOSTS")),
            allowed_origins=frozenset(self._list("SIGNET_ALLOWED_ORIGINS")),
            trusted_proxies=self._networks("SIGNET_TRUSTED_PROXIES"),
            legacy_daemon_path=self._existing_file("SIGNET_LEGACY_DAEMON", daemon),
            legacy_url=self._url("SIGNET_LEGACY_URL"),
            legacy_port=self._port("SIGNET_LEGACY_PORT", 3851, lowest=0),
            bun_path=self._existing_file("SIGNET_BUN", bun),
            log_dir_path=Path(log_dir).absolute() if log_dir else None,
            vectors_form=self._form("SIGNET_VECTORS", VectorForm.FLOAT32),
            vectors_limit_bytes=int(self._number("SIGNET_VECTORS_LIMIT", 1_073_741_824)),
            exec_timeout_s=self._number("SIGNET_EXEC_TIMEOUT", 0),
            exec_output_limit_bytes=int(self._number("SIGNET_EXEC_OUTPUT_LIMIT", 67_108_864)),
            shadow_share=self._share("SIGNET_SHADOW_SHARE", 0.1),
            shadow_shows_values=self._flag("SIGNET_SHADOW_VALUES"),
        )
        if settings.legacy_url is None and settings.legacy_port == settings.port:
            self._errors.append(f"SIGNET_LEGACY_PORT={settings.port}: expected a port other than SIGNET_PORT")
        if self._errors:
            raise SettingsError("\n".join(self._errors))
        return settings

    def _text(self, name: str) -> str:
        return self._env.get(name, "").strip()

    def _list(self, name: str) -> list[str]:
        return [part.strip() for part in self._text(name).split(",") if part.strip()]

    def _flag(self, name: str) -> bool:
        text = self._text(name).lower()
        if text not in {"", "0", "false", "1", "true"}:
            self._errors.append(f"{name}={text!r}: expected 1 or 0")
        return text in {"1", "true"}

    def _port(self, name: str, default: int, *, lowest: int) -> int:
        text = self._text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and lowest <= int(text) <= 65535):
            self._errors.append(f"{name}={text!r}: expected an integer from {lowest} to 65535")
            return default
        return int(text)

    def _number(self, name: str, default: float) -> float:
        text = self._text(name)
        try:
            number = float(text or default)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):  # NaN is refused too
            self._errors.append(f"{name}={text!r}: expected a number from 0")
            return default
        return number

    def _form(self, name: str, default: VectorForm) -> VectorForm:
        text = self._text(name).lower() or default
        if text not in set(VectorForm):
            self._errors.append(f"{name}={text!r}: expected {' or '.join(VectorForm)}")
            return default
        return VectorForm(text)

    def _share(self, name: str, default: float) -> float:
        text = self._text(name)
        try:
            share = float(text or default)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:  # NaN is refused too
            self._errors.append(f"{name}={text!r}: expected a number from 0 to 1")
            return default
        return share

    def _existing_file(self, name: str, text: str) -> Path | None:
        if not text:
            return None
        path = Path(text).expanduser().absolute()
        if not path.is_file():
            self._errors.append(f"{name}={text!r}: no such file")
        return path

    def _url(self, name: str) -> str | None:
        text = self._text(name).rstrip("/")
        if not text:
            return None
        host, _, port = text.removeprefix("http://").rpartition(":")
        if not text.startswith("http://") or "/" in host or not host or not port.isdigit() or int(port) > 65535:
            self._errors.append(f"{name}={text!r}: expected http://HOST:PORT without a path")
        return text

    def _networks(self, name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        networks = []
        for part in self._list(name):
            try:
                networks.append(ipaddress.ip_network(part, strict=False))
            except ValueError:
                self._errors.append(f"{name}: {part!r}: expected an IP address or a network such as 10.0.0.0/8")
        return tuple(networks)


ENVIRONMENT = {f.metadata["env"]: f.metadata["meaning"] for f in fields(Settings) if f.metadata.get("env")}
"""Variable name -> one-sentence meaning, in the order of the fields."""


def process_environment() -> Mapping[str, str]:
    """The environment as it is, for what is handed to children and asked of the service manager."""
    return os.environ
