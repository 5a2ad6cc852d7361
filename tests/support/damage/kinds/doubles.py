"""What is too much: copies under other keys, records of other migrations, items in wrong tables."""

from __future__ import annotations

import copy
import re
import uuid
from typing import Any

import orjson

from tests.support.damage.catalogue import damage
from tests.support.damage.reported import Item, Reported, different, extra, missing, nothing
from tests.support.damage.tables import MigratedTables, Record
from transform.values.ids import record_id

_KINDS = {"buyers": "BUYER", "producers": "PRODUCER", "sales": "SALE"}
_READABLE = re.compile(r"(?:BUYER|PRODUCER|SALE|LINE)\d+")


def another_id(tables: MigratedTables) -> str:
    """An id that nobody has."""
    return str(uuid.UUID(int=tables.chance.getrandbits(128), version=4))


def under(pk: str, *items: Item) -> list[Item]:
    """Copies of items under another partition key, with the id that belongs to it."""
    kind, _, own_id = pk.partition("#")
    return [{**item, "PK": {"S": pk}, f"{kind.lower()}Id": {"S": own_id}} for item in items]


def _doubled(tables: MigratedTables, record: Record, *items: Item) -> list[Item]:
    copies = under(f"{_KINDS[record.entity]}#{another_id(tables)}", *items)
    tables.put_all(record.entity, copies)
    return copies


@damage("sale")
def sale_is_there_under_another_id_too(tables: MigratedTables, sale: Record) -> Reported:
    return extra("sales", *_doubled(tables, sale, *sale.items))


@damage("sale without lines")
def sale_without_lines_is_there_twice(tables: MigratedTables, sale: Record) -> Reported:
    return extra("sales", *_doubled(tables, sale, *sale.items))


@damage("sale")
def header_is_there_under_another_id_too(tables: MigratedTables, sale: Record) -> Reported:
    copies = _doubled(tables, sale, sale.header)
    return extra("sales", *copies).counting(*copies)


@damage("sale")
def lines_are_there_under_another_id_too(tables: MigratedTables, sale: Record) -> Reported:
    copies = _doubled(tables, sale, *sale.lines)
    return extra("sales", *copies).counting(copies[0])


@damage("buyer")
def buyer_is_there_under_another_id_too(tables: MigratedTables, buyer: Record) -> Reported:
    return extra("buyers", *_doubled(tables, buyer, *buyer.items))


@damage("producer")
def producer_is_there_under_another_id_too(tables: MigratedTables, producer: Record) -> Reported:
    return extra("producers", *_doubled(tables, producer, *producer.items))


@damage("sale")
def line_is_there_under_another_id_too(tables: MigratedTables, sale: Record) -> Reported:
    new = another_id(tables)
    line = {**sale.lines[0], "SK": {"S": f"LINE#{new}"}, "lineId": {"S": new}}
    tables.put("sales", line)
    return extra("sales", line).counting(sale.header)


@damage("sale")
def line_is_there_twice_and_the_count_agrees(tables: MigratedTables, sale: Record) -> Reported:
    new = another_id(tables)
    line = {**sale.lines[0], "SK": {"S": f"LINE#{new}"}, "lineId": {"S": new}}
    tables.put("sales", line)
    tables.alter("sales", sale.header, linesCount={"N": str(len(sale.lines) + 1)})
    return extra("sales", line) + different("sales", sale.header)


@damage("sale", "sale")
def line_is_there_under_another_sale_too(
    tables: MigratedTables, sale: Record, other: Record
) -> Reported:
    copied = {**sale.lines[0], "PK": other.header["PK"]}
    tables.put("sales", copied)
    return extra("sales", copied).counting(other.header)


@damage("sale")
def header_is_there_as_a_line_too(tables: MigratedTables, sale: Record) -> Reported:
    copied = {**sale.header, "SK": {"S": f"LINE#{another_id(tables)}"}}
    tables.put("sales", copied)
    return extra("sales", copied).counting(sale.header)


@damage("any sale")
def header_is_there_under_another_sort_key_too(tables: MigratedTables, sale: Record) -> Reported:
    copied = {**sale.header, "SK": {"S": "METADATA#1"}}
    tables.put("sales", copied)
    return extra("sales", copied)


@damage("sale")
def buyer_s_table_has_a_sale(tables: MigratedTables, sale: Record) -> Reported:
    """A sale went into the table of the buyers, and not into its own."""
    tables.lose("sales", *sale.items)
    tables.put_all("buyers", sale.items)
    return missing("sales", *sale.items) + extra("buyers", *sale.items)


@damage("buyer")
def producers_have_a_buyer_too(tables: MigratedTables, buyer: Record) -> Reported:
    tables.put("producers", buyer.header)
    return extra("producers", buyer.header)


@damage("producer")
def sales_have_a_producer_too(tables: MigratedTables, producer: Record) -> Reported:
    """What stands in the table of the sales names two parties, and has none."""
    tables.put("sales", producer.header)
    found = extra("sales", producer.header).counting(producer.header)
    return found.naming([producer.header], "")


def _of_s9(tables: MigratedTables, sale: Record, number: int) -> list[Item]:
    """A sale as a migration would write it whose key in S9 is this number."""
    pk = f"SALE#{record_id('sale', number, True)}"
    made = []
    for item in under(pk, *sale.items):
        if item["SK"]["S"] == "METADATA":
            made.append({**item, "legacyId": {"S": str(number)}})
            continue
        key = number * 10 + int(item["lineNumber"]["N"])
        line_id = record_id("LINE", key, True)
        own = {"SK": {"S": f"LINE#{line_id}"}, "lineId": {"S": line_id}}
        made.append({**item, **own, "legacyId": {"S": str(key)}})
    return made


@damage("sale")
def sale_of_another_migration_is_there(tables: MigratedTables, sale: Record) -> Reported:
    """S9 has deleted it since, or it is another S9."""
    items = _of_s9(tables, sale, 900_001)
    tables.put_all("sales", items)
    return extra("sales", *items)


@damage("sale")
def sale_of_another_year_is_there(tables: MigratedTables, sale: Record) -> Reported:
    items = _of_s9(tables, sale, 900_002)
    day = {"S": "2011-05-06"}
    dates = {"saleDate": day, "GSI1SK": day, "GSI2SK": day, "GSI3SK": day, "year": {"N": "2011"}}
    keys = {"GSI4PK": {"S": "SALE"}, "GSI4SK": day}
    items[0] = {**items[0], **dates, **keys}
    tables.put_all("sales", items)
    return extra("sales", *items)


@damage("buyer")
def buyer_of_another_migration_is_there(tables: MigratedTables, buyer: Record) -> Reported:
    pk = f"BUYER#{record_id('buyer', 900_003, True)}"
    (item,) = under(pk, {**buyer.header, "legacyId": {"S": "900003"}})
    tables.put("buyers", item)
    return extra("buyers", item)


@damage("sale")
def attachment_carries_the_mark_of_a_migration(tables: MigratedTables, sale: Record) -> Reported:
    item = {"PK": sale.header["PK"], "SK": {"S": "ATTACHMENT#1"}, "legacyId": {"S": "1"}}
    tables.put("sales", item)
    return extra("sales", item)


@damage(whole=True)
def everything_is_there_once_more_under_readable_ids(tables: MigratedTables) -> Reported:
    """A migration with `generateIds` false has been here as well."""
    names = _readable_ids(tables)
    found = nothing()
    for entity in _KINDS:
        items = [item for record in tables.records(entity) for item in record.items]
        copies = [_renamed(item, names) for item in items]
        assert all(_READABLE.search(each["PK"]["S"]) for each in copies)
        tables.put_all(entity, copies)
        found += extra(entity, *copies)
    return found


@damage(whole=True)
def sales_are_there_once_more_under_readable_ids(tables: MigratedTables) -> Reported:
    names = _readable_ids(tables)
    parties = {pk: pk for entity in ("buyers", "producers") for pk in _ids(tables, entity)}
    items = [item for record in tables.records("sales") for item in record.items]
    copies = [_renamed(item, {**names, **parties}) for item in items]
    tables.put_all("sales", copies)
    return extra("sales", *copies)


def _ids(tables: MigratedTables, entity: str) -> list[str]:
    return [record.pk.partition("#")[2] for record in tables.records(entity)]


def _readable_ids(tables: MigratedTables) -> dict[str, str]:
    """The readable id of each."""
    found = {}
    for entity, kind in _KINDS.items():
        for record in tables.records(entity):
            found[record.pk.partition("#")[2]] = f"{kind}{record.header['legacyId']['S']}"
            for line in record.lines:
                found[line["lineId"]["S"]] = f"LINE{line['legacyId']['S']}"
    return found


def _renamed(item: Item, names: dict[str, str]) -> Item:
    """An item in which every id is another one."""
    text = orjson.dumps(item).decode()
    for name, other in names.items():
        text = text.replace(name, other)
    made: dict[str, Any] = copy.deepcopy(orjson.loads(text))
    return made
