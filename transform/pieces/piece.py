"""What a piece of an extracted file becomes: a pure function of its lines and the rules, whichever
process does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path

import orjson

from transform.census.rows import begin_counting, count_record, count_refused, end_counting
from transform.census.tally import Tally
from transform.pieces.beside_earlier import NOTHING, Earlier, beside
from transform.refusals import refusal_of_rejected
from transform.rejections import RejectedRecord
from transform.row_to_texts import Texts, as_transformed, fast_way_of, texts_of
from transform.rules import TransformRules
from transform.unreadable import refusal_of_unreadable
from transform.values.ids import record_id
from utils.entities import shape_of
from utils.files.pieces import ByteRange, data_at
from utils.files.quarantine import Refusal
from utils.findings.source_names import SourceNames
from utils.processes.large_results import Bulk
from utils.sale_numbering import PieceNumbers, headers_of, numbers_of


@dataclass(frozen=True)
class Transformed:
    """What a piece of an extracted file became; `end` is where it ends. Of sales there is also what
    their numbering needs. `tally` is how often what was applied; where the last pass is built upon,
    only to what is new or different, and `gone` to what it was before."""

    data: Bulk
    records: int
    items: int
    refusals: tuple[Refusal, ...]
    end: int
    numbers: PieceNumbers | None = None
    tally: Tally = field(default_factory=Tally)
    gone: Tally = field(default_factory=Tally)


def transform_piece(
    place: ByteRange,
    path: Path,
    names: SourceNames,
    rules: TransformRules,
    scratch: Path,
    earlier: Earlier | None = None,
) -> Transformed:
    """Transform the lines in a piece of an extracted file. `names` are those that the columns of
    the entity have in S9; what `earlier` knows of a line is not found out again."""
    _, rows = data_at(path, place)
    known = NOTHING if earlier is None else beside(earlier, path, place, rows)
    refusals: list[Refusal] = []
    tally = gone = Tally()
    if known.whole is not None:
        data, records, items = known.whole, rows.count(b"\n"), known.whole.count(b"\n")
        headers = headers_of(data)
    else:
        lines = BytesIO(rows).readlines()
        made, there = known.made, known.there  # empty ones are not asked: that takes long lines
        maker = _Maker(
            names, rules, [line for line in lines if line not in made] if made else lines
        )
        output: list[bytes] = []
        headers = []
        for line in lines:
            if made and line in made:
                became: list[bytes] | Refusal = made[line].split(b"\n")
            else:
                became = maker.became(line, counts=not there or line not in there)
            if isinstance(became, Refusal):
                refusals.append(became)
            else:
                headers.append(became[0])
                output += became
        tally = maker.counted()
        gone = _counted(known.gone, names, rules)
        records, items = len(headers), len(output)
        data = b"\n".join([*output, b""])
    return Transformed(
        data=Bulk(data, scratch),
        records=records,
        items=items,
        refusals=tuple(refusals),
        end=place.end,
        numbers=numbers_of(headers) if shape_of(names.entity).numbered else None,
        tally=tally,
        gone=gone,
    )


class _Maker:
    """Makes items of lines, and counts what is applied meanwhile; `lines` are some of these."""

    def __init__(self, names: SourceNames, rules: TransformRules, lines: list[bytes]) -> None:
        self._names, self._rules = names, rules
        self._texts = texts_of(names.entity, rules)
        self._fast = fast_way_of(names.entity, rules, lines)
        self._tally = Tally()
        begin_counting(names.entity, rules)

    def became(self, line: bytes, *, counts: bool = True) -> list[bytes] | Refusal:
        """What a line becomes; unless it `counts`, it is one that is refused, and was before."""
        fast_texts = self._fast.texts(line)
        if fast_texts is not None:
            return fast_texts
        tally = self._tally if counts else Tally()
        return _slowly(line, self._names, self._texts, self._rules, tally)

    def counted(self) -> Tally:
        """What was applied; the end of it."""
        self._fast.count_into(self._tally)
        end_counting(self._names.entity, self._rules, self._tally)
        return self._tally


def _counted(lines: Iterable[bytes], names: SourceNames, rules: TransformRules) -> Tally:
    """What was applied to lines that are no more."""
    before = [*lines]
    maker = _Maker(names, rules, before)
    for line in before:
        maker.became(line)
    return maker.counted()


def _slowly(
    line: bytes, names: SourceNames, to_texts: Texts, rules: TransformRules, tally: Tally
) -> list[bytes] | Refusal:
    """What a line becomes by way of its row, of which nothing is left after that: a sale may have
    fifty thousand lines."""
    try:
        row = orjson.loads(line)
    except ValueError:
        refusal = refusal_of_unreadable(line, names)
        return replace(refusal, key=partition_key(names, rules, refusal.legacy_id))
    try:
        texts = to_texts(row, rules)
    except RejectedRecord as rejected:
        count_refused(rejected, row, tally)
        return refusal_of_rejected(row, line, rejected, names, partial(partition_key, names, rules))
    count_record(names.entity, rules, *as_transformed(to_texts, row), raw=row, tally=tally)
    return [*map(str.encode, texts)]


def become_of(line: bytes, names: SourceNames, rules: TransformRules) -> list[bytes] | Refusal:
    """What one extracted line becomes: the texts of its items, or why it is refused. Which sales of
    a year are in the index of numbers is decided over all of them (utils/sale_numbering.py), not
    here."""
    begin_counting(names.entity, rules)
    return _slowly(line, names, texts_of(names.entity, rules), rules, Tally())


def partition_key(names: SourceNames, rules: TransformRules, legacy_id: str) -> str:
    """The partition key that a record of S9 would have."""
    shape = shape_of(names.entity)
    if not legacy_id.removeprefix("-").isdecimal():
        return ""
    return shape.prefix + record_id(
        shape.singular, int(legacy_id), rules.generate_ids, rules.id_scope
    )
