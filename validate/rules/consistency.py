"""What a schema cannot say: attributes of a record that must agree with each other.

Everything here is asked of items that conform to their schemas, so attributes are simply there.
The texts of the Sale Module's keys are written out once more on purpose: a gate that called the
transform's functions would only agree with itself. The patterns by which sales beyond doubt are
recognised (validate/fast/forms.py) are made from the same tables.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from operator import lt
from typing import Any, NamedTuple

from utils.entities import Shape, shape_of
from utils.wording.figures import counted
from validate.rules.catalogue import Note
from validate.rules.checks import Check, Record
from validate.rules.record_facts import NumberedSale

Item = dict[str, Any]


class Repeats(NamedTuple):
    """`key` is made of the text `before` and the value of `attribute`; else `rule` is broken."""

    key: str
    before: str
    attribute: str
    rule: str = "index-key"


SALE_KEYS = (
    Repeats("PK", "SALE#", "saleId", "identity"),
    Repeats("GSI1PK", "STATUS#", "status"),
    Repeats("GSI2PK", "BUYER#", "buyerId"),
    Repeats("GSI3PK", "PRODUCER#", "producerId"),
    *(Repeats(key, "", "saleDate") for key in ("GSI1SK", "GSI2SK", "GSI3SK")),
)
# The keys of the index of sale numbers, which a sale has both or none of.
NUMBERING = ("GSI4PK", "GSI4SK")
NUMBERING_KEYS = (Repeats("GSI4SK", "", "saleDate"),)
LINE_KEYS = (Repeats("SK", "LINE#", "lineId", "identity"),)
OF_SALE = ("PK", "saleId")  # what a line has from its sale


def party_keys(kind: str) -> tuple[Repeats, ...]:
    """What the keys of a party are made of; `kind` is buyer or producer."""
    return (
        Repeats("PK", f"{kind.upper()}#", f"{kind}Id", "identity"),
        Repeats("GSI1PK", "STATUS#", "status"),
        Repeats("GSI1SK", "", "companyName"),
        Repeats("GSI2PK", "COUNTRY#", "country"),
        Repeats("GSI2SK", "", "companyName"),
    )


def party_notes(item: Item, kind: str) -> Iterator[Note]:
    """Disagreements within a party; `kind` is buyer or producer."""
    yield from _key_notes(item, party_keys(kind))
    yield from _id_notes(item, f"{kind}Id", kind.upper())


def sale_notes(sale: Item, lines: Sequence[Item]) -> Iterator[Note]:
    """Disagreements between the items of a sale."""
    yield from _key_notes(sale, SALE_KEYS)
    yield from _numbering_notes(sale)
    yield from _id_notes(sale, "saleId", "SALE")
    if sale["linesCount"]["N"] != str(len(lines)):
        text = (
            f"linesCount is {sale['linesCount']['N']}, the sale has {counted(len(lines), 'line')}"
        )
        yield Note("linesCount", "lines-count", text)
    yield from _line_notes(sale, lines)


def is_numbered(sale: Item) -> bool:
    """Whether a sale counts in its year's numbering."""
    return has_number(sale["status"]["S"], sale["docType"]["S"] if "docType" in sale else "")


def has_number(status: str, document: str) -> bool:
    """Whether a sale of this status and document type ("" without one) counts in its year's
    numbering: not a proforma, not cancelled."""
    return status != "cancelled" and document != "proforma"


def numbering_year(sale: Item) -> int:
    """The year in which a sale is numbered: its own word, else that of its date."""
    return int(sale["year"]["N"] if "year" in sale else sale["saleDate"]["S"][:4])


def numbering_of(sale: Item) -> NumberedSale:
    """What the numbering needs to know of a sale."""
    return NumberedSale(
        int(sale["saleNumber"]["N"]),
        sale["saleDate"]["S"],
        numbering_year(sale),
        is_numbered(sale),
        NUMBERING[0] in sale,
    )


def rise(numbers: Sequence[int]) -> bool:
    """Whether the numbers of lines rise from line to line."""
    return all(map(lt, numbers, numbers[1:]))


def differ(keys: Sequence[Hashable]) -> bool:
    """Whether the keys of lines are all different."""
    return len(set(keys)) == len(keys)


def _line_notes(sale: Item, lines: Sequence[Item]) -> Iterator[Note]:
    keys, numbers = [], []
    for position, line in enumerate(lines, start=1):
        keys.append(line["SK"]["S"])
        numbers.append(int(line["lineNumber"]["N"]))
        if not _line_fits(line, sale):
            text = "PK, SK, saleId, lineId and legacyId of the line do not belong together"
            yield Note(f"lines[{position}].SK", "identity", text)
    if not differ(keys):
        yield Note("lines", "duplicate-key", "two lines of the sale have the same key")
    if rise(numbers):
        return
    for position, (before, after) in enumerate(pairwise(numbers), start=2):
        if after <= before:
            text = f"line number {after} follows line number {before}"
            yield Note(f"lines[{position}].lineNumber", "line-order", text)


def _line_fits(line: Item, sale: Item) -> bool:
    for name in OF_SALE:
        if line[name] != sale[name]:
            return False
    for repeats in LINE_KEYS:
        if not _holds(line, repeats):
            return False
    return _is_own(line["lineId"]["S"], "LINE", line)


def _is_own(identifier: str, prefix: str, item: Item) -> bool:
    """Whether an id is a UUID (its hyphen tells), or made of the prefix and S9's key."""
    return bool(identifier[8:9] == "-" or identifier == f"{prefix}{item['legacyId']['S']}")


def _id_notes(item: Item, attribute: str, prefix: str) -> Iterator[Note]:
    if not _is_own(item[attribute]["S"], prefix, item):
        yield Note(attribute, "identity", f"{attribute} is not made from legacyId")


def _holds(item: Item, repeats: Repeats) -> bool:
    key, before, attribute, _ = repeats
    return bool(item[key]["S"] == before + item[attribute]["S"])


def _key_notes(item: Item, keys: Iterable[Repeats]) -> Iterator[Note]:
    for repeats in keys:
        if not _holds(item, repeats):
            text = f"{repeats.key} does not repeat {repeats.attribute}"
            yield Note(repeats.key, repeats.rule, text)


def _numbering_notes(sale: Item) -> Iterator[Note]:
    """What a sale by itself tells; whether one that has a number belongs into the index depends on
    the other sales of its year (validate/gate/numbering.py)."""
    keys = [key for key in NUMBERING if key in sale]
    if not keys:
        return
    if not is_numbered(sale):
        for key in keys:
            text = f"a proforma or cancelled sale has no number of its year, yet it has {key}"
            yield Note(key, "numbering-index", text)
        return
    if len(keys) == 1:
        text = f"{keys[0]} is there, and the other key of its index is not"
        yield Note(keys[0], "numbering-index", text)
    yield from _key_notes(sale, (each for each in NUMBERING_KEYS if each.key in sale))


def keys_by_shape(shape: Shape) -> tuple[Repeats, ...]:
    """What the keys of a record are made of, of which nothing but its shape is known."""
    keys = [Repeats("PK", shape.prefix, shape.id_attribute, "identity")]
    for reference in shape.references:
        named = shape_of(reference.entity)
        keys.append(Repeats(reference.index_key, named.prefix, reference.attribute))
        keys.append(Repeats(reference.sort_key, "", shape.sorted_by))
    return tuple(keys)


def index_keys_of(entity: str) -> tuple[Repeats, ...]:
    """What those keys of an entity's records are made of that put them into an index; NUMBERING
    is in addition to them."""
    shape = shape_of(entity)
    known = _KEYS_OF.get(shape.singular) or keys_by_shape(shape)
    return tuple(each for each in known if each.rule == "index-key")


def checks_of(shape: Shape) -> tuple[Check, ...]:
    """What agrees in every record, by its shape: keys repeat what they are made of."""
    keys = keys_by_shape(shape)

    def ask(record: Record) -> Iterator[Note]:
        yield from _key_notes(record.items[0], keys)
        yield from _id_notes(record.items[0], shape.id_attribute, shape.singular.upper())

    return (Check(frozenset({"identity", "index-key"}), ask),)


def _of_party(kind: str, record: Record) -> Iterator[Note]:
    yield from party_notes(record.items[0], kind)


_KEYS_OF = {"sale": SALE_KEYS, **{kind: party_keys(kind) for kind in ("buyer", "producer")}}
PARTY_CHECKS = {
    kind: (Check(frozenset({"identity", "index-key"}), partial(_of_party, kind)),)
    for kind in ("buyer", "producer")
}
SALE_CHECKS = (
    Check(
        frozenset(
            {
                *("identity", "index-key", "numbering-index", "lines-count", "line-order"),
                "duplicate-key",
            }
        ),
        lambda record: sale_notes(record.items[0], record.items[1:]),
    ),
)
