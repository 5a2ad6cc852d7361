"""Keys and contents: what the transformed file holds against what a scan of the table finds.

Both sides become short entries (key, digest of the content) in buckets on disk, and a bucket is
compared in memory. Two entries are the same bytes, but for the side, exactly when the items are
the same. All entries of one sale are in one bucket, so its lines are counted there too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from utils.artifacts import read_rows, starts_record
from utils.item_content import (
    DIGEST_HEX,
    Item,
    content,
    content_of_line,
    differing_attributes,
    digest,
    is_usual,
    normal_item,
)
from utils.table_reader import TableReader
from validate.target_references import party_is_there, references_of_sale
from validate.verification_report import (
    Count,
    DifferentItem,
    ItemKey,
    KeyDifferences,
    LineDifferences,
    WrongLines,
)

Entry = tuple[bytes, bytes]

# The value of an entry is: side (a byte), kind (a byte), digest, the linesCount of a sale, a
# blank, SK. Its key is PK. PK and SK are JSON texts: no tab and no line break is in them.
_FILE, _TABLE = b"F", b"T"
_RECORD, _LINE, _OTHER = b"R", b"L", b"O"
_FOREIGN = {_RECORD: b"r", _LINE: b"l", _OTHER: b"o"}
_REFUSED = {_RECORD: b"1", _LINE: b"2", _OTHER: b"3"}
_NO_DIGEST = b"-" * DIGEST_HEX

_FILE_BYTE = _FILE[0]
_RECORD_BYTE = _RECORD[0]
_RECORD_BYTES = frozenset(b"Rr")
_LINE_BYTES = frozenset(b"Ll")
_FOREIGN_BYTES = frozenset(b"rlo")
_REFUSED_BYTES = frozenset(b"123")

_HEAD = re.compile(rb'\{"Item":\{"PK":\{"S":("[^"\\]*")\},"SK":\{"S":("[^"\\]*")\}')


@dataclass(frozen=True)
class TablePage:
    """What verification needs of one page of a scan.

    `found` counts the migrated items. `references` are the entries for the reference check: of
    a page of sales the parties that they name, of a page of parties the parties themselves.
    """

    entries: list[Entry]
    references: list[Entry]
    found: Count
    last_key: Mapping[str, Any] | None

    @property
    def scanned(self) -> int:
        """How many items the page has, whoever wrote them."""
        return len(self.entries)


@dataclass(frozen=True)
class FileChunk:
    """What verification needs of whole records of a transformed file: for each line its entry,
    its SK, and the item itself if it opens a record."""

    lines: Sequence[bytes]
    entries: list[Entry]
    sort_keys: list[bytes]
    records: list[Item | None]

    @property
    def count(self) -> Count:
        return Count(sum(record is not None for record in self.records), len(self.lines))


def read_table_page(page: bytes, *, sales: bool) -> TablePage:
    """The entries of a Scan's answer; pure, so that pages can be worked on anywhere.

    `sales` tells a page of the sales table from one of a party's.
    """
    answer = orjson.loads(page)
    items: list[dict[str, Any]] = answer.get("Items", [])
    if not is_usual(page):
        items = [normal_item(item) for item in items]
    entries: list[Entry] = []
    references: list[Entry] = []
    migrated = records = 0
    for item in items:
        pk, sk = _key(item, "PK"), _key(item, "SK")
        kind = _kind(sk)
        is_migrated = "legacyId" in item
        value = _NO_DIGEST
        if is_migrated:
            migrated += 1
            value = digest(content(item))
        if kind == _RECORD:
            records += is_migrated
            if not sales:
                references.append(party_is_there(pk))
            elif is_migrated:
                value += _lines_count(item)
                references += references_of_sale(pk, item)
        if not is_migrated:
            kind = _FOREIGN[kind]
        entries.append((pk, b"%b%b%b %b" % (_TABLE, kind, value, sk)))
    return TablePage(entries, references, Count(records, migrated), answer.get("LastEvaluatedKey"))


def read_file_lines(
    lines: Sequence[bytes], *, sales: bool, refused: Set[str] = frozenset()
) -> FileChunk:
    """The entries of transformed lines that are whole records; pure as well.

    `refused` are the legacy ids of records that the load refused: their items may be absent.
    """
    usual = is_usual(b"".join(lines))
    chunk = FileChunk(lines, [], [], [])
    is_refused = False
    for line in lines:
        item = None
        if starts_record(line) or not usual:
            item = orjson.loads(line)["Item"]
        text = content_of_line(line) if usual or item is None else content(normal_item(item))
        pk, sk = _keys_of_line(line)
        kind, value = _kind(sk), digest(text)
        if kind == _RECORD and item is not None:
            is_refused = item.get("legacyId", {}).get("S") in refused
            value += _lines_count(item) if sales else b""
        else:
            item = None
        if is_refused:
            kind = _REFUSED[kind]
        chunk.entries.append((pk, b"%b%b%b %b" % (_FILE, kind, value, sk)))
        chunk.sort_keys.append(sk)
        chunk.records.append(item)
    return chunk


def may_be_absent(entry: Entry) -> bool:
    """Whether a line's entry is of a record that the load refused."""
    return entry[1][1] in _REFUSED_BYTES


def _keys_of_line(line: bytes) -> tuple[bytes, bytes]:
    match = _HEAD.match(line)
    if match is not None:
        return match[1], match[2]
    item = orjson.loads(line)["Item"]
    return _key(item, "PK"), _key(item, "SK")


def _key(item: Item, name: str) -> bytes:
    """A key as a JSON text; that of its DynamoDB JSON where it is no text (or not there)."""
    try:
        return orjson.dumps(item[name]["S"])
    except (KeyError, TypeError):
        return orjson.dumps(item.get(name))


def _kind(sk: bytes) -> bytes:
    if sk.startswith(b'"LINE#'):
        return _LINE
    return _RECORD if sk == b'"METADATA"' else _OTHER


def _lines_count(item: Item) -> bytes:
    return str(item.get("linesCount", {}).get("N", "")).encode()


@dataclass
class Comparison:
    """The differences of one entity, gathered bucket by bucket."""

    keys: KeyDifferences = field(default_factory=KeyDifferences)
    lines: LineDifferences = field(default_factory=LineDifferences)

    def add_bucket(self, entries: Iterable[Entry], *, sales: bool) -> None:
        """Compare all the entries of some keys, those of the file before those of the table."""
        expected: set[Entry] = set()
        surplus: list[Entry] = []
        found: list[Entry] = []
        for pk, value in entries:
            entry = (pk, value[1:])
            if value[0] == _FILE_BYTE:
                expected.add(entry)
                continue
            found.append(entry)
            if entry in expected:
                expected.remove(entry)
            else:
                surplus.append(entry)
        self._compare(expected, surplus)
        if sales:
            self._count_lines(found)

    def _compare(self, expected: Iterable[Entry], surplus: Iterable[Entry]) -> None:
        """Sort out what is not simply the same on both sides, in the order of the keys."""
        wanted = {(pk, _sort_key(value)): value for pk, value in expected}
        for pk, value in sorted(surplus):
            sk = _sort_key(value)
            mine = wanted.pop((pk, sk), None)
            if mine is None and value[0] in _FOREIGN_BYTES:
                self.keys.foreign += 1
            elif mine is None:
                self.keys.extra.add(ItemKey.of(pk, sk))
            elif not _same_content(mine, value):
                self.keys.different.add(DifferentItem(ItemKey.of(pk, sk)))
        for (pk, sk), value in sorted(wanted.items()):
            if value[0] in _REFUSED_BYTES:
                self.keys.refused += 1
            else:
                self.keys.missing.add(ItemKey.of(pk, sk))

    def _count_lines(self, found: Iterable[Entry]) -> None:
        counts: Counter[bytes] = Counter()
        migrated: dict[bytes, bytes] = {}
        without: set[bytes] = set()
        there: set[bytes] = set()
        for pk, value in found:
            kind = value[0]
            if kind in _LINE_BYTES:
                counts[pk] += 1
                if kind == _LINE[0]:
                    without.add(pk)
            elif kind in _RECORD_BYTES:
                there.add(pk)
                if kind == _RECORD_BYTE:
                    migrated[pk] = value[1 + DIGEST_HEX :].partition(b" ")[0]
        self.lines.checked += len(migrated)
        for pk, said in migrated.items():
            if said != b"%d" % counts[pk]:
                wrong = WrongLines(orjson.loads(pk), said.decode(), counts[pk])
                self.lines.different.add(wrong)
        for pk in sorted(without - there):
            self.lines.different.add(WrongLines(orjson.loads(pk), None, counts[pk]))


def _sort_key(value: bytes) -> bytes:
    return value[1 + DIGEST_HEX :].partition(b" ")[2]


def _same_content(mine: bytes, other: bytes) -> bool:
    """Whether two values differ only in that the load says it refused the item."""
    return mine[0] in _REFUSED_BYTES and mine[1:] == other[1:]


def name_differences(
    keys: KeyDifferences, reader: TableReader, table: str, transformed: Path
) -> None:
    """Say of each listed item that differs in which attributes; reads both sides again."""
    listed = {(entry.key.pk, entry.key.sk): n for n, entry in enumerate(keys.different.entries)}
    if not listed:
        return
    for chunk in read_rows(transformed):
        for line in chunk.lines:
            pk, sk = map(orjson.loads, _keys_of_line(line))
            place = listed.get((pk, sk)) if isinstance(pk, str) and isinstance(sk, str) else None
            if place is not None:
                item = orjson.loads(line)["Item"]
                names = differing_attributes(item, _read_item(reader, table, item))
                keys.different.entries[place] = DifferentItem(ItemKey(pk, sk), tuple(names))


def _read_item(reader: TableReader, table: str, item: Item) -> Item:
    key = {"PK": item["PK"], "SK": item["SK"]}
    answer = reader.ask("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
    found: Item = answer.get("Item", {})
    return found
