"""What a database's own log tells of a living S9: which records to look at again, and no more.

A change names rows. What they hold now is read from S9 itself, in a snapshot, whole; so nothing
depends on the contents of the log, what comes twice does no harm, and a record that is gone needs
no mention of how. A table of children names its parent as well, where the log has it: of a row that
was moved or deleted the log may know its own key alone, and whose child it was stands in what was
extracted last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from extract.source import Source
from utils.wording.figures import counted

MOST_KEYS = 200_000
"""More keys than that are no way to look at records: everything is compared."""


class CannotGoOn(Exception):
    """The log does not go on from where it was read to, for a reason in words."""


def too_many(most: int) -> str:
    """Why so many are better compared all together."""
    return f"more than {counted(most, 'record')} were changed"


@dataclass(frozen=True)
class Followed:
    """A table whose changes are followed, by the names that S9 gives it: the table (in
    `source.schema` or the database), the column of its key, and of children the column with the key
    of their parent."""

    table: str
    key: str
    parent: str = ""


@dataclass
class Changes:
    """What whole transactions have changed, put together.

    `keys` are the keys of rows by table, new and old; of a table of children only those whose old
    parent the log does not tell. `parents` are the keys of their parents by table of children, old
    and new. `whole` are the reasons why single keys are not enough (a table was emptied, its
    columns are others): everything is to be compared. `transactions` counts them; `oldest` and
    `newest` are when S9 committed them (ISO 8601, UTC), "" for none. `position` is where the log is
    read to, to be confirmed when all of this is done; `seen` is what a snapshot must see.
    """

    keys: dict[str, set[int]] = field(default_factory=dict)
    parents: dict[str, set[int]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    transactions: int = 0
    oldest: str = ""
    newest: str = ""
    position: str = ""
    seen: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no followed row was touched."""
        return not (self.whole or any(self.keys.values()) or any(self.parents.values()))

    def add(self, later: Changes) -> None:
        """Take what came after these, too."""
        for into, more in ((self.keys, later.keys), (self.parents, later.parents)):
            for table, numbers in more.items():
                into.setdefault(table, set()).update(numbers)
        self.whole |= later.whole
        self.transactions += later.transactions
        self.oldest = min(filter(None, (self.oldest, later.oldest)), default="")
        self.newest = max(self.newest, later.newest)
        self.position = later.position or self.position
        self.seen = (*self.seen, *later.seen)

    def and_then(self, later: Changes) -> Changes:
        """These and what came after them."""
        both = Changes()
        both.add(self)
        both.add(later)
        return both


@dataclass(frozen=True)
class Retained:
    """What S9 keeps for whoever follows: bytes of log, `budget` bytes that the server itself allows
    for it (None: no limit), and what is wrong with it ("" for nothing). `stuck` are those bytes
    that S9 was told a while ago that it may forget, and keeps all the same; `holders` say whose
    open transactions it needs them for, the oldest first, as far as it tells."""

    bytes: int
    budget: int | None = None
    trouble: str = ""
    stuck: int = 0
    holders: tuple[str, ...] = ()


class ChangeLog(Protocol):
    """A connection to the log of S9, read by a thread of its own from when it is opened, so that
    the server never waits for who reads. A context manager.

    Every method raises SourceError for what S9 refuses, with the remedy, and SourceUnavailable
    when the log cannot be reached any more, for longer than `source.connectionTimeout`.
    """

    @property
    def begins_anew(self) -> str:
        """Why the log does not go on from where it was confirmed last, so that everything is to be
        compared once: "it is followed for the first time", "the slot was lost: …", …; "" when it
        goes on."""

    def __enter__(self) -> ChangeLog:
        """Read from here on."""

    def __exit__(self, *error: object) -> None:
        """Hang up; the log keeps what is not confirmed."""

    def read(self, seconds: float) -> Changes:
        """Everything that has arrived and was not given out yet; waits up to so many seconds for
        the first change of a followed table. What has not touched any of them only moves the
        position."""

    def is_seen(self, changes: Changes, source: Source) -> bool:
        """Whether the snapshot of an open source sees all of these changes: a log may have a
        transaction before others can see it. If not, the source is to be opened again, a little
        later."""

    def confirm(self, position: str) -> None:
        """All up to a position of `Changes` is done, durably, and `state` says so. Confirming what
        was confirmed already does nothing."""

    def let_forget(self) -> None:
        """What `state` says is kept, durably: S9 may forget its log up to there. In this order,
        since S9 is never to have forgotten what whoever goes on still counts on."""

    def fence(self) -> str:
        """Set a mark at the end of the log as it is now; nothing is written to a table of S9.
        Returns its name, fit for a report."""

    def has_passed(self, fence: str) -> bool:
        """Whether everything that S9 had committed before this mark was set has been given out by
        `read`, be it as a reason to compare everything, where the log has begun anew since."""

    def retained(self) -> Retained:
        """What S9 keeps for us at this moment. May be asked by another thread."""

    def state(self) -> Mapping[str, str]:
        """What must be kept to go on after the end of this process: a JSON object of texts. It is
        that of the last `confirm`."""
