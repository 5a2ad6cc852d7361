"""Sales in the form in which nearly all of them are extracted, transformed without being parsed.

`FastSales.texts` gives for a line of extracted/sales.json what transform/transform_sales.py gives
for its row, byte for byte, or None: then that has to look. It knows no rule of its own: which
values are usual says transform/fast/row_pattern.py, what becomes of a value that is not simply
carried say the converters of the slower way, once for each value that comes back, and what an item
is made of transform/items/sale_assembly.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson

from transform.census.tally import Tally
from transform.fast.census import ZERO_DATE, FastCensus, LineCounts
from transform.fast.row_pattern import (
    DECIMAL,
    INTEGER,
    KEY,
    MOMENT,
    OBJECT,
    POSITION,
    TEXT,
    VALUE,
    RowPattern,
)
from transform.items.attribute_text import written
from transform.items.attributes import Attribute, Converter
from transform.items.audit import Audit, Stamps, StampTexts
from transform.items.parties import PartyKind
from transform.items.sale_assembly import SUMS, Kind, PartyTexts, Priced, SaleAssembly, Terms
from transform.items.sale_lines import FIGURES, LINE_ATTRIBUTES
from transform.items.sale_parties import REMEMBERED_PARTIES, SaleParty
from transform.rejections import Rejections, Unconvertible
from transform.rules import TransformRules
from transform.transform_sales import sale_attributes
from transform.values.amounts import amount, line_cents
from transform.values.ids import id_maker
from transform.values.memo import Memo
from transform.values.money import Number, canonical_number, integer
from transform.values.text import text
from transform.values.timestamps import REMEMBERED_HOURS, instant_hour, local_clock
from transform.values.vocabularies import document_type

_AFTER_HEAD = r',"lines":\['
_AFTER_LINE = r"\}([,\]])"
_AFTER_LINES = (b"}", b"}\n")

# Places in a moment: after its hour, after its second, and in what follows the hour after three
# digits of a second's fraction.
_HOUR, _SECOND, _MILLIS = len("2019-03-04T10"), len("2019-03-04T10:11:12"), len(":11:12.123")

_STAMPS = {"created_at": MOMENT, "updated_at": MOMENT, "created_by": VALUE, "updated_by": VALUE}
_HEAD = {
    "first_id": KEY,
    **dict.fromkeys(("status", "doc_type", "sale_date"), VALUE),
    **{"buyer_id": KEY, "buyer_name": VALUE, "buyer": OBJECT},
    **{"producer_id": KEY, "producer_name": VALUE, "producer": OBJECT},
    **dict.fromkeys(("subtotal", "tax_amount", "total", "iva_percentage"), DECIMAL),
}
_LINE = {
    **{"id": KEY, "line_number": POSITION},
    **dict.fromkeys(("quantity", "unit_price", "discount", *FIGURES, "tax_rate"), DECIMAL),
}


_Cells = tuple[bytes | None, bytes]  # the name that a sale has of a party, and its copy of that


class _UnusualError(Exception):
    """A value that only the slower way can judge."""


class FastSales:
    """Transforms sales whose rows have these columns in this order, by the rules of a migration."""

    def __init__(
        self, columns: Sequence[str], line_columns: Sequence[str], rules: TransformRules
    ) -> None:
        attributes = sale_attributes(rules)
        self._head = RowPattern(columns, {**_forms(attributes), **_HEAD, **_STAMPS}, _AFTER_HEAD)
        own = (each.column for each in attributes)
        self._places = self._head.places((*_HEAD, *_STAMPS, *own))
        self._texts = _Texts(attributes)
        self._assembly = SaleAssembly(str.encode, rules, attributes, LINE_ATTRIBUTES)
        self._lines = _UsualLines(line_columns, rules, self._assembly)
        self._stamps, self._terms = self._lines.stamps, self._lines.terms
        self._id = id_maker("sale", rules.generate_ids, rules.id_scope)
        self._buyer, self._producer = _Party("buyer", rules), _Party("producer", rules)
        self._kinds = Memo(self._kind)
        self._date = local_clock(rules.timezone).date
        self._days = Memo(self._day)
        self._census = FastCensus(rules)

    def texts(self, line: bytes) -> list[bytes] | None:
        """Return the lines of the transformed file that an extracted line becomes (without their
        line breaks); None when the sale is unusual in any way."""
        try:
            if not line.isascii():
                line.decode()
            return self._of(line)
        except (_UnusualError, Unconvertible, ValueError):  # ValueError: no UTF-8, no JSON
            return None

    def count_into(self, tally: Tally) -> None:
        """Add what was applied to the sales since the last time."""
        self._census.count_into(tally)

    def _day(self, cell: Any) -> bytes:
        day = self._date(orjson.loads(cell or b"null"))
        if day is None:
            raise _UnusualError
        return str(day["S"]).encode()

    def _of(self, line: bytes) -> list[bytes]:
        match = self._head.match(line, 0)
        if match is None:
            raise _UnusualError
        cells = match.group(*self._places)
        first_id, status, document, sale_date = cells[:4]
        rate = cells[13] or self._terms.rate
        identifier = self._id(first_id)
        counts = LineCounts()
        lines, priced = self._lines.of(line, match.end(), identifier, rate, counts)
        total = self._assembly.total
        header = self._assembly.sale(
            identifier,
            first_id,
            self._days[sale_date],
            self._kinds[b"%b\t%b" % (status or b"null", document or b"null")],
            self._buyer.of(*cells[4:7]),
            self._producer.of(*cells[7:10]),
            [
                given or total(given, which, priced)
                for given, (_, which) in zip(cells[10:13], SUMS, strict=True)
            ],
            rate,
            len(lines),
            self._texts.of(cells[18:]),
            self._stamps.of(*cells[14:18]),
        )
        counts.lines = len(lines)
        self._census.add(cells, counts, look_for_zero_dates=self._texts.has_zero_dates)
        return [header, *lines]

    def _kind(self, cells: Any) -> Kind[bytes]:
        word, paper = map(orjson.loads, cells.split(b"\t"))
        found = document_type(paper)
        return self._assembly.kind(word, found["S"] if found else "")


class _UsualLines:
    """Transforms the lines of such sales."""

    def __init__(
        self, columns: Sequence[str], rules: TransformRules, assembly: SaleAssembly[bytes]
    ) -> None:
        forms = _forms(LINE_ATTRIBUTES)
        self._row = RowPattern(columns, {**forms, **_LINE, **_STAMPS}, _AFTER_LINE)
        own = (each.column for each in LINE_ATTRIBUTES)
        self._places = self._row.places((*_LINE, *_STAMPS, *own))
        self._texts = _Texts(LINE_ATTRIBUTES)
        self._id = id_maker("line", rules.generate_ids, rules.id_scope)
        self._numbers = Memo(_number)
        self._assembly = assembly
        self.terms: Terms[bytes] = Terms(lambda number: number.stored["N"].encode())
        self.stamps = _Stamps(rules)

    def of(
        self, data: bytes, place: int, sale: bytes, sale_rate: bytes, counts: LineCounts
    ) -> tuple[list[bytes], list[Priced[bytes]]]:
        """The lines from `place` to the end of `data`: the texts and the numbers of each.
        What they lack is noted in `counts`."""
        items, amounts, positions = [], [], set()
        match_row, places, line_id = self._row.match, self._places, self._id
        one_piece, no_discount = self.terms.quantity, self.terms.discount
        texts_of, stamps_of, item_of = self._texts.of, self.stamps.of, self._assembly.line
        after = b","
        while after == b",":
            match = match_row(data, place)
            if match is None:
                raise _UnusualError
            place = match.end()
            # fmt: off
            (
                key, position, quantity, price, discount, off, net, tax, total, rate,
                created_at, updated_at, created_by, updated_by, *texts, after,
            ) = match.group(*places)
            # fmt: on
            if discount is None:
                counts.undiscounted += 1
            if rate is None:
                counts.untaxed += 1
            if quantity is None or created_at is None or updated_at is None or texts[0] is None:
                counts.note(quantity, texts[0], texts[1], created_at, updated_at)
            quantity, discount = quantity or one_piece, discount or no_discount
            rate = rate or sale_rate
            if price is None:
                raise _UnusualError
            if total is None is off is net is tax:
                off, net, tax, total = self._computed(quantity, price, discount, rate)
                counts.computed += 1
            elif off is None or net is None or tax is None or total is None:
                raise _UnusualError
            priced = quantity, price, discount, off, net, rate, tax, total
            stamps = stamps_of(created_at, updated_at, created_by, updated_by)
            items.append(
                item_of(sale, line_id(key), key, position, priced, texts_of(texts), stamps)
            )
            amounts.append(priced)
            positions.add(position)
        if data[place:] not in _AFTER_LINES or len(positions) != len(items):
            raise _UnusualError
        return items, amounts

    def _computed(
        self, quantity: bytes, price: bytes, discount: bytes, rate: bytes
    ) -> Iterable[bytes]:
        """Discount amount, net, tax and total of a line of which S9 has none of them."""
        known = self._numbers
        cents = line_cents(known[quantity], _number(price), known[discount], known[rate])
        return [amount(each).encode() for each in cents]


class _Texts:
    """A table of attributes, and the texts that cells become by it."""

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self.has_zero_dates = False  # as far as has been seen
        self._steps = [self._step(each) for each in attributes]
        self._absent = [_absent(each) for each in attributes]
        self._required = [n for n, each in enumerate(attributes) if each.required]

    def of(self, cells: Iterable[Any]) -> list[bytes]:
        """The texts of all attributes, in their order; that of an absent one is empty."""
        texts, steps = self._absent.copy(), self._steps
        for place, cell in enumerate(cells):
            if cell is not None:
                texts[place] = steps[place](cell)
        for place in self._required:
            if texts[place] is None:
                raise _UnusualError
        return texts  # type: ignore[return-value]

    def _step(self, attribute: Attribute) -> Callable[[bytes], bytes | None]:
        """The function from a cell, in the form of `_forms`, to the text of an attribute."""
        name = attribute.name.encode()
        if attribute.convert is text:
            return (b',"%b":{"S":%%b}' % name).__mod__
        if attribute.convert is integer:
            return (b',"%b":{"N":"%%b"}' % name).__mod__

        def converted(cell: Any) -> bytes | None:
            self.has_zero_dates = self.has_zero_dates or cell.startswith(ZERO_DATE)
            value = attribute.convert(orjson.loads(cell))
            return written(attribute.name, value).encode() if value else _absent(attribute)

        return Memo(converted).__getitem__


def _forms(attributes: Iterable[Attribute]) -> dict[str, str]:
    forms: dict[Converter, str] = {text: TEXT, integer: INTEGER}
    return {each.column: forms.get(each.convert, VALUE) for each in attributes}


def _absent(attribute: Attribute) -> bytes | None:
    """The text of an attribute whose cell is NULL; None when there must be one."""
    if attribute.default is not None:
        return written(attribute.name, attribute.default).encode()
    return None if attribute.required else b""


class _Stamps:
    """The texts of who made an item and when (transform/items/audit.py)."""

    def __init__(self, rules: TransformRules) -> None:
        self._hours = Memo(self._hour, limit=REMEMBERED_HOURS)
        self._instants = Memo(self._instant_hour, limit=REMEMBERED_HOURS)
        self._clock = local_clock(rules.timezone)
        self._stamps: Stamps[bytes] = Stamps(str.encode, rules)
        self._last: tuple[bytes | None, ...] = ()
        self._last_texts = b"", b""
        self._who = _Texts(Audit(rules).who)
        self._users = Memo(self._find_users)
        self._nobody = self._find_users(b"null\tnull")

    def of(
        self,
        created_at: bytes | None,
        updated_at: bytes | None,
        created_by: bytes | None,
        updated_by: bytes | None,
    ) -> StampTexts[bytes]:
        """The texts, from the cells; those of a sale's lines are mostly the same."""
        cells = created_at, updated_at, created_by, updated_by
        if cells != self._last:
            self._last_texts, self._last = self._of(*cells), cells
        return self._last_texts

    def _of(
        self,
        created_at: bytes | None,
        updated_at: bytes | None,
        created_by: bytes | None,
        updated_by: bytes | None,
    ) -> StampTexts[bytes]:
        created = updated = b""
        if self._stamps.are_read:
            created = self._utc(created_at)
            updated = created if updated_at == created_at else self._utc(updated_at)
        return self._stamps.texts(
            created,
            updated,
            self._nobody
            if created_by is updated_by is None
            else self._users[b"%b\t%b" % (created_by or b"null", updated_by or b"null")],
        )

    def _utc(self, moment: bytes | None) -> bytes:
        if moment is None:
            return b""
        if moment.endswith(b"Z"):
            utc, moment = self._instants[moment[:_HOUR]], moment[:-1]
        else:
            utc = self._hours[moment[:_HOUR]]
        if not utc:
            raise _UnusualError
        if len(moment) == _SECOND:
            return b"%b%b.000Z" % (utc, moment[_HOUR:])
        return b"%b%bZ" % (utc, (moment[_HOUR:] + b"00")[:_MILLIS])

    def _find_users(self, cells: Any) -> StampTexts[bytes]:
        users = (cell if cell != b"null" else None for cell in cells.split(b"\t"))
        creator, changer = self._who.of(users)
        return creator, changer

    def _hour(self, hour: Any) -> bytes:
        return self._clock.utc_hour(hour.decode()).encode()

    @staticmethod
    def _instant_hour(hour: Any) -> bytes:
        return instant_hour(hour.decode()).encode()


class _Party:
    """The buyers or the producers of sales: reference and copy."""

    def __init__(self, kind: PartyKind, rules: TransformRules) -> None:
        self._kind = kind
        self._slow = SaleParty(kind, rules.generate_ids, rules.id_scope)
        self._id = id_maker(kind, rules.generate_ids, rules.id_scope)
        self._known: dict[bytes, tuple[_Cells, PartyTexts[bytes]]] = {}

    def of(self, key: bytes, name: bytes | None, party: bytes) -> PartyTexts[bytes]:
        """The id of a party, and the texts of what the sale copies of it. By its key it is
        looked up, since the copy is a long text."""
        cells = name, party
        known = self._known.get(key)
        if known is not None and known[0] == cells:
            return known[1]
        if len(self._known) >= REMEMBERED_PARTIES:
            self._known.clear()
        found = self._find(key, name or b"null", party)
        self._known[key] = cells, found
        return found

    def _find(self, key: bytes, name: bytes, party: bytes) -> PartyTexts[bytes]:
        rejections = Rejections()
        row = {f"{self._kind}_name": orjson.loads(name), self._kind: orjson.loads(party)}
        before, after = self._slow.texts(row, rejections)
        if rejections:
            raise _UnusualError
        return self._id(key), before.encode(), after.encode()


def _number(cell: Any) -> Number:
    return canonical_number(cell.decode())


def fast_sales(lines: Sequence[bytes], rules: TransformRules) -> FastSales | None:
    """What transforms the usual ones of these extracted lines; None where none may be usual.

    The columns are those of the first sale that has lines.
    """
    for line in lines:
        try:
            row = orjson.loads(line)
        except ValueError:  # it is refused by whoever it is for
            continue
        if rows := row.pop("lines", None):
            return _usual_sales(tuple(row), tuple(rows[0]), rules)
    return None


@lru_cache(maxsize=4)
def _usual_sales(
    columns: tuple[str, ...], line_columns: tuple[str, ...], rules: TransformRules
) -> FastSales:
    return FastSales(columns, line_columns, rules)
