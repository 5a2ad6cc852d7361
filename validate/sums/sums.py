"""What the records of an entity add up to, by each of its dimensions (utils/entities.py).

The facts of records (validate/sums/facts.py) are added up where they are read, by whatever process,
and what these find is added up again. Dimensions that are attributes of few values (year, month,
status, currency) are added up together, in one cell for each combination that there is; one that
names other records, of which there may be millions, in cells of its own. Cells that are too many to
be held are written into buckets on disk (utils/files/spill.py), in which a combination may come
again: whoever reads them adds them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from operator import add, itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from utils.entities import Dimension, shape_of
from utils.files.spill import Spill, SpillFile, ranges, read_buckets
from utils.sums.exact import EXACT
from utils.sums.source_sums import measures_of
from validate.sums.facts import ABSENT, OTHER, SEPARATOR, Fact, fact_of, fact_text, positions_of
from validate.sums.figures import SCALE, ZERO, Figures, amount_of, scaled_amount_of

_sum = EXACT.add

_HELD = 20_000  # cells in memory, in one process
_PASSED = 500  # cells that are passed to another process
_LONG, _LONGEST = 1_000, 100  # facts that are looked at, and characters of a fact that count
_SCALED = b"="  # begins the text of a cell on disk whose amounts are in whole units of 10^-SCALE
_ALL = b"0"  # the group of the dimensions with few values


@dataclass(frozen=True)
class _Group:
    """Dimensions that are added up together: the name of the group, and of each attribute its
    place in the facts and how many characters of it count (0: all)."""

    name: bytes
    parts: tuple[tuple[int, int], ...]
    dimensions: tuple[tuple[Dimension, int], ...]  # with the part that each is found in


@dataclass(frozen=True)
class _Plan:
    """How the facts of an entity are added up: in which groups, and where the amounts are."""

    groups: tuple[_Group, ...]
    amounts: tuple[int, ...]
    fields: int

    @cached_property
    def keys(self) -> tuple[tuple[bytes, Callable[[list[bytes]], tuple[bytes, ...]]], ...]:
        """Of each group the name, and what gives its parts of the fields."""
        return tuple(
            (each.name, itemgetter(*(place for place, _ in each.parts))) for each in self.groups
        )

    @cached_property
    def cuts(self) -> tuple[tuple[int, int], ...]:
        """The fields that are cut, each to so many characters."""
        return tuple({part for each in self.groups for part in each.parts if part[1]})


@cache
def _plan(entity: str) -> _Plan:
    shape = shape_of(entity)
    measures = measures_of(shape)
    places = positions_of(entity)
    many = {reference.attribute for reference in shape.references}
    few = [each for each in measures.dimensions if each.attribute not in many]
    groups = [_group(_ALL, few, measures.currency, places)]
    for number, each in enumerate(each for each in measures.dimensions if each.attribute in many):
        groups.append(_group(b"%d" % (number + 1), [each], measures.currency, places))
    amounts = tuple(places[name] for name in measures.amounts)
    return _Plan(tuple(groups), amounts, len(places))


def _group(
    name: bytes, dimensions: list[Dimension], currency: str, places: Mapping[str, int]
) -> _Group:
    """The first part is the currency: what is in two of them is never in one cell."""
    attributes = list(dict.fromkeys((currency, *(each.attribute for each in dimensions))))
    parts = tuple((places[each], _longest(each, currency, dimensions)) for each in attributes)
    found = tuple((each, attributes.index(each.attribute)) for each in dimensions)
    return _Group(name, parts, found)


def _longest(attribute: str, currency: str, dimensions: list[Dimension]) -> int:
    lengths = [each.length for each in dimensions if each.attribute == attribute]
    return 0 if attribute == currency or 0 in lengths else max(lengths)


class Row(NamedTuple):
    """A part of what is in a row: of a dimension (its name) one value, in one currency. The same
    row may come in several parts."""

    by: str
    label: Fact
    currency: Fact
    figures: Figures


# Records, lines, the amounts, of each how many have none, and what is to be added to each amount in
# whole units of 10^-SCALE.
_Cell = list[Any]


@dataclass(frozen=True)
class Sums:
    """What records add up to. It is small enough to be passed from process to process: what is not
    is in files below `scratch`, which have to stay until it is read."""

    entity: str
    scratch: Path
    cells: Mapping[bytes, Figures] = field(default_factory=dict)
    runs: tuple[SpillFile, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Every row, for each dimension; in any order, and a row in as many parts as there are."""
        yield from self.few_rows()
        for numbers in self.buckets:
            yield from self.rows_in(numbers)

    @property
    def buckets(self) -> list[range]:
        """The buckets on disk, in pieces that are worth being read together."""
        return ranges(self.runs) if self.runs else []

    def few_rows(self) -> Iterator[Row]:
        """The rows of what is not on disk."""
        return self._rows(self.cells.items())

    def rows_in(self, numbers: range) -> Iterator[Row]:
        """The rows of what is in some buckets."""
        for lines in read_buckets(self.runs, numbers):
            yield from self._rows(_in_bucket(lines))

    def _rows(self, cells: Iterable[tuple[bytes, Figures]]) -> Iterator[Row]:
        groups = {group.name: group for group in _plan(self.entity).groups}
        for key, figures in cells:
            name, *parts = key.split(SEPARATOR)
            for dimension, place in groups[name].dimensions:
                label = fact_of(parts[place])
                if dimension.length and isinstance(label, str):
                    label = label[: dimension.length]
                yield Row(dimension.name, label, fact_of(parts[0]), figures)


def _in_bucket(lines: Iterable[bytes]) -> Iterator[tuple[bytes, Figures]]:
    """The cells of a bucket. Those in whole units are added up while they are no more than that."""
    scaled: dict[bytes, list[int]] = {}
    for line in lines:
        key, _, text = line.partition(b"\t")
        if not text.startswith(_SCALED):
            yield key, Figures.from_text(text)
            continue
        found = [*map(int, text[1:].split(b" "))]
        known = scaled.get(key)
        scaled[key] = found if known is None else [*map(add, known, found)]
    yield from ((key, _of_units(found)) for key, found in scaled.items())


def _of_units(found: Sequence[int]) -> Figures:
    """The figures of records, lines, how many have no amount, and amounts in units of 10^-SCALE."""
    records, lines, *others = found
    without, units = others[: len(others) // 2], others[len(others) // 2 :]
    return Figures(records, lines, tuple(map(_amount_of_units, units)), tuple(without))


def _amount_of_units(units: int) -> Decimal:
    return Decimal(units).scaleb(-SCALE, EXACT)


class SumsBuilder:
    """Adds up the facts of records of an entity that has amounts; what is more than memory should
    hold goes into files below `scratch`."""

    def __init__(self, scratch: Path, entity: str) -> None:
        self._scratch = scratch
        self._entity = entity
        self._plan = _plan(entity)
        self._cells: dict[tuple[bytes, tuple[bytes, ...]], _Cell] = {}
        self._runs: tuple[SpillFile, ...] = ()

    def add(self, facts: bytes, lines: int) -> None:
        """Take a record with so many lines. Never raises, whatever its facts are."""
        plan = self._plan
        fields = facts.split(SEPARATOR)
        if len(fields) != plan.fields or b"\\" in facts or len(facts) > _LONG:
            fields = _in_one_form(fields, plan)
        else:
            for place, length in plan.cuts:
                fields[place] = fields[place][:length]
        found = [scaled_amount_of(fields[place]) for place in plan.amounts]
        if None in found:
            self._add(fields, lines, [amount_of(fields[place]) for place in plan.amounts])
        else:
            self._add_scaled(fields, lines, found)

    def take(self, part: Sums) -> None:
        """Take what others have added up."""
        self._runs += part.runs
        first, end = 2, 2 + len(self._plan.amounts)
        for key, figures in part.cells.items():
            self._make_room()
            name, *parts = key.split(SEPARATOR)
            cell = self._cell(name, tuple(parts))
            cell[0] += figures.records
            cell[1] += figures.lines
            for place, amount in enumerate(figures.amounts, first):
                cell[place] = _sum(cell[place], amount)
            for place, count in enumerate(figures.without, end):
                cell[place] += count

    def _add_scaled(self, fields: list[bytes], lines: int, found: Sequence[int | None]) -> None:
        count = len(found)
        for cell in self._cells_of(fields):
            cell[0] += 1
            cell[1] += lines
            for place, amount in enumerate(found, 2 + 2 * count):
                cell[place] += amount

    def _add(self, fields: list[bytes], lines: int, found: Sequence[Decimal | None]) -> None:
        count = len(found)
        for cell in self._cells_of(fields):
            cell[0] += 1
            cell[1] += lines
            for place, amount in enumerate(found, 2):
                if amount is None:
                    cell[place + count] += 1
                else:
                    cell[place] = _sum(cell[place], amount)

    def _cells_of(self, fields: list[bytes]) -> list[_Cell]:
        """The cell of each group that a record belongs to."""
        self._make_room()
        return [self._cell(name, parts_of(fields)) for name, parts_of in self._plan.keys]

    def _cell(self, name: bytes, parts: tuple[bytes, ...]) -> _Cell:
        key = name, parts
        cell = self._cells.get(key)
        if cell is None:
            count = len(self._plan.amounts)
            cell = self._cells[key] = [0, 0, *[ZERO] * count, *[0] * count, *[0] * count]
        return cell

    def _make_room(self) -> None:
        if len(self._cells) > _HELD:
            self._write()

    def _write(self) -> None:
        """Put all cells on disk."""
        spill = Spill(self._scratch)
        count = len(self._plan.amounts)
        entries = []
        for (name, parts), cell in self._cells.items():
            key = SEPARATOR.join((name, *parts))
            if any(cell[2 : 2 + count]):
                text = self._figures_of(cell).as_text()
            else:
                text = _SCALED + " ".join(map(str, (*cell[:2], *cell[2 + count :]))).encode()
            entries.append((key, b"%b\t%b" % (key, text)))
        spill.add(entries)
        self._runs += spill.finish()
        self._cells = {}

    def _figures(self) -> dict[bytes, Figures]:
        return {
            SEPARATOR.join((name, *parts)): self._figures_of(cell)
            for (name, parts), cell in self._cells.items()
        }

    def _figures_of(self, cell: _Cell) -> Figures:
        count = len(self._plan.amounts)
        amounts, without, scaled = (
            cell[place : place + count] for place in range(2, 2 + 3 * count, count)
        )
        sums = (
            _sum(amount, _amount_of_units(units))
            for amount, units in zip(amounts, scaled, strict=True)
        )
        return Figures(cell[0], cell[1], tuple(sums), tuple(without))

    def finish(self) -> Sums:
        """What has been added. Many cells are on disk, because to pass them to another process
        takes longer than to add them up."""
        if len(self._cells) > _PASSED:
            self._write()
        return Sums(self._entity, self._scratch, self._figures(), self._runs)


def _in_one_form(fields: list[bytes], plan: _Plan) -> list[bytes]:
    """Fields that can be cut, and that are not longer than a label may be."""
    if len(fields) != plan.fields:
        fields = [OTHER + ABSENT] * plan.fields
    cuts = {place: cut or _LONGEST for group in plan.groups for place, cut in group.parts}
    return [_cut(each, cuts[place]) if place in cuts else each for place, each in enumerate(fields)]


def _cut(text: bytes, length: int) -> bytes:
    fact = fact_of(text)
    return fact_text(fact[:length] if isinstance(fact, str) else fact)
