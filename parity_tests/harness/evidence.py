"""Evidence: one file for each group that says what its native answers were compared with, and with which code.

It is bound to the contract, the schema, the corpus and every module of native_routes that the group's code imports, or
gets from the process through `request.context`; a change of any of them makes it stale. The module list makes checking
cheap: whoever reads it hashes those files, and a new import cannot slip in, since it changes a file that is listed.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from native_routes import contract

CHECKOUT_PATH: Final = Path(__file__).resolve().parents[2]
EVIDENCE_PATH: Final = CHECKOUT_PATH / "parity_tests" / "evidence"
PACKAGE: Final = "native_routes"
PROVIDED: Final = {
    "reader": f"{PACKAGE}.reader",
    "writer": f"{PACKAGE}.writer",
    "embedder": f"{PACKAGE}.searching.embedders",
    "vectors": f"{PACKAGE}.searching.vectors",
    "searcher": f"{PACKAGE}.recall.search",
    "daemon_log": f"{PACKAGE}.daemon_log",
}
"""What a handler uses of its context, by attribute, and the module that it is made of."""


@dataclass(frozen=True, slots=True)
class Evidence:
    group: str
    contract: str
    schema_version: int
    corpus_digest: str
    modules: Mapping[str, str]  # path from the checkout -> SHA-256
    candidate: str
    comparisons: int  # distinct requests whose answers were compared
    differences: int
    bound_95: float  # 3 / comparisons
    routes: Mapping[str, int]  # comparisons by route

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def stale(data: Mapping[str, Any], group: str, corpus_digest: str, root: Path = CHECKOUT_PATH) -> list[str]:
    """Why evidence does not hold for the code as it is; [] when it does."""
    modules = imported_modules(group, root)
    checks = (
        (data.get("group") == group, f"it is for {data.get('group')}"),
        (data.get("contract") == contract.VERSION, f"contract {data.get('contract')}, not {contract.VERSION}"),
        (data.get("schema_version") == contract.SCHEMA_VERSION, f"schema {data.get('schema_version')}"),
        (data.get("corpus_digest") == corpus_digest, "the corpus has changed"),
        (data.get("differences") == 0, f"{data.get('differences')} differences"),
        (bool(data.get("comparisons")), "nothing was compared"),
    )
    reasons = [reason for holds, reason in checks if not holds]
    recorded: Mapping[str, str] = data.get("modules") or {}
    changed = sorted(path for path in {*recorded, *modules} if recorded.get(path) != modules.get(path))
    return reasons + ([f"changed since: {', '.join(changed)}"] if changed else [])


def imported_modules(group: str, root: Path = CHECKOUT_PATH) -> dict[str, str]:
    """Path -> SHA-256 of every module of native_routes that the group's code reaches, itself included."""
    waiting = sorted((root / PACKAGE / group).rglob("*.py"))
    seen: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name not in seen:
            source = path.read_bytes()
            seen[name] = hashlib.sha256(source).hexdigest()
            waiting += _imports(source, root)
    return dict(sorted(seen.items()))


def _imports(source: bytes, root: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]  # a handler that is imported when it is asked for: lazily("native_routes.x.handlers")
        elif isinstance(node, ast.Attribute) and node.attr in PROVIDED:
            names = [PROVIDED[node.attr]]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            # The package's own file lists all groups and decides nothing.
            if name.startswith(f"{PACKAGE}.") and (found := _file_of(name, root)):
                yield found


def _file_of(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
