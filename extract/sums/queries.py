"""The SQL by which S9 adds up its own columns, in what PostgreSQL, MySQL and MariaDB all know.

What a column's value is as JSON text, and what of it is a number, each database says itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
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

    def groups(self, sets: Sequence[Sequence[str]]) -> str:
        """What the records add up to, for each combination of the values in the columns of each of
        `sets`, one after the other: the place of the set, and [[label, …], records, lines,
        [sum, …], [with, …]] as JSON. The records are gone through once for all sets, and so are
        their children, to be counted."""
        grouping = (_BySets if self._dialect.groups_by_sets else _ByPlaces)(sets)
        labels = {name: self._label(name) for name in chain.from_iterable(sets)}
        inner = grouping.inner({name: label.key for name, label in labels.items()})
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
        values = [
            [labels[name].text.format(grouping.key(name, number)) for number, name in enumerate(by)]
            for by in sets
        ]
        counts, joined = self._lines()
        outer = [*grouping.columns, "COUNT(*) AS r", "COALESCE(SUM(n), 0) AS l", *sums]
        text = [grouping.own(list(map(_listed, values))), "r", "l", _listed(summed)]
        which = grouping.own(list(map(str, range(len(sets)))))
        return (
            f"SELECT {which}, {_listed([*text, _listed(counted)])} "
            f"FROM (SELECT {', '.join(outer)} FROM "
            f"(SELECT {', '.join(inner)}, {counts} AS n "
            f"FROM ({self._planned.records.query}) AS q{joined}{grouping.joined}) AS x "
            f"GROUP BY {grouping.by}) AS g ORDER BY {', '.join([which, *grouping.order(values)])}"
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


class _BySets:
    """How rows are grouped by the columns of each of several sets: by GROUPING SETS."""

    joined = ""

    def __init__(self, sets: Sequence[Sequence[str]]) -> None:
        self._sets = sets
        self._names = [*dict.fromkeys(chain.from_iterable(sets))]

    def inner(self, keys: Mapping[str, str]) -> list[str]:
        """What is selected of a record to group it by, given what tells the columns' values
        apart."""
        return [f"{keys[name]} AS {self.key(name, 0)}" for name in self._names]

    def key(self, name: str, _number: int) -> str:
        """The name that a column has inside the query, which has this number in its set."""
        return f"k{self._names.index(name)}"

    @property
    def columns(self) -> list[str]:
        """What is selected with the groups: their values, and of which set each is."""
        keys = [self.key(name, 0) for name in self._names]
        return [*keys, f"GROUPING({', '.join(keys)}) AS b"]

    @property
    def by(self) -> str:
        """What follows GROUP BY."""
        sets = [", ".join(self.key(name, 0) for name in by) for by in self._sets]
        return f"GROUPING SETS ({', '.join(f'({keys})' for keys in sets)})"

    def own(self, parts: Sequence[str]) -> str:
        """What of `parts`, one for each set, is that of the set that a group is of."""
        # What GROUPING says: a bit for each column that is not in a set, the highest for the first.
        bits = [
            sum(1 << bit for bit, name in enumerate(reversed(self._names)) if name not in by)
            for by in self._sets
        ]
        return _case("b", zip(bits, parts, strict=True))

    def order(self, values: Sequence[Sequence[str]]) -> list[str]:
        """By what the groups of a set are ordered: by its values."""
        return [self.own(each) for each in zip_longest(*values, fillvalue="NULL")]


class _ByPlaces(_BySets):
    """The same where GROUPING SETS are not known: each record counts once for each set, under the
    set's place and the values that it has there."""

    def __init__(self, sets: Sequence[Sequence[str]]) -> None:
        super().__init__(sets)
        self._keys = [f"k{number}" for number in range(max(map(len, sets)))]

    @property
    def joined(self) -> str:  # type: ignore[override]
        """What each record is joined with: the places. A LEFT JOIN comes last, so that what stands
        before it is looked up once."""
        first, *others = range(len(self._sets))
        places = f"SELECT {first} AS b" + "".join(f" UNION ALL SELECT {place}" for place in others)
        return f" LEFT JOIN ({places}) AS s ON 1 = 1"

    def inner(self, keys: Mapping[str, str]) -> list[str]:
        """What is selected of a record to group it by."""
        found = ["s.b AS b"]
        for number, key in enumerate(self._keys):
            own = [
                (place, keys[by[number]]) for place, by in enumerate(self._sets) if number < len(by)
            ]
            found.append(f"{_case('s.b', own)} AS {key}")
        return found

    def key(self, _name: str, number: int) -> str:
        """That of its number in its set."""
        return self._keys[number]

    @property
    def columns(self) -> list[str]:
        """Place and values."""
        return ["b", *self._keys]

    @property
    def by(self) -> str:
        """Place and values."""
        return ", ".join(self.columns)

    def own(self, parts: Sequence[str]) -> str:
        """By the place."""
        return _case("b", enumerate(parts))


def _case(which: str, parts: Iterable[tuple[int, str]]) -> str:
    return f"CASE {which} {' '.join(f'WHEN {n} THEN {part}' for n, part in parts)} END"


def _listed(values: Sequence[str]) -> str:
    """The SQL of a JSON array of values that are JSON texts."""
    return f"CONCAT('[', {', '.join(_with_commas(values))}, ']')"


def _with_commas(values: Sequence[str]) -> list[str]:
    return [part for place, value in enumerate(values) for part in (*["','"] * bool(place), value)]
