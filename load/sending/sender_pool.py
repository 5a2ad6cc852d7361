"""The senders that share a load: one in this process, which is at work at once, and for all but
small files one in each process more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from load.sending.file_lanes import LANES, Piece
from load.sending.in_flight import InFlight
from load.sending.sender import (
    Elsewhere,
    Many,
    NoMore,
    Orders,
    Rate,
    Report,
    Sender,
    Stop,
    in_a_process,
)
from utils.config import MOST_IN_FLIGHT
from utils.error_handler import MigrationError
from utils.processes.pool import Workers

WORTH_IT = 8 << 20  # bytes below which no process is started
_LOOK_EVERY = 0.05
_NOTICEABLE = 0.01


class Talk(Protocol):
    """How to speak with the senders; see utils.processes.pool.Conversation."""

    def tell(self, actor: int, message: object, /) -> None: ...

    def hear(self, seconds: float) -> list[tuple[int, Report | Exception]]: ...


@contextmanager
def sender_pool(
    workers: Workers, orders: Orders, size: int, *, in_flight: int | None = None
) -> Iterator[SenderPool]:
    """As many senders as `migration` allows for `size` bytes, and as many batches in flight as it
    takes, or allows: `in_flight` to begin with, if that is known from another load."""
    most = orders.migration.workers
    count = min(workers.count, MOST_IN_FLIGHT if most is None else most) if size >= WORTH_IT else 1
    flight = InFlight(most, senders=count, first=in_flight)
    share = None if orders.rate is None else orders.rate / count
    first, *others = (
        replace(orders, rate=share, threads=threads) for threads in shares(flight.number, count)
    )
    makes = [partial(Sender, first), *(partial(in_a_process, mine) for mine in others)]
    with workers.conversing(makes) as talk:
        yield SenderPool(talk, count, share, flight)


def shares(number: int, count: int) -> list[int]:
    """A number as the sum of `count` numbers that are nearly the same; at least one each."""
    return [max(1, number // count + (n < number % count)) for n in range(count)]


class SenderPool:
    """Keeps the senders in work and within the rate, all of them together."""

    def __init__(self, talk: Talk, count: int, share: float | None, flight: InFlight) -> None:
        self._talk = talk
        self._flight = flight
        self._count = count
        self._pieces: Iterator[Piece] = iter(())
        self._in_hand = dict.fromkeys(range(count), 0)  # of those that have not ended
        self._shares: dict[int, float | None] = dict.fromkeys(range(count), share)
        self._threads = dict(enumerate(shares(flight.number, count)))
        self._accepted = dict.fromkeys(range(count), 0.0)  # units in all
        self._at_work = {0}
        self._failed: list[Exception] = []

    @property
    def in_flight(self) -> int:
        """How many batches are in flight now."""
        return self._flight.number

    @property
    def working(self) -> bool:
        """Whether a sender has not ended yet, or its last word has not been heard."""
        return bool(self._in_hand or self._failed)

    def supply(self, pieces: Iterator[Piece]) -> None:
        """Hand out the first of these pieces to each sender; the others follow as it goes."""
        self._pieces = pieces
        for _ in range(-(-LANES // self._count)):
            for sender in range(self._count):
                self._give(sender)

    def hear(self) -> list[Report]:
        """What the senders have done meanwhile, if anything; for what is finished they get more.

        Raises what a sender could not deal with, and MigrationError when its process was killed.
        """
        if self._failed:
            raise self._failed.pop(0)
        reports: list[Report] = []
        throttled: set[int] = set()
        free: list[int] = []
        for sender, said in self._talk.hear(_LOOK_EVERY):
            if isinstance(said, Exception):
                if self._in_hand.pop(sender, None) is not None:  # else it had ended before
                    self._failed.append(said)
                continue
            reports.append(said)
            self._at_work.add(sender)
            self._accepted[sender] += said.accepted.units
            self._flight.heard(said.accepted)
            if said.throttled:
                throttled.add(sender)
            finished = sum(part.finished for part in said.acknowledged.values())
            self._in_hand[sender] -= finished
            free += [sender] * finished
            if said.ended:
                del self._in_hand[sender]
        for sender in self._in_hand.keys() & throttled:
            others = sum(self._accepted.values()) - self._accepted[sender]
            self._tell(sender, Elsewhere(others))
        for sender in free:
            if sender in self._in_hand:
                self._give(sender)
        return reports

    def keep_to(self, rate: float | None) -> None:
        """Share the rate out among the senders that are at work: a process that is still being
        born sends nothing of its share."""
        busy = [n for n, pieces in self._in_hand.items() if pieces and n in self._at_work]
        for sender in busy:
            share = None if rate is None else rate / len(busy)
            if differs(share, self._shares[sender]):
                self._shares[sender] = share
                self._tell(sender, Rate(share))
        if busy:
            number = self._flight.decide(rate)
            for sender, threads in zip(busy, shares(number, len(busy)), strict=True):
                if threads != self._threads[sender]:
                    self._threads[sender] = threads
                    self._tell(sender, Many(threads))

    def stop(self) -> None:
        """Let the senders finish what is in flight, and end."""
        self._pieces = iter(())
        for sender in self._in_hand:
            self._tell(sender, Stop())

    def _give(self, sender: int) -> None:
        piece = next(self._pieces, None)
        if piece is not None:
            self._in_hand[sender] += 1
        self._tell(sender, NoMore() if piece is None else piece)

    def _tell(self, sender: int, message: object) -> None:
        with suppress(MigrationError):  # killed: that is its last word, to be heard soon
            self._talk.tell(sender, message)


def differs(share: float | None, before: float | None) -> bool:
    """Whether a share of a rate is another than before, by as much as is worth a message."""
    if share is None or before is None:
        return share is not before
    return abs(share - before) > _NOTICEABLE * before
