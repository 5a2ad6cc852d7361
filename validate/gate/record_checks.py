"""The check of each record by itself: a pure function over lines of a transformed file.

It needs no file, no connection and no other record, and what it takes and gives can be pickled,
so that chunks may be checked anywhere. What has to be compared between records leaves as facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from functools import partial
from itertools import chain
from typing import Any

from utils.entities import Shape, Undeclared, is_referenced, shape_of
from utils.files.artifacts import split_records
from utils.files.findings import Finding
from utils.findings.source_names import SourceNames
from validate.fast import parties, sales
from validate.fast.parties import party_reader
from validate.fast.sales import facts_if_clean
from validate.fast.sound_text import is_sound_text
from validate.gate.described import Items, described, without_repeats
from validate.gate.numbering import Outline, glance
from validate.rules import consistency, layout_rules, party_rules, sale_rules, text_rules
from validate.rules.catalogue import RULES, Group, Note
from validate.rules.checks import Check, Record, asked
from validate.rules.dynamodb_limits import MAX_ITEM_BYTES, limit_notes
from validate.rules.record_facts import Facts
from validate.rules.record_items import identity_of, items_of, text_at
from validate.rules.schema_check import decider, explain, record_decider
from validate.rules.tax_codes import vat_key
from validate.unchanged.passed_before import NONE, Passed

Item = dict[str, Any]
Judge = Callable[[Sequence[bytes], list[Note], bool], Facts]

_INDEX_KEYS = tuple(f"GSI{number}{key}" for number in range(1, 5) for key in ("PK", "SK"))
_KEYS = ("PK", "SK", *_INDEX_KEYS)


def _limit_notes(record: Record) -> list[Note]:
    """DynamoDB's limits on items that conform to their schemas.

    Their texts, numbers and keys are then short enough, and no item is larger than its JSON.
    """
    if max(map(len, record.lines)) <= MAX_ITEM_BYTES:
        return []
    return [note for item in record.items for note in limit_notes(item, _KEYS)]


_LIMITS = Check(frozenset(name for name in RULES if RULES[name].group == "limits"), _limit_notes)
PARTY_CHECKS = {
    kind: (
        *(_LIMITS, *consistency.PARTY_CHECKS[kind], *layout_rules.CHECKS),
        *(*party_rules.CHECKS, *text_rules.CHECKS),
    )
    for kind in consistency.PARTY_CHECKS
}
SALE_CHECKS: tuple[Check, ...] = (
    *(_LIMITS, *consistency.SALE_CHECKS, *layout_rules.CHECKS),
    *(*sale_rules.CHECKS, *text_rules.CHECKS),
)
# Groups of rules that no check bears: those that an item must keep before it is asked anything, and
# those about records among each other; and the rule of such records in another group.
_ELSEWHERE: frozenset[Group] = frozenset({"schema", "references", "duplicates"})
_OF_ALL_SALES = frozenset({"numbering-order"})


@dataclass(frozen=True)
class Policy:
    """How records are judged: `strict` turns warnings into errors, `business` asks for the
    business rules; `names` are those that their columns have in S9, if anyone knows."""

    strict: bool = False
    business: bool = True
    names: SourceNames | None = None


@dataclass
class ChunkFindings:
    """The outcome of a chunk: facts for each record, findings with the record's place in it, and
    what the numbering needs of all of them, also of those with errors."""

    facts: list[Facts] = field(default_factory=list)
    findings: list[tuple[int, Finding]] = field(default_factory=list)
    outline: Outline = field(default_factory=Outline)


def check_chunk(
    lines: Sequence[bytes], entity: str, policy: Policy, passed: Passed = NONE
) -> ChunkFindings:
    """Check whole records: `lines` of a transformed file of `entity`. Those that have `passed`
    before, by the same policy, are only asked for their facts.

    Each record is asked for its schema, DynamoDB's limits, agreement within itself and, if the
    policy says so, the business rules; the later questions only where the earlier ones are met.
    """
    # Of all lines at once it is found out quicker, and nearly always they are.
    judge = judge_of(entity, are_sound=bool(lines) and is_sound_text(lines))
    facts_of, is_named = facts_reader_of(entity), is_referenced(entity)
    has_passed = None if passed is NONE else passed.has
    names, strict = policy.names or SourceNames(entity), policy.strict
    is_numbered = shape_of(entity).numbered
    outcome = ChunkFindings()
    with localcontext(sale_rules.EXACT):
        for number, record in enumerate(split_records(lines)):
            notes: list[Note] = []
            if has_passed is not None and has_passed(record):
                facts = facts_of(record)
            else:
                facts = judge(record, notes, policy.business)
            if notes:
                items = Items(record)
                found = without_repeats(
                    [
                        described(facts.legacy_id, note, names, strict=strict, items=items)
                        for note in notes
                    ]
                )
                outcome.findings += [(number, finding) for finding in found]
                if any(finding.severity == "error" for finding in found):
                    identity = identity_of(record) if is_named else ""
                    facts = Facts(facts.legacy_id, facts.items, identity=identity)
            outcome.facts.append(facts)
            if is_numbered:
                outcome.outline.add(facts.numbering or glance(record[0]))
    return outcome


def judge_of(entity: str, *, are_sound: bool = False) -> Judge:
    """What judges the records of an entity; `are_sound`: the text of all that it is for is known to
    be (validate/fast/sound_text.py). Raises Undeclared."""
    shape = shape_of(entity)
    if entity in _JUDGES:
        return _JUDGES[entity](are_sound)
    if shape.children:
        raise Undeclared(
            f"validate/gate/record_checks.py says nothing of the {shape.children.name} of {entity}",
            remedy="records of several items need a judge of their own there, as sales have",
        )
    if shape.singular in PARTY_CHECKS:
        return _party_judge(shape, are_sound)
    return item_judge(shape, _checks_of(shape))


def _party_judge(shape: Shape, are_sound: bool) -> Judge:
    """What judges parties: the quick way first where it can be taken, and all that it leaves
    open."""
    checks, read = PARTY_CHECKS[shape.schema], party_reader(shape.schema)

    def quickly(record: Sequence[bytes]) -> Facts | None:
        item = read(record, is_sound=are_sound)
        return None if item is None else _facts_of_one_item(shape, item)

    return _quick_judge(quickly, parties.RULED_OUT, item_judge(shape, checks), checks)


def _sale_judge(are_sound: bool) -> Judge:
    """What judges sales: likewise."""
    quickly = partial(facts_if_clean, is_sound=are_sound)
    return _quick_judge(quickly, sales.RULED_OUT, judge_sale, SALE_CHECKS)


def _quick_judge(
    quickly: Callable[[Sequence[bytes]], Facts | None],
    ruled_out: frozenset[str],
    judge: Judge,
    checks: Sequence[Check],
) -> Judge:
    """What judges as `judge` does by `checks`, but first asks for the facts of records about which
    the rules that are `ruled_out` have nothing to note."""
    if RULES.keys() - borne():
        # Whatever asks for these rules, it is not known here: then all has to be asked.
        return judge
    open_still = [check for check in checks if not check.rules <= ruled_out]

    def judge_quickly(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
        facts = quickly(record)
        if facts is None:
            return judge(record, notes, business)
        if open_still:
            notes += asked(open_still, Record(record, items_of(record)), business=business)
        return facts

    return judge_quickly


def item_judge(shape: Shape, checks: Sequence[Check]) -> Judge:
    """What judges records of one item: by their schema and by checks."""
    kind = shape.schema

    def judge(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
        item = items_of(record)[0]
        if len(record) > 1:
            notes.append(
                Note("", "not-an-item", f"a {kind} is one item, but this one has {len(record)}")
            )
        if not decider(kind)(item):
            notes += _schema_notes(kind, item)
            return Facts(text_at(item, "legacyId"), len(record))
        notes += asked(checks, Record(record, [item]), business=business)
        return _facts_of_one_item(shape, item)

    return judge


def _facts_of_one_item(shape: Shape, item: Item) -> Facts:
    named = [reference.attribute for reference in shape.references]
    references = tuple((attribute, item[attribute]["S"]) for attribute in named)
    shared = _shared_by_parties(item) if shape.singular in PARTY_CHECKS else ()
    return Facts(item["legacyId"]["S"], 1, item["PK"]["S"], references, shared)


def facts_reader_of(entity: str) -> Callable[[Sequence[bytes]], Facts]:
    """What gives the facts of a record about which nothing is to be noted, of which it reads only
    the item that opens it."""
    shape = shape_of(entity)

    def facts(record: Sequence[bytes]) -> Facts:
        item = items_of(record[:1])[0]
        return _sale_facts(item, len(record)) if shape.numbered else _facts_of_one_item(shape, item)

    return facts


def _checks_of(shape: Shape) -> tuple[Check, ...]:
    """What is asked of a record about which nothing is known but its shape."""
    return (_LIMITS, *consistency.checks_of(shape), *layout_rules.CHECKS, *text_rules.CHECKS)


def _shared_by_parties(party: Item) -> tuple[tuple[str, str], ...]:
    shared: tuple[tuple[str, str], ...] = ()
    if "code" in party:
        shared = (("duplicate-code", party["code"]["S"]),)
    if key := vat_key(party["country"]["S"], party["vatNumber"]["S"]):
        shared += (("duplicate-vat-number", key),)
    return shared


def borne() -> set[str]:
    """The rules of which it is known who asks for them."""
    elsewhere = {name for name, rule in RULES.items() if rule.group in _ELSEWHERE}
    return elsewhere.union(
        _OF_ALL_SALES, *(check.rules for check in chain(SALE_CHECKS, *PARTY_CHECKS.values()))
    )


def judge_sale(record: Sequence[bytes], notes: list[Note], business: bool) -> Facts:
    """Judge a sale (its METADATA line, then its LINE lines): facts, and all there is to note.

    `business` asks for the business rules. The thread's decimal context has to be the exact one.
    """
    items = items_of(record)
    if not _conform(items):
        notes += _nonconforming(items)
        return Facts(text_at(items[0], "legacyId"), len(record))
    notes += asked(SALE_CHECKS, Record(record, items), business=business)
    return _sale_facts(items[0], len(record))


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
                prefix = f"lines[{position}]." if position else ""
                yield Note(prefix + field_name, rule, text)


def _sale_facts(sale: Item, items: int) -> Facts:
    numbering = consistency.numbering_of(sale)
    shared: tuple[tuple[str, str], ...] = ()
    if numbering.is_numbered:
        shared = (("duplicate-sale-number", f"{numbering.year:04}/{sale['saleNumber']['N']}"),)
    references = (
        ("buyerId", sale["buyerId"]["S"]),
        ("producerId", sale["producerId"]["S"]),
    )
    return Facts(
        sale["legacyId"]["S"], items, sale["PK"]["S"], references, shared, numbering=numbering
    )


def _schema_notes(kind: str, item: Item) -> list[Note]:
    if not isinstance(item, dict) or not item:
        return [Note("", "not-an-item", "the line holds no item in DynamoDB JSON")]
    return [*explain(kind, item), *limit_notes(item, _KEYS)]


# What judges records of several items.
_JUDGES: dict[str, Callable[[bool], Judge]] = {"sales": _sale_judge}
