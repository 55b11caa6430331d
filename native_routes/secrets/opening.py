"""The value behind a name: a stored secret, or an item of 1Password, which legacy alone can ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from native_routes.declaration import LeftToLegacy
from native_routes.javascript.primitives import trim
from native_routes.secrets.sealing import UnsealError, machine_key, unseal
from native_routes.secrets.store import SecretsFile, StoreError

STORED: Final = "$secret:"  # in configuration, before the name of a stored secret
REFERENCE: Final = "op://"  # to an item of 1Password
NULL_NAME: Final = "null is not an object (evaluating 'secretName.startsWith')"
NO_TEXT: Final = (
    "secretName.startsWith is not a function. (In 'secretName.startsWith(SECRET_REF_PREFIX)', 'secretName.startsWith'"
    " is undefined)"
)
REFERENCE_TOKEN: Final = "OP_SERVICE_ACCOUNT_TOKEN"


class SecretError(Exception):
    """A secret cannot be had; the message is legacy's."""


class UnnamedSecretError(SecretError, TypeError):
    """What should name a secret is no text."""


def open_secret(store: SecretsFile, key: bytes, name: Any) -> str:
    """Raises SecretError, StoreError, UnsealError; LeftToLegacy for an item that 1Password would have to tell."""
    if not isinstance(name, str):
        raise UnnamedSecretError(NULL_NAME if name is None else NO_TEXT)
    if name.startswith(REFERENCE):
        if store.holds(REFERENCE_TOKEN):
            raise LeftToLegacy
        name = REFERENCE_TOKEN
    try:
        return unseal(store.sealed(name), key)
    except KeyError:
        raise SecretError(f"Secret '{name}' not found") from None


async def resolve(home_path: Path, environment: Mapping[str, str], setting: str) -> str:
    """The key that a setting such as `$secret:OPENAI` or `op://vault/item` stands for, "" when it names none.

    Raises SecretError.
    """
    name = trim(setting.removeprefix(STORED))
    if not name:
        return ""

    def work() -> str:
        return open_secret(SecretsFile.of(home_path), machine_key(environment), name)

    try:
        return await asyncio.to_thread(work)
    except LeftToLegacy:
        raise SecretError(f"only the legacy daemon can ask 1Password for {setting}") from None
    except (StoreError, UnsealError, OSError) as error:
        raise SecretError(str(error)) from error
