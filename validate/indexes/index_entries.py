"""What an index should hold by its table, and what it holds: one line of text for each entry.

A line is PK, a tab, the index's partition key, a tab, its sort key; where SK is not METADATA, a tab
and SK follow. All are JSON texts: no tab and no line break is in them. The line of an item of the
table and that of its entry in the index are the same bytes exactly when the keys are the same.

An item is in an index that has both of its keys. Where a service gives an entry without one (no
DynamoDB does), `null` stands in its place.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any

import orjson

from utils.dynamodb.answer_shapes import check, consumed, require_keys
from utils.dynamodb.item_text import (
    Attributes,
    attributes_of,
    cut_page,
    key_of,
    start_of,
    text_of,
    texts_of,
)
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY, Index, TableSpec
from utils.entities import shape_of
from validate.compare.differences import ItemKey
from validate.indexes.index_findings import KeyAgreement, WrongKeys
from validate.rules.consistency import NUMBERING, NUMBERING_KEYS, Repeats, index_keys_of

Entry = tuple[bytes, bytes]  # PK, and the line

_RECORD_SK = b'"METADATA"'
_NO_KEY = b"null"
_TABLE_KEYS = (PARTITION_KEY, SORT_KEY)


def entry_line(pk: bytes, sk: bytes, partition: bytes, sort: bytes) -> bytes:
    """The line of an entry."""
    line = b"%b\t%b\t%b" % (pk, partition, sort)
    return line if sk == _RECORD_SK else b"%b\t%b" % (line, sk)


@dataclass(frozen=True)
class EntryKeys:
    """A line taken apart: the key of the item, and the keys of the index (JSON texts)."""

    pk: bytes
    sk: bytes
    partition: bytes
    sort: bytes

    @classmethod
    def of(cls, line: bytes) -> EntryKeys:
        pk, partition, sort, *rest = line.split(b"\t")
        return cls(pk, rest[0] if rest else _RECORD_SK, partition, sort)


# The table -----------------------------------------------------------------------------------


# A key that repeats an attribute: its place among the keys, how its text begins, and which of the
# attributes it repeats; and the names of both.
_Made = tuple[int, bytes, int, tuple[str, str]]


@dataclass(frozen=True)
class _Keys:
    """How the index keys of a table's items are found: `first` and `last` are what the attributes
    that may be keys lie between, `pattern` takes their values out of them, joined by line breaks;
    `places` are of each index those of its two keys. `repeated` are the attributes that are `made`
    into keys (by `numbered` only where there are such keys)."""

    first: bytes
    last: bytes
    names: tuple[str, ...]
    pattern: re.Pattern[bytes]
    places: tuple[tuple[int, int], ...]
    repeated: tuple[bytes, ...]
    made: tuple[_Made, ...]
    numbered: tuple[_Made, ...]
    numbering: tuple[int, ...]
    dated: int | None
    child: bytes


@cache
def _keys(spec: TableSpec) -> _Keys:
    names = tuple(sorted(set(spec.key_attributes) - {*_TABLE_KEYS}))
    parts = [rb"(?:%b([^\n]*)\n)?" % re.escape(start_of(name)) for name in names]
    shape = shape_of(spec.entity)
    numbering = NUMBERING if shape.numbered else ()

    made = [each for each in index_keys_of(spec.entity) if each.key in names]
    numbered = [each for each in NUMBERING_KEYS if each.key in numbering]
    repeated = sorted({each.attribute for each in (*made, *numbered)})

    def as_made(repeats: Repeats) -> _Made:
        key, before, attribute, _ = repeats
        place, start = names.index(key), b'"' + before.encode()
        return place, start, repeated.index(attribute), (key, attribute)

    return _Keys(
        f'{names[0]}":'.encode() if names else b"~",
        f'{names[-1]}"~'.encode() if names else b"",
        names,
        re.compile(b"".join(parts)),
        tuple((names.index(i.partition_key), names.index(i.sort_key)) for i in spec.indexes),
        tuple(map(start_of, repeated)),
        tuple(map(as_made, made)),
        tuple(map(as_made, numbered)),
        tuple(names.index(name) for name in numbering if name in names),
        next((names.index(each.key) for each in numbered), None),
        b'"' + shape.children.prefix.encode() if shape.children else b"\n",
    )


@dataclass
class TableKeys:
    """What a page of a table says about its indexes: the lines of the entries that each of them
    should have, how keys and attributes agree, and in which years sales are numbered."""

    spec: TableSpec
    entries: list[list[Entry]] = field(init=False)
    last: bytes = field(init=False)
    agreement: KeyAgreement = field(default_factory=KeyAgreement)
    years: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.entries = [[] for _ in self.spec.indexes]
        self._keys = _keys(self.spec)
        self.last = self._keys.last

    def look(self, pk: bytes, sk: bytes, attributes: Attributes, *, migrated: bool) -> None:
        """Look at an item; PK and SK are JSON texts."""
        keys = self._keys
        is_record = sk == _RECORD_SK
        if attributes[0] > self.last and not (is_record and migrated):
            return
        values = _values_of(attributes, keys)
        end = b"" if is_record else b"\t" + sk
        for entries, (partition, sort) in zip(self.entries, keys.places, strict=True):
            first, second = values[partition], values[sort]
            if first is not None and second is not None:
                entries.append((pk, b"%b\t%b\t%b%b" % (pk, first, second, end)))
        names: Sequence[tuple[str, str]] = ()
        if is_record:
            self.agreement.checked += 1
            if keys.dated is not None and (date := values[keys.dated]):
                self.years.add(date[1:5].decode("ascii", "replace"))
            names = _disagreements(attributes, values, keys, migrated=migrated)
        elif sk.startswith(keys.child):
            self.agreement.checked += 1
            names = [
                (name, "")
                for name, text in zip(keys.names, values, strict=True)
                if text is not None
            ]
        if names:
            self.agreement.wrong.add(WrongKeys(ItemKey.of(pk, sk), tuple(names)))


def _values_of(attributes: Attributes, keys: _Keys) -> Sequence[bytes | None]:
    """The texts of an item's index keys, in the order of their names; None for one that it has not,
    or not as a String."""
    place = bisect_left(attributes, keys.first)
    found = attributes[place : place + len(keys.names)]
    found.append(b"")
    matched = keys.pattern.match(b"\n".join(found))
    values: Sequence[bytes | None] = matched.groups() if matched else ()
    between = bisect_left(attributes, keys.last) - place
    if len(values) - values.count(None) != between:
        # Something else stands between the keys: each is looked for by itself.
        texts = [text_of(attributes, start_of(name)) for name in keys.names]
        values = [text or None for text in texts]
    return values


def _disagreements(
    attributes: Attributes, values: Sequence[bytes | None], keys: _Keys, *, migrated: bool
) -> list[tuple[str, str]]:
    """The keys of a record that do not repeat their attributes, with these. A record of the
    application's own may be without either."""
    texts = [text[1:] for text in texts_of(attributes, keys.repeated)]
    wrong = [
        names
        for place, before, attribute, names in keys.made
        if values[place] != before + texts[attribute]
        and (migrated or (values[place] is not None and texts[attribute]))
    ]
    for place, before, attribute, names in keys.numbered:
        if values[place] is None or not (migrated or texts[attribute]):
            continue
        if values[place] != before + texts[attribute]:
            wrong.append(names)
    there = [place for place in keys.numbering if values[place] is not None]
    if migrated and len(there) == 1 < len(keys.numbering):
        wrong.append((keys.names[there[0]], ""))
    return wrong


def keys_of_item(item: Mapping[str, Any], spec: TableSpec) -> TableKeys:
    """What one item of a table says about its indexes."""
    attributes = attributes_of(item)
    keys = TableKeys(spec)
    pk, sk = (key_of(attributes, start_of(name)) for name in _TABLE_KEYS)
    keys.look(pk, sk, attributes, migrated="legacyId" in item)
    return keys


# The index -----------------------------------------------------------------------------------


@dataclass
class IndexPage:
    """A page of a scan of an index: the lines of its entries, and the read units that it took."""

    entries: list[Entry]
    units: float
    last_key: Mapping[str, Any] | None
    ends_at: Mapping[str, Any] | None


def read_index_page(page: bytes, index: Index) -> IndexPage:
    """The entries on a page of the scan of an index, of which only keys were asked for; pure.
    Raises NoAnswer for a page that is none."""
    cut = cut_page(page)
    if cut is not None and cut.texts:
        entries = _usual_entries(cut.texts[0], cut.items, len(cut.texts), index)
        if entries is not None:
            units = consumed("Scan", cut.around)
            last = EntryKeys.of(entries[-1][1])
            return IndexPage(
                entries, units, cut.around.get("LastEvaluatedKey"), _start_after(last, index)
            )
    answer = check("Scan", {"ReturnConsumedCapacity": "TOTAL"}, page)
    items = answer["Items"]
    require_keys("Scan", items, _TABLE_KEYS)
    keys = [entry_keys(item, index) for item in items]
    return IndexPage(
        [(each.pk, entry_line(each.pk, each.sk, each.partition, each.sort)) for each in keys],
        consumed("Scan", answer),
        answer.get("LastEvaluatedKey"),
        _start_after(keys[-1], index) if keys else None,
    )


def attributes_of_index(index: Index) -> tuple[str, ...]:
    """What is asked for of each entry."""
    return (*_TABLE_KEYS, index.partition_key, index.sort_key)


def entry_keys(item: Mapping[str, Any], index: Index) -> EntryKeys:
    return EntryKeys(*(_text_of(item.get(name)) for name in attributes_of_index(index)))


def _text_of(value: Mapping[str, Any] | None) -> bytes:
    """A key as `key_of` (utils/dynamodb/item_text.py) gives it."""
    if value is None:
        return _NO_KEY
    return orjson.dumps(value.get("S", value))


def value_of(text: bytes) -> Any:
    """The attribute value of a key's text."""
    value = orjson.loads(text)
    return {"S": value} if isinstance(value, str) else value


def _start_after(last: EntryKeys, index: Index) -> Mapping[str, Any] | None:
    """Where the page after this entry begins; None where the service must say that itself."""
    texts = (last.pk, last.sk, last.partition, last.sort)
    if _NO_KEY in texts:
        return None
    return dict(zip(attributes_of_index(index), map(value_of, texts), strict=True))


def _usual_entries(first: bytes, items: bytes, count: int, index: Index) -> list[Entry] | None:
    r"""The entries of a page on which all are written alike, without a space or an escape.

    Each is `{` + four times `"name":{"S":"text"}`, so what is matched and what stands around it
    are as long as the page exactly when nothing else is there.
    """
    names = attributes_of_index(index)
    wanted = sorted(names, key=lambda name: first.find(f'{name}":'.encode()))
    pattern, around, places = _pattern(tuple(wanted), names)
    found = pattern.findall(items)
    if len(found) != count:
        return None
    if sum(map(len, chain.from_iterable(found))) + count * around != len(items) + 1:
        return None
    a, b, c, d = places
    entries = []
    for each in found:
        pk, sk = each[a], each[b]
        if sk == _RECORD_SK:
            entries.append((pk, b"%b\t%b\t%b" % (pk, each[c], each[d])))
        else:
            entries.append((pk, b"%b\t%b\t%b\t%b" % (pk, each[c], each[d], sk)))
    return entries


@cache
def _pattern(
    wanted: tuple[str, ...], names: tuple[str, ...]
) -> tuple[re.Pattern[bytes], int, tuple[int, ...]]:
    """What matches an entry whose attributes are in this order, how many bytes of it are not
    values (with the comma after it), and where PK, SK and the keys of the index stand."""
    parts = [b'"%b":{"S":' % name.encode() for name in wanted]
    body = rb",".join(re.escape(part) + rb'("[^"\\]*")\}' for part in parts)
    around = sum(map(len, parts)) + len(wanted) + len(wanted) - 1 + len(b"{},")
    places = tuple(wanted.index(name) for name in names)
    return re.compile(rb"\{" + body + rb"\}"), around, places
