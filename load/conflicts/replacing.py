"""Replacing a record that the table has in another way: whole, or not at all.

All that is to be changed of a record (its items that differ, lines that are new, lines that S9 no
longer has) goes out in one transaction, on condition that everything is still as the survey saw
it. So nobody sees a sale between two states, and what the application has changed, added or taken
away since keeps the record as it is. A record with more changes than a transaction can hold is
written item by item, what opens it first: the application changes that with everything that it
does to a sale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from load.conflicts.policy import Authors, kept, rest_of
from load.conflicts.replaced_items import ReplacedItems, Stored
from load.conflicts.table_pictures import Memory, Was
from load.writing.batches import item_text
from load.writing.conditional_writer import ConditionalWriter, text_key
from load.writing.conditions import ABSENT, Condition, unchanged
from load.writing.transactions import Transactions, TransactionWrite, together
from utils.dynamodb.client import RequestRefused
from utils.dynamodb.item_content import (
    Item,
    content,
    differ_only_in,
    is_same,
    updated_at,
    with_time,
)
from utils.files.line_marks import (
    ADDED,
    CONFLICT,
    EDITED,
    KEPT,
    KEPT_ABSENT,
    NEW,
    OURS,
    REPLACED,
    SAME,
    TO_ADD,
    UPDATE,
)

_TRIES = 3
Found = Mapping[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Planned:
    """A line of the transformed file with its place there (a byte offset) and its mark."""

    place: int
    line: bytes
    mark: int

    @cached_property
    def item(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.line)["Item"]
        return found

    @property
    def body(self) -> bytes:
        """The item as the line has it."""
        return item_text(self.line)


Record = Sequence[Planned]


class _NotReplaced(Exception):
    """A record is not to be replaced after all; `there` is what the table has of it."""

    def __init__(self, there: Found) -> None:
        super().__init__("kept")
        self.there = there


@dataclass
class _RecordChange:
    """What is to be written of a record, the marks that its lines have after that, and what is
    lost by it."""

    writes: list[TransactionWrite] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    replaced: list[Stored] = field(default_factory=list)
    taken: list[Stored] = field(default_factory=list)


class Replacing:
    """Replaces records; safe to share between threads."""

    def __init__(
        self,
        writer: ConditionalWriter,
        before: ReplacedItems,
        memory: Memory,
        authors: Authors,
        moment: str,
    ) -> None:
        """`moment` is the migration's own time, for rows without one."""
        self._moment = moment
        self._writer = writer
        self._transactions = Transactions(writer)
        self._before = before
        self._memory = memory
        self._authors = authors

    def replace_all(self, records: Sequence[Record]) -> list[list[int] | RequestRefused]:
        """Replace records, each given by all of its lines, many at once; the new marks of the lines
        of each, or that DynamoDB does not take an item of it. Raises TargetError."""
        outcomes: dict[int, list[int] | RequestRefused] = {}
        for _ in range(_TRIES):
            left = [n for n in range(len(records)) if n not in outcomes]
            found = dict(zip(left, self._there([records[n] for n in left]), strict=True))
            # Somebody was faster, or it was done and the answer lost: what is there now tells.
            outcomes |= self._try({n: records[n] for n in left}, found)
            if len(outcomes) == len(records):
                break
        return [
            outcomes[n] if n in outcomes else _left(record, found[n])
            for n, record in enumerate(records)
        ]

    def _try(
        self, records: Mapping[int, Record], found: Mapping[int, Found]
    ) -> dict[int, list[int] | RequestRefused]:
        """Replace records by their numbers as they were found; what became of those that were not
        changed meanwhile."""
        outcomes: dict[int, list[int] | RequestRefused] = {}
        changes: dict[int, _RecordChange] = {}
        for n, record in records.items():
            try:
                change = self._change(record, found[n])
            except _NotReplaced:
                outcomes[n] = _left(record, found[n])
                continue
            if change.writes:
                changes[n] = change
            else:
                outcomes[n] = change.marks
        self._before.keep(
            [item for each in changes.values() for item in each.replaced],
            taken=[item for each in changes.values() for item in each.taken],
        )
        done = self._done_all({n: each.writes for n, each in changes.items()})
        for n, outcome in done.items():
            if outcome:
                outcomes[n] = outcome if isinstance(outcome, RequestRefused) else changes[n].marks
        for n in changes.keys() - done.keys():
            try:
                outcomes[n] = self._one_by_one(records[n], changes[n])
            except RequestRefused as refusal:
                outcomes[n] = refusal
        return outcomes

    def _there(self, records: Sequence[Record]) -> Sequence[Found]:
        """What the table has of records."""
        return self._writer.records(
            [(each[0].item, {text_key(line.item)[1] for line in each}) for each in records]
        )

    def _done_all(
        self, writes: Mapping[int, Sequence[TransactionWrite]]
    ) -> dict[int, bool | RequestRefused]:
        """Do what is to be written of records, by their numbers, of each all or nothing; those that
        need more than a transaction are left out. A single Put is cheaper alone."""
        single = [n for n, some in writes.items() if len(some) == 1 and some[0].kind == "Put"]
        puts = [(each.body, each.condition) for n in single for each in writes[n]]
        done: dict[int, bool | RequestRefused] = {
            n: each if isinstance(each, RequestRefused) else each.done
            for n, each in zip(single, self._writer.put_all(puts), strict=True)
        }
        groups = list(together({n: some for n, some in writes.items() if n not in done}))
        for _ in range(2):  # what does not go through together is tried record by record
            for group, outcome in zip(groups, self._transacted(writes, groups), strict=True):
                done |= dict.fromkeys(group, outcome)
            groups = [
                [n] for group in groups if len(group) > 1 for n in group if done[n] is not True
            ]
            if not groups:
                break
        return done

    def _transacted(
        self, writes: Mapping[int, Sequence[TransactionWrite]], groups: Sequence[Sequence[int]]
    ) -> list[bool | RequestRefused]:
        """Do what is to be written of each group of records in one transaction."""
        return self._transactions.write_all(
            [[each for n in group for each in writes[n]] for group in groups]
        )

    def _done(self, write: TransactionWrite) -> bool:
        """Do a write by itself."""
        if write.kind == "Delete":
            return self._writer.delete(write.item, write.condition).done
        return self._writer.put(write.body, write.condition).done

    def _change(self, record: Record, there: Found) -> _RecordChange:
        """What makes the record in the table the one of the file. Raises _NotReplaced."""
        change = _RecordChange()
        was = self._memory.record(record[0].item)
        if _only_renumbers(record, there):
            for each in record:
                self._change_line(each, change, there, was)
            return change
        keys = {text_key(each.item) for each in record}
        rest = rest_of(there, keys, self._is_own(was))
        if rest.others:
            raise _NotReplaced(there)
        for each in record:
            self._change_line(each, change, there, was)
        for item in rest.own:
            text = content(item)
            if not was.has(item, text):
                raise _NotReplaced(there)
            change.writes.append(TransactionWrite("Delete", item, _still(item, there), text))
            if self._memory.was_before_the_run(item):
                change.taken.append((item, text))
        if change.writes:
            self._with_head(record[0], there, change)
        return change

    def _is_own(self, was: Was) -> Callable[[Item], bool]:
        """What tells whether an item is a migration's own: where only some records were looked at
        (load/sync), whoever did has left nothing of others' to be replaced."""
        if self._memory.is_whole:
            return self._authors.is_own
        return lambda item: was.has(item, content(item))

    def _change_line(self, planned: Planned, change: _RecordChange, there: Found, was: Was) -> None:
        found = there.get(text_key(planned.item))
        if is_same(found, planned.item) or self._has_another_time(planned, found):
            change.marks.append(self._mark_as_it_is(planned))
            return
        if found is None:
            if planned.mark not in (NEW, TO_ADD):
                raise _NotReplaced(there)  # the application has deleted it since the survey
            change.writes.append(TransactionWrite("Put", planned.item, ABSENT, planned.body))
            change.marks.append(ADDED)
            return
        text = content(found)
        if planned.mark not in (CONFLICT, UPDATE) or not was.has(found, text):
            raise _NotReplaced(there)  # changed since the survey
        change.writes.append(
            TransactionWrite("Put", planned.item, _still(found, there), planned.body)
        )
        if planned.mark == CONFLICT:
            change.replaced.append((found, text))
        change.marks.append(REPLACED if planned.mark == CONFLICT else ADDED)

    def _has_another_time(self, planned: Planned, found: dict[str, Any] | None) -> bool:
        """Whether an item that is not to be written is as it is to be but for the time of another
        migration."""
        if found is None or planned.mark not in (SAME, OURS):
            return False
        theirs = with_time(planned.item, self._moment, updated_at(found))
        return theirs is not None and is_same(found, theirs)

    def _with_head(self, head: Planned, there: Found, change: _RecordChange) -> None:
        """Have the record's first item among the writes, so that it has to be as it was, too."""
        found = there.get(text_key(head.item))
        if found is not None and head.mark not in (CONFLICT, UPDATE, TO_ADD, NEW):
            change.writes.insert(0, TransactionWrite("Put", found, _still(found, there)))

    def _mark_as_it_is(self, planned: Planned) -> int:
        """The mark of a line whose content the table has."""
        if planned.mark == CONFLICT:
            return SAME if self._before.find(planned.item) is None else REPLACED
        return ADDED if planned.mark in (NEW, TO_ADD, UPDATE) else planned.mark

    def _one_by_one(self, record: Record, change: _RecordChange) -> list[int]:
        """Write what is too much for a transaction, as far as nobody is in between."""
        for write in change.writes:
            if not self._done(write):
                (there,) = self._there([record])
                left = _left(record, there)
                same = [is_same(there.get(text_key(each.item)), each.item) for each in record]
                return [
                    self._mark_as_it_is(each) if is_there else mark
                    for each, mark, is_there in zip(record, left, same, strict=True)
                ]
        return change.marks


def _only_renumbers(record: Record, there: Found) -> bool:
    """Whether a sale's place in the numbering is all that is to be changed: other sales of its year
    decide that, whatever the application has hung on this one."""
    head, *lines = (each.item for each in record)
    found = there.get(text_key(head))
    if found is None or not differ_only_in(found, head, "GSI4"):
        return False
    return all(is_same(there.get(text_key(line)), line) for line in lines)


def _left(record: Record, there: Found) -> list[int]:
    """The marks of a record that stays as the table has it."""
    marks = kept([each.mark for each in record])
    for place, each in enumerate(record):
        found = there.get(text_key(each.item))
        if found is None:
            marks[place] = KEPT_ABSENT
        elif is_same(found, each.item):
            marks[place] = ADDED if each.mark == TO_ADD else marks[place]
        elif each.mark in (SAME, TO_ADD):
            marks[place] = KEPT
        elif each.mark in (OURS, REPLACED):
            marks[place] = EDITED
    return marks


def _still(item: dict[str, Any] | Item, there: Found) -> Condition:
    condition = unchanged(item)
    if condition is None:
        raise _NotReplaced(there)
    return condition
