"""The check of each record by itself: a pure function over lines of a transformed file.

It needs no file, no connection and no other record, and what it takes and gives can be pickled,
so that chunks may be checked anywhere. What has to be compared between records leaves as facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from typing import Any

from utils.entities import part_of
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

_INDEX_KEYS = tuple(f"GSI{number}{key}" for number in range(1, 5) for key in ("PK", "SK"))
_KEYS = ("PK", "SK", *_INDEX_KEYS)


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
    check = part_of(_CHECKS, entity, "validate/gate/record_checks.py")
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


def _check_party(kind: str) -> Callable[[Sequence[bytes], list[Note], bool], Facts]:
    def check(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
        item = items_of(record)[0]
        if len(record) > 1:
            notes.append(Note("", "not-an-item", f"a {kind} is one item, here are {len(record)}"))
        if not decider(kind)(item):
            notes += _schema_notes(kind, item)
            return Facts(_legacy_id(item), len(record))
        notes += _limit_notes(record, [item])
        notes += consistency.party_notes(item, kind)
        notes += doubt_notes([item])
        if business:
            notes += party_rules.business_notes(item)
            notes += _text_notes(record, [item])
        shared: tuple[tuple[str, str], ...] = ()
        if "code" in item:
            shared = (("duplicate-code", item["code"]["S"]),)
        if key := vat_key(item["country"]["S"], item["vatNumber"]["S"]):
            shared += (("duplicate-vat-number", key),)
        return Facts(item["legacyId"]["S"], 1, item["PK"]["S"], shared=shared)

    return check


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


_CHECKS: dict[str, Callable[[Sequence[bytes], list[Note], bool], Facts]] = {
    "buyers": _check_party("buyer"),
    "producers": _check_party("producer"),
    "sales": _check_sale,
}
