"""What file and table hold, as entries that can be compared: one line of text for each record.

An entry is a mark (a byte), PK, and for each item that stands together under it a tab and a
member. A member is kind (a byte), digest of the content, what else it says, a blank, SK. PK and SK
are JSON texts: no tab and no line break is in them. Members are sorted, so that the entries of file
and table are the same bytes exactly when the record and all that is under it are the same.

What else it says are fields with `;` between them. Of the item that opens a record, how many
children it says there are, and the facts by which it is added up (validate/sums/facts.py). Then of
every item the legacyId, updatedAt, a digest of updatedBy, and deletedAt: by these it is judged what
the application has done since.

The mark says that an entry is whole: a migrated record with as many lines as it says and nothing
else. Where only equal whole entries have a PK, nothing is left to be compared.

At the first look, at which nearly all records are whole and the same on both sides, such a record
has one digest of all that it holds (mark ENTIRE): its one member is that of the item that opens it,
without what is needed to judge. What is less than a record, as at the edge of a page, goes with its
texts until it is put together (mark CUT).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

import orjson

from utils.dynamodb.item_content import DIGEST_HEX, Item, digest
from utils.dynamodb.item_text import (
    BETWEEN_LINES,
    Attributes,
    attributes_of,
    attributes_of_texts,
    neighbours_of,
    start_of,
    text_of,
    text_of_item,
    written_text,
)
from utils.entities import is_referenced, shape_of
from validate.compare.target_references import Wanted, references_wanted
from validate.sums.facts import escaped, facts_of

Entry = tuple[bytes, bytes]  # PK, and the entry itself

Seen = tuple[bytes, bytes, bool, Attributes]  # SK, kind, whether it is migrated, attributes

WHOLE, PARTIAL, ENTIRE, CUT = b"=", b"?", b"#", b"~"
RECORD, LINE, OTHER = b"R", b"L", b"O"
FOREIGN = {RECORD: b"r", LINE: b"l", OTHER: b"o"}
REFUSED = {RECORD: b"1", LINE: b"2", OTHER: b"3"}
KEPT = {RECORD: b"4", LINE: b"5", OTHER: b"6"}
NO_DIGEST = b"-" * DIGEST_HEX
_BEFORE_FIELDS = 1 + DIGEST_HEX
PK_START, SK_START = start_of("PK"), start_of("SK")
_LEGACY_ID = start_of("legacyId")
_UPDATED_AT, _UPDATED_BY, _DELETED_AT = map(start_of, ("updatedAt", "updatedBy", "deletedAt"))
_MOMENT = re.compile(rb'"([0-9T:.Z+-]{10,40})"')  # what can be compared as text
_NO_MOMENT = b"!"  # before all of them
RECORD_SK = b'"METADATA"'
_LARGEST_CUT = 1 << 18  # bytes
_NO_CHILD = b"\n"  # no JSON text of a key begins so


@dataclass(frozen=True)
class View:
    """How the items of an entity are looked at: how the SK of a child of a record begins, where a
    record says how many it has (b"": nowhere), whether others name its records, and what these
    name themselves."""

    entity: str
    child: bytes
    count: bytes
    is_named: bool
    wanted: tuple[Wanted, ...]

    def kind(self, sk: bytes) -> bytes:
        """The kind of an item, by its SK."""
        if sk.startswith(self.child):
            return LINE
        return RECORD if sk == RECORD_SK else OTHER

    def seen(self, attributes: Attributes) -> tuple[bytes, Seen]:
        """A migrated item, with its PK."""
        pk, sk = neighbours_of(attributes, PK_START, SK_START)
        return pk, (sk, self.kind(sk), True, attributes)


@cache
def view_of(entity: str) -> View:
    """How the items of an entity are looked at."""
    children = shape_of(entity).children
    return View(
        entity,
        b'"' + children.prefix.encode() if children else _NO_CHILD,
        start_of(children.count, "N") if children else b"",
        is_referenced(entity),
        references_wanted(entity),
    )


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


def member_of(item: Seen, view: View) -> bytes:
    """The member of an item."""
    sk, kind, migrated, attributes = item
    said = b";"
    if kind == RECORD and view.count:
        count = text_of(attributes, view.count).strip(b'"')
        said = b"%b;%b" % (escaped(count), facts_of(attributes, view.entity))
    legacy_id = escaped(text_of(attributes, _LEGACY_ID))
    said = b"%b;%b%b" % (said, legacy_id, _change(attributes))
    if not migrated:
        return b"%b%b%b %b" % (FOREIGN[kind], NO_DIGEST, said, sk)
    return b"%b%b%b %b" % (kind, digest(written_text(attributes)), said, sk)


def entire_entry(pk: bytes, head: Attributes, children: int, text: bytes, view: View) -> bytes:
    """The entry of a record by one digest of its `text`: its lines as a file has them, but in the
    order of their keys, from the text of the first item to that of the last. It has so many
    children; the entry is empty unless the item that opens it (`head`) says so, too."""
    count = text_of(head, view.count).strip(b'"') if view.count else b"0"
    if count != b"%d" % children:
        return b""
    facts = facts_of(head, view.entity)
    return b"#%b\tR%b%b;%b %b" % (pk, digest(text), count, facts, RECORD_SK)


def entry_at_first_look(pk: bytes, items: list[Seen], view: View) -> bytes:
    """The entry of items that a page of a table has under a PK: that of an entire record, if they
    are one. Else they may be a part of one, and go with their texts, unless these are large."""
    items.sort()
    if entire := entire_record(pk, items, view):
        return entire
    if all(is_migrated for _, _, is_migrated, _ in items):
        cut = b"~%b\t%b" % (pk, b"\t".join(text_of_item(each[3]) for each in items))
        if len(cut) <= _LARGEST_CUT:
            return cut
    return members_entry(pk, items, view)


def entire_record(pk: bytes, items: Sequence[Seen], view: View) -> bytes:
    """The entry of an entire record, if that is what items are, in the order of their keys; else
    nothing."""
    *children, (_, kind, migrated, head) = items
    own = [attributes for _, kind, migrated, attributes in children if kind == LINE and migrated]
    if kind != RECORD or not migrated or len(own) < len(children):
        return b""
    text = BETWEEN_LINES.join(map(written_text, [*own, head]))
    return entire_entry(pk, head, len(own), text, view)


def members_entry(pk: bytes, items: Iterable[Seen], view: View) -> bytes:
    """The entry of items by a member for each."""
    members = [member_of(each, view) for each in items]
    return entry_of(pk, members, counts=view.count != b"")[1]


def put_together(entries: Sequence[bytes], view: View) -> bytes:
    """The entry of what several entries of one PK have, as it would be in one."""
    pk = pk_of(entries[0])
    if all(entry.startswith(CUT) for entry in entries):
        items = sorted(chain.from_iterable(_items_of(each, view) for each in entries))
        return entire_record(pk, items, view) or members_entry(pk, items, view)
    members = chain.from_iterable(members_told(entry, view) for entry in entries)
    return entry_of(pk, [*members], counts=True)[1]


def _items_of(cut: bytes, view: View) -> list[Seen]:
    texts = cut.split(b"\t")[1:]
    return [view.seen(attributes)[1] for attributes in attributes_of_texts(texts)]


def members_told(entry: bytes, view: View) -> list[bytes]:
    """The members of an entry; those that stand for all items of an entire record say no more than
    of what kind they are."""
    if entry.startswith(CUT):
        return [member_of(each, view) for each in _items_of(entry, view)]
    members = members_of(entry)
    if entry.startswith(ENTIRE):
        members += [LINE] * int(lines_count_of(members[0]))
    return members


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


def is_signed_since(now: Item, loaded: Item) -> bool:
    """Whether an item that is there now (DynamoDB JSON) was changed by the application since it was
    loaded so: the rule by which a verification tells that from damage."""
    return _last_change(now).is_after(_last_change(loaded))


def _last_change(item: Item) -> LastChange:
    return LastChange(*_change(attributes_of(item)).split(b";")[1:])
