"""What happens to the small trade in S9 after its migration, and what verify must say of it."""

from __future__ import annotations

from tests.conftest import S9Database
from tests.support.damage.reported import ItemAt
from tests.support.damage.tables import MigratedTables, Record
from tests.support.operators.operator import insert, line, party, sale
from transform.values.ids import record_id
from utils.differences import CHANGED_IN_SOURCE, NEW_IN_SOURCE, REMOVED_IN_SOURCE

RENAMED, NEW_BUYER, NEW_SALE, NEW_LINE = 23, 8, 131, 5_001
DISABLED, DELETED, RECOMPUTED, SHORTER, LONGER = 101, 104, 106, 107, 108
EDITED, EDITED_SILENTLY, NO_LONGER_LAST = 103, 109, 120


def change(s9: S9Database) -> None:
    """Rows are changed, with and without a time of it, added, deleted, disabled; lines as well; a
    producer has another name, and a year another last sale."""
    s9.execute(
        "UPDATE msg SET notes = 'edited', updated_at = '2026-01-02 03:04:05' WHERE first_id = %s",
        EDITED,
    )
    s9.execute("UPDATE msg SET notes = 'edited' WHERE first_id = %s", EDITED_SILENTLY)
    s9.execute("DELETE FROM msg_line WHERE msg_id = %s", DELETED)
    s9.execute("DELETE FROM msg WHERE first_id = %s", DELETED)
    s9.execute("UPDATE msg SET enabled = false WHERE first_id = %s", DISABLED)
    s9.execute("UPDATE msg_line SET unit_price = 99 WHERE id = %s", RECOMPUTED * 10 + 1)
    s9.execute("DELETE FROM msg_line WHERE id = %s", SHORTER * 10 + 2)
    insert(s9, "msg_line", line(NEW_LINE, LONGER), line(NEW_LINE + 1, NEW_SALE))
    insert(s9, "msg_anag", party(NEW_BUYER, 2))
    new = {"sale_number": 20, "sale_date": "2023-11-12", "year": 2023, "reg_number": "20/2023"}
    insert(s9, "msg", sale(NEW_SALE, 2, 21, **new))
    s9.execute("UPDATE msg_anag SET name = 'Viterie Altrove' WHERE first_id = %s", RENAMED)


def said_of_it(tables: MigratedTables) -> dict[ItemAt, str]:
    """What verify must say of each item."""
    sales = {each.header["legacyId"]["S"]: each for each in tables.records("sales")}
    producers = {each.header["legacyId"]["S"]: each for each in tables.records("producers")}
    renamed = producers[str(RENAMED)]
    changed = [EDITED, EDITED_SILENTLY, NO_LONGER_LAST, RECOMPUTED, SHORTER, LONGER]
    said = {_at(sales[str(n)], "METADATA"): CHANGED_IN_SOURCE for n in changed}
    said |= {
        ("sales", header["PK"]["S"], "METADATA"): CHANGED_IN_SOURCE
        for header in tables.sales_of(renamed)
    }
    said[_at(renamed, "METADATA")] = CHANGED_IN_SOURCE
    for gone in (sales[str(DELETED)], sales[str(DISABLED)]):
        said |= {_at(gone, item["SK"]["S"]): REMOVED_IN_SOURCE for item in gone.items}
    said[_at(sales[str(RECOMPUTED)], _line(RECOMPUTED * 10 + 1))] = CHANGED_IN_SOURCE
    said[_at(sales[str(SHORTER)], _line(SHORTER * 10 + 2))] = REMOVED_IN_SOURCE
    said[_at(sales[str(LONGER)], _line(NEW_LINE))] = NEW_IN_SOURCE
    new_sale = f"SALE#{record_id('sale', NEW_SALE, True)}"
    said["sales", new_sale, "METADATA"] = NEW_IN_SOURCE
    said["sales", new_sale, _line(NEW_LINE + 1)] = NEW_IN_SOURCE
    said["buyers", f"BUYER#{record_id('buyer', NEW_BUYER, True)}", "METADATA"] = NEW_IN_SOURCE
    return said


def _at(record: Record, sk: str) -> ItemAt:
    return record.entity, record.pk, sk


def _line(number: int) -> str:
    return f"LINE#{record_id('line', number, True)}"
