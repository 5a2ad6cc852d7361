"""What S9 itself adds up of an entity's records: data/extracted/{entity}.sums.json.

One JSON object a line. The first says which amounts S9 has no column for, and when records have
been read again; then:

    {"by": [column, …], "labels": […], "records": n, "lines": n, "amounts": […], "without": […]}
    {"key": n, "without": [place, …]}

The first kind is what SQL has added up of the records whose columns have these values (as the
extracted file has them): the sums of the amounts, and of each how many records have none that SQL
can take for a plain number. The second kind are these records by their key, each with the places of
the amounts it lacks; they are in the order of their keys. An amount that S9 lacks is computed by
the transform.

A record that has been read again (retry-quarantine) is taken out by one line, with negative
figures, and put in by another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from utils.entities import Measures, Shape, column_of
from utils.files.artifacts import lines_of
from utils.sums.exact import EXACT

# What SQL takes for a number, whatever the type of the column: so many digits that the sum of a
# column fits into the largest decimal of MySQL.
MOST_DIGITS, MOST_DECIMALS = 25, 30
_OF_HEAD, _OF_RECORD = b'{"absent":', b'{"key":'  # begin the first line, and that of a record
_PLAIN = re.compile(rf"-?[0-9]{{1,{MOST_DIGITS}}}(?:\.[0-9]{{1,{MOST_DECIMALS}}})?").fullmatch


def plain_amount(value: object) -> Decimal | None:
    """The number that a column of an extracted row holds; None where SQL takes it for none."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value).strip(" ")
    return Decimal(text) if _PLAIN(text) else None


@dataclass(frozen=True)
class Group:
    """What the records add up to that have the same `labels` in the columns `by`."""

    by: tuple[str, ...]
    labels: tuple[Any, ...]
    records: int
    lines: int
    amounts: tuple[Decimal, ...]
    without: tuple[int, ...]

    def as_line(self) -> bytes:
        """The line of the file."""
        return _line(
            {
                "by": self.by,
                "labels": self.labels,
                "records": self.records,
                "lines": self.lines,
                "amounts": list(map(str, self.amounts)),
                "without": self.without,
            }
        )

    @classmethod
    def of_json(cls, plain: Mapping[str, Any]) -> Group:
        """The group that a line (already parsed) describes."""
        return cls(
            tuple(plain["by"]),
            tuple(plain["labels"]),
            plain["records"],
            plain["lines"],
            tuple(map(Decimal, plain["amounts"])),
            tuple(plain["without"]),
        )

    def __add__(self, other: Group) -> Group:
        """Both together; they have the same labels in the same columns."""
        pairs = zip(self.amounts, other.amounts, strict=True)
        counts = zip(self.without, other.without, strict=True)
        return Group(
            self.by,
            self.labels,
            self.records + other.records,
            self.lines + other.lines,
            tuple(EXACT.add(*pair) for pair in pairs),
            tuple(map(sum, counts)),
        )

    def __neg__(self) -> Group:
        return Group(
            self.by,
            self.labels,
            -self.records,
            -self.lines,
            tuple(amount.copy_negate() for amount in self.amounts),
            tuple(-count for count in self.without),
        )


def together(groups: Iterable[Group]) -> Iterator[Group]:
    """Groups of the same labels put into one; of those that come to nothing none is left. Holds as
    many as there are different ones."""
    found: dict[bytes, Group] = {}
    for each in groups:
        name = orjson.dumps([each.by, each.labels])
        found[name] = found[name] + each if name in found else each
    for each in found.values():
        if each.records or each.lines or any(each.amounts) or any(each.without):
            yield each


@dataclass(frozen=True)
class Incomplete:
    """A record without some of the amounts, which are given by their places."""

    key: int
    without: tuple[int, ...]

    def as_line(self) -> bytes:
        """The line of the file."""
        return _line({"key": self.key, "without": self.without})


@dataclass(frozen=True)
class Head:
    """The places of amounts that S9 has no column for; when records have been read again; and the
    parts of a row (as `buyer`) of which there is one with the key 0, which else is nobody's."""

    absent: tuple[int, ...] = ()
    again: tuple[str, ...] = ()
    zero: tuple[str, ...] = ()

    def as_line(self) -> bytes:
        """The first line of the file."""
        return _line({"absent": self.absent, "again": self.again, "zero": self.zero})


Line = Head | Group | Incomplete


def _line(plain: Mapping[str, Any]) -> bytes:
    return orjson.dumps(plain) + b"\n"


def read_sums(path: Path) -> Iterator[Line]:
    """What is in a file, in its order; in constant memory."""
    for number, line in enumerate(lines_of(path)):
        plain = orjson.loads(line)
        if not number:
            yield Head(*(tuple(plain[name]) for name in ("absent", "again", "zero")))
        elif "key" in plain:
            yield Incomplete(plain["key"], tuple(plain["without"]))
        else:
            yield Group.of_json(plain)


def read_head(path: Path) -> Head:
    """What a file begins with."""
    found = next(read_sums(path))
    assert isinstance(found, Head)
    return found


def groups_in(lines: Iterable[bytes]) -> Iterator[Group]:
    """The groups among some lines of a file."""
    for line in lines:
        if not line.startswith((_OF_HEAD, _OF_RECORD)):
            yield Group.of_json(orjson.loads(line))


def read_incomplete(path: Path) -> Iterator[Incomplete]:
    """The records without some of the amounts alone, which are mostly few or none."""
    for line in lines_of(path):
        if line.startswith(_OF_RECORD):
            plain = orjson.loads(line)
            yield Incomplete(plain["key"], tuple(plain["without"]))


@cache
def columns_by(shape: Shape) -> tuple[tuple[str, ...], ...]:
    """The columns that S9 is asked to add up by, together: those of few values once, and each that
    names other records by itself; always also by currency, since what is in two of them is never
    added."""
    measures = measures_of(shape)
    many = [each.attribute for each in shape.references]
    few = [name for name in measures.grouping if name not in many]
    return tuple(
        tuple(map(column_of, dict.fromkeys((*names, measures.currency))))
        for names in (few, *([name] for name in measures.grouping if name in many))
    )


def group_of(
    row: Mapping[str, Any], by: Sequence[str], shape: Shape, *, lines: int, absent: Sequence[int]
) -> Group:
    """What a single record adds, as SQL adds it up, from its extracted row. The places in `absent`
    are of no column that S9 has."""
    measures = measures_of(shape)
    found = [
        None if place in absent else plain_amount(row.get(column_of(name)))
        for place, name in enumerate(measures.amounts)
    ]
    return Group(
        tuple(by),
        tuple(row.get(column) for column in by),
        1,
        lines,
        tuple(each or Decimal(0) for each in found),
        tuple(int(each is None) for each in found),
    )


def parsed(text: bytes) -> Any:
    """A JSON text of S9's, also one with bytes that mean nothing: they are told as such, and the
    transform refuses the record for them."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return orjson.loads(text.decode(errors="replace"))


def measures_of(shape: Shape) -> Measures:
    """What is added up of an entity that has amounts."""
    assert shape.measures is not None, shape.name
    return shape.measures
