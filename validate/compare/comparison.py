"""Keys and contents: what the transformed file holds against what a scan of the table finds.

Both sides are entries of records in buckets on disk, and a bucket is compared in memory. The first
look settles what is the same on both sides, and leaves the records about which there may be
something to say. These are read again, and judged item by item (`Comparison`).

Where S9 has been read again, a third side says what was loaded: what the table has as it was loaded
and S9 has otherwise now, S9 has changed since. Without that side, only S9's own times tell.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from utils.differences import (
    ADDED,
    CHANGED,
    CHANGED_IN_SOURCE,
    DELETED,
    DIFFERENT,
    EXTRA,
    KEPT_ABSENT,
    MISSING,
    NEW_IN_SOURCE,
    REMOVED_IN_SOURCE,
    ItemDifference,
    RecordDifference,
)
from utils.differences import KEPT as LEFT
from utils.differences import REFUSED as NOT_TAKEN
from utils.dynamodb.item_content import DIGEST_HEX, Item, differing_attributes
from utils.dynamodb.item_text import attributes_of_line, key_of, partition_key_of, start_of
from utils.dynamodb.table_reader import TableReader
from utils.entities import Children, Shape, shape_of
from utils.files.artifacts import lines_of
from validate.compare.differences import (
    DifferentItem,
    ItemKey,
    KeptItem,
    KeyDifferences,
    LineDifferences,
    WrongLines,
)
from validate.compare.record_entries import (
    CUT,
    ENTIRE,
    FOREIGN,
    KEPT,
    LINE,
    RECORD,
    REFUSED,
    WHOLE,
    View,
    change_of,
    facts_of_member,
    legacy_id_of,
    lines_count_of,
    members_of,
    members_told,
    pk_of,
    put_together,
    sort_key_of,
    view_of,
)
from validate.compare.summed_up import take_out_summed_up
from validate.compare_counts import Count
from validate.sums.facts import facts_json
from validate.sums.sums import SumsBuilder

_KEYS = (start_of("PK"), start_of("SK"))
_WHOLE_BYTES = frozenset(WHOLE + ENTIRE)
_LINE_BYTE = LINE[0]
_RECORD_BYTE = RECORD[0]
_RECORD_BYTES = frozenset(RECORD + FOREIGN[RECORD])
_LINE_BYTES = frozenset(LINE + FOREIGN[LINE])
_OPENING_BYTES = frozenset(RECORD + FOREIGN[RECORD] + REFUSED[RECORD] + KEPT[RECORD])
_ANY_LINE_BYTES = frozenset(LINE + FOREIGN[LINE] + REFUSED[LINE] + KEPT[LINE])
_KINDS = {_RECORD_BYTE: "records", _LINE_BYTE: "lines"}
_FOREIGN_BYTES = frozenset(b"".join(FOREIGN.values()))
_REFUSED_BYTES = frozenset(b"".join(REFUSED.values()))
_KEPT_BYTES = frozenset(b"".join(KEPT.values()))
_CONTENT = slice(1 + DIGEST_HEX)  # kind and digest of a member


@dataclass
class Settled:
    """What the first look has made of some buckets: how many records are the same on both sides,
    how many items are the application's own, how many records with as many lines as they say
    (`own`), and of the `doubtful` records their PKs, and how many items of a migration the table
    had of them."""

    entity: str
    alike: int = 0
    foreign: int = 0
    own: int = 0
    doubtful: list[bytes] = field(default_factory=list)
    found: Count = field(default_factory=lambda: Count(0, 0))

    def add_bucket(
        self, in_file: Iterable[bytes], in_table: Sequence[bytes], sums: SumsBuilder | None
    ) -> None:
        """Settle all entries of some PKs, those of the file and those of the table; what is alike
        goes into `sums` as the table has it."""
        view = view_of(self.entity)
        alike, doubtful = sort_bucket(in_file, in_table, view)
        self.alike += len(alike)
        _add_up(alike, sums)
        if not doubtful:
            return
        own = {pk_of(entry) for entry in in_file}
        theirs = defaultdict[bytes, list[bytes]](list)
        for entry in in_table:
            if (pk := pk_of(entry)) in doubtful:
                theirs[pk] += members_told(entry, view)
        for pk in sorted(doubtful):
            members = theirs[pk]
            foreign = pk not in own and all(each[0] in _FOREIGN_BYTES for each in members)
            if foreign and (said := _said_of(members)) in (b"", b"%d" % _lines_of(members)):
                self.own += said != b""
                self.foreign += len(members)
                continue
            self.doubtful.append(pk)
            for member in members:
                if member[0] not in _FOREIGN_BYTES:
                    self.found += _count_of(member)


def _said_of(members: Iterable[bytes]) -> bytes:
    """How many lines a record says that it has; nothing where it does not say it."""
    return next((lines_count_of(each) for each in members if each[0] in _RECORD_BYTES), b"")


def _lines_of(members: Iterable[bytes]) -> int:
    return sum(each[0] in _LINE_BYTES for each in members)


def sort_bucket(
    in_file: Iterable[bytes], in_table: Sequence[bytes], view: View
) -> tuple[set[bytes], set[bytes]]:
    """The entries that are the same on both sides and leave nothing to be said, and the PKs of all
    others."""
    expected, found = set(in_file), set(in_table)
    doubled = set[bytes]()
    if len(found) != len(in_table):
        doubled = {entry for entry, n in Counter(in_table).items() if n > 1}
    _put_together(found, expected, view)
    alike = expected & found
    doubtful = {pk_of(entry) for entry in expected ^ found}
    doubtful.update(pk_of(entry) for entry in alike if entry[0] not in _WHOLE_BYTES)
    doubtful.update(map(pk_of, doubled))
    if doubtful:
        alike = {entry for entry in alike if pk_of(entry) not in doubtful}
    return alike, doubtful


def _put_together(found: set[bytes], expected: set[bytes], view: View) -> None:
    """Have the entries of a table that are of one record in one entry: it may begin on a page of
    the scan and end on the next."""
    parts = defaultdict[bytes, list[bytes]](list)
    for entry in found - expected:
        parts[pk_of(entry)].append(entry)
    for entries in parts.values():
        if len(entries) > 1 or entries[0].startswith(CUT):
            found.difference_update(entries)
            found.add(put_together(entries, view))


def _add_up(entries: Iterable[bytes], sums: SumsBuilder | None) -> None:
    """Add up whole records."""
    if sums is not None:
        for entry in entries:  # the record is the last of its members
            record = entry[entry.rindex(b"\t") + 1 :]
            sums.add(facts_of_member(record), int(lines_count_of(record)))


@dataclass(frozen=True)
class Loaded:
    """What was loaded, by the file that there is of it (`known`: there is one); `entries` are those
    of a record, or its members."""

    entries: Sequence[bytes] = ()
    known: bool = False


@dataclass
class Comparison:
    """The differences of one entity, gathered bucket by bucket. `records` are the records that have
    some; whoever takes them out of there need not hold them. `found` counts what is a migration's
    of the records that were in doubt, as the table has them."""

    keys: KeyDifferences = field(default_factory=KeyDifferences)
    lines: LineDifferences = field(default_factory=LineDifferences)
    records: list[RecordDifference] = field(default_factory=list)
    found: Count = field(default_factory=lambda: Count(0, 0))

    def add(self, later: Comparison) -> None:
        """Append what was found in later buckets."""
        self.keys.extend(later.keys)
        self.lines.extend(later.lines)
        self.records += later.records
        self.found += later.found

    def add_bucket(
        self,
        in_file: Iterable[bytes],
        in_table: Sequence[bytes],
        entity: str,
        *,
        loaded: Loaded | None = None,
        sums: SumsBuilder | None = None,
    ) -> None:
        """Compare all entries of some PKs, those of the file with those of the table, both with
        their numbers in one notation. `loaded` is what was loaded, where `in_file` has been made of
        S9 as it is now."""
        shape = shape_of(entity)
        expected = list(in_file)
        alike, doubtful = sort_bucket(expected, in_table, view_of(entity))
        if shape.children:
            self.lines.checked += len(alike)
        for entry in alike:
            self.found += Count(1, entry.count(b"\t"))
        _add_up(alike, sums)
        known = loaded.entries if loaded else ()
        sides = [_by_record(each, doubtful) for each in (expected, in_table, known)]
        for pk in sorted(doubtful):
            mine, theirs, was = (side[pk] for side in sides)
            judged = _Judged(self.keys, pk, loaded and replace(loaded, entries=was))
            judged.judge(mine, theirs)
            if shape.children:
                self._count_lines(pk, theirs, shape.children)
            self._note(judged, mine, theirs, entity)
            for member in theirs:
                if member[0] not in _FOREIGN_BYTES:
                    self.found += _count_of(member)
            if sums is not None and (mine or any(each[0] in RECORD for each in theirs)):
                _add_up_found(theirs, sums)

    def _note(
        self, judged: _Judged, mine: Sequence[bytes], theirs: Sequence[bytes], entity: str
    ) -> None:
        if judged.items:
            ids = (legacy_id_of(each) for each in (*reversed(mine), *reversed(theirs)))
            self.records.append(
                RecordDifference(
                    orjson.loads(judged.pk),
                    next(filter(None, ids), ""),
                    tuple(judged.items),
                    _facts(mine, entity),
                    _facts(theirs, entity),
                )
            )

    def _count_lines(self, pk: bytes, members: Iterable[bytes], children: Children) -> None:
        """Compare how many lines a sale has with how many it says. A line that the application has
        deleted is none; a sale that it has deleted is not asked."""
        lines = deleted = 0
        said: bytes | None = None
        is_there = has_own = False
        for member in members:
            kind = member[0]
            if kind in _LINE_BYTES and change_of(member).deleted:
                deleted += kind == _LINE_BYTE
            elif kind in _LINE_BYTES:
                lines += 1
                has_own = has_own or kind == _LINE_BYTE
            elif kind in _RECORD_BYTES:
                is_there = True
                if not change_of(member).deleted:
                    said = lines_count_of(member)
                    if kind != _RECORD_BYTE and not said:
                        said = None  # the application's own need not say it
        self.lines.checked += said is not None
        # Whoever deletes a line may leave the sale as it was loaded, with that line counted.
        if said is not None and said not in (b"%d" % lines, b"%d" % (lines + deleted)):
            wrong = WrongLines(orjson.loads(pk), said.decode(), lines, children)
            self.lines.different.add(wrong)
        elif has_own and not is_there:
            self.lines.different.add(WrongLines(orjson.loads(pk), None, lines, children))


def _by_record(entries: Iterable[bytes], wanted: Container[bytes]) -> dict[bytes, list[bytes]]:
    """The members of the wanted records, sorted, by PK."""
    found = defaultdict[bytes, list[bytes]](list)
    for entry in entries:
        if (pk := pk_of(entry)) in wanted:
            found[pk] += members_of(entry)
    for members in found.values():
        members.sort()
    return found


class _Judged:
    """The judgement on a record: `items` are those about which there is something to say, `keys`
    gets them as well. `loaded` has the members as they were loaded, where S9 has been read
    again."""

    def __init__(self, keys: KeyDifferences, pk: bytes, loaded: Loaded | None) -> None:
        self.pk = pk
        self.items: list[ItemDifference] = []
        self._keys = keys
        self._loaded = loaded
        self._was = {sort_key_of(each): each for each in (loaded.entries if loaded else ())}

    def judge(self, mine: Sequence[bytes], theirs: Sequence[bytes]) -> None:
        """Compare the members of the file with those of the table, in the order of their keys."""
        wanted = {sort_key_of(member): member for member in mine}
        surplus = []
        for member in theirs:
            if wanted.get(sort_key_of(member)) == member:
                del wanted[sort_key_of(member)]
            else:
                surplus.append(member)
        deleted = any(
            member[0] in _RECORD_BYTES and change_of(member).deleted for member in surplus
        )
        for member in sorted(surplus, key=sort_key_of):
            own = wanted.pop(sort_key_of(member), None)
            if own is None:
                self._is_beyond(member, ours=bool(mine), deleted=deleted)
            elif own[0] in _KEPT_BYTES:
                self._is_kept(own, member)
            elif not _same_content(own, member):
                self._differs(own, member)
        for _, own in sorted(wanted.items()):
            self._is_absent(own)

    def _say(self, member: bytes, how: str) -> ItemKey:
        key = ItemKey.of(self.pk, sort_key_of(member))
        self.items.append(ItemDifference(key.sk, how))
        return key

    def _is_by_application(self, member: bytes, how: str) -> None:
        self._say(member, how)
        self._keys.is_changed(self.pk, sort_key_of(member), how)

    def _is_by_source(self, member: bytes, how: str) -> None:
        self._say(member, how)
        self._keys.is_behind(self.pk, sort_key_of(member), how)

    def _is_kept(self, own: bytes, member: bytes) -> None:
        self._keys.kept.add(KeptItem(self._say(own, LEFT), in_table=True))
        if member[0] not in _FOREIGN_BYTES:
            self._keys.kept_found += _count_of(member)

    def _is_absent(self, own: bytes) -> None:
        """An item is in the file and not in the table."""
        if own[0] in _REFUSED_BYTES:
            self._say(own, NOT_TAKEN)
            self._keys.refused += 1
        elif own[0] in _KEPT_BYTES:
            self._keys.kept.add(KeptItem(self._say(own, KEPT_ABSENT), in_table=False))
            self._keys.kept_absent += 1
        elif self._is_new_in_source(own):
            self._is_by_source(own, NEW_IN_SOURCE)
            self._keys.ahead += _count_of(own)
        else:
            self._keys.missing.add(self._say(own, MISSING))

    def _is_new_in_source(self, own: bytes) -> bool:
        """Whether S9 has got an item after the load, by the file that was loaded."""
        known = self._loaded is not None and self._loaded.known
        return known and sort_key_of(own) not in self._was

    def _is_beyond(self, member: bytes, *, ours: bool, deleted: bool) -> None:
        """An item is in the table and not in the file; `deleted` tells that the application has
        deleted the record to which it belongs."""
        if member[0] in _FOREIGN_BYTES:
            self._keys.foreign += 1
            if ours:
                self._is_by_application(member, ADDED)
            return
        self._keys.beyond += _count_of(member)
        was = self._was.get(sort_key_of(member))
        if deleted or change_of(member).deleted:
            self._is_by_application(member, DELETED)
        elif was is not None and change_of(member).is_after(change_of(was)):
            self._is_by_application(member, CHANGED)
        elif was is not None and was[_CONTENT] == member[_CONTENT]:
            self._is_by_source(member, REMOVED_IN_SOURCE)
        else:
            self._say(member, EXTRA)
            self._keys.is_extra(self.pk, sort_key_of(member), _KINDS.get(member[0], "items"))

    def _differs(self, own: bytes, member: bytes) -> None:
        """An item has other content than in the file."""
        was = self._was.get(sort_key_of(member))
        change = change_of(member)
        if change.is_after(change_of(own if was is None else was)):
            self._is_by_application(member, DELETED if change.deleted else CHANGED)
        elif self._loaded and _is_as_loaded(member, was, own):
            self._is_by_source(member, CHANGED_IN_SOURCE)
        else:
            self._keys.different.add(DifferentItem(self._say(member, DIFFERENT)))
            return
        if member[0] in _FOREIGN_BYTES:
            self._keys.unmarked += _count_of(member)


def _is_as_loaded(member: bytes, was: bytes | None, own: bytes) -> bool:
    """Whether the table has an item as it was loaded, so that S9 has changed it since: by its
    content, where it is known what was loaded, else by S9's own times."""
    if was is not None:
        return was[_CONTENT] == member[_CONTENT]
    return member[0] not in _FOREIGN_BYTES and change_of(own).at > change_of(member).at > b""


def _facts(members: Sequence[bytes], entity: str) -> dict[str, Any] | None:
    """What the item that opens a record says for adding up, with how many lines there are."""
    opening = next((each for each in members if each[0] in _OPENING_BYTES), None)
    if opening is None:
        return None
    return facts_json(facts_of_member(opening), sum(map(_is_line, members)), entity)


def _add_up_found(members: Sequence[bytes], sums: SumsBuilder) -> None:
    """Add up what the table has of a record that is in doubt."""
    opening = next((each for each in members if each[0] in _RECORD_BYTES), None)
    if opening is not None and (facts := facts_of_member(opening)):
        sums.add(facts, sum(map(_is_line, members)))


def _is_line(member: bytes) -> bool:
    """Whether a member is a line that counts: none that the application has deleted."""
    return member[0] in _ANY_LINE_BYTES and not change_of(member).deleted


def _count_of(member: bytes) -> Count:
    """A member as it is counted: an item, and a record if it opens one."""
    return Count(int(member[0] in _OPENING_BYTES), 1)


def _same_content(mine: bytes, other: bytes) -> bool:
    """Whether two members differ only in that the load says it refused the item."""
    return mine[0] in _REFUSED_BYTES and mine[1:] == other[1:]


def name_differences(
    keys: KeyDifferences, reader: TableReader, table: str, transformed: Path, shape: Shape
) -> dict[tuple[str, str], str]:
    """Say of each listed item that differs in which attributes; reads both sides again. What is
    only summed up again is no difference then: returns what to say of these items by their keys."""
    listed = {(entry.key.pk, entry.key.sk): n for n, entry in enumerate(keys.different.entries)}
    if not listed:
        return {}
    wanted = frozenset(orjson.dumps(pk) for pk, _ in listed)
    for line in lines_of(transformed):
        if partition_key_of(line) not in wanted:
            continue
        attributes = attributes_of_line(line)
        pk, sk = (orjson.loads(key_of(attributes, name)) for name in _KEYS)
        place = listed.get((pk, sk)) if isinstance(pk, str) and isinstance(sk, str) else None
        if place is not None:
            item = orjson.loads(line)["Item"]
            names = differing_attributes(item, _read_item(reader, table, item))
            keys.different.entries[place] = DifferentItem(ItemKey(pk, sk), tuple(names))
    return take_out_summed_up(keys, reader, table, shape.children) if shape.children else {}


def _read_item(reader: TableReader, table: str, item: Item) -> Item:
    key = {"PK": item["PK"], "SK": item["SK"]}
    answer = reader.ask("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
    found: Item = answer.get("Item", {})
    return found
