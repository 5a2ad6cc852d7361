"""Keys and contents: what the transformed file holds against what a scan of the table finds.

Both sides are entries of records in buckets on disk, and a bucket is compared in memory. What is
the same on both sides is done with as it is; only the records about which there is something to
say are taken apart, item by item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from utils.dynamodb.item_content import Item, differing_attributes
from utils.dynamodb.item_text import attributes_of_line, key_of, start_of
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
    FOREIGN,
    KEPT,
    LINE,
    RECORD,
    REFUSED,
    WHOLE,
    change_of,
    lines_count_of,
    members_of,
    pk_of,
    sort_key_of,
)
from validate.compare.summed_up import take_out_summed_up
from validate.compare_counts import Count

_Item = tuple[bytes, bytes]  # PK and member

_KEYS = (start_of("PK"), start_of("SK"))
_WHOLE_BYTE = WHOLE[0]
_LINE_BYTE = LINE[0]
_RECORD_BYTE = RECORD[0]
_RECORD_BYTES = frozenset(RECORD + FOREIGN[RECORD])
_LINE_BYTES = frozenset(LINE + FOREIGN[LINE])
_KINDS = {_RECORD_BYTE: "records", _LINE_BYTE: "lines"}
_FOREIGN_BYTES = frozenset(b"".join(FOREIGN.values()))
_REFUSED_BYTES = frozenset(b"".join(REFUSED.values()))
_KEPT_BYTES = frozenset(b"".join(KEPT.values()))


@dataclass
class Comparison:
    """The differences of one entity, gathered bucket by bucket."""

    keys: KeyDifferences = field(default_factory=KeyDifferences)
    lines: LineDifferences = field(default_factory=LineDifferences)

    @property
    def says_otherwise(self) -> bool:
        """Whether something has other content than it should have, be it only a number in
        another notation, or is too much: then it is looked at a second time."""
        keys = self.keys
        return not self.lines.passed or keys.different.count > 0 or keys.extra.count > 0

    def add(self, later: Comparison) -> None:
        """Append what was found in later buckets."""
        self.keys.extend(later.keys)
        self.lines.extend(later.lines)

    def add_bucket(self, in_file: Iterable[bytes], in_table: list[bytes], entity: str) -> None:
        """Compare all entries of some PKs, those of the file with those of the table."""
        shape = shape_of(entity)
        expected, found = set(in_file), set(in_table)
        alike = expected & found
        doubtful = {pk_of(entry) for entry in expected ^ found}
        doubtful.update(pk_of(entry) for entry in alike if entry[0] != _WHOLE_BYTE)
        if len(found) != len(in_table):
            doubtful.update(pk_of(entry) for entry, n in Counter(in_table).items() if n > 1)
        if doubtful:
            alike = {entry for entry in alike if pk_of(entry) not in doubtful}
        if shape.children:
            self.lines.checked += len(alike)
        others = [entry for entry in in_table if entry not in alike]
        self._compare(_taken_apart(expected - alike), _taken_apart(others), shape)

    def _compare(self, in_file: Iterator[_Item], in_table: Iterator[_Item], shape: Shape) -> None:
        expected = set(in_file)
        ours = {pk for pk, _ in expected}
        surplus: list[_Item] = []
        found: list[_Item] = []
        for item in in_table:
            found.append(item)
            if item in expected:
                expected.remove(item)
            else:
                surplus.append(item)
        self._sort_out(expected, surplus, ours)
        if shape.children:
            self._count_lines(found, shape.children)

    def _sort_out(
        self, expected: Iterable[_Item], surplus: Collection[_Item], ours: Set[bytes]
    ) -> None:
        """Judge what is not simply the same on both sides, in the order of the keys; `ours` are
        the PKs that the file has."""
        wanted = {(pk, sort_key_of(member)): member for pk, member in sorted(expected)}
        deleted = {
            pk for pk, member in surplus if member[0] in _RECORD_BYTES and change_of(member).deleted
        }
        for (pk, sk), member in sorted(((pk, sort_key_of(each)), each) for pk, each in surplus):
            mine = wanted.pop((pk, sk), None)
            if mine is None:
                self._is_beyond(pk, sk, member, ours=pk in ours, deleted=pk in deleted)
            elif mine[0] in _KEPT_BYTES:
                self.keys.kept.add(KeptItem(ItemKey.of(pk, sk), in_table=True))
                if member[0] not in _FOREIGN_BYTES:
                    self.keys.kept_found += _count_of(member)
            elif not _same_content(mine, member):
                self._differs(pk, sk, mine, member)
        for (pk, sk), member in sorted(wanted.items()):
            if member[0] in _REFUSED_BYTES:
                self.keys.refused += 1
            elif member[0] in _KEPT_BYTES:
                self.keys.kept.add(KeptItem(ItemKey.of(pk, sk), in_table=False))
                self.keys.kept_absent += 1
            else:
                self.keys.missing.add(ItemKey.of(pk, sk))

    def _is_beyond(self, pk: bytes, sk: bytes, member: bytes, *, ours: bool, deleted: bool) -> None:
        """An item is in the table and not in the file; `deleted` tells that the application has
        deleted the record to which it belongs."""
        if member[0] in _FOREIGN_BYTES:
            self.keys.foreign += 1
            if ours:
                self.keys.is_changed(pk, sk, "added")
            return
        self.keys.beyond += _count_of(member)
        if deleted or change_of(member).deleted:
            self.keys.is_changed(pk, sk, "deleted")
        else:
            self.keys.is_extra(pk, sk, _KINDS.get(member[0], "items"))

    def _differs(self, pk: bytes, sk: bytes, mine: bytes, member: bytes) -> None:
        """An item has other content than in the file."""
        change = change_of(member)
        if not change.is_after(change_of(mine)):
            self.keys.different.add(DifferentItem(ItemKey.of(pk, sk)))
            return
        self.keys.is_changed(pk, sk, "deleted" if change.deleted else "changed")
        if member[0] in _FOREIGN_BYTES:
            self.keys.unmarked += _count_of(member)

    def _count_lines(self, found: Iterable[_Item], children: Children) -> None:
        """Compare how many lines each sale has with how many it says. A line that the application
        has deleted is none; a sale that it has deleted is not asked."""
        counts: Counter[bytes] = Counter()
        deleted: Counter[bytes] = Counter()
        migrated: dict[bytes, bytes] = {}
        without: set[bytes] = set()
        there: set[bytes] = set()
        for pk, member in found:
            kind = member[0]
            if kind in _LINE_BYTES and change_of(member).deleted:
                deleted[pk] += kind == _LINE_BYTE
            elif kind in _LINE_BYTES:
                counts[pk] += 1
                if kind == _LINE_BYTE:
                    without.add(pk)
            elif kind in _RECORD_BYTES:
                there.add(pk)
                if kind == _RECORD_BYTE and not change_of(member).deleted:
                    migrated[pk] = lines_count_of(member)
        self.lines.checked += len(migrated)
        for pk, said in sorted(migrated.items()):
            # Whoever deletes a line may leave the sale as it was loaded, with that line counted.
            if said not in (b"%d" % counts[pk], b"%d" % (counts[pk] + deleted[pk])):
                wrong = WrongLines(orjson.loads(pk), said.decode(), counts[pk], children)
                self.lines.different.add(wrong)
        for pk in sorted(without - there):
            wrong = WrongLines(orjson.loads(pk), None, counts[pk], children)
            self.lines.different.add(wrong)


def _taken_apart(entries: Iterable[bytes]) -> Iterator[_Item]:
    """The items of entries."""
    for entry in entries:
        pk = pk_of(entry)
        for member in members_of(entry):
            yield pk, member


def _count_of(member: bytes) -> Count:
    """A member as it is counted: an item, and a record if it opens one."""
    return Count(int(member[0] in _RECORD_BYTES), 1)


def _same_content(mine: bytes, other: bytes) -> bool:
    """Whether two members differ only in that the load says it refused the item."""
    return mine[0] in _REFUSED_BYTES and mine[1:] == other[1:]


def name_differences(
    keys: KeyDifferences, reader: TableReader, table: str, transformed: Path, shape: Shape
) -> None:
    """Say of each listed item that differs in which attributes; reads both sides again. What is
    only summed up again is no difference then."""
    listed = {(entry.key.pk, entry.key.sk): n for n, entry in enumerate(keys.different.entries)}
    if not listed:
        return
    for line in lines_of(transformed):
        attributes = attributes_of_line(line)
        pk, sk = (orjson.loads(key_of(attributes, name)) for name in _KEYS)
        place = listed.get((pk, sk)) if isinstance(pk, str) and isinstance(sk, str) else None
        if place is not None:
            item = orjson.loads(line)["Item"]
            names = differing_attributes(item, _read_item(reader, table, item))
            keys.different.entries[place] = DifferentItem(ItemKey(pk, sk), tuple(names))
    if shape.children:
        take_out_summed_up(keys, reader, table, shape.children)


def _read_item(reader: TableReader, table: str, item: Item) -> Item:
    key = {"PK": item["PK"], "SK": item["SK"]}
    answer = reader.ask("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
    found: Item = answer.get("Item", {})
    return found
