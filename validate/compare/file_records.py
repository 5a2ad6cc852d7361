"""The records of a transformed file, as a verification needs them.

At the first look a record that is written as records are is one text: it is found by the line that
opens it, and its other lines are not looked at one by one. Whatever is otherwise, and everything at
the second look, is read line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from itertools import chain, islice, pairwise, repeat

import orjson

from utils.dynamodb.item_text import (
    AFTER_TEXT,
    BEFORE_TEXT,
    Attributes,
    attributes_of_line,
    is_in_order,
    opening_keys,
    start_of,
    text_of,
)
from utils.files.line_marks import KEPT_MARKS, NEW
from utils.files.pieces import headers_in
from validate.compare.record_entries import (
    KEPT,
    RECORD,
    RECORD_SK,
    REFUSED,
    Entry,
    Seen,
    View,
    entire_entry,
    entire_record,
    entry_of,
    member_of,
    view_of,
)

_LEGACY_ID = start_of("legacyId")
_KEPT = frozenset(KEPT_MARKS)


@dataclass
class FileRecord:
    """A record of the transformed file: its PK, the text of all its lines, and how they are marked
    (utils/files/line_marks.py; nothing: none is).

    `head` are the attributes of the item that opens the record (none, if it is not METADATA);
    `refused` says that the load refused it, so that its items may be absent. `entire` are its lines
    without line breaks, where the text is that of one record, as written. `as_written` is as in
    utils/dynamodb/item_text.py.
    """

    pk: bytes
    head: Attributes
    text: bytes
    view: View
    refused: bool = False
    marks: Sequence[int] = ()
    entire: Sequence[bytes] = ()
    as_written: bool = False

    @property
    def count(self) -> int:
        """How many lines it has."""
        return len(self.entire) or self.text.count(b"\n")

    @cached_property
    def lines(self) -> list[bytes]:
        """Its lines."""
        return BytesIO(self.text).readlines()

    @cached_property
    def items(self) -> list[Seen]:
        """The items of its lines."""
        found = (attributes_of_line(line, as_written=self.as_written) for line in self.lines)
        return [self.view.seen(attributes)[1] for attributes in found]

    @property
    def sort_keys(self) -> list[bytes]:
        """The SK of each line."""
        return [item[0] for item in self.items]

    @cached_property
    def members(self) -> list[bytes]:
        """The member of each line."""
        members = [member_of(item, self.view) for item in self.items]
        kinds = [item[1] for item in self.items]
        if self.refused:
            return [REFUSED[kind] + each[1:] for kind, each in zip(kinds, members, strict=True)]
        marked = zip(kinds, members, chain(self.marks, repeat(NEW)), strict=False)
        return [KEPT[kind] + each[1:] if mark in _KEPT else each for kind, each, mark in marked]

    @property
    def kept(self) -> list[bytes]:
        """The SK of the items that the load has left as the table has them."""
        if not self.marks or self.refused or _KEPT.isdisjoint(self.marks):
            return []
        marked = zip(self.items, self.marks, strict=True)
        return [item[0] for item, mark in marked if mark in _KEPT]

    @property
    def is_kept(self) -> bool:
        """Whether the item that opens the record is one of the kept."""
        return bool(self.kept) and RECORD_SK in self.kept

    @property
    def entry(self) -> Entry:
        """The entry of the record; at the first look that of an entire record, if it is one."""
        if self.as_written and not self.refused and not self.kept and (entry := self._entire()):
            return self.pk, entry
        return entry_of(self.pk, self.members, counts=self.view.count != b"")

    def _entire(self) -> bytes:
        if self.entire:
            text = b"\n".join(sorted(self.entire))[BEFORE_TEXT:-AFTER_TEXT]  # they have one PK
            return entire_entry(self.pk, self.head, len(self.entire) - 1, text, self.view)
        return entire_record(self.pk, sorted(self.items), self.view)


def records_in(
    data: bytes,
    entity: str,
    *,
    refused: Set[str] = frozenset(),
    marks: Sequence[int] = (),
) -> Iterator[FileRecord]:
    """The records of a part of a transformed file, which are whole records, for the first look:
    numbers are taken as they are written. `refused` are the legacy ids of records that the load
    refused, `marks` those of all lines. Pure: parts can be worked on anywhere."""
    heads = [*headers_in(data)]
    if not heads or heads[0][0] > 0 or not is_in_order(data[: heads[0][1] + 1]):
        yield from _line_by_line(data, entity, refused, marks)
        return
    view, left = view_of(entity), iter(marks)
    for (start, end), (following, _) in pairwise([*heads, (len(data), 0)]):
        text = data[start:following]
        own_marks = [*islice(left, text.count(b"\n"))] if marks else ()
        lines = text.split(b"\n")
        pk = _key_of_all(lines, view)
        if not pk:
            yield from _line_by_line(text, entity, refused, own_marks)
            continue
        head = attributes_of_line(data[start : end + 1], as_written=True)
        is_refused = bool(refused) and _legacy_id(head) in refused
        yield FileRecord(pk, head, text, view, is_refused, own_marks, lines, True)


def _key_of_all(lines: list[bytes], view: View) -> bytes:
    """The PK (JSON text) of a record's lines, of which the first opens it and all others are its
    children; nothing where that is not sure at a glance. What follows the last line break is taken
    off."""
    keys = opening_keys(lines[0])
    if lines.pop() or keys is None or keys[1] != RECORD_SK or not lines[-1].endswith(b"}}}"):
        return b""
    child = b'{"Item":{"PK":{"S":%b},"SK":{"S":%b' % (keys[0], view.child)
    for line in lines[1:]:  # quicker than all(…), and on the way of every line
        if not line.startswith(child):
            return b""
    return keys[0]


def _line_by_line(
    data: bytes, entity: str, refused: Set[str], marks: Sequence[int]
) -> Iterator[FileRecord]:
    lines = BytesIO(data).readlines()
    return read_file_lines(lines, entity, refused=refused, marks=marks, as_written=True)


def read_file_lines(
    lines: Iterable[bytes],
    entity: str,
    *,
    refused: Set[str] = frozenset(),
    marks: Iterable[int] = (),
    as_written: bool = False,
) -> Iterator[FileRecord]:
    """The records of transformed lines of an entity, which are whole records; pure as well.

    `refused` are the legacy ids of records that the load refused, `marks` say of each line what
    became of it in the load (utils/files/line_marks.py); `as_written` is as in
    utils/dynamodb/item_text.py.
    """
    view = view_of(entity)
    record: _Gathered | None = None
    is_refused = False
    for line, mark in zip(lines, chain(marks, repeat(NEW)), strict=False):
        attributes = attributes_of_line(line, as_written=as_written)
        pk, item = view.seen(attributes)
        opens = item[1] == RECORD
        if record is None or opens or pk != record.pk:
            if record is not None:
                yield record.done(view, as_written=as_written)
            if opens:
                is_refused = bool(refused) and _legacy_id(attributes) in refused
            record = _Gathered(pk, attributes if opens else [], is_refused)
        record.lines.append(line)
        record.items.append(item)
        record.marks.append(mark)
    if record is not None:
        yield record.done(view, as_written=as_written)


class _Gathered:
    """A record whose lines are being gathered."""

    def __init__(self, pk: bytes, head: Attributes, refused: bool) -> None:
        self.pk, self.head, self.refused = pk, head, refused
        self.lines: list[bytes] = []
        self.items: list[Seen] = []
        self.marks: list[int] = []

    def done(self, view: View, *, as_written: bool) -> FileRecord:
        text = b"".join(self.lines)
        record = FileRecord(
            self.pk, self.head, text, view, self.refused, self.marks, as_written=as_written
        )
        # What is known already need not be found out again.
        record.__dict__.update(lines=self.lines, items=self.items)
        return record


def _legacy_id(attributes: Attributes) -> str:
    text = text_of(attributes, _LEGACY_ID)
    legacy_id: str = orjson.loads(text) if text else ""
    return legacy_id
