"""What a schema cannot say: attributes of a record that must agree with each other.

Everything here is asked of items that conform to their schemas, so attributes are simply there.
The texts of the Sale Module's keys are written out once more on purpose: a gate that called the
transform's functions would only agree with itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from utils.wording.figures import counted
from validate.rules.catalogue import Note

Item = dict[str, Any]


def party_notes(item: Item, kind: str) -> Iterator[Note]:
    """Disagreements within a party; `kind` is buyer or producer."""
    identifier, name = item[f"{kind}Id"]["S"], item["companyName"]["S"]
    yield from _repeats(item, "PK", f"{kind.upper()}#{identifier}", f"{kind}Id", "identity")
    yield from _repeats(item, "GSI1PK", f"STATUS#{item['status']['S']}", "status")
    yield from _repeats(item, "GSI1SK", name, "companyName")
    yield from _repeats(item, "GSI2PK", f"COUNTRY#{item['country']['S']}", "country")
    yield from _repeats(item, "GSI2SK", name, "companyName")
    yield from _id_notes(item, f"{kind}Id", kind.upper())


def sale_agrees(sale: Item, lines: Sequence[Item]) -> bool:
    """Whether `sale_notes` has nothing to say, found out in a tenth of the time."""
    identifier, day = sale["saleId"]["S"], sale["saleDate"]["S"]
    numbering = sale.get("GSI4PK"), sale.get("GSI4SK")
    return (
        sale["PK"]["S"] == f"SALE#{identifier}"
        and sale["GSI1PK"]["S"] == f"STATUS#{sale['status']['S']}"
        and sale["GSI2PK"]["S"] == f"BUYER#{sale['buyerId']['S']}"
        and sale["GSI3PK"]["S"] == f"PRODUCER#{sale['producerId']['S']}"
        and sale["GSI1SK"]["S"] == sale["GSI2SK"]["S"] == sale["GSI3SK"]["S"] == day
        and (
            numbering == (None, None)
            or (numbering == ({"S": "SALE"}, {"S": day}) and is_numbered(sale))
        )
        and _is_own(identifier, "SALE", sale)
        and sale["linesCount"]["N"] == str(len(lines))
        and _lines_agree(lines, sale)
    )


def sale_notes(sale: Item, lines: Sequence[Item]) -> Iterator[Note]:
    """Disagreements between the items of a sale."""
    day = sale["saleDate"]["S"]
    yield from _repeats(sale, "PK", f"SALE#{sale['saleId']['S']}", "saleId", "identity")
    yield from _repeats(sale, "GSI1PK", f"STATUS#{sale['status']['S']}", "status")
    yield from _repeats(sale, "GSI2PK", f"BUYER#{sale['buyerId']['S']}", "buyerId")
    yield from _repeats(sale, "GSI3PK", f"PRODUCER#{sale['producerId']['S']}", "producerId")
    for key in ("GSI1SK", "GSI2SK", "GSI3SK"):
        yield from _repeats(sale, key, day, "saleDate")
    yield from _numbering_notes(sale, day)
    yield from _id_notes(sale, "saleId", "SALE")
    if sale["linesCount"]["N"] != str(len(lines)):
        text = (
            f"linesCount is {sale['linesCount']['N']}, the sale has {counted(len(lines), 'line')}"
        )
        yield Note("linesCount", "lines-count", text)
    yield from _line_notes(sale, lines)


def is_numbered(sale: Item) -> bool:
    """Whether a sale counts in its year's numbering: not a proforma, not cancelled."""
    return sale["status"]["S"] != "cancelled" and (
        "docType" not in sale or sale["docType"]["S"] != "proforma"
    )


def numbering_year(sale: Item) -> int:
    """The year in which a sale is numbered: its own word, else that of its date."""
    return int(sale["year"]["N"] if "year" in sale else sale["saleDate"]["S"][:4])


def _lines_agree(lines: Sequence[Item], sale: Item) -> bool:
    key, sale_id = sale["PK"], sale["saleId"]
    last = 0
    for line in lines:
        number = int(line["lineNumber"]["N"])
        identifier = line["lineId"]["S"]
        if (
            number <= last
            or line["PK"] != key
            or line["saleId"] != sale_id
            or line["SK"]["S"] != f"LINE#{identifier}"
            or not _is_own(identifier, "LINE", line)
        ):
            return False
        last = number
    return len({line["lineId"]["S"] for line in lines}) == len(lines)


def _line_notes(sale: Item, lines: Sequence[Item]) -> Iterator[Note]:
    for position, line in enumerate(lines, start=1):
        if not _line_fits(line, sale):
            text = "PK, SK, saleId, lineId and legacyId of the line do not belong together"
            yield Note(f"lines[{position}].SK", "identity", text)
    if len({line["SK"]["S"] for line in lines}) != len(lines):
        yield Note("lines", "duplicate-key", "two lines of the sale have the same key")
    numbers = [int(line["lineNumber"]["N"]) for line in lines]
    for position, (before, after) in enumerate(pairwise(numbers), start=2):
        if after <= before:
            text = f"line number {after} follows line number {before}"
            yield Note(f"lines[{position}].lineNumber", "line-order", text)


def _line_fits(line: Item, sale: Item) -> bool:
    identifier = line["lineId"]["S"]
    return bool(
        line["PK"]["S"] == sale["PK"]["S"]
        and line["saleId"]["S"] == sale["saleId"]["S"]
        and line["SK"]["S"] == f"LINE#{identifier}"
        and _is_own(identifier, "LINE", line)
    )


def _is_own(identifier: str, prefix: str, item: Item) -> bool:
    """Whether an id is a UUID (its hyphen tells), or made of the prefix and S9's key."""
    return bool(identifier[8:9] == "-" or identifier == f"{prefix}{item['legacyId']['S']}")


def _id_notes(item: Item, attribute: str, prefix: str) -> Iterator[Note]:
    if not _is_own(item[attribute]["S"], prefix, item):
        yield Note(attribute, "identity", f"{attribute} is not made from legacyId")


def _repeats(
    item: Item, key: str, expected: str, attribute: str, rule: str = "index-key"
) -> Iterator[Note]:
    if item[key]["S"] != expected:
        yield Note(key, rule, f"{key} does not repeat {attribute}")


def _numbering_notes(sale: Item, day: str) -> Iterator[Note]:
    """What a sale by itself tells; whether one that has a number belongs into the index depends on
    the other sales of its year (validate/gate/numbering.py)."""
    keys = [key for key in ("GSI4PK", "GSI4SK") if key in sale]
    if not is_numbered(sale):
        for key in keys:
            text = f"a proforma or cancelled sale has no number of its year, yet it has {key}"
            yield Note(key, "numbering-index", text)
        return
    if len(keys) == 1:
        text = f"{keys[0]} is there, and the other key of its index is not"
        yield Note(keys[0], "numbering-index", text)
    if "GSI4SK" in sale:
        yield from _repeats(sale, "GSI4SK", day, "saleDate")
