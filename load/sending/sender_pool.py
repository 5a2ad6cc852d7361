"""The senders that share a load: one in this process, which starts at once, and for all but small
files one in each further process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from load.sending.actor_group import ActorGroup, Talk, shares
from load.sending.file_lanes import LANES, Piece
from load.sending.in_flight import InFlight
from load.sending.sender import (
    AcceptedElsewhere,
    Many,
    NoMore,
    Sender,
    SenderOrders,
    SenderReport,
    StopSending,
    WriteRate,
    in_a_process,
)
from utils.processes.pool import Workers

WORTH_IT = 8 << 20  # bytes below which no process is started


@contextmanager
def sender_pool(
    workers: Workers, orders: SenderOrders, size: int, *, in_flight: int | None = None
) -> Iterator[SenderPool]:
    """As many senders as `migration` allows for `size` bytes, and as many batches in flight as it
    takes, or allows: `in_flight` to begin with, if that is known from another load."""
    most = orders.migration.workers or workers.most_in_flight
    count = min(workers.at_once, most) if size >= WORTH_IT else 1
    flight = InFlight(most, senders=count, first=in_flight)
    share = None if orders.rate is None else orders.rate / count
    first, *others = (
        replace(orders, rate=share, in_flight=mine) for mine in shares(flight.number, count)
    )
    makes = [partial(Sender, first), *(partial(in_a_process, other) for other in others)]
    with workers.conversing(makes) as talk:
        yield SenderPool(talk, count, share, flight)


class SenderPool:
    """Keeps the senders in work and within the rate, all of them together."""

    def __init__(self, talk: Talk, count: int, share: float | None, flight: InFlight) -> None:
        self._group = ActorGroup(talk, range(count), share)
        self._flight = flight
        self._pieces: Iterator[Piece] = iter(())
        self._shares = dict(enumerate(shares(flight.number, count)))
        self._accepted = dict.fromkeys(range(count), 0.0)  # units in all
        self._failed: list[Exception] = []

    @property
    def in_flight(self) -> int:
        """How many batches are in flight now."""
        return self._flight.number

    @property
    def working(self) -> bool:
        """Whether a sender has not ended yet, or its last word has not been heard."""
        return bool(self._group.in_hand or self._failed)

    def supply(self, pieces: Iterator[Piece]) -> None:
        """Hand out the first of these pieces to each sender; the others follow as it goes."""
        self._pieces = pieces
        count = len(self._accepted)
        for _ in range(-(-LANES // count)):
            for sender in range(count):
                self._give(sender)

    def hear(self) -> list[SenderReport]:
        """What the senders have done meanwhile, if anything; for what is finished they get more.

        Raises what a sender could not deal with, and MigrationError when its process was killed.
        """
        if self._failed:
            raise self._failed.pop(0)
        in_hand = self._group.in_hand
        reports: list[SenderReport] = []
        throttled: set[int] = set()
        free: list[int] = []
        said, failed = self._group.hear()
        self._failed += failed
        for sender, report in said:
            reports.append(report)
            self._accepted[sender] += report.accepted.units
            self._flight.heard(report.accepted)
            if report.throttled:
                throttled.add(sender)
            finished = sum(part.finished for part in report.acknowledged.values())
            if sender in in_hand:
                in_hand[sender] -= finished
                free += [sender] * finished
            if report.ended:
                self._group.leave(sender)
        for sender in in_hand.keys() & throttled:
            others = sum(self._accepted.values()) - self._accepted[sender]
            self._group.tell(sender, AcceptedElsewhere(others))
        for sender in free:
            if sender in in_hand:
                self._give(sender)
        return reports

    def keep_to(self, rate: float | None) -> None:
        """Share the rate out among the senders that are at work: a process that is still being
        born sends nothing of its share."""
        self._group.share_out(rate, WriteRate)
        if busy := self._group.busy:
            number = self._flight.decide(rate)
            for sender, share in zip(busy, shares(number, len(busy)), strict=True):
                if share != self._shares[sender]:
                    self._shares[sender] = share
                    self._group.tell(sender, Many(share))

    def stop(self) -> None:
        """Let the senders finish what is in flight, and end."""
        self._pieces = iter(())
        self._group.tell_all(StopSending())

    def _give(self, sender: int) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self._group.tell(sender, NoMore())
        else:
            self._group.give(sender, piece)
