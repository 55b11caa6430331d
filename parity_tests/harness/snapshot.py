"""The whole database at one moment, and what changed between two moments, as trees that the differ compares."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from parity_tests.harness import schema_classes, sqlite
from parity_tests.harness.tree import Number, Object, Tree

_WHOLE_SECOND = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?")

Key = tuple[Hashable, ...]
Row = tuple[Any, ...]


class UnclassedTable(Exception):
    """The schema has an object that schema_classes.py does not name."""


class CorruptIndex(Exception):
    """A full-text index does not agree with the rows that it indexes."""


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[str, ...]
    key_columns: tuple[str, ...]  # () = rowid
    rows: Mapping[Key, Row]  # in rowid order


@dataclass(frozen=True, slots=True)
class Snapshot:
    tables: Mapping[str, Table]
    vocabulary: Mapping[str, Mapping[int, str]]  # FTS table -> rowid -> digest of its terms and places
    vectors: Mapping[str, Mapping[str, str]]  # vector table -> id -> digest
    schema: str  # digest of all DDL


def take(live: sqlite.Connection) -> Snapshot:
    """Everything, as of one commit. Raises UnclassedTable, CorruptIndex."""
    copy = sqlite.in_memory_copy(live)
    try:
        names = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        if strangers := schema_classes.unclassed(names):
            raise UnclassedTable(f"no class for {', '.join(sorted(strangers))}: name them in schema_classes.py")
        return Snapshot(
            tables={name: _table(copy, name) for name in sorted(schema_classes.ROWS & names)},
            vocabulary={name: _vocabulary(copy, name) for name in sorted(set(schema_classes.FTS) & names)},
            vectors={name: _vectors(copy, name) for name in sorted(schema_classes.VECTORS & names)},
            schema=_schema(copy),
        )
    finally:
        copy.close()


def _schema(copy: sqlite.Connection) -> str:
    objects = copy.execute("SELECT type, name, sql FROM sqlite_master")
    ddl = sorted(f"{kind} {name} {sql}" for kind, name, sql in objects)
    ddl += [f"{name} {sqlite.scalar(copy, f'PRAGMA {name}')}" for name in ("user_version", "application_id")]
    return hashlib.sha256("\n".join(ddl).encode()).hexdigest()[:16]


def _table(copy: sqlite.Connection, name: str) -> Table:
    info = list(copy.execute("SELECT name, pk FROM pragma_table_info(?)", (name,)))
    columns = tuple(column for column, _ in info)
    keys = tuple(column for column, place in sorted(info, key=lambda item: item[1]) if place)
    if name == "sqlite_sequence":
        keys = ("name",)
    places = [columns.index(key) for key in keys]
    rows: dict[Key, Row] = {}
    for rowid, row in _rows(copy, name, columns):
        rows[tuple(row[place] for place in places) if keys else (rowid,)] = row
    return Table(columns, keys, rows)


def _rows(copy: sqlite.Connection, name: str, columns: tuple[str, ...]) -> list[tuple[int, Row]]:
    try:
        found = copy.execute(f'SELECT rowid, * FROM "{name}" ORDER BY rowid')  # noqa: S608  (the schema's own names)
        return [(rowid, tuple(values)) for rowid, *values in found]
    except UnicodeDecodeError:
        return _rows_of_any_text(copy, name, columns)


def _rows_of_any_text(copy: sqlite.Connection, name: str, columns: tuple[str, ...]) -> list[tuple[int, Row]]:
    """As `_rows`, for a table that holds text which is no UTF-8: JavaScript stores lone surrogates as they are."""
    kinds = ", ".join(f'typeof("{column}")' for column in columns)
    values = ", ".join(f"""iif(typeof("{c}") = 'text', CAST("{c}" AS BLOB), "{c}")""" for c in columns)
    found = copy.execute(f'SELECT rowid, {kinds}, {values} FROM "{name}" ORDER BY rowid')  # noqa: S608  (own names)
    out = []
    for rowid, *cells in found:
        pairs = zip(cells[: len(columns)], cells[len(columns) :], strict=True)
        out.append((rowid, tuple(_decoded(item) if kind == "text" else item for kind, item in pairs)))
    return out


def _decoded(item: bytes) -> str:
    try:
        return item.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return item.decode("utf-8", "backslashreplace")


def _vocabulary(copy: sqlite.Connection, name: str) -> dict[int, str]:
    try:
        copy.execute(f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)")  # noqa: S608
    except sqlite.SQLError as error:
        raise CorruptIndex(f"{name} does not agree with its content table: {error}") from error
    copy.execute(f"CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab('main', '{name}', 'instance')")
    found: dict[int, tuple[int, Any]] = {}
    places = 'SELECT CAST(term AS BLOB), doc, col, "offset" FROM temp.vocabulary'
    for term, doc, column, offset in copy.execute(places):
        count, digest = found.get(doc, (0, None))
        digest = digest or hashlib.sha256()
        digest.update(term + f"\0{column}\0{offset}\n".encode())
        found[doc] = (count + 1, digest)
    copy.execute("DROP TABLE temp.vocabulary")
    return {doc: f"{count} terms {digest.hexdigest()[:16]}" for doc, (count, digest) in found.items()}


def _vectors(copy: sqlite.Connection, name: str) -> dict[str, str]:
    rows = copy.execute(f"SELECT id, embedding FROM {name}")  # noqa: S608
    return {str(key): _blob(value) for key, value in rows}


def changes(before: Snapshot, after: Snapshot, run_started: str = "9999") -> Object:
    """What an observer sees changed; {} when nothing did. New rows come in rowid order.

    A changed row also shows its times in whole seconds since `run_started` ("2026-01-31 12:00:00"), changed or not:
    one that was set twice may or may not have moved. A time with a fraction that did not move was not set.
    """
    rows: list[tuple[str, Tree]] = [
        (name, change)
        for name in after.tables
        if (change := _row_changes(before.tables.get(name), after.tables[name], run_started))
    ]
    index: list[tuple[str, Tree]] = [
        (name, Object((str(key), text) for key, text in terms))
        for name, now in after.vocabulary.items()
        if (terms := _map_changes(before.vocabulary.get(name, {}), now))
    ]
    vectors: list[tuple[str, Tree]] = [
        (name, [[key, text] for key, text in moved])
        for name, now in after.vectors.items()
        if (moved := _map_changes(before.vectors.get(name, {}), now))
    ]
    parts: list[tuple[str, Tree]] = [("rows", Object(rows)), ("full_text", Object(index)), ("vectors", Object(vectors))]
    if before.schema != after.schema:
        parts.append(("schema", f"{before.schema} -> {after.schema}"))
    return Object((name, part) for name, part in parts if not isinstance(part, Object) or part.pairs)


def _map_changes(before: Mapping[Any, str], after: Mapping[Any, str]) -> list[tuple[str, str | None]]:
    changed: list[tuple[str, str | None]] = [(key, text) for key, text in after.items() if before.get(key) != text]
    return changed + [(key, None) for key in before if key not in after]


def _row_changes(before: Table | None, after: Table, run_started: str) -> list[Tree]:
    old = before.rows if before is not None else {}
    out: list[Tree] = []
    for key, row in after.rows.items():
        if key not in old:
            out.append(Object([("inserted", _columns(after, row))]))
        elif repr(old[key]) != repr(row):  # repr: 1, 1.0 and True are three things here
            pairs = zip(after.columns, old[key], row, strict=True)
            shown = [(c, value(now)) for c, was, now in pairs if repr(was) != repr(now) or _is_recent(now, run_started)]
            out.append(Object([("updated", _key(key)), ("to", Object(shown))]))
    gone: list[Tree] = [Object([("deleted", _key(key))]) for key in old if key not in after.rows]
    return out + gone


def _is_recent(item: Any, run_started: str) -> bool:
    return (
        isinstance(item, str)
        and _WHOLE_SECOND.fullmatch(item) is not None
        and item[:19].replace("T", " ") >= run_started
    )


def _key(key: Key) -> Tree:
    return value(key[0]) if len(key) == 1 else [value(part) for part in key]


def _columns(table: Table, row: Row) -> Object:
    """NULL columns are left out: most are."""
    return Object((column, value(item)) for column, item in zip(table.columns, row, strict=True) if item is not None)


def value(item: Any) -> Tree:
    if isinstance(item, bytes):
        return _blob(item)
    if isinstance(item, float) and not math.isfinite(item):
        return f"REAL {item}"
    if isinstance(item, int | float) and not isinstance(item, bool):
        return Number(repr(item))
    return item if item is None or isinstance(item, str) else str(item)


def _blob(item: bytes) -> str:
    return f"{len(item)} bytes {hashlib.sha256(item).hexdigest()[:16]}"
