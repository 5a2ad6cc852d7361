"""The SQL by which S9 adds up its own columns, in what PostgreSQL, MySQL and MariaDB all know.

What a column's value is as JSON text, and what of it is a number, each database says itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from extract.selection import Amount, ExtractPlan, Label, SourceColumn


class Dialect(Protocol):
    """What a database writes in its own way."""

    def quote(self, identifier: str) -> str:
        """An identifier, quoted."""

    def label(self, reference: str, column: SourceColumn, /) -> Label:
        """The SQL of a value as the JSON text that the extracted file has."""

    def amount(self, reference: str, column: SourceColumn, /) -> Amount:
        """The SQL of an amount."""


class SumQueries:
    """Writes the queries for one entity. `amounts` are the canonical names of its amounts."""

    def __init__(self, dialect: Dialect, planned: ExtractPlan, amounts: Sequence[str]) -> None:
        self._dialect = dialect
        self._planned = planned
        self._columns = {field.name: field.column for field in planned.records.fields}
        self._amounts = [self._amount(name) for name in amounts]

    @property
    def absent(self) -> tuple[int, ...]:
        """The places of amounts that S9 has no column for."""
        return tuple(place for place, found in enumerate(self._amounts) if found is None)

    def groups(self, by: Sequence[str]) -> str:
        """What the records add up to, for each combination of the values in the columns `by`: a
        number that says nothing, and [[label, …], records, lines, [sum, …], [with, …]] as JSON."""
        labels = [self._label(name) for name in by]
        inner = [f"{label.key} AS k{place}" for place, label in enumerate(labels)]
        sums, summed, counted = [], [], []
        for place, found in enumerate(self._amounts):
            if found is None:
                summed.append("'\"0\"'")
                counted.append("0")
                continue
            inner.append(f"CASE WHEN {found.is_plain} THEN {found.number} END AS a{place}")
            sums += [f"COALESCE(SUM(a{place}), 0) AS s{place}", f"COUNT(a{place}) AS c{place}"]
            summed.append(f"CONCAT('\"', s{place}, '\"')")
            counted.append(f"c{place}")
        keys = [f"k{place}" for place in range(len(labels))]
        values = [label.text.format(key) for label, key in zip(labels, keys, strict=True)]
        outer = ", ".join([*keys, "COUNT(*) AS r", "COALESCE(SUM(n), 0) AS l", *sums])
        counts, joined = self._lines()
        text = [_listed(values), "r", "l", _listed(summed), _listed(counted)]
        return (
            f"SELECT 0, {_listed(text)} FROM (SELECT {outer} FROM (SELECT {', '.join(inner)}, "
            f"{counts} AS n FROM ({self._planned.records.query}) AS q{joined}) AS x "
            f"GROUP BY {', '.join(keys)}) AS g ORDER BY {', '.join(values)}"
        )

    def incomplete(self) -> str:
        """The keys of records without all amounts, in order, each with [0 or 1, …]: whether it has
        each. "" where no amount has a column."""
        there = [found for found in self._amounts if found is not None]
        if not there:
            return ""
        has = [
            "1" if found is None else f"CASE WHEN {found.is_plain} THEN 1 ELSE 0 END"
            for found in self._amounts
        ]
        key = f"q.{self._dialect.quote(self._planned.records.key)}"
        where = " AND ".join(found.is_plain for found in there)
        return (
            f"SELECT {key}, {_listed(has)} FROM ({self._planned.records.query}) AS q "
            f"WHERE NOT ({where}) ORDER BY {key}"
        )

    def _label(self, name: str) -> Label:
        column = self._columns.get(name)
        if column is None:
            return Label("'null'", "{0}")
        return self._dialect.label(f"q.{self._dialect.quote(column.name)}", column)

    def _amount(self, name: str) -> Amount | None:
        column = self._columns.get(name)
        if column is None:
            return None
        return self._dialect.amount(f"q.{self._dialect.quote(column.name)}", column)

    def _lines(self) -> tuple[str, str]:
        """How many children a record has, and what has to be joined for that."""
        children = self._planned.children
        if children is None:
            return "0", ""
        parent = self._dialect.quote(children.key)
        key = self._dialect.quote(self._planned.records.key)
        return "c.n", (
            f" LEFT JOIN (SELECT {parent} AS p, COUNT(*) AS n FROM ({children.everything}) AS l "
            f"WHERE {parent} IS NOT NULL GROUP BY {parent}) AS c ON c.p = q.{key}"
        )


def _listed(values: Sequence[str]) -> str:
    """The SQL of a JSON array of values that are JSON texts."""
    return f"CONCAT('[', {', '.join(_with_commas(values))}, ']')"


def _with_commas(values: Sequence[str]) -> list[str]:
    return [part for place, value in enumerate(values) for part in (*["','"] * bool(place), value)]
