"""Read units that many processes take together: counted, and kept to a rate.

What is granted and what was taken stands in one small file that all of them lock for a moment, so
that a rate is kept to whoever reads: a process that has nothing to do leaves its share to the
others, and one that is killed takes nothing with it. A page of a scan takes up to 256 read units
and a second of a low rate has fewer: so pages are made smaller, and each is asked for when what it
is expected to take is granted. The difference to what DynamoDB says it took is carried over.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

from utils.files.elsewhere import at_the_files
from utils.files.storage import storage_errors

TABLES, INDEXES, PATTERNS = "tables", "indexes", "patterns"
KINDS = (TABLES, INDEXES, PATTERNS)
"""What units are read for."""

MOST_OF_A_PAGE = 256.0
"""Read units of a page of 1 MB, strongly consistent."""

_STATE = struct.Struct("<5d")
_BURST_SECONDS = 0.2
_PAGE_SECONDS = 0.1  # of the rate that a page is to take, or one unit
_FIRST_SECONDS = 1 / 40  # items of the first page: were each of 400 KB, 2.5 seconds of the rate
_GROWS, _GROWS_OF_ONE = 4, 2  # times, from a page to the next, and to that after one of one unit
_FEW_PAGES = 4
_FORGETS = 0.9
_LEAST_ITEM = 1e-4  # units of an item


@dataclass
class _State:
    """What the file holds: units that may be taken now (below 0: that are owed), the moment of
    that, and what has been taken, by kind."""

    available: float = 0.0
    updated: float = 0.0
    taken: list[float] = field(default_factory=lambda: [0.0] * len(KINDS))


@dataclass(frozen=True)
class ReadMeter:
    """Counts read units in the file `path`, and grants at most `per_second` of them (None: as many
    as anybody wants), whoever asks. Goes to other processes; safe to share between threads.

    `kind` is what the units are for. `clock` gives seconds, the same ones in all processes.
    Raises StorageError when the file cannot be written.
    """

    path: Path
    per_second: float | None = None
    kind: str = TABLES
    clock: Callable[[], float] = time.monotonic

    def counting(self, kind: str) -> ReadMeter:
        """The same meter for what is read for something else."""
        return replace(self, kind=kind)

    def borrow(self, units: float) -> float:
        """Take units; returns after how many seconds they may be consumed."""
        return 0.0 if self.per_second is None else self._borrow(units, self.per_second)

    @at_the_files
    def _borrow(self, units: float, rate: float) -> float:
        with self._locked() as state:
            self._earn(state, rate)
            state.available -= units
            return max(0.0, -state.available / rate)

    def settle(self, expected: float, used: float) -> None:
        """Correct an earlier `borrow(expected)`: DynamoDB says that it took `used`. Without a rate
        the file is told by `tell_units`."""
        if self.per_second is None:
            _untold.add(self, used)
        else:
            self._settle(expected, used, self.per_second)

    @at_the_files
    def _settle(self, expected: float, used: float, rate: float) -> None:
        with self._locked() as state:
            state.taken[KINDS.index(self.kind)] += used
            most = rate * _BURST_SECONDS
            state.available = min(state.available + expected - used, most)

    def taken(self) -> dict[str, float]:
        """The units taken so far, by kind: by this process, and what others have told."""
        tell_units()
        with self._locked() as state:
            return dict(zip(KINDS, state.taken, strict=True))

    @at_the_files
    def tell(self, units: float) -> None:
        """Put units that were taken without a rate into the file of a verification that is not
        over."""
        if not self.path.parent.is_dir():
            return
        with self._locked() as state:
            state.taken[KINDS.index(self.kind)] += units

    def _earn(self, state: _State, rate: float) -> None:
        """What time gives is kept for a short while only."""
        now = self.clock()
        passed, state.updated = max(0.0, now - state.updated), now
        state.available = min(state.available + passed * rate, rate * _BURST_SECONDS)

    @contextmanager
    def _locked(self) -> Iterator[_State]:
        with storage_errors(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                saved = os.pread(handle, _STATE.size, 0)
                state = _State(updated=self.clock())
                if len(saved) == _STATE.size:
                    state.available, state.updated, *state.taken = _STATE.unpack(saved)
                yield state
                os.pwrite(handle, _STATE.pack(state.available, state.updated, *state.taken), 0)
            finally:
                os.close(handle)  # and the lock is open


class _Untold:
    """Units that this process has taken without a rate and not put into the files yet; safe to
    share between threads."""

    def __init__(self) -> None:
        self._units: dict[ReadMeter, float] = {}
        self._lock = threading.Lock()

    def add(self, meter: ReadMeter, units: float) -> None:
        with self._lock:
            self._units[meter] = self._units.get(meter, 0.0) + units

    def tell(self) -> None:
        with self._lock:
            units, self._units = self._units, {}
        for meter, taken in units.items():
            meter.tell(taken)


_untold = _Untold()


def tell_units() -> None:
    """Put what this process has taken without a rate into the files: whoever works for another one
    does so at the end of each piece. Raises StorageError."""
    _untold.tell()


class Expected:
    """What requests of one process are going to take, as those of their kind have taken before."""

    def __init__(self) -> None:
        self._units: dict[str, float] = {}
        self._lock = threading.Lock()
        self._first: dict[str, threading.Lock] = {}

    @contextmanager
    def of(self, kind: str) -> Iterator[float]:
        """The units to expect. Nobody knows what the first of a kind takes: others wait for it."""
        known = self._units.get(kind)
        if known is not None:
            yield known
            return
        with self._lock:
            alone = self._first.setdefault(kind, threading.Lock())
        with alone:
            yield self._units.get(kind, 1.0)

    def learn(self, kind: str, units: float) -> None:
        """A request has taken so many units."""
        with self._lock:
            self._units[kind] = max(units, _decayed(self._units.get(kind, units), units))


class PageSizes:
    """How large the pages of a table's scan are to be, so that none takes long at a rate; one
    process's, safe to share between threads."""

    def __init__(self) -> None:
        self._item_units: float | None = None
        self._items = 1
        self._lock = threading.Lock()

    def in_flight(self, rate: float | None, most: int) -> tuple[int, int]:
        """How many pages to ask for at once, at first and at the most: at a rate they do not come
        sooner for being many."""
        if rate is None:
            return most, most
        most = min(most, max(_FEW_PAGES, ceil(rate / MOST_OF_A_PAGE)))
        return (1 if self._item_units is None else most), most

    def next_page(self, rate: float | None, items: int) -> tuple[int, float]:
        """Of the next page: how many items, of `items` at the most, and the units to expect."""
        if rate is None:
            return items, 0.0
        with self._lock:
            if self._item_units is None:
                asked = min(items, max(1, int(rate * _FIRST_SECONDS)))
                self._items = asked
                return asked, float(asked)
            fitting = int(max(1.0, rate * _PAGE_SECONDS) / self._item_units)
            self._items = max(1, min(items, fitting, self._items * _GROWS))
            return self._items, min(self._items * self._item_units, MOST_OF_A_PAGE)

    def learn(self, items: int, units: float, *, is_last: bool) -> None:
        """A page for which so many `items` were asked has taken so many units; the last one of a
        segment has fewer."""
        found = units / items
        with self._lock:
            known = self._item_units
            if units <= 1.0 and not is_last:
                known = found = found / _GROWS_OF_ONE  # there may have been room for more
            elif known is None or not is_last:
                known = found if known is None else _decayed(known, found)
            self._item_units = max(known, found, _LEAST_ITEM)


def _decayed(known: float, found: float) -> float:
    return _FORGETS * known + (1 - _FORGETS) * found
