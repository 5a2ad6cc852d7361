"""What a page of a scan holds, as a verification needs it: pure, so that pages can be worked on
anywhere."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from utils.dynamodb.answer_shapes import NoAnswer
from utils.dynamodb.item_content import Item
from utils.dynamodb.item_text import (
    Attributes,
    attributes_of,
    neighbours_of,
    read_page,
    require_item,
)
from utils.dynamodb.table_spec import MARK_KEY, PARTITION_KEY
from validate.compare.record_entries import (
    PK_START,
    RECORD,
    SK_START,
    Entry,
    Seen,
    View,
    entry_at_first_look,
    members_entry,
    view_of,
)
from validate.compare.target_references import is_there, references_of
from validate.compare_counts import Count

_LEGACY_ID = b'legacyId":'
_NO_STAMPS: Mapping[bytes, bytes] = {}
_MARK = orjson.dumps(MARK_KEY[PARTITION_KEY]["S"])
_NO_KEY = b"null"


class Looks(Protocol):
    """Looks at the items of a page, for something else that there is to be known: at those that
    open a record, and at those whose first attribute is not behind `last`."""

    last: bytes

    def look(self, pk: bytes, sk: bytes, attributes: Attributes, *, migrated: bool) -> None:
        """Look at an item; PK and SK are JSON texts."""


class NoLooks:
    """There is nothing else to be known."""

    last = b""

    def look(self, pk: bytes, sk: bytes, attributes: Attributes, *, migrated: bool) -> None:
        """Look away."""


@dataclass
class TablePage:
    """What verification needs of one page of a scan.

    `found` counts the migrated items, `scanned` all. `references` are the entries for the
    reference check: what the records name, as sales their parties, and the records themselves, if
    others name them. `units` are the read units that the page has taken. `keys` has looked at the
    items that it is for.
    """

    entries: list[Entry] = field(default_factory=list)
    references: list[Entry] = field(default_factory=list)
    found: Count = field(default_factory=lambda: Count(0, 0))
    scanned: int = 0
    units: float = 0.0
    last_key: Mapping[str, Any] | None = None
    ends_at: Mapping[str, Any] | None = None
    keys: Looks = field(default_factory=NoLooks)


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
    the items that it is for. Raises NoAnswer for a page that is none, or holds such an item.

    A migrated item is not judged at the first look (`as_written`): either it is the same, byte for
    byte, as one in the file, which the gate has judged, or there is a second look, which judges it.
    """
    items, last_key, units = read_page(page, as_written=as_written)
    result = TablePage(last_key=last_key, units=units, keys=keys())
    last = _read_items(items, result, view_of(entity), stamps, as_written=as_written, keyed=keyed)
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
    _read_items(found, result, view_of(entity), stamps, as_written=False, keyed=True)
    return result


class _Records:
    """Puts the items of a page that stand together under a PK together into an entry."""

    def __init__(self, page: TablePage, view: View, *, is_first_look: bool) -> None:
        self._entries, self._view = page.entries, view
        self._make = entry_at_first_look if is_first_look else members_entry
        self.pk = b""
        self.items: list[Seen] = []

    def begin(self, pk: bytes) -> None:
        """What follows is under another PK."""
        if self.items:
            self._entries.append((self.pk, self._make(self.pk, self.items, self._view)))
        self.pk, self.items = pk, []


def _read_items(
    items: Iterable[Attributes],
    result: TablePage,
    view: View,
    stamps: Mapping[bytes, bytes],
    *,
    as_written: bool,
    keyed: bool,
) -> tuple[bytes, bytes]:
    """Take items in the order of their keys into a page; returns the key of the last."""
    look, last = result.keys.look, result.keys.last
    migrated = heads = 0
    records = _Records(result, view, is_first_look=as_written and keyed)
    if stamps:
        items = ([stamps.get(each, each) for each in attributes] for attributes in items)
    pk = sk = b""
    for attributes in items:
        pk, sk = neighbours_of(attributes, PK_START, SK_START)
        if keyed and _NO_KEY in (pk, sk):
            raise NoAnswer("Scan", "an item has no key PK, SK")
        if pk == _MARK:
            continue
        if pk != records.pk:
            records.begin(pk)
        kind = view.kind(sk)
        place = bisect_left(attributes, _LEGACY_ID)
        is_migrated = place < len(attributes) and attributes[place].startswith(_LEGACY_ID)
        if is_migrated:
            migrated += 1
        elif as_written:
            require_item(attributes)
        records.items.append((sk, kind, is_migrated, attributes))
        if kind == RECORD or attributes[:1] <= [last]:
            look(pk, sk, attributes, migrated=is_migrated)
        result.scanned += 1
        if kind == RECORD:
            heads += is_migrated
            if view.is_named:
                result.references.append(is_there(pk))
            if view.wanted:
                result.references += references_of(
                    pk, attributes, view.wanted, required=is_migrated
                )
    records.begin(b"")
    result.found = Count(heads, migrated)
    return pk, sk


def value_of(key: bytes) -> Any:
    """The attribute value of a key, as `key_of` (utils/dynamodb/item_text.py) gives it."""
    try:
        value = orjson.loads(key)
    except orjson.JSONDecodeError as error:
        raise NoAnswer("Scan", "a key is not JSON") from error
    return {"S": value} if isinstance(value, str) else value
