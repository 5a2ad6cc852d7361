"""What a living application does with migrated records, and beside them: none of it is damage.

The acts are those of the Sale Module's own handlers (tests/support/application/sale_module.py).
"""

from __future__ import annotations

from typing import Any

from tests.support.application.sale_module import Act as Steps
from tests.support.application.sale_module import SaleModule, text
from tests.support.damage.catalogue import harmless
from tests.support.damage.reported import Item, Reported, added, changed, deleted, nothing
from tests.support.damage.tables import Key, MigratedTables, Record

LATER = "2031-05-04T03:02:01.000Z"
_SIGNED = {"updatedAt": text(LATER), "updatedBy": text("someone@example.com")}


def application_at(tables: MigratedTables) -> SaleModule:
    """The Sale Module over these tables."""
    return SaleModule(tables.client, tables.names, tables.chance)


def _does(application: SaleModule, act: Steps) -> SaleModule:
    for _ in act:
        pass
    assert application.done, "the application has found nothing to do"
    return application


def left(tables: MigratedTables, application: SaleModule) -> Reported:
    """What verify must say of all that an application has done: nothing of what is its own; of our
    records, which items are changed, deleted softly, added."""
    found = nothing()
    for key in application.done:
        entity = _entity(key)
        ours = key in tables.loaded[entity]
        record = (key[0], "METADATA") in tables.loaded[entity]
        item = {"PK": {"S": key[0]}, "SK": {"S": key[1]}}
        if ours:
            how = deleted if "deletedAt" in tables.now(entity, item) else changed
            found += how(entity, item)
        elif record:
            found += added(entity, item)
    return found


def _entity(key: Key) -> str:
    return {"BUYER": "buyers", "PRODUCER": "producers", "SALE": "sales"}[key[0].partition("#")[0]]


def _of_sale(name: str) -> Any:
    def act(tables: MigratedTables, sale: Record) -> Reported:
        application = application_at(tables)
        return left(tables, _does(application, getattr(application, name)(sale.pk)))

    act.__name__ = f"application: {name}"
    return act


for _name in ("edit", "add_line", "delete_sale", "confirm", "invoice", "attach"):
    harmless("any sale")(_of_sale(_name))
for _name in ("edit_line", "delete_line"):
    harmless("sale")(_of_sale(_name))


@harmless("buyer", "producer")
def application_creates_a_sale(tables: MigratedTables, buyer: Record, producer: Record) -> Reported:
    application = application_at(tables)
    return left(tables, _does(application, application.create_sale(buyer.pk, producer.pk)))


@harmless()
def application_creates_a_party(tables: MigratedTables) -> Reported:
    application = application_at(tables)
    return left(tables, _does(application, application.create_party()))


def _signed(tables: MigratedTables, record: Record, **attributes: Item | None) -> None:
    tables.alter(record.entity, record.header, **{**_SIGNED, **attributes})


@harmless("buyer")
def application_edits_a_buyer(tables: MigratedTables, buyer: Record) -> Reported:
    name = text("Officine Nuove S.r.l.")
    _signed(tables, buyer, companyName=name, GSI1SK=name, GSI2SK=name)
    return changed("buyers", buyer.header)


@harmless("producer")
def application_edits_a_producer(tables: MigratedTables, producer: Record) -> Reported:
    _signed(tables, producer, notes=text("edited"))
    return changed("producers", producer.header)


@harmless("buyer")
def application_makes_a_buyer_inactive(tables: MigratedTables, buyer: Record) -> Reported:
    _signed(tables, buyer, status=text("inactive"), GSI1PK=text("STATUS#inactive"))
    return changed("buyers", buyer.header)


@harmless("buyer")
def application_deletes_a_buyer(tables: MigratedTables, buyer: Record) -> Reported:
    """Softly: its sales name it still, and it is there."""
    _signed(tables, buyer, deletedAt=text(LATER))
    return deleted("buyers", buyer.header)


@harmless("producer")
def application_only_marks_a_producer_as_deleted(
    tables: MigratedTables, producer: Record
) -> Reported:
    tables.alter("producers", producer.header, deletedAt=text(LATER))
    return deleted("producers", producer.header)


@harmless("any sale")
def application_takes_attributes_away(tables: MigratedTables, sale: Record) -> Reported:
    _signed(tables, sale, notes=None, internalNotes=None)
    return changed("sales", sale.header)


@harmless("sale")
def application_edits_a_line_only(tables: MigratedTables, sale: Record) -> Reported:
    tables.alter("sales", sale.lines[0], notes=text("edited"), **_SIGNED)
    return changed("sales", sale.lines[0])


@harmless("any sale")
def application_gives_a_sale_to_another_buyer(tables: MigratedTables, sale: Record) -> Reported:
    other = tables.records("buyers")[-1].header["buyerId"]
    _signed(tables, sale, buyerId=other, GSI2PK=text(f"BUYER#{other['S']}"))
    return changed("sales", sale.header)


@harmless("sale out of the numbering")
def application_moves_a_sale_to_another_day(tables: MigratedTables, sale: Record) -> Reported:
    """Not the last of a year: its number would be given again, and verify says so."""
    day = text("2020-02-29")
    keys = {name: day for name in sale.header if name.startswith("GSI") and name.endswith("SK")}
    _signed(tables, sale, saleDate=day, **keys)
    return changed("sales", sale.header)


@harmless()
def application_keeps_settings_in_the_table(tables: MigratedTables) -> Reported:
    tables.put("sales", {"PK": text("SETTINGS"), "SK": text("numbering"), "next": {"N": "7"}})
    return nothing()


@harmless("any sale")
def same_item_is_put_again(tables: MigratedTables, sale: Record) -> Reported:
    tables.put_all("sales", sale.items)
    return nothing()


@harmless("buyer")
def attributes_come_in_another_order(tables: MigratedTables, buyer: Record) -> Reported:
    tables.put("buyers", dict(reversed(buyer.header.items())))
    return nothing()
