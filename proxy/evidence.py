"""Whether a group's native answers are proven equal to legacy's, by the code that runs.

`scripts/parity certify` writes one file for each group: what was compared, with which contract and schema, and the
SHA-256 of every module that the group's answers depend on. A file that does not fit this code is no evidence.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from native_routes import contract
from native_routes.declaration import RouteGroup

ROOT_PATH = Path(__file__).resolve().parents[1]
EVIDENCE_PATH = ROOT_PATH / "parity_tests" / "evidence"  # in a checkout and in an installation alike

EvidenceReader = Callable[[RouteGroup], str | None]
"""What is missing before the group may answer for real, as a clause ("... is packaged"); None when nothing is."""


class PackagedEvidence:
    """The evidence as it was when the process started. Reading and hashing block: construct it off the event loop."""

    def __init__(self, groups: Iterable[RouteGroup], evidence_path: Path = EVIDENCE_PATH) -> None:
        digest = functools.cache(_digest)  # groups share most of their modules
        self._gaps = {group.name: _gap(group.name, evidence_path / f"{group.name}.json", digest) for group in groups}

    def __call__(self, group: RouteGroup) -> str | None:
        return self._gaps[group.name]


def _gap(name: str, path: Path, digest: Callable[[Path], str]) -> str | None:
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return f"no parity evidence for {name} is packaged with this version"
    except (OSError, ValueError) as error:
        return f"the parity evidence for {name} cannot be read: {error}"
    reasons = list(_reasons(name, values, digest))
    return f"the parity evidence for {name} does not hold: {'; '.join(reasons)}" if reasons else None


def _reasons(name: str, values: Mapping[str, Any], digest: Callable[[Path], str]) -> Iterable[str]:
    if values.get("group") != name:
        yield f"it is for {values.get('group')}"
    if values.get("contract") != contract.VERSION or values.get("schema_version") != contract.SCHEMA_VERSION:
        yield f"it was made with contract {values.get('contract')}, schema {values.get('schema_version')}"
    if not values.get("comparisons") or values.get("differences") != 0:
        yield f"{values.get('comparisons')} comparisons, {values.get('differences')} differences"
    modules = values.get("modules") or {}
    changed = [path for path, recorded in modules.items() if digest(ROOT_PATH / path) != recorded]
    if changed or not modules:
        yield f"the code has changed since: {', '.join(changed) or 'no module is named'}"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
