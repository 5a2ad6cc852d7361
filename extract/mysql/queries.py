"""The queries behind the streams, in the SQL that MySQL 8 and MariaDB have in common."""

from __future__ import annotations

from collections.abc import Sequence

from extract.mysql.row_json import integer, json_fields, json_object
from extract.selection import JoinedCopy, Selection

_ROW = "`row as json`"


def quote(identifier: str) -> str:
    """An identifier in backticks, safe in SQL."""
    escaped = identifier.replace("`", "``")
    return f"`{escaped}`"


class Queries:
    """Writes queries that return a key and a row as JSON text."""

    def after(self, selection: Selection, key: int | None, *, spliced: bool = False) -> str:
        """The rows of a selection whose key is greater than `key`, in order. With `spliced`, the
        references of its copies are columns after the key, in the place of the copies."""
        reference = f"q.{quote(selection.key)}"
        where = f"{reference} IS NOT NULL" if key is None else f"{reference} > {int(key)}"
        return self._ordered(selection, selection.query, where, spliced=spliced)

    def of_parents(self, selection: Selection, keys: Sequence[bytes]) -> str:
        """Those rows of a selection's table that belong to the parents with these keys."""
        listed = b", ".join(keys).decode("ascii")
        where = f"q.{quote(selection.key)} IN ({listed})"
        return self._ordered(selection, selection.everything, where)

    def of_all_parents(self, selection: Selection, after: int | None) -> str:
        """As `after`, of the whole table: also the rows of parents that were not selected."""
        reference = f"q.{quote(selection.key)}"
        where = f"{reference} IS NOT NULL" if after is None else f"{reference} > {int(after)}"
        return self._ordered(selection, selection.everything, where)

    def copies(self, copy: JoinedCopy) -> str:
        """Everything that could be copied, by its key."""
        key = f"q.{quote(copy.key.name)}"
        return (
            f"SELECT {integer(key, copy.key)}, {self._row_of(copy, 'q')} FROM ({copy.query}) AS q "
            f"WHERE {key} IS NOT NULL"
        )

    def _ordered(
        self, selection: Selection, query: str, where: str, *, spliced: bool = False
    ) -> str:
        columns = {field.column.name: field.column for field in selection.fields}
        key = f"q.{quote(selection.key)}"
        parts = json_fields(selection.fields, quote, "q")
        joins, references = "", ""
        for copy in selection.copies:
            reference = f"q.{quote(copy.reference)}"
            if spliced:
                references += f"{integer(reference, columns[copy.reference])}, "
                continue
            alias = quote(f"copy of {copy.name}")
            copied, row = f"({copy.query})", self._row_of(copy, alias)
            if copy.doubled:
                copied, row = self._one_of_each(copy), f"{alias}.{_ROW}"
            key_of_copy = f"{alias}.{quote(copy.key.name)}"
            parts.append((copy.name, f"IF({key_of_copy} IS NULL, 'null', {row})"))
            joins += f" LEFT JOIN {copied} AS {alias} ON {key_of_copy} = {reference}"
        order = "".join(f", q.{quote(name)} IS NULL, q.{quote(name)}" for name in selection.order)
        return (
            f"SELECT {integer(key, columns[selection.key])}, {references}{json_object(parts)} "
            f"FROM ({query}) AS q{joins} WHERE {where} ORDER BY {key}{order}"
        )

    def _one_of_each(self, copy: JoinedCopy) -> str:
        """A table with one row for each key: what is to be copied, or how many there are of it."""
        key = f"p.{quote(copy.key.name)}"
        row = f"IF(count(*) = 1, MAX({self._row_of(copy, 'p')}), count(*))"
        return (
            f"(SELECT {key} AS {quote(copy.key.name)}, {row} AS {_ROW} "
            f"FROM ({copy.query}) AS p GROUP BY {key})"
        )

    def _row_of(self, copy: JoinedCopy, alias: str) -> str:
        return json_object(json_fields(copy.fields, quote, alias))
