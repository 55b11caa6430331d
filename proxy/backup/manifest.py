"""`signet-backup.json` of a backup: what is in it, from where, and what each file must hash to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from proxy.operator_error import OperatorError

T = TypeVar("T", "KeptFile", "Manifest")

NAME: Final = "signet-backup.json"  # among the files of the home, so nothing of a home may be called so
FORMAT: Final = 1
DATABASE: Final = "memory/memories.db"  # where it is in a home, and in a backup
_CHUNK_BYTES: Final = 1 << 20


class BackupError(OperatorError):
    """A backup cannot be made or used; the message names the cause and the fix."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """`path` from the top of the home, with `/`. `target` is where a symbolic link points; it has no hash.

    Octets of a name that are no UTF-8 are lone surrogates, as in `os.fsdecode`, and escaped in the JSON.
    """

    path: str
    bytes: int
    mode: int
    sha256: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    format: int
    made_at: str  # UTC, ISO 8601
    made_by: str
    home: str
    schema_version: int
    memories: int  # rows, deleted ones included
    files: tuple[KeptFile, ...]  # the database is one of them

    def write(self, folder: Path) -> None:
        (folder / NAME).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="ascii")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises BackupError."""
        path = folder / NAME
        try:
            values: dict[str, Any] = json.loads(path.read_bytes())
            files = tuple(_typed(KeptFile(**file)) for file in values.pop("files"))
            manifest = _typed(cls(files=files, **values))
        except FileNotFoundError:
            raise BackupError(f"{folder} is no backup: it has no {NAME}") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BackupError(f"{path} cannot be read: {error}") from error
        if manifest.format != FORMAT:
            raise BackupError(f"{path} has format {manifest.format}; this signet-proxy reads {FORMAT}")
        return manifest

    def check(self, folder: Path) -> None:
        """Every file is there and is what was backed up. Raises BackupError naming all that are not."""
        bad = [problem for file in self.files if (problem := _problem(folder, file))]
        if bad:
            raise BackupError(f"{folder} is damaged: {'; '.join(bad)}")


def sha256_of(path: Path) -> str:
    """Blocks. Never of a database that is open in this process: closing the file drops SQLite's locks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _typed(values: T) -> T:
    """Raises TypeError for a field of another type than declared."""
    for field in fields(values):
        value = getattr(values, field.name)
        if type(value).__name__ != str(field.type).partition("[")[0]:
            raise TypeError(f"{field.name} is {value!r}")
    return values


def _problem(folder: Path, file: KeptFile) -> str:
    path = folder / file.path
    relative = Path(file.path)
    if ".." in relative.parts or relative.is_absolute() or not relative.parts:
        return f"{file.path} lies outside of it"
    if any((folder / parent).is_symlink() for parent in relative.parents):
        return f"{file.path} lies behind a symbolic link"
    try:
        if file.target:
            return "" if str(path.readlink()) == file.target else f"{file.path} points elsewhere"
        return "" if sha256_of(path) == file.sha256 else f"{file.path} has changed"
    except OSError as error:
        return f"{file.path}: {error.strerror}"
    except ValueError as error:  # a name that no file system has
        return f"{file.path!r}: {error}"
