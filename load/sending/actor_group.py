"""The actors that share a work: what each has in hand, who has ended, and the shares of a rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from utils.error_handler import MigrationError

_LOOK_EVERY = 0.05  # seconds
_NOTICEABLE = 0.01


class Talk(Protocol):
    """How to speak with the actors; see utils.processes.pool.Conversation."""

    def tell(self, actor: int, message: object, /) -> None: ...

    def hear(self, seconds: float) -> list[tuple[int, Any]]: ...


class ActorGroup:
    """Actors by their numbers, of which each has so many pieces of the work `in_hand`. One that
    could not go on, or whose process was killed, leaves with its last word."""

    def __init__(self, talk: Talk, actors: Iterable[int], share: float | None = None) -> None:
        """`share` is what each of them has of a rate to begin with."""
        self._talk = talk
        self.in_hand = dict.fromkeys(actors, 0)
        self._shares: dict[int, float | None] = dict.fromkeys(self.in_hand, share)
        self._at_work = {0}  # those whose process is there

    def join(self, actor: int, share: float | None) -> None:
        """One more is to come, with its share of the rate."""
        self.in_hand[actor] = 0
        self._shares[actor] = share

    def leave(self, actor: int) -> None:
        """One has ended."""
        self.in_hand.pop(actor, None)

    def give(self, actor: int, piece: object) -> None:
        """Hand out a piece of the work."""
        self.in_hand[actor] += 1
        self.tell(actor, piece)

    def tell(self, actor: int, message: object) -> None:
        """Say something to one of them. That its process was killed is its last word, to be heard
        soon."""
        with suppress(MigrationError):
            self._talk.tell(actor, message)

    def tell_all(self, message: object) -> None:
        """Say something to those that have not ended."""
        for actor in list(self.in_hand):
            self.tell(actor, message)

    def hear(self, seconds: float = _LOOK_EVERY) -> tuple[list[tuple[int, Any]], list[Exception]]:
        """Wait for at most so long; what they have said meanwhile, with their numbers, and what
        those could not deal with that have left because of it."""
        said: list[tuple[int, Any]] = []
        failed: list[Exception] = []
        for actor, word in self._talk.hear(seconds):
            if not isinstance(word, Exception):
                self._at_work.add(actor)
                said.append((actor, word))
            elif actor in self.in_hand:  # else it had ended before
                self.leave(actor)
                failed.append(word)
        return said, failed

    @property
    def busy(self) -> list[int]:
        """Those that are at their work: not one whose process is still being born."""
        return [n for n, pieces in self.in_hand.items() if pieces and n in self._at_work]

    def share_out(self, rate: float | None, message: Callable[[float | None], object]) -> None:
        """Share a rate out among those that are busy; `message` tells one what its share is."""
        busy = self.busy
        for actor in busy:
            share = None if rate is None else rate / len(busy)
            if _differs(share, self._shares[actor]):
                self._shares[actor] = share
                self.tell(actor, message(share))


def _differs(share: float | None, before: float | None) -> bool:
    """Whether a share of a rate is another than before, by as much as is worth a message."""
    if share is None or before is None:
        return share is not before
    return abs(share - before) > _NOTICEABLE * before


def shares(number: int, count: int) -> list[int]:
    """A number as the sum of `count` numbers that are nearly the same; at least one each."""
    return [max(1, number // count + (n < number % count)) for n in range(count)]
