"""What is in the wrong place: contents exchanged, lines moved, keys that are written wrongly."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.damage.catalogue import damage
from tests.support.damage.kinds.doubles import another_id, under
from tests.support.damage.reported import Item, Reported, different, extra, missing
from tests.support.damage.tables import MigratedTables, Record

_KEYS = ("PK", "SK")


def _moved(tables: MigratedTables, entity: str, items: Iterable[Item], **key: Item) -> Reported:
    """Items are under another key, and not under their own."""
    found = Reported()
    for item in items:
        moved = {**item, **key}
        tables.lose(entity, item)
        tables.put(entity, moved)
        found += missing(entity, item) + extra(entity, moved)
    return found


def _exchanged(
    tables: MigratedTables, entity: str, one: Item, other: Item, *names: str
) -> Reported:
    """Two items each have the other's attributes: these, or all but the key."""
    mine, theirs = tables.now(entity, one), tables.now(entity, other)
    chosen = names or tuple(name for name in {**mine, **theirs} if name not in _KEYS)
    tables.alter(entity, one, **{name: theirs.get(name) for name in chosen})
    tables.alter(entity, other, **{name: mine.get(name) for name in chosen})
    return different(entity, one, other)


@damage("sale", "sale")
def lines_of_two_sales_are_swapped(tables: MigratedTables, one: Record, other: Record) -> Reported:
    """Each has a line of the other: as many as it says."""
    left, right = one.lines[0], other.lines[0]
    return _moved(tables, "sales", [left], PK=right["PK"]) + _moved(
        tables, "sales", [right], PK=left["PK"]
    )


@damage("sale", "sale")
def contents_of_two_lines_are_swapped(
    tables: MigratedTables, one: Record, other: Record
) -> Reported:
    return _exchanged(tables, "sales", one.lines[0], other.lines[0])


@damage("sale of two")
def contents_of_two_lines_of_a_sale_are_swapped(tables: MigratedTables, sale: Record) -> Reported:
    return _exchanged(tables, "sales", sale.lines[0], sale.lines[1])


@damage("sale of two")
def amounts_of_two_lines_of_a_sale_are_swapped(tables: MigratedTables, sale: Record) -> Reported:
    """The sale adds up as before."""
    names = ("quantity", "netAmount", "taxAmount", "totalAmount", "discountAmount")
    return _exchanged(tables, "sales", sale.lines[0], sale.lines[1], *names)


@damage("sale of two")
def numbers_of_two_lines_are_swapped(tables: MigratedTables, sale: Record) -> Reported:
    return _exchanged(tables, "sales", sale.lines[0], sale.lines[1], "lineNumber")


@damage("sale", "sale")
def contents_of_two_headers_are_swapped(
    tables: MigratedTables, one: Record, other: Record
) -> Reported:
    found = _exchanged(tables, "sales", one.header, other.header)
    if len(one.lines) != len(other.lines):
        found = found.counting(one.header, other.header)
    return found


@damage("sale", "sale")
def amounts_of_two_sales_are_swapped(
    tables: MigratedTables, one: Record, other: Record
) -> Reported:
    """The sum of all sales is as before."""
    return _exchanged(
        tables, "sales", one.header, other.header, "subtotal", "taxAmount", "total", "saleNumber"
    )


@damage("any sale", "any sale")
def legacy_ids_of_two_sales_are_swapped(
    tables: MigratedTables, one: Record, other: Record
) -> Reported:
    return _exchanged(tables, "sales", one.header, other.header, "legacyId")


@damage("any sale", "any sale")
def notes_of_two_sales_are_swapped(tables: MigratedTables, one: Record, other: Record) -> Reported:
    return _exchanged(tables, "sales", one.header, other.header, "notes")


@damage("buyer", "buyer")
def contents_of_two_buyers_are_swapped(
    tables: MigratedTables, one: Record, other: Record
) -> Reported:
    return _exchanged(tables, "buyers", one.header, other.header)


@damage("producer", "producer")
def names_of_two_producers_are_swapped(
    tables: MigratedTables, one: Record, other: Record
) -> Reported:
    return _exchanged(
        tables, "producers", one.header, other.header, "companyName", "GSI1SK", "GSI2SK"
    )


@damage("sale", "sale")
def line_is_under_another_sale(tables: MigratedTables, sale: Record, other: Record) -> Reported:
    moved = _moved(tables, "sales", sale.lines[:1], PK=other.header["PK"])
    return moved.counting(sale.header, other.header)


@damage("sale", "sale")
def line_is_under_another_sale_and_the_counts_agree(
    tables: MigratedTables, sale: Record, other: Record
) -> Reported:
    moved = _moved(tables, "sales", sale.lines[:1], PK=other.header["PK"])
    tables.alter("sales", sale.header, linesCount={"N": str(len(sale.lines) - 1)})
    tables.alter("sales", other.header, linesCount={"N": str(len(other.lines) + 1)})
    return moved + different("sales", sale.header, other.header)


@damage("sale", "sale without lines")
def all_lines_are_under_another_sale(
    tables: MigratedTables, sale: Record, other: Record
) -> Reported:
    moved = _moved(tables, "sales", sale.lines, PK=other.header["PK"])
    return moved.counting(sale.header, other.header)


@damage("sale")
def sale_is_under_another_key(tables: MigratedTables, sale: Record) -> Reported:
    moved = under(f"SALE#{another_id(tables)}", *sale.items)
    tables.lose("sales", *sale.items)
    tables.put_all("sales", moved)
    return missing("sales", *sale.items) + extra("sales", *moved)


@damage("any sale")
def prefix_of_a_key_is_wrong(tables: MigratedTables, sale: Record) -> Reported:
    wrong = {"S": sale.pk.replace("SALE#", "SALES#")}
    return _moved(tables, "sales", sale.items, PK=wrong)


@damage("any sale")
def key_is_in_capitals(tables: MigratedTables, sale: Record) -> Reported:
    return _moved(tables, "sales", sale.items, PK={"S": sale.pk.upper()})


@damage("any sale")
def key_ends_with_a_blank(tables: MigratedTables, sale: Record) -> Reported:
    return _moved(tables, "sales", sale.items, PK={"S": sale.pk + " "})


@damage("sale")
def sort_key_of_a_header_is_in_small_letters(tables: MigratedTables, sale: Record) -> Reported:
    """To the API it is not there."""
    moved = _moved(tables, "sales", [sale.header], SK={"S": "metadata"})
    return moved.counting(sale.header)


@damage("sale")
def sort_key_of_a_line_is_in_small_letters(tables: MigratedTables, sale: Record) -> Reported:
    line = sale.lines[0]
    moved = _moved(tables, "sales", [line], SK={"S": line["SK"]["S"].replace("LINE", "line")})
    return moved.counting(sale.header)


@damage("sale")
def sort_key_of_a_line_is_another_id(tables: MigratedTables, sale: Record) -> Reported:
    return _moved(tables, "sales", sale.lines[:1], SK={"S": f"LINE#{another_id(tables)}"})


@damage("buyer")
def buyer_is_under_another_key(tables: MigratedTables, buyer: Record) -> Reported:
    key = {"S": f"BUYER#{another_id(tables)}"}
    return _moved(tables, "buyers", [buyer.header], PK=key).naming(tables.sales_of(buyer), buyer.pk)


@damage("producer")
def producer_has_no_header(tables: MigratedTables, producer: Record) -> Reported:
    found = _moved(tables, "producers", [producer.header], SK={"S": "DATA"})
    return found.naming(tables.sales_of(producer), producer.pk)


@damage("sale")
def header_has_the_content_of_a_line(tables: MigratedTables, sale: Record) -> Reported:
    line = {name: value for name, value in sale.lines[0].items() if name not in _KEYS}
    tables.put("sales", {**line, "PK": sale.header["PK"], "SK": sale.header["SK"]})
    found = different("sales", sale.header).counting(sale.header)
    return found.naming([sale.header], "")
