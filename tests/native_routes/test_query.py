"""Queries: rows of their class, errors that name the mistake, and texts that are not UTF-8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import apsw
import pytest

from native_routes.query import Insertion, Query


@dataclass(frozen=True, slots=True)
class Thing:
    name: Any
    size: Any


THINGS = Query("SELECT name, size FROM things WHERE size >= :least ORDER BY size DESC", row=Thing)


@pytest.fixture
def connection() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE things (name TEXT, size)")
    connection.execute("INSERT INTO things VALUES ('small', 1), ('large', 9), ('middle', 5)")
    return connection


def test_rows_come_in_the_statements_order(connection: apsw.Connection) -> None:
    assert THINGS.all(connection, least=2) == [Thing("large", 9), Thing("middle", 5)]
    assert THINGS.one(connection, least=2) == Thing("large", 9)


def test_nothing_found_is_an_empty_list_and_none(connection: apsw.Connection) -> None:
    assert THINGS.all(connection, least=10) == []
    assert THINGS.one(connection, least=10) is None


@pytest.mark.parametrize("values", [{}, {"most": 1}, {"least": 1, "most": 2}])
def test_values_must_be_those_of_the_parameters(connection: apsw.Connection, values: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"expected values for \['least'\]"):
        THINGS.all(connection, **values)


def test_a_colon_in_a_literal_is_no_parameter(connection: apsw.Connection) -> None:
    query = Query("SELECT 'a:b', 'it''s :c' WHERE 1 = :one", row=Thing)
    assert query.all(connection, one=1) == [Thing("a:b", "it's :c")]


def test_columns_must_be_as_many_as_fields(connection: apsw.Connection) -> None:
    with pytest.raises(TypeError, match="1 columns for the 2 fields"):
        Query("SELECT name FROM things", row=Thing).all(connection)


def test_text_that_is_not_utf8_is_read_with_replacements_as_bun_reads_it(connection: apsw.Connection) -> None:
    for size, text in enumerate(("61ff62", "eda0bd78", "f09f98", "c0afe08080", "efbbbf61"), start=10):
        connection.execute("INSERT INTO things VALUES (CAST(? AS TEXT), ?)", (bytes.fromhex(text), size))
    connection.execute("INSERT INTO things VALUES (x'ff', 20)")
    # Source: what Bun's SQLite gave for these bytes. A byte order mark stays; bytes stay bytes.
    assert THINGS.all(connection, least=10) == [
        Thing(b"\xff", 20),
        Thing("\ufeffa", 14),
        Thing("\ufffd" * 5, 13),
        Thing("\ufffd", 12),
        Thing("\ufffd\ufffd\ufffdx", 11),
        Thing("a\ufffdb", 10),
    ]


def test_a_lone_surrogate_is_bound_as_bun_binds_it(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO things VALUES ('\ufffd', 30)")
    named = Query("SELECT name, size FROM things WHERE name = :name", row=Thing)
    assert named.all(connection, name="\ud83d") == [Thing("\ufffd", 30)]


def test_many_rows_are_inserted_in_their_order_with_texts_as_bun_stores_them(connection: apsw.Connection) -> None:
    insertion = Insertion("INSERT INTO things (size, name) VALUES (:size, upper(:name) || ':x')")
    insertion.run_all(connection, [{"name": "a\ud800", "size": 1}, {"name": "b", "size": None}])
    insertion.run_all(connection, [])
    assert insertion.run(connection, name="c", size=3) == 1
    found = connection.execute("SELECT name, size FROM things WHERE rowid > 3 ORDER BY rowid").fetchall()
    assert found == [("A\ufffd:x", 1), ("B:x", None), ("C:x", 3)]


def test_of_many_rows_none_is_inserted_when_one_is_refused(connection: apsw.Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX names ON things (name)")
    insertion = Insertion("INSERT INTO things (name, size) VALUES (:name, :size)")
    with pytest.raises(apsw.ConstraintError):
        insertion.run_all(connection, [{"name": "new", "size": 1}, {"name": "small", "size": 1}])
    with pytest.raises(TypeError, match="expected values for"):
        insertion.run_all(connection, [{"name": "new", "size": 1}, {"name": "newer"}])
    assert connection.execute("SELECT count(*) FROM things").fetchall() == [(3,)]


def test_an_insertion_must_end_in_its_row() -> None:
    with pytest.raises(TypeError, match="at the end"):
        Insertion("INSERT INTO things (name) SELECT :name")
