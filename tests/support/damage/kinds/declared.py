"""What contradicts itself: counts and sums, keys of indexes, references, numbers, marks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.damage.catalogue import DAMAGES, Act, add, damage
from tests.support.damage.kinds.doubles import another_id
from tests.support.damage.reported import Item, Reported, different, nothing
from tests.support.damage.tables import MigratedTables, Record

NEXT_NUMBER = "next sale number"


def _altered(tables: MigratedTables, record: Record, **attributes: Any) -> Reported:
    """The header of a record has other attributes."""
    tables.alter(record.entity, record.header, **attributes)
    return different(record.entity, record.header)


def _text(value: str) -> Item:
    return {"S": value}


# -- counts and sums -------------------------------------------------------------------------


@damage("any sale")
def count_of_lines_is_one_more(tables: MigratedTables, sale: Record) -> Reported:
    count = {"N": str(len(sale.lines) + 1)}
    return _altered(tables, sale, linesCount=count).counting(sale.header)


@damage("sale")
def count_of_lines_is_nought(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, linesCount={"N": "0"}).counting(sale.header)


@damage("any sale")
def count_of_lines_is_absent(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, linesCount=None).counting(sale.header)


@damage("any sale")
def count_of_lines_is_a_text(tables: MigratedTables, sale: Record) -> Reported:
    count = {"S": str(len(sale.lines))}
    return _altered(tables, sale, linesCount=count).counting(sale.header)


@damage("sale")
def all_sums_are_those_of_one_cent_more(tables: MigratedTables, sale: Record) -> Reported:
    more = {
        name: {"N": str(Decimal(sale.header[name]["N"]) + Decimal("0.01"))}
        for name in ("subtotal", "taxAmount", "total")
    }
    return _altered(tables, sale, **more)


@damage("sale")
def line_and_sums_agree_on_another_amount(tables: MigratedTables, sale: Record) -> Reported:
    """As if the application had edited a line, but nobody has signed it."""
    line, cent = sale.lines[0], Decimal("0.01")
    names = {"netAmount": "subtotal", "totalAmount": "total"}
    changed = {name: {"N": str(Decimal(line[name]["N"]) + cent)} for name in names}
    tables.alter("sales", line, **changed)
    sums = {of: {"N": str(Decimal(sale.header[of]["N"]) + cent)} for of in names.values()}
    return different("sales", line) + _altered(tables, sale, **sums)


@damage("sale", "sale")
def a_cent_goes_from_sale_to_sale(tables: MigratedTables, one: Record, other: Record) -> Reported:
    """What all sales come to is the same as before."""
    found = nothing()
    for sale, cent in ((one, "0.01"), (other, "-0.01")):
        total = {"N": str(Decimal(sale.header["total"]["N"]) + Decimal(cent))}
        found += _altered(tables, sale, total=total)
    return found


# -- keys of indexes ---------------------------------------------------------------------------


@damage("any sale")
def status_is_another_in_the_item(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, status=_text("archived"))


@damage("any sale")
def status_is_another_in_the_key(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, GSI1PK=_text("STATUS#archived"))


@damage("any sale")
def status_is_another_in_both(tables: MigratedTables, sale: Record) -> Reported:
    status = {"status": _text("archived"), "GSI1PK": _text("STATUS#archived")}
    return _altered(tables, sale, **status)


@damage("any sale")
def date_is_another_in_the_item(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, saleDate=_text("2020-02-29"))


@damage("any sale")
def date_is_another_in_the_keys(tables: MigratedTables, sale: Record) -> Reported:
    day = _text("2020-02-29")
    return _altered(tables, sale, GSI1SK=day, GSI2SK=day, GSI3SK=day)


@damage("any sale")
def date_is_another_everywhere(tables: MigratedTables, sale: Record) -> Reported:
    """A sale that was put into another year."""
    day = _text("2020-02-29")
    keys = {name: day for name in sale.header if name.endswith("SK") and name.startswith("GSI")}
    return _altered(tables, sale, saleDate=day, year={"N": "2020"}, **keys)


@damage("sale")
def line_has_keys_of_an_index(tables: MigratedTables, sale: Record) -> Reported:
    """It would be listed as a sale."""
    line, keys = sale.lines[0], ("GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK")
    tables.alter("sales", line, **{name: sale.header[name] for name in keys})
    return different("sales", line)


@damage("any sale")
def no_index_has_the_sale(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, **{name: None for name in sale.header if name.startswith("GSI")})


@damage("buyer")
def no_index_has_the_buyer(tables: MigratedTables, buyer: Record) -> Reported:
    return _altered(
        tables, buyer, **{name: None for name in buyer.header if name.startswith("GSI")}
    )


@damage("buyer")
def name_is_another_in_the_keys(tables: MigratedTables, buyer: Record) -> Reported:
    name = _text("Officine Altrove")
    return _altered(tables, buyer, GSI1SK=name, GSI2SK=name)


@damage("buyer")
def country_is_another_in_the_key(tables: MigratedTables, buyer: Record) -> Reported:
    return _altered(tables, buyer, GSI2PK=_text("COUNTRY#AT"))


@damage("producer")
def status_of_a_producer_is_another_in_the_key(
    tables: MigratedTables, producer: Record
) -> Reported:
    return _altered(tables, producer, GSI1PK=_text("STATUS#inactive"))


def _without(name: str) -> Act:
    def act(tables: MigratedTables, record: Record) -> Reported:
        return _altered(tables, record, **{name: None})

    return act


for _name in ("GSI1PK", "GSI2PK", "GSI3SK"):
    add(DAMAGES, f"header: {_name} absent", _without(_name), "any sale")
add(DAMAGES, "producer: GSI1SK absent", _without("GSI1SK"), "producer")


# -- references ----------------------------------------------------------------------------------


@damage("any sale")
def buyer_of_a_sale_is_nowhere(tables: MigratedTables, sale: Record) -> Reported:
    new = another_id(tables)
    found = _altered(tables, sale, buyerId=_text(new), GSI2PK=_text(f"BUYER#{new}"))
    return found.naming([sale.header], f"BUYER#{new}")


@damage("any sale")
def producer_of_a_sale_is_nowhere(tables: MigratedTables, sale: Record) -> Reported:
    new = another_id(tables)
    found = _altered(tables, sale, producerId=_text(new), GSI3PK=_text(f"PRODUCER#{new}"))
    return found.naming([sale.header], f"PRODUCER#{new}")


@damage("any sale")
def buyer_of_a_sale_is_a_producer(tables: MigratedTables, sale: Record) -> Reported:
    other = sale.header["producerId"]
    found = _altered(tables, sale, buyerId=other)
    return found.naming([sale.header], f"BUYER#{other['S']}")


@damage("any sale")
def buyer_of_a_sale_is_another_one(tables: MigratedTables, sale: Record) -> Reported:
    """One that there is, and that has no sale: every reference leads somewhere."""
    other = tables.records("buyers")[-1].header["buyerId"]
    assert other != sale.header["buyerId"]
    return _altered(tables, sale, buyerId=other, GSI2PK=_text(f"BUYER#{other['S']}"))


@damage("any sale")
def sale_has_no_buyer(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, buyerId=None).naming([sale.header], "")


@damage("any sale")
def producer_of_a_sale_is_an_empty_text(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, producerId=_text("")).naming([sale.header], "")


@damage("sale")
def buyer_of_a_sale_is_its_key(tables: MigratedTables, sale: Record) -> Reported:
    """The prefix is there twice."""
    key = sale.header["GSI2PK"]["S"]
    return _altered(tables, sale, buyerId=_text(key)).naming([sale.header], f"BUYER#{key}")


# -- numbers -------------------------------------------------------------------------------------


def _last_of(tables: MigratedTables, year: str) -> Record:
    """The sale from which the API takes the next number of a year."""
    numbered = [
        each
        for each in tables.records("sales")
        if each.header.get("GSI4SK", {"S": ""})["S"].startswith(year)
    ]
    return max(numbered, key=lambda each: str(each.header["GSI4SK"]["S"]))


@damage(whole=True)
def last_number_of_a_year_is_higher(tables: MigratedTables) -> Reported:
    return _altered(tables, _last_of(tables, "2023"), saleNumber={"N": "77"}).saying(NEXT_NUMBER)


@damage(whole=True)
def last_number_of_a_year_is_not_in_the_index(tables: MigratedTables) -> Reported:
    last = _last_of(tables, "2024")
    return _altered(tables, last, GSI4PK=None, GSI4SK=None).saying(NEXT_NUMBER)


@damage(whole=True)
def cancelled_sale_is_in_the_numbering(tables: MigratedTables) -> Reported:
    """Its number would be the next but one."""
    last = _last_of(tables, "2022")
    (cancelled,) = (
        each
        for each in tables.records("sales")
        if each.header["status"]["S"] == "cancelled" and each.header["year"]["N"] == "2022"
    )
    assert last.header["saleNumber"] != cancelled.header["saleNumber"]
    day = _text("2022-12-31")
    found = _altered(tables, cancelled, GSI4PK=_text("SALE"), GSI4SK=day)
    return found.saying(NEXT_NUMBER)


@damage(whole=True)
def last_sale_of_a_year_is_in_the_next(tables: MigratedTables) -> Reported:
    last = _last_of(tables, "2022")
    found = _altered(tables, last, GSI4SK=_text("2023-12-30"))
    return found.saying(NEXT_NUMBER)


# -- marks ---------------------------------------------------------------------------------------


@damage("any sale")
def deleted_before_it_was_loaded(tables: MigratedTables, sale: Record) -> Reported:
    """No application can have done that."""
    return _altered(tables, sale, deletedAt=_text("1999-01-01T00:00:00.000Z"))


@damage("buyer")
def party_deleted_before_it_was_loaded(tables: MigratedTables, buyer: Record) -> Reported:
    return _altered(tables, buyer, deletedAt=_text("1999-01-01T00:00:00.000Z"))


@damage("sale")
def line_deleted_before_it_was_loaded(tables: MigratedTables, sale: Record) -> Reported:
    tables.alter("sales", sale.lines[0], deletedAt=_text("1999-01-01T00:00:00.000Z"))
    return different("sales", sale.lines[0])


@damage("any sale")
def flag_of_deletion_is_a_bool(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, deletedAt={"BOOL": False})


@damage("sale")
def whole_sale_has_lost_its_mark(tables: MigratedTables, sale: Record) -> Reported:
    """It looks like one of the application's."""
    items = [tables.alter("sales", item, legacyId=None) for item in sale.items]
    return different("sales", *items)


@damage("any sale")
def legacy_id_is_a_number(tables: MigratedTables, sale: Record) -> Reported:
    return _altered(tables, sale, legacyId={"N": sale.header["legacyId"]["S"]})


@damage("sale")
def sale_is_an_older_one(tables: MigratedTables, sale: Record) -> Reported:
    """A backup was restored that is older than the load."""
    old = _text("2021-01-01T10:00:00.000Z")
    tables.alter("sales", sale.lines[0], quantity={"N": "1"}, updatedAt=old)
    found = different("sales", sale.lines[0])
    return found + _altered(tables, sale, notes=_text("old"), updatedAt=old)


@damage("any sale")
def another_has_signed_without_a_time(tables: MigratedTables, sale: Record) -> Reported:
    signed = {"updatedBy": _text("someone@example.com"), "updatedAt": None}
    return _altered(tables, sale, notes=_text("?"), **signed)


@damage("any sale")
def migration_itself_has_signed_later(tables: MigratedTables, sale: Record) -> Reported:
    """Somebody has run another tool under the same name."""
    return _altered(tables, sale, notes=_text("?"), updatedAt=_text("2031-01-01T10:00:00.000Z"))
