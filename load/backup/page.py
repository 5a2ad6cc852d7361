"""The items on a page of a scan, as a backup keeps them.

Most items are flat: texts, plain numbers and flags, written without a space or an escape. What the
page says of such an item is taken as it is, once it is proven that it is nothing else. All others
are parsed: the fast way may abstain, and never decides otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from load.backup.key_index import Digests
from load.backup.records_in_change import TIMES, Meanwhile
from utils.dynamodb.answer_shapes import (
    check,
    consumed,
    item_problem,
    key_problem,
    require_keys,
)
from utils.dynamodb.item_content import content, is_usual, normal_item, updated_at
from utils.dynamodb.item_text import cut_page
from utils.dynamodb.table_spec import MARK_KEY, PARTITION_KEY, is_mark

_SEPARATOR = b'},"'
_MARK = orjson.dumps(MARK_KEY[PARTITION_KEY])
_CONTROL = bytes(range(32))
# The attributes of a flat item without `{"` before and `}}` after them, where no text has an
# escape. Names are such that these texts are sorted as the names are.
_ATTRIBUTE = (
    rb'\w+":\{(?:"S":"[^"]*"|"N":"(?:0|-?[1-9][0-9]*(?:\.[0-9]*[1-9])?|-?0\.[0-9]*[1-9])"'
    rb'|"BOOL":true|"BOOL":false|"NULL":true)'
)
_FLAT = re.compile(rb'%b(?:\},"%b)*' % (_ATTRIBUTE, _ATTRIBUTE)).fullmatch
_UPDATED, _MIGRATED = b'"updatedAt":{"S":"', b'"legacyId":{'
_TEXT = b'{"S":"%b"}'


class Entry(NamedTuple):
    """An item as a backup keeps it: `line` is `{"Item":{…}}` with its line break, `record` is that
    of the key index. `key` and `partition` are the values of the key's attributes, as a JSON list,
    and of the first of them. `recent`: it was written while the backup is being taken."""

    line: bytes
    record: bytes
    key: bytes
    partition: bytes
    recent: bool


@dataclass(frozen=True)
class Page:
    """A page of a scan: its items, but for the mark of who is at work there, and where the service
    says that the next one starts (None: nowhere), the key of its last item (None: it is empty)."""

    entries: list[Entry]
    units: float
    last_key: Mapping[str, Any] | None
    ends_at: Mapping[str, Any] | None

    @property
    def after(self) -> Mapping[str, Any] | None:
        """Where the next page begins; None when there is none (see TableReader.scan)."""
        return self.ends_at or self.last_key


class PageReader:
    """Reads the pages of one table. Without `meanwhile` no item is recent."""

    def __init__(self, digests: Digests, meanwhile: Meanwhile | None) -> None:
        self._digests = digests
        self._names = digests.key_names
        self._meanwhile = meanwhile
        self._starts = [f'"{name}":{{"S":"'.encode() for name in self._names]
        self._times = [f'"{name}":{{"S":"'.encode() for name in TIMES]
        self._moments = meanwhile.moments.encode() if meanwhile else b""

    def read(self, request: Mapping[str, Any], body: bytes) -> Page:
        """The answer to a Scan. Raises NoAnswer if it is none."""
        return self._cut(body) or self._parsed(request, body)

    def entry(self, item: Mapping[str, Any]) -> Entry:
        """Any item that has the attributes of the key."""
        text = orjson.dumps(item)
        canonical = content(item if is_usual(text) else normal_item(item))
        values = [orjson.dumps(item[name]) for name in self._names]
        record = self._digests.record(
            values, canonical, updated_at(item).encode(), migrated="legacyId" in item
        )
        recent = self._meanwhile is not None and self._meanwhile.is_of(item)
        return Entry(b'{"Item":%b}\n' % text, record, _listed(values), values[0], recent)

    def key_of(self, entry: Entry) -> dict[str, Any]:
        """The key of an item, as a request has it."""
        return dict(zip(self._names, orjson.loads(entry.key), strict=True))

    def _parsed(self, request: Mapping[str, Any], body: bytes) -> Page:
        answer = check("Scan", request, body)
        items = answer["Items"]
        require_keys("Scan", items, self._names)
        ends_at = {name: items[-1][name] for name in self._names} if items else None
        return Page(
            [self.entry(item) for item in items if not is_mark(item)],
            consumed("Scan", answer),
            answer.get("LastEvaluatedKey"),
            ends_at,
        )

    def _cut(self, body: bytes) -> Page | None:
        """The page, cut into its items; None where it is not sure that they are what is cut."""
        if _MARK in body or not _is_clean(body):
            return None
        cut = cut_page(body)
        if cut is None or cut.around.get("ScannedCount", len(cut.texts)) < len(cut.texts):
            return None
        may_be_recent = self._meanwhile is not None and self._moments in body
        entries: list[Entry] = []
        for text in cut.texts:
            entry = self._entry(text, may_be_recent=may_be_recent)
            if entry is None:
                return None
            entries.append(entry)
        last_key = cut.around.get("LastEvaluatedKey")
        return Page(entries, consumed("Scan", cut.around), last_key, self.key_of(entries[-1]))

    def _entry(self, text: bytes, *, may_be_recent: bool) -> Entry | None:
        """The item of a text (without `{"` and `}}`), None if it is none."""
        if b"\\" in text or not _FLAT(text):
            return self._parsed_entry(text)
        line = b'{"Item":{"%b}}}\n' % text
        values = []
        for start in self._starts:
            at = line.find(start)
            if at < 0:  # another kind of key
                return self._parsed_entry(text)
            at += len(start)
            values.append(_TEXT % line[at : line.index(b'"', at)])
        attributes = text.split(_SEPARATOR)
        attributes.sort()
        record = self._digests.record(
            values,
            b'{"%b}}' % _SEPARATOR.join(attributes),
            _text_in(line, _UPDATED),
            migrated=_MIGRATED in line,
        )
        recent = may_be_recent and self._moments in line and self._is_recent(line)
        return Entry(line, record, _listed(values), values[0], recent)

    def _parsed_entry(self, text: bytes) -> Entry | None:
        try:
            item = orjson.loads(b'{"%b}}' % text)
        except orjson.JSONDecodeError:
            return None
        if item_problem(item) or key_problem(item, self._names):
            return None
        return self.entry(item)

    def _is_recent(self, line: bytes) -> bool:
        assert self._meanwhile is not None
        times = (_text_in(line, start).decode() for start in self._times)
        return any(map(self._meanwhile.has, times))


def _listed(values: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(values)


def _text_in(line: bytes, start: bytes) -> bytes:
    """The text that follows `start` in a flat item's line; empty where it does not begin so."""
    at = line.find(start)
    if at < 0:
        return b""
    at += len(start)
    return line[at : line.index(b'"', at)]


def _is_clean(body: bytes) -> bool:
    """Whether bytes are UTF-8 without a control character, which no text in JSON may have."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return len(body.translate(None, _CONTROL)) == len(body)
