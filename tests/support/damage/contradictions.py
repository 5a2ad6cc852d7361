"""What tables say of themselves: whatever happened to them, sales have the lines that they say, or
not, and name parties that are there, or not. Said here once more, in other words than in validate/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from tests.support.damage.reported import Item, Reported
from tests.support.damage.tables import HEADER, Contents

_PARTIES = {"buyerId": ("buyers", "BUYER#"), "producerId": ("producers", "PRODUCER#")}


def contradictions(tables: Contents) -> Reported:
    """The sales whose lines are not as many as they say, and the references to nobody."""
    records: dict[str, dict[str, Item]] = {}
    for (pk, sk), item in tables["sales"].items():
        records.setdefault(pk, {})[sk] = item
    return Reported(
        lines={pk for pk, record in records.items() if not _has_its_lines(record)},
        references={
            reference
            for pk, record in records.items()
            if "legacyId" in record.get(HEADER, {})
            for reference in _to_nobody(pk, record[HEADER], tables)
        },
    )


def _has_its_lines(record: Mapping[str, Item]) -> bool:
    lines = [item for sk, item in record.items() if sk.startswith("LINE#")]
    header = record.get(HEADER)
    if header is None:
        return not any("legacyId" in line for line in lines)
    if "legacyId" not in header or _is_deleted(header):
        return True
    there = [line for line in lines if not _is_deleted(line)]
    loaded = [line for line in lines if line not in there and "legacyId" in line]
    # Whoever deletes a line softly need not count again.
    says = header.get("linesCount", {}).get("N")
    return says is not None and Decimal(says) in (len(there), len(there) + len(loaded))


def _is_deleted(item: Item) -> bool:
    return "S" in item.get("deletedAt", {})


def _to_nobody(pk: str, header: Item, tables: Contents) -> Iterator[tuple[str, str]]:
    for attribute, (entity, prefix) in _PARTIES.items():
        name = header.get(attribute, {}).get("S", "")
        party = prefix + name if name else ""
        if (party, HEADER) not in tables[entity]:
            yield pk, party
