"""Records that were changing while a backup read them: they are read again until they are at rest.

A Scan is no picture of one moment, and what the application does to a sale is several requests: a
line, then the sums of the header. A record that is read in between has a line more than it says. It
is known by its times: the application writes them with everything that it writes. Such records are
left out of what was scanned, and read again when the scan is over (load/backup/engine.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

from utils.dynamodb.item_content import Item
from utils.dynamodb.table_spec import PARTITION_KEY, SORT_KEY
from utils.error_handler import MigrationError
from utils.run.manifest import Manifest
from utils.run.session import AtWork

OF_RECORDS = (PARTITION_KEY, SORT_KEY)
TIMES = ("updatedAt", "createdAt", "deletedAt")
# By how much the application's clock may be behind this one: what it read longer ago than this it
# has written by now. And ahead: a time that is still to come is S9's, and no change of today's.
_BEHIND, _AHEAD = timedelta(seconds=60), timedelta(days=2)
_MOST_HELD = 5_000  # items of a record; a larger one is taken as it was scanned


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
        return any(self.has(item[name].get("S", "")) for name in TIMES if name in item)

    def has(self, time: str) -> bool:
        """Whether what an item carries as a time ("" for none) is in this time."""
        return self.first <= time < self.last and time != self.own

    @property
    def moments(self) -> str:
        """What all moments of this time begin with."""
        pairs = zip(self.first, self.last, strict=True)
        return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


class ScannedItem(Protocol):
    """An item of a scan: see load.backup.page.Entry."""

    @property
    def partition(self) -> bytes: ...
    @property
    def recent(self) -> bool: ...


Found = TypeVar("Found", bound=ScannedItem)


class Records(Generic[Found]):
    """The items of one segment of a scan, page after page, taken in record by record: the items of
    a record follow each other."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """`known` are the keys of records that are to be read again anyway."""
        self._known = {key.encode() for key in known}
        self._cut = b""  # a record so large that a part of it is taken as it was scanned
        self._held: list[Found] = []
        self._settled: Found | None = None

    def take(self, items: list[Found], *, end: bool) -> tuple[list[Found], list[str]]:
        """Take in a page; `end` says that it is the last. Returns the items of records that are
        whole and were not being changed, and the partition keys (JSON) of the others."""
        items = self._held + items
        cut = len(items) if end else _begin_of_last(items)
        too_large = len(items) - cut > _MOST_HELD
        cut = len(items) if too_large else cut
        self._held = items[cut:]
        whole = items[:cut]
        if whole:
            self._settled = whole[-1]
        recent = {item.partition for item in whole if self._is_recent(item)} - {self._cut}
        if too_large and whole[-1].partition in recent:
            self._known.add(whole[-1].partition)
        elif too_large:
            self._cut = whole[-1].partition
        if recent:
            whole = [item for item in whole if item.partition not in recent]
        return whole, [key.decode() for key in sorted(recent)]

    @property
    def settled(self) -> Found | None:
        """The item after which a resumed backup continues that has only what was taken in, None: at
        the start; asked for only while something is held of a record that is not whole."""
        return self._settled

    @property
    def is_within(self) -> bool:
        """Whether the last page has ended within a record, of which what there was is held."""
        return bool(self._held)

    def unfinished(self) -> list[str]:
        """The key of the record in the middle of which somebody stops; nothing of it is held any
        more."""
        keys = {item.partition.decode() for item in self._held}
        self._held = []
        return sorted(keys)

    def _is_recent(self, item: Found) -> bool:
        return item.recent or bool(self._known and item.partition in self._known)


def _begin_of_last(items: Sequence[ScannedItem]) -> int:
    """The place of the first item of the record that comes last."""
    place = len(items)
    while place and items[place - 1].partition == items[-1].partition:
        place -= 1
    return place
