"""Sealing of secrets: XSalsa20-Poly1305 under a key that belongs to this machine. Readable by the legacy daemon.

A sealed text is base64, with padding, of a nonce of 24 bytes and what libsodium's secretbox makes of the text.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import nacl.exceptions
import nacl.secret

from native_routes.javascript.primitives import trim
from native_routes.javascript.values import well_formed
from native_routes.request_body import body_text

MACHINE_ID_PATHS: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_CONTEXT: Final = "signet:secrets:"
_DIGITS: Final = re.compile(r"[A-Za-z0-9+/]*")
_SHORTEST: Final = nacl.secret.SecretBox.NONCE_SIZE + 16  # bytes of the authentication code


class UnsealError(Exception):
    """A sealed text cannot be read; the message is libsodium's, as legacy repeats it."""


def derive_key(machine_id: str) -> bytes:
    """BLAKE2b-256 of the machine's name, 32 bytes."""
    return hashlib.blake2b(f"{_CONTEXT}{machine_id}".encode(), digest_size=nacl.secret.SecretBox.KEY_SIZE).digest()


def seal(text: str, key: bytes) -> str:
    sealed: bytes = nacl.secret.SecretBox(key).encrypt(well_formed(text).encode())
    return base64.b64encode(sealed).decode()


def unseal(sealed: Any, key: bytes) -> str:
    """The text of what `seal` made, or legacy. Raises UnsealError."""
    if not isinstance(sealed, str):
        raise UnsealError("input cannot be null or undefined" if sealed is None else "unsupported input type for input")
    octets = _octets(sealed)
    if len(octets) < _SHORTEST:
        raise UnsealError("ciphertext is too short")
    try:
        text: bytes = nacl.secret.SecretBox(key).decrypt(octets)
    except nacl.exceptions.CryptoError:
        raise UnsealError("wrong secret key for the given ciphertext") from None
    return body_text(text)  # a byte order mark is dropped here too


def _octets(sealed: str) -> bytes:
    """Base64 as libsodium reads it: up to what is none, and padded. Raises UnsealError."""
    digits = _DIGITS.match(sealed)[0]  # type: ignore[index]  # matches anything
    read = digits + "=" * (-len(digits) % 4)
    octets = b"" if len(digits) % 4 == 1 else base64.b64decode(read)
    if not sealed.startswith(read) or base64.b64encode(octets).decode() != read:
        raise UnsealError("invalid input")
    if sealed != read:
        raise UnsealError("incomplete input")
    return octets


@cache
def machine_id() -> str:
    """What names this machine, the same at every call. Blocks: may ask macOS through a process of its own."""
    for path in MACHINE_ID_PATHS:
        try:
            found = trim(path.read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
        if found:
            return found
    return _platform_uuid()


def machine_key(environment: Mapping[str, str]) -> bytes:
    """The key of this machine's secrets. Blocks. Without any name of the machine, host and user stand in for it."""
    user = environment.get("USER") or environment.get("USERNAME") or "user"
    return derive_key(machine_id() or f"{socket.gethostname()}-{user}")


def _platform_uuid() -> str:
    """macOS's hardware UUID; "" anywhere else."""
    try:
        shown = subprocess.run(
            ["ioreg", "-rd1", "-c", "IOPlatformExpertDevice"], capture_output=True, timeout=2, check=True
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return ""
    line = next((line for line in shown.splitlines() if "IOPlatformUUID" in line), "")
    return line.split()[2].strip('"') if len(line.split()) > 2 else ""
