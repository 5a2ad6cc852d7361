"""The check of each record by itself: a pure function over lines of a transformed file.

It needs no file, no connection and no other record, and what it takes and gives can be pickled,
so that chunks may be checked anywhere. What has to be compared between records leaves as facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from functools import partial
from typing import Any

from utils.entities import Shape, part_of, shape_of
from utils.files.artifacts import split_records
from utils.files.findings import Finding
from validate.gate.fast_sales import facts_if_clean
from validate.gate.record_facts import Facts
from validate.rules import consistency, party_rules, sale_rules
from validate.rules.catalogue import Note, as_finding
from validate.rules.dynamodb_limits import MAX_ITEM_BYTES, limit_notes
from validate.rules.layout_rules import doubt_notes
from validate.rules.record_items import HUGE, items_of
from validate.rules.schema_check import decider, explain, record_decider
from validate.rules.tax_codes import vat_key
from validate.rules.text_rules import may_be_damaged, text_notes

Item = dict[str, Any]
Check = Callable[[Sequence[bytes], list[Note], bool], Facts]
Notes = Callable[[Item], Iterable[Note]]
Shared = Callable[[Item], tuple[tuple[str, str], ...]]

_INDEX_KEYS = tuple(f"GSI{number}{key}" for number in range(1, 5) for key in ("PK", "SK"))
_KEYS = ("PK", "SK", *_INDEX_KEYS)


def no_notes(_item: Item) -> tuple[Note, ...]:
    """There is nothing to say of an item."""
    return ()


def nothing_shared(_item: Item) -> tuple[tuple[str, str], ...]:
    """An item has nothing that others may not have."""
    return ()


@dataclass(frozen=True)
class Policy:
    """How records are judged: `strict` turns warnings into errors, `business` asks for the
    business rules."""

    strict: bool = False
    business: bool = True


@dataclass
class ChunkFindings:
    """The outcome of a chunk: facts for each record, and findings with the record's place in it."""

    facts: list[Facts] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)


def check_chunk(lines: Sequence[bytes], entity: str, policy: Policy) -> ChunkFindings:
    """Check whole records: `lines` of a transformed file of `entity`.

    Each record is asked for its schema, DynamoDB's limits, agreement within itself and, if the
    policy says so, the business rules; the later questions only where the earlier ones are met.
    """
    check = part_of(CHECKS, entity, "validate/gate/record_checks.py")
    outcome = ChunkFindings()
    with localcontext(sale_rules.EXACT):
        for number, record in enumerate(split_records(lines)):
            notes: list[Note] = []
            facts = check(record, notes, policy.business)
            refused = False
            for note in notes:
                finding = as_finding(entity, facts.legacy_id, note, strict=policy.strict)
                refused = refused or finding.severity == "error"
                outcome.findings.append((number, finding))
            outcome.facts.append(Facts(facts.legacy_id, facts.items) if refused else facts)
    return outcome


def check_of_one_item(
    shape: Shape,
    agreement: Notes,
    business_rules: Notes = no_notes,
    shared: Shared = nothing_shared,
) -> Check:
    """The check of records of one item: `agreement` notes what does not agree in an item that
    conforms to its schema, `business_rules` what else is wrong with it, and `shared` gives what it
    should share with no other record, as Facts have it."""
    kind = shape.schema
    named = [reference.attribute for reference in shape.references]

    def check(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
        item = items_of(record)[0]
        if len(record) > 1:
            notes.append(Note("", "not-an-item", f"a {kind} is one item, here are {len(record)}"))
        if not decider(kind)(item):
            notes += _schema_notes(kind, item)
            return Facts(_legacy_id(item), len(record))
        notes += _limit_notes(record, [item])
        notes += agreement(item)
        notes += doubt_notes([item])
        if business:
            notes += business_rules(item)
            notes += _text_notes(record, [item])
        references = tuple((attribute, item[attribute]["S"]) for attribute in named)
        return Facts(item["legacyId"]["S"], 1, item["PK"]["S"], references, shared(item))

    return check


def _check_party(entity: str) -> Check:
    shape = shape_of(entity)
    agreement = partial(consistency.party_notes, kind=shape.singular)
    return check_of_one_item(shape, agreement, party_rules.business_notes, _shared_by_parties)


def _shared_by_parties(party: Item) -> tuple[tuple[str, str], ...]:
    shared: tuple[tuple[str, str], ...] = ()
    if "code" in party:
        shared = (("duplicate-code", party["code"]["S"]),)
    if key := vat_key(party["country"]["S"], party["vatNumber"]["S"]):
        shared += (("duplicate-vat-number", key),)
    return shared


def _check_sale(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
    return facts_if_clean(record) or judge_sale(record, notes, business)


def judge_sale(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
    """Judge a sale (its METADATA line, then its LINE lines): facts, and all there is to note.

    `business` asks for the business rules. The thread's decimal context has to be the exact one.
    """
    items = items_of(record)
    sale, lines = items[0], items[1:]
    if not _conform(items):
        notes += _nonconforming(items)
        return Facts(_legacy_id(sale), len(record))
    notes += _limit_notes(record, items)
    if not consistency.sale_agrees(sale, lines):
        notes += consistency.sale_notes(sale, lines)
    notes += doubt_notes(items)
    if business:
        notes += sale_rules.sale_notes(sale, lines)
        notes += _text_notes(record, items)
    return _sale_facts(sale, len(record))


def _conform(items: Sequence[Item]) -> bool:
    """Whether a sale and its lines all conform to their schemas."""
    if isinstance(items, list):
        return record_decider()(items)
    is_line = decider("sale_line")
    return decider("sale")(items[0]) and all(map(is_line, items[1:]))


def _nonconforming(items: Sequence[Item]) -> Iterator[Note]:
    """What the schemas refuse about a sale and its lines."""
    for position, item in enumerate(items):
        kind = "sale_line" if position else "sale"
        if not decider(kind)(item):
            for field_name, rule, text in _schema_notes(kind, item):
                yield Note(_prefix(position) + field_name, rule, text)


def _limit_notes(record: Sequence[bytes], items: Sequence[Item]) -> list[Note]:
    """DynamoDB's limits on items that conform to their schemas.

    Their texts, numbers and keys are then short enough, and no item is larger than its JSON.
    """
    if max(map(len, record)) <= MAX_ITEM_BYTES:
        return []
    return [note for item in items for note in limit_notes(item, _KEYS)]


def _text_notes(record: Sequence[bytes], items: Sequence[Item]) -> Iterator[Note]:
    texts = [b"".join(record)] if len(record) < HUGE else record
    if any(map(may_be_damaged, texts)):
        for position, item in enumerate(items):
            yield from text_notes(item, _prefix(position))


def _prefix(position: int) -> str:
    """What goes before the attribute of an item in a sale: nothing for METADATA."""
    return f"lines[{position}]." if position else ""


def _sale_facts(sale: Item, items: int) -> Facts:
    shared: tuple[tuple[str, str], ...] = ()
    if consistency.is_numbered(sale):
        numbering = f"{consistency.numbering_year(sale):04}/{sale['saleNumber']['N']}"
        shared = (("duplicate-sale-number", numbering),)
    references = (
        ("buyerId", sale["buyerId"]["S"]),
        ("producerId", sale["producerId"]["S"]),
    )
    return Facts(sale["legacyId"]["S"], items, sale["PK"]["S"], references, shared)


def _legacy_id(item: Any) -> str:
    value = item.get("legacyId") if isinstance(item, dict) else None
    text = value.get("S") if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""


def _schema_notes(kind: str, item: Item) -> list[Note]:
    if not isinstance(item, dict) or not item:
        return [Note("", "not-an-item", "the line holds no item in DynamoDB JSON")]
    return [*explain(kind, item), *limit_notes(item, _KEYS)]


CHECKS: dict[str, Check] = {
    "buyers": _check_party("buyers"),
    "producers": _check_party("producers"),
    "sales": _check_sale,
}
