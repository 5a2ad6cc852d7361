"""The SQL by which S9 adds up its own columns, in what PostgreSQL, MySQL and MariaDB all know.

What a column's value is as JSON text, and what of it is a number, each database says itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
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

    @property
    def groups_by_sets(self) -> bool:
        """Whether GROUPING SETS are known."""


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

    def groups(self, sets: Sequence[Sequence[str]]) -> Iterator[str]:
        """What the records add up to, for each combination of the values in the columns of each of
        `sets`, one after the other: the place of the set, and [[label, …], records, lines,
        [sum, …], [with, …]] as JSON. One query goes through the records for all sets, where the
        database can do that; else there is one for each."""
        if self._dialect.groups_by_sets:
            yield self._groups(dict(enumerate(sets)))
        else:
            for place, by in enumerate(sets):
                yield self._groups({place: by})

    def _groups(self, sets: Mapping[int, Sequence[str]]) -> str:
        grouping = _Grouping(sets)
        inner, texts = [], {}
        for name, key in grouping.keys.items():
            label = self._label(name)
            inner.append(f"{label.key} AS {key}")
            texts[name] = label.text.format(key)
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
        values = {place: [texts[name] for name in by] for place, by in sets.items()}
        counts, joined = self._lines()
        outer = [*grouping.columns, "COUNT(*) AS r", "COALESCE(SUM(n), 0) AS l", *sums]
        labels = grouping.own({place: _listed(each) for place, each in values.items()})
        text = [labels, "r", "l", _listed(summed), _listed(counted)]
        return (
            f"SELECT {grouping.place}, {_listed(text)} FROM (SELECT {', '.join(outer)} FROM "
            f"(SELECT {', '.join(inner)}, {counts} AS n "
            f"FROM ({self._planned.records.query}) AS q{joined}) AS x "
            f"GROUP BY {grouping.by}) AS g ORDER BY {', '.join(grouping.order(values))}"
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


class _Grouping:
    """How rows are grouped, by the columns of one set, or by those of each of several: `keys` are
    the names that columns have inside a query."""

    def __init__(self, sets: Mapping[int, Sequence[str]]) -> None:
        self._sets = sets
        names = [*dict.fromkeys(chain.from_iterable(sets.values()))]
        self.keys = {name: f"k{number}" for number, name in enumerate(names)}
        # What GROUPING says: a bit for each column that is not in a set, the highest for the first.
        self._bits = {
            place: sum(1 << bit for bit, name in enumerate(reversed(names)) if name not in by)
            for place, by in sets.items()
        }
        self._is_one = len(sets) == 1

    @property
    def columns(self) -> list[str]:
        """What is selected with the groups: their values, and of which set each is."""
        keys = [*self.keys.values()]
        return keys if self._is_one else [*keys, f"GROUPING({', '.join(keys)}) AS b"]

    @property
    def by(self) -> str:
        """What follows GROUP BY."""
        sets = [", ".join(self.keys[name] for name in by) for by in self._sets.values()]
        return sets[0] if self._is_one else f"GROUPING SETS ({', '.join(f'({s})' for s in sets)})"

    @property
    def place(self) -> str:
        """The place of the set that a group is of."""
        return self.own({place: str(place) for place in self._sets})

    def own(self, parts: Mapping[int, str]) -> str:
        """What of `parts` is that of the set that a group is of, given by the places of sets."""
        if self._is_one:
            return next(iter(parts.values()))
        cases = (f"WHEN {self._bits[place]} THEN {part}" for place, part in parts.items())
        return f"CASE b {' '.join(cases)} END"

    def order(self, values: Mapping[int, Sequence[str]]) -> list[str]:
        """By what the groups are ordered: by sets, and in each by its values."""
        numbers = range(max(map(len, values.values())))
        ordered = [
            self.own({place: each[n] for place, each in values.items() if n < len(each)})
            for n in numbers
        ]
        return ordered if self._is_one else [self.place, *ordered]


def _listed(values: Sequence[str]) -> str:
    """The SQL of a JSON array of values that are JSON texts."""
    return f"CONCAT('[', {', '.join(_with_commas(values))}, ']')"


def _with_commas(values: Sequence[str]) -> list[str]:
    return [part for place, value in enumerate(values) for part in (*["','"] * bool(place), value)]
