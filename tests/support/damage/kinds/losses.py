"""What is lost: lines, headers, records, parties, years, batches, tables."""

from __future__ import annotations

from tests.support.damage.catalogue import damage
from tests.support.damage.reported import Reported, different, missing, nothing
from tests.support.damage.tables import Key, MigratedTables, Record, key_of


def _lose(tables: MigratedTables, *records: Record) -> Reported:
    """Records are lost, each with all that is under it."""
    lost = nothing()
    for record in records:
        tables.lose(record.entity, *record.items)
        lost += missing(record.entity, *record.items)
    return lost


def _lose_party(tables: MigratedTables, party: Record) -> Reported:
    return _lose(tables, party).naming(tables.sales_of(party), party.pk)


@damage("sale of two")
def first_line_is_lost(tables: MigratedTables, sale: Record) -> Reported:
    tables.lose("sales", sale.lines[0])
    return missing("sales", sale.lines[0]).counting(sale.header)


@damage("sale of two")
def last_line_is_lost(tables: MigratedTables, sale: Record) -> Reported:
    tables.lose("sales", sale.lines[-1])
    return missing("sales", sale.lines[-1]).counting(sale.header)


@damage("sale")
def all_lines_are_lost(tables: MigratedTables, sale: Record) -> Reported:
    tables.lose("sales", *sale.lines)
    return missing("sales", *sale.lines).counting(sale.header)


@damage("sale of two")
def line_is_lost_and_the_count_agrees(tables: MigratedTables, sale: Record) -> Reported:
    tables.lose("sales", sale.lines[-1])
    tables.alter("sales", sale.header, linesCount={"N": str(len(sale.lines) - 1)})
    return missing("sales", sale.lines[-1]) + different("sales", sale.header)


@damage("sale")
def header_is_lost(tables: MigratedTables, sale: Record) -> Reported:
    tables.lose("sales", sale.header)
    return missing("sales", sale.header).counting(sale.header)


@damage("sale")
def header_is_lost_and_others_lines_are_there(tables: MigratedTables, sale: Record) -> Reported:
    """The header is lost, and of its lines the migration's mark."""
    tables.lose("sales", sale.header)
    unmarked = [tables.alter("sales", line, legacyId=None) for line in sale.lines]
    return missing("sales", sale.header) + different("sales", *unmarked)


@damage("sale")
def sale_is_lost(tables: MigratedTables, sale: Record) -> Reported:
    return _lose(tables, sale)


@damage("sale without lines")
def sale_without_lines_is_lost(tables: MigratedTables, sale: Record) -> Reported:
    return _lose(tables, sale)


@damage("sale out of the numbering")
def cancelled_sale_is_lost(tables: MigratedTables, sale: Record) -> Reported:
    return _lose(tables, sale)


@damage("buyer")
def buyer_is_lost(tables: MigratedTables, buyer: Record) -> Reported:
    return _lose_party(tables, buyer)


@damage("producer")
def producer_is_lost(tables: MigratedTables, producer: Record) -> Reported:
    return _lose_party(tables, producer)


@damage(whole=True)
def buyer_with_all_its_sales_is_lost(tables: MigratedTables) -> Reported:
    """A partition of an index, and what it is about."""
    buyer = tables.records("buyers")[1]
    keys = {header["PK"]["S"] for header in tables.sales_of(buyer)}
    sales = [each for each in tables.records("sales") if each.pk in keys]
    assert sales
    return _lose(tables, buyer, *sales)


@damage(whole=True)
def first_records_are_lost(tables: MigratedTables) -> Reported:
    lost = nothing()
    for entity in ("buyers", "producers", "sales"):
        first = tables.records(entity)[0]
        lost += _lose(tables, first) if entity == "sales" else _lose_party(tables, first)
    return _of_those_that_are_there(lost)


@damage(whole=True)
def last_records_are_lost(tables: MigratedTables) -> Reported:
    lost = nothing()
    for entity in ("buyers", "producers", "sales"):
        last = tables.records(entity)[-1]
        lost += _lose(tables, last) if entity == "sales" else _lose_party(tables, last)
    return _of_those_that_are_there(lost)


@damage(whole=True)
def year_is_lost(tables: MigratedTables) -> Reported:
    sales = [each for each in tables.records("sales") if each.header["year"]["N"] == "2023"]
    assert sales
    return _lose(tables, *sales)


@damage(whole=True)
def half_a_batch_is_lost(tables: MigratedTables) -> Reported:
    """Of 25 items that were sent together every second one did not arrive."""
    items = [item for sale in tables.records("sales") for item in sale.items][25:50:2]
    tables.lose("sales", *items)
    gone = set(map(key_of, items))
    torn = [sale.header for sale in tables.records("sales") if _contradicts_itself(sale, gone)]
    return missing("sales", *items).counting(*torn)


@damage(whole=True)
def sales_are_emptied(tables: MigratedTables) -> Reported:
    return _lose(tables, *tables.records("sales"))


@damage(whole=True)
def buyers_are_emptied(tables: MigratedTables) -> Reported:
    parties = tables.records("buyers")
    lost = _lose(tables, *parties)
    for party in parties:
        lost = lost.naming(tables.sales_of(party), party.pk)
    return lost


@damage(whole=True)
def producers_are_emptied(tables: MigratedTables) -> Reported:
    parties = tables.records("producers")
    lost = _lose(tables, *parties)
    for party in parties:
        lost = lost.naming(tables.sales_of(party), party.pk)
    return lost


@damage(whole=True)
def everything_is_lost(tables: MigratedTables) -> Reported:
    return _lose(
        tables,
        *tables.records("buyers"),
        *tables.records("producers"),
        *tables.records("sales"),
    )


@damage(whole=True)
def all_headers_are_lost(tables: MigratedTables) -> Reported:
    headers = [sale.header for sale in tables.records("sales")]
    tables.lose("sales", *headers)
    with_lines = [sale.header for sale in tables.records("sales") if sale.lines]
    return missing("sales", *headers).counting(*with_lines)


@damage(whole=True)
def everybodys_first_line_is_lost(tables: MigratedTables) -> Reported:
    sales = [sale for sale in tables.records("sales") if sale.lines]
    lines = [sale.lines[0] for sale in sales]
    tables.lose("sales", *lines)
    return missing("sales", *lines).counting(*(sale.header for sale in sales))


def _of_those_that_are_there(lost: Reported) -> Reported:
    """A sale that is lost itself names nobody."""
    gone = {pk for _, pk, _ in lost.items}
    there = {(sale, party) for sale, party in lost.references if sale not in gone}
    return Reported(lost.items, lost.lines, there, lost.says)


def _contradicts_itself(sale: Record, gone: set[Key]) -> bool:
    """Whether of a sale something is left that is not whole: a header that says more lines than
    there are, or lines without a header."""
    left = [line for line in sale.lines if key_of(line) not in gone]
    header = key_of(sale.header) not in gone
    return len(left) < len(sale.lines) if header else bool(left)
