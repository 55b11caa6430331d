"""A statement and the shape of its rows, together. Needs no SQLite of its own: it works on a connection it is given."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from native_routes.database import Connection

Row = TypeVar("Row")
_QUOTED = re.compile(r"'[^']*'")
_PARAMETER = re.compile(r":([A-Za-z_]\w*)")
_MARK = re.compile(rf"{_QUOTED.pattern}|{_PARAMETER.pattern}")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Query(Generic[Row]):
    """`Query("SELECT ... :name", row=SomeRow)`; `row` is a frozen, slotted dataclass, a field for each column in order.

    TEXT that is not UTF-8 arrives with U+FFFD in place of what cannot be read, as Bun reads it. Raises TypeError when
    values and :parameters, or columns and fields, do not match: such a query is a bug of ours.
    """

    __slots__ = ("_fields", "_names", "_row", "_tolerant", "sql")

    def __init__(self, sql: str, row: type[Row]) -> None:
        self.sql = sql
        self._row: Callable[..., Row] = row
        self._fields: Final = tuple(field.name for field in dataclasses.fields(row))  # type: ignore[arg-type]
        self._names: Final = parameters(sql)
        self._tolerant: Final = _text_as_bytes(sql, self._fields)
        if not self._fields:
            raise TypeError(f"{row.__name__} has no fields")

    def all(self, connection: Connection, **values: object) -> list[Row]:
        """Every row, in the statement's order; [] when none."""
        check_values(self._names, values, self.sql)
        try:
            return self._rows(connection.execute(self.sql, values).fetchall())
        except UnicodeEncodeError:
            return self.all(connection, **_well_formed(values))
        except UnicodeDecodeError:
            found = connection.execute(self._tolerant, values).fetchall()
            return self._rows([_read_bytes(line) for line in found])

    def one(self, connection: Connection, **values: object) -> Row | None:
        """The first row, None when there is none."""
        rows = self.all(connection, **values)
        return rows[0] if rows else None

    def _rows(self, found: list[Any]) -> list[Row]:
        if found and len(found[0]) != len(self._fields):
            raise TypeError(f"{len(found[0])} columns for the {len(self._fields)} fields {self._fields}: {self.sql}")
        return [self._row(*columns) for columns in found]


class Command:
    """`Command("UPDATE ... WHERE id = :id")`: a statement that changes rows and returns none.

    Texts are stored as Bun stores them: a lone surrogate as U+FFFD, NUL as it is. Raises TypeError as Query does.
    """

    __slots__ = ("_names", "sql")

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._names: Final = parameters(sql)

    def run(self, connection: Connection, **values: object) -> int:
        """How many rows it inserted, updated or deleted itself; what triggers changed is not counted."""
        check_values(self._names, values, self.sql)
        try:
            connection.execute(self.sql, values)
        except UnicodeEncodeError:
            connection.execute(self.sql, _well_formed(values))
        return connection.changes()


class Insertion(Command):
    """`Insertion("INSERT INTO t (a, b) VALUES (:a, :b)")`, whose one row of values is the end of the statement.

    Many rows are inserted by one statement: what SQLite does anew for each, such as writing out FTS5's index before a
    statement that has triggers, and waiting for the interpreter after it, is done once.
    """

    __slots__ = ("_head", "_order", "_row", "_texts")

    def __init__(self, sql: str) -> None:
        super().__init__(sql)
        head, _, row = sql.rpartition("VALUES")
        self._head: Final = f"{head}VALUES "
        self._row: Final = _MARK.sub(lambda found: "?" if found[1] else found[0], row.strip())
        self._order: Final = tuple(_PARAMETER.findall(_QUOTED.sub("''", row)))
        self._texts: dict[int, str] = {}
        if not head or frozenset(self._order) != self._names:
            raise TypeError(f"expected VALUES (...) at the end, with every parameter: {sql}")

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert all in their order; none when one is refused."""
        for values in rows:
            check_values(self._names, values, self.sql)
        if not rows:
            return
        text = self._texts.get(len(rows))
        if text is None:
            text = self._texts[len(rows)] = self._head + ", ".join([self._row] * len(rows))
        try:
            connection.execute(text, [values[name] for values in rows for name in self._order])
        except UnicodeEncodeError:
            tidy = map(_well_formed, rows)
            connection.execute(text, [values[name] for values in tidy for name in self._order])


def parameters(sql: str) -> frozenset[str]:
    """The names of its :parameters."""
    return frozenset(_PARAMETER.findall(_QUOTED.sub("''", sql)))


def check_values(names: frozenset[str], values: Mapping[str, object], sql: str) -> None:
    if values.keys() != names:
        raise TypeError(f"expected values for {sorted(names)}, got {sorted(values)}: {sql}")


def _well_formed(values: Mapping[str, object]) -> dict[str, object]:
    """Texts with U+FFFD for each lone surrogate: what Bun stores and compares for one."""
    return {
        name: _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value for name, value in values.items()
    }


def _text_as_bytes(sql: str, fields: tuple[str, ...]) -> str:
    """The same statement with each column twice: whether it is text, and its value with text as its bytes."""
    columns = ", ".join(
        f"typeof({name}) = 'text', CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
        for name in fields
    )
    return f"WITH answer ({', '.join(fields)}) AS ({sql}) SELECT {columns} FROM answer"  # noqa: S608  # constants only


def _read_bytes(line: tuple[Any, ...]) -> list[Any]:
    pairs = zip(line[::2], line[1::2], strict=True)
    return [value.decode("utf-8", "replace") if is_text else value for is_text, value in pairs]
