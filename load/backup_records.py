"""Which records were being changed while a backup came past them.

A Scan is no picture of one moment, and what the application does to a sale is several requests: a
line, then the sums of the header. A record that is read in between has a line more than it says. It
is known by its times: the application writes them with everything that it writes. Such records are
left out of what was scanned, and read again when the scan is over (load/backup.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from utils.error_handler import MigrationError
from utils.item_content import Item
from utils.manifest import Manifest
from utils.session import AtWork
from utils.tables import PARTITION_KEY, SORT_KEY

OF_RECORDS = (PARTITION_KEY, SORT_KEY)
_TIMES = ("updatedAt", "createdAt", "deletedAt")
# By how much the application's clock may be behind this one: what it read longer ago than this it
# has written by now. And ahead: a time that is still to come is S9's, and no change of today's.
_BEHIND, _AHEAD = timedelta(seconds=60), timedelta(days=2)
_MOST_HELD = 5_000  # items of a record; a larger one is taken as it was scanned

Found = list[dict[str, Any]]


@dataclass(frozen=True)
class Meanwhile:
    """The time in which a backup is taken: from `first` until `last`, as items have times. What
    carries `own`, the time that the migration itself has minted, was not changed by anybody."""

    first: str
    last: str
    own: str = ""

    @classmethod
    def of(cls, work: AtWork, started_at: str) -> Meanwhile:
        """That of a backup that was begun at `started_at`."""
        began = datetime.strptime(started_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        manifest: Manifest | None = getattr(work, "manifest", None)
        with suppress(MigrationError):  # what is damaged is told by those who need it
            manifest = manifest or Manifest.load(work.workspace.manifest)
        own = manifest.migration_timestamp if manifest else ""
        return cls(_text(began - _BEHIND), _text(began + _AHEAD), own)

    def is_of(self, item: Item) -> bool:
        """Whether an item was written in this time."""
        for name in _TIMES:
            time = item[name].get("S", "") if name in item else ""
            if time and self.first <= time < self.last and time != self.own:
                return True
        return False


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


class Records:
    """The items of one segment of a scan, page after page, taken in record by record: the items of
    a record follow each other.

    `usual` says of what was taken in last whether it is in canonical form but for the order.
    """

    def __init__(self, meanwhile: Meanwhile, known: Iterable[str] = ()) -> None:
        """`known` are the keys of records that are to be read again anyway."""
        self._meanwhile = meanwhile
        self._known = {key.encode() for key in known}
        self._cut = b""  # a record so large that a part of it is taken as it was scanned
        self._held: Found = []
        self._held_usual = self.usual = True
        self._settled: Item | None = None

    def take(self, items: Found, *, usual: bool, end: bool) -> tuple[Found, list[str]]:
        """Take in a page; `end` says that it is the last. Returns the items of records that are
        whole and were not being changed, and the partition keys (JSON) of the others."""
        self.usual = usual and self._held_usual
        items = self._held + items
        cut = len(items) if end else _begin_of_last(items)
        too_large = len(items) - cut > _MOST_HELD
        cut = len(items) if too_large else cut
        self._held, self._held_usual = items[cut:], self.usual or cut == len(items)
        whole = items[:cut]
        if whole:
            self._settled = {name: whole[-1][name] for name in OF_RECORDS}
        recent = {_key(item) for item in whole if self._is_recent(item)} - {self._cut}
        if too_large and _key(whole[-1]) in recent:
            self._known.add(_key(whole[-1]))
        elif too_large:
            self._cut = _key(whole[-1])
        if recent:
            whole = [item for item in whole if _key(item) not in recent]
        return whole, [key.decode() for key in sorted(recent)]

    def goes_on_at(self, after: Mapping[str, Any]) -> dict[str, Any] | None:
        """Where somebody goes on who has only what was taken in, if the next page begins at
        `after`; None: at the start."""
        if not self._held:
            return dict(after)
        return dict(self._settled) if self._settled else None

    def unfinished(self) -> list[str]:
        """The key of the record in the middle of which somebody stops; nothing of it is held any
        more."""
        keys = {_key(item).decode() for item in self._held}
        self._held = []
        return sorted(keys)

    def _is_recent(self, item: Item) -> bool:
        return self._meanwhile.is_of(item) or bool(self._known and _key(item) in self._known)


def _key(item: Item) -> bytes:
    return orjson.dumps(item[PARTITION_KEY])


def _begin_of_last(items: Found) -> int:
    """The place of the first item of the record that comes last."""
    place = len(items)
    while place and items[place - 1][PARTITION_KEY] == items[-1][PARTITION_KEY]:
        place -= 1
    return place
