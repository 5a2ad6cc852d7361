"""How many pages of a scan are asked for at once, and how large they are: found while it goes on.

Pages are large, and what is done with one takes longer than to ask for it, so that a few in flight
keep a reader busy at any latency. How many shows by itself: whenever the reader has nothing left to
do, one more is asked for. When DynamoDB throttles it is half as many at once; one that is throttled
alone is made smaller, because a page takes its units all at once, and a low capacity has no room
for that many. After that the flow grows slowly, as TCP's does (RFC 5681, congestion avoidance).
"""

from __future__ import annotations

from threading import Lock

FIRST, MOST = 4, 16
_FEWEST_ITEMS, _SMALLER = 25, 4
_CALM = 4  # pages for each in flight, after which there is one more


class PageFlow:
    """Decides for one reader: at most `most` pages at once, of at most `items` items; safe to share
    between threads."""

    def __init__(self, most: int, items: int, *, first: int = FIRST) -> None:
        """At first `first` pages at once."""
        self.most, self._most_items = most, items
        self._lock = Lock()
        self.number = min(first, FIRST, most)
        self.items = items
        self.pages = 0  # that have come
        self.cuts = 0
        self._is_new = True  # nothing has been throttled yet
        self._grows_at = 0

    def came(self, *, in_vain: bool) -> None:
        """A page has come; `in_vain`: the reader had to wait for it, there was no other."""
        with self._lock:
            self.pages += 1
            if self.pages < self._grows_at:
                return
            if self.items < self._most_items:
                self.items = min(_SMALLER * self.items, self._most_items)
            elif in_vain and self.number < self.most:
                self.number += 1
            if not self._is_new:
                self._rest()

    def throttled(self, cuts: int) -> None:
        """A request was throttled that was sent after so many `cuts`. Those that were sent before
        the last one say nothing new."""
        with self._lock:
            if cuts < self.cuts:
                return
            self.cuts += 1
            if self.number > 1:
                self.number //= 2
            else:
                self.items = max(min(_FEWEST_ITEMS, self.items), self.items // _SMALLER)
            self._is_new = False
            self._rest()

    def _rest(self) -> None:
        self._grows_at = self.pages + _CALM * self.number
