"""Conditions on memories that recall and keyword search share, as SQL on a table named `m`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from native_routes.javascript.values import SqlValue, bindable, truthy
from native_routes.tags import split_tags


class UnusableFilterError(TypeError):
    """Tags that are no text: legacy's search fails as a whole."""


@dataclass(frozen=True, slots=True)
class Filter:
    """`sql` is empty or starts with " AND"; it is made of constants and depends only on which conditions there are.

    Legacy: buildFilterClause. Falsy values do not filter. The order of conditions is legacy's, because it can decide
    which index SQLite takes, and with it the order of equal scores.
    """

    sql: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # as they came; see `bound`

    def bound(self) -> dict[str, SqlValue]:
        """The values by parameter name. Raises UnbindableError for a list or an object, as legacy's binding does."""
        return {name: bindable(value) for name, value in self.values.items()}


def build_filter(
    *,
    type_: Any = None,
    tags: Any = None,
    who: Any = None,
    pinned: Any = None,
    importance_min: float | None = None,
    since: Any = None,
    until: Any = None,
) -> Filter:
    """Raises UnusableFilterError. A tag matches as a substring of the whole column: "a" also finds the tag "bar"."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if truthy(type_):
        conditions.append(" AND m.type = :type")
        values["type"] = type_
    if truthy(tags):
        if not isinstance(tags, str):
            raise UnusableFilterError(f"tags are {type(tags).__name__}: expected text")
        for number, tag in enumerate(split_tags(tags)):
            conditions.append(f" AND m.tags LIKE :tag{number}")
            values[f"tag{number}"] = f"%{tag}%"
    if truthy(who):
        conditions.append(" AND m.who = :who")
        values["who"] = who
    if truthy(pinned):
        conditions.append(" AND m.pinned = 1")
    if importance_min is not None:
        conditions.append(" AND m.importance >= :importance_min")
        values["importance_min"] = importance_min
    if truthy(since):
        conditions.append(" AND m.created_at >= :since")
        values["since"] = since
    if truthy(until):
        conditions.append(" AND m.created_at <= :until")
        values["until"] = until
    return Filter("".join(conditions), values)
