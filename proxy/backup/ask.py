"""`signet-proxy backup`: the running proxy is asked to; without one the command does it, once nobody else can be in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from proxy.asking import NoProxyError, ask
from proxy.backup.make import default_folder, make_backup
from proxy.backup.manifest import BackupError
from proxy.home import HomeBusy, HomeLock
from proxy.settings import Settings
from proxy.unheld import held_by

WITHIN_S: Final = 900.0
PAGE: Final = "/_proxy/backup"


def back_up(settings: Settings, folder: Path | None) -> Path:
    """Where the backup is. Raises BackupError, HomeError, NoProxyError, RefusedError."""
    try:
        with HomeLock(settings.home_path):
            if holder := held_by(settings):
                raise BackupError(
                    f"{settings.database_path} is in use without a signet-proxy: {holder}. Stop it first, or run it"
                    " behind `signet-proxy serve --take-over`"
                )
            return asyncio.run(make_backup(settings.home_path, folder or default_folder(settings.home_path)))
    except HomeBusy as busy:
        try:
            wanted = {"folder": None if folder is None else str(folder), "home": str(settings.home_path)}
            found = ask(settings, PAGE, wanted, within_s=WITHIN_S)
        except NoProxyError as error:
            raise NoProxyError(f"{busy}; and {error}") from error
        return Path(found["path"])
    except FileNotFoundError as error:
        raise BackupError(f"{settings.home_path} is no home of Signet: {error.filename} does not exist") from error
