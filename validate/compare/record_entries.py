"""What file and table hold, as entries that can be compared: one line of text for each record.

An entry is a mark (a byte), PK, and for each item that stands together under it a tab and a
member. A member is kind (a byte), digest of the content, what else it says, a blank, SK. PK and SK
are JSON texts: no tab and no line break is in them. Members are sorted, so that the entries of file
and table are the same bytes exactly when the record and all that is under it are the same (with
numbers `as_written`: only then, and not whenever they are).

What else it says are fields with `;` between them. Of the item that opens a record, how many
children it says there are, and the facts by which it is added up (validate/sums/facts.py). At the
second look (numbers not `as_written`) of every item also the legacyId, updatedAt, a digest of
updatedBy, and deletedAt: there and then it is judged what the application has done since.

The mark says that an entry is whole: a migrated record with as many lines as it says and nothing
else. Where only equal whole entries have a PK, nothing is left to be compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, repeat
from typing import Any, Protocol

import orjson

from utils.dynamodb.answer_shapes import NoAnswer
from utils.dynamodb.item_content import DIGEST_HEX, Item, digest
from utils.dynamodb.item_text import (
    Attributes,
    attributes_of,
    attributes_of_line,
    neighbours_of,
    read_page,
    require_item,
    start_of,
    text_of,
    text_of_item,
)
from utils.dynamodb.table_spec import MARK_KEY, PARTITION_KEY
from utils.entities import is_referenced, shape_of
from utils.files.line_marks import KEPT_MARKS, NEW
from validate.compare.target_references import (
    Wanted,
    is_there,
    references_of,
    references_wanted,
)
from validate.compare_counts import Count
from validate.sums.facts import escaped, facts_of

Entry = tuple[bytes, bytes]  # PK, and the entry itself

WHOLE, PARTIAL = b"=", b"?"
RECORD, LINE, OTHER = b"R", b"L", b"O"
FOREIGN = {RECORD: b"r", LINE: b"l", OTHER: b"o"}
REFUSED = {RECORD: b"1", LINE: b"2", OTHER: b"3"}
KEPT = {RECORD: b"4", LINE: b"5", OTHER: b"6"}
NO_DIGEST = b"-" * DIGEST_HEX
_BEFORE_FIELDS = 1 + DIGEST_HEX
_PK, _SK = start_of("PK"), start_of("SK")
_LEGACY_ID = start_of("legacyId")
_HAS_LEGACY_ID = b'legacyId":'
_UPDATED_AT, _UPDATED_BY, _DELETED_AT = map(start_of, ("updatedAt", "updatedBy", "deletedAt"))
_MOMENT = re.compile(rb'"([0-9T:.Z+-]{10,40})"')  # what can be compared as text
_NO_MOMENT = b"!"  # before all of them
_NO_STAMPS: Mapping[bytes, bytes] = {}
_MARK = orjson.dumps(MARK_KEY[PARTITION_KEY]["S"])
_RECORD_SK = b'"METADATA"'
_NO_CHILD = b"\n"  # no JSON text of a key begins so
_NO_KEY = b"null"


@dataclass(frozen=True)
class _Seen:
    """How the items of an entity are looked at: how the SK of a child of a record begins, where a
    record says how many it has (b"": nowhere), whether others name its records, and what these
    name themselves."""

    entity: str
    child: bytes
    count: bytes
    is_named: bool
    wanted: tuple[Wanted, ...]


@cache
def _seen(entity: str) -> _Seen:
    children = shape_of(entity).children
    return _Seen(
        entity,
        b'"' + children.prefix.encode() if children else _NO_CHILD,
        start_of(children.count, "N") if children else b"",
        is_referenced(entity),
        references_wanted(entity),
    )


class Looks(Protocol):
    """Looks at every item of a page, for something else that there is to be known."""

    def look(self, pk: bytes, sk: bytes, attributes: Attributes, *, migrated: bool) -> None:
        """Look at an item; PK and SK are JSON texts."""


class NoLooks:
    """There is nothing else to be known."""

    def look(self, pk: bytes, sk: bytes, attributes: Attributes, *, migrated: bool) -> None:
        """Look away."""


@dataclass
class TablePage:
    """What verification needs of one page of a scan.

    `found` counts the migrated items, `scanned` all. `references` are the entries for the
    reference check: what the records name, as sales their parties, and the records themselves, if
    others name them. `units` are the read units that the page has taken. `keys` has looked at all
    items.
    """

    entries: list[Entry] = field(default_factory=list)
    references: list[Entry] = field(default_factory=list)
    found: Count = field(default_factory=lambda: Count(0, 0))
    scanned: int = 0
    units: float = 0.0
    last_key: Mapping[str, Any] | None = None
    ends_at: Mapping[str, Any] | None = None
    keys: Looks = field(default_factory=NoLooks)


@dataclass
class FileRecord:
    """A record of the transformed file: its PK, its lines, and of each line SK and member.

    `head` are the attributes of the item that opens the record (none, if it is not METADATA);
    `refused` says that the load refused it, so that its items may be absent; `kept` are the SK of
    items that the load has left as the table has them.
    """

    pk: bytes
    head: Attributes
    refused: bool
    lines: list[bytes] = field(default_factory=list)
    sort_keys: list[bytes] = field(default_factory=list)
    members: list[bytes] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether the item that opens the record is one of the kept."""
        return bool(self.kept) and _RECORD_SK in self.kept

    def entry(self, entity: str) -> Entry:
        """The entry of the record."""
        return entry_of(self.pk, self.members, counts=_seen(entity).count != b"")


def read_table_page(
    page: bytes,
    entity: str,
    *,
    as_written: bool = False,
    keyed: bool = True,
    stamps: Mapping[bytes, bytes] = _NO_STAMPS,
    keys: Callable[[], Looks] = NoLooks,
) -> TablePage:
    """The entries of a Scan's answer; pure, so that pages can be worked on anywhere.

    `entity` is that of the table; `as_written` is as in utils/dynamodb/item_text.py, `stamps` says
    which attributes are to be read as others (utils/dynamodb/item_content.py). `keyed`: the table
    has the keys that it should have; then an item without one cannot be. What `keys` makes looks at
    every item. Raises NoAnswer for a page that is none, or holds such an item.

    A migrated item is not judged at the first look (`as_written`): either it is the same, byte for
    byte, as one in the file, which the gate has judged, or there is a second look, which judges it.
    """
    items, last_key, units = read_page(page, as_written=as_written)
    result = TablePage(last_key=last_key, units=units, keys=keys())
    last = _read_items(items, result, _seen(entity), stamps, as_written=as_written, keyed=keyed)
    if keyed and last != (b"", b""):
        pk, sk = last
        result.ends_at = {"PK": value_of(pk), "SK": value_of(sk)}
    return result


def read_record(
    items: Iterable[Item], entity: str, stamps: Mapping[bytes, bytes] = _NO_STAMPS
) -> TablePage:
    """The entry of a record at the second look, from all items that a table has under its partition
    key; `stamps` as above."""
    result = TablePage()
    found = map(attributes_of, items)
    _read_items(found, result, _seen(entity), stamps, as_written=False, keyed=True)
    return result


def _read_items(
    items: Iterable[Attributes],
    result: TablePage,
    seen: _Seen,
    stamps: Mapping[bytes, bytes],
    *,
    as_written: bool,
    keyed: bool,
) -> tuple[bytes, bytes]:
    """Take items in the order of their keys into a page; returns the key of the last."""
    counts = seen.count != b""
    look = result.keys.look
    records = migrated = 0
    current, members = b"", list[bytes]()
    if stamps:
        items = ([stamps.get(each, each) for each in attributes] for attributes in items)
    pk = sk = b""
    for attributes in items:
        pk, sk = neighbours_of(attributes, _PK, _SK)
        if keyed and _NO_KEY in (pk, sk):
            raise NoAnswer("Scan", "an item has no key PK, SK")
        if pk == _MARK:
            continue
        if pk != current:
            if members:
                result.entries.append(entry_of(current, members, counts=counts))
            current, members = pk, []
        kind = _kind(sk, seen.child)
        is_migrated = text_of(attributes, _HAS_LEGACY_ID) != b""
        if as_written and not is_migrated:
            require_item(attributes)
        members.append(
            _member(attributes, sk, kind, seen, migrated=is_migrated, as_written=as_written)
        )
        look(pk, sk, attributes, migrated=is_migrated)
        result.scanned += 1
        migrated += is_migrated
        if kind == RECORD:
            records += is_migrated
            if seen.is_named:
                result.references.append(is_there(pk))
            if seen.wanted:
                result.references += references_of(
                    pk, attributes, seen.wanted, required=is_migrated
                )
    if members:
        result.entries.append(entry_of(current, members, counts=counts))
    result.found = Count(records, migrated)
    return pk, sk


def value_of(key: bytes) -> Any:
    """The attribute value of a key, as `key_of` (utils/dynamodb/item_text.py) gives it."""
    try:
        value = orjson.loads(key)
    except orjson.JSONDecodeError as error:
        raise NoAnswer("Scan", "a key is not JSON") from error
    return {"S": value} if isinstance(value, str) else value


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
    seen = _seen(entity)
    record: FileRecord | None = None
    is_refused = False
    for line, mark in zip(lines, chain(marks, repeat(NEW)), strict=False):
        attributes = attributes_of_line(line, as_written=as_written)
        pk, sk = neighbours_of(attributes, _PK, _SK)
        kind = _kind(sk, seen.child)
        if record is None or kind == RECORD or pk != record.pk:
            if record is not None:
                yield record
            if kind == RECORD:
                is_refused = bool(refused) and _legacy_id(attributes) in refused
            record = FileRecord(pk, attributes if kind == RECORD else [], is_refused)
        member = _member(attributes, sk, kind, seen, migrated=True, as_written=as_written)
        if is_refused:
            member = REFUSED[kind] + member[1:]
        elif mark in KEPT_MARKS:
            member = KEPT[kind] + member[1:]
            record.kept.append(sk)
        record.members.append(member)
        record.lines.append(line)
        record.sort_keys.append(sk)
    if record is not None:
        yield record


def entry_of(pk: bytes, members: Sequence[bytes], *, counts: bool) -> Entry:
    """The entry of everything that stands together under a PK; `counts`: the record says how many
    children it has."""
    if len(members) > 1:
        members = sorted(members)  # lines before the record, as the letters have it
    record = members[-1]
    whole = record.startswith(RECORD)
    if whole and counts:
        lines = len(members) - 1
        whole = lines_count_of(record) == b"%d" % lines
        if lines:
            whole = whole and members[0].startswith(LINE) and members[-2].startswith(LINE)
    elif len(members) > 1:
        whole = False
    return pk, b"%b%b\t%b" % (WHOLE if whole else PARTIAL, pk, b"\t".join(members))


def pk_of(entry: bytes) -> bytes:
    """The PK of an entry."""
    return entry[1 : entry.index(b"\t")]


def members_of(entry: bytes) -> list[bytes]:
    """The members of an entry."""
    return entry.split(b"\t")[1:]


def sort_key_of(member: bytes) -> bytes:
    """The SK of a member."""
    return member[_BEFORE_FIELDS:].partition(b" ")[2]


def lines_count_of(member: bytes) -> bytes:
    """How many lines a sale's member says there are; empty for other members."""
    return member[_BEFORE_FIELDS:].partition(b" ")[0].partition(b";")[0]


def facts_of_member(member: bytes) -> bytes:
    """The facts of the item that opens a record; empty for other members."""
    fields = member[_BEFORE_FIELDS:].partition(b" ")[0].split(b";", 2)
    return fields[1] if len(fields) > 1 else b""


def legacy_id_of(member: bytes) -> str:
    """The key in S9 that a member's item carries, "" for none; known at the second look."""
    fields = _fields_of(member)
    found = orjson.loads(fields[2]) if len(fields) > 2 and fields[2] else ""
    return found if isinstance(found, str) else ""


@dataclass(frozen=True)
class LastChange:
    """Who has changed an item last (a digest) and when, "" where that is not known; and when it
    has been deleted as the Sale Module deletes, "" when it has not."""

    at: bytes = b""
    by: bytes = b""
    deleted_at: bytes = b""

    @property
    def deleted(self) -> bool:
        return self.deleted_at != b""

    def is_after(self, loaded: LastChange) -> bool:
        """Whether the application has changed what was loaded: deleted it, or somebody else has
        changed it later."""
        if self.deleted and not loaded.deleted and self.deleted_at > loaded.at:
            return True
        return self.at > loaded.at > b"" and self.by != loaded.by


def change_of(member: bytes) -> LastChange:
    """Who has changed a member's item last; nobody knows at the first look."""
    fields = _fields_of(member)
    return LastChange(*fields[3:]) if len(fields) > 3 else LastChange()


def _fields_of(member: bytes) -> list[bytes]:
    return member[_BEFORE_FIELDS:].partition(b" ")[0].split(b";")


def _member(
    attributes: Attributes,
    sk: bytes,
    kind: bytes,
    seen: _Seen,
    *,
    migrated: bool,
    as_written: bool,
) -> bytes:
    said = b""
    if kind == RECORD and seen.count:
        count = text_of(attributes, seen.count).strip(b'"')
        facts = facts_of(attributes, seen.entity) if migrated or not as_written else b""
        said = b"%b;%b" % (escaped(count), facts)
    if not as_written:
        legacy_id = escaped(text_of(attributes, _LEGACY_ID))
        said = b"%b;%b%b" % (said or b";", legacy_id, _change(attributes))
    if not migrated:
        return b"%b%b%b %b" % (FOREIGN[kind], NO_DIGEST, said, sk)
    return b"%b%b%b %b" % (kind, digest(text_of_item(attributes)), said, sk)


def _change(attributes: Attributes) -> bytes:
    at, deleted = (text_of(attributes, start) for start in (_UPDATED_AT, _DELETED_AT))
    by = text_of(attributes, _UPDATED_BY)
    no_moment = _NO_MOMENT if deleted else b""
    return b";%b;%b;%b" % (
        _moment(at),
        digest(by)[:8] if by else b"",
        _moment(deleted) or no_moment,
    )


def _moment(text: bytes) -> bytes:
    """What a JSON text says, if that is a moment; else nothing."""
    found = _MOMENT.fullmatch(text)
    return found[1] if found else b""


def _kind(sk: bytes, child: bytes) -> bytes:
    if sk.startswith(child):
        return LINE
    return RECORD if sk == _RECORD_SK else OTHER


def _legacy_id(attributes: Attributes) -> str:
    text = text_of(attributes, _LEGACY_ID)
    legacy_id: str = orjson.loads(text) if text else ""
    return legacy_id


def is_signed_since(now: Item, loaded: Item) -> bool:
    """Whether an item that is there now (DynamoDB JSON) was changed by the application since it was
    loaded so: the rule by which a verification tells that from damage."""
    return _last_change(now).is_after(_last_change(loaded))


def _last_change(item: Item) -> LastChange:
    return LastChange(*_change(attributes_of(item)).split(b";")[1:])
