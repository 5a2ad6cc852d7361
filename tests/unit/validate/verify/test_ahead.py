"""What is scanned ahead, and what is left of it, however it ends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

import pytest

from utils.error_handler import TargetError
from utils.interrupt import StopFlag
from utils.processes.pieces_runner import ThisProcess
from validate.verify.ahead import ScanAhead, Scanned
from validate.verify.passes import TablePart

PIECES = [(number,) for number in range(8)]


class Runner(ThisProcess):
    """Works in the thread that asks, and stops asking there when it is told to."""

    def in_order(
        self,
        function: Callable[[Any], Any],
        pieces: Iterable[Any],
        *,
        pause: Callable[[], object] | None = None,
        at_most: int | None = None,
    ) -> Generator[Any, None, None]:
        for found in super().in_order(function, pieces, at_most=at_most):
            assert pause is not None
            pause()
            yield found


def ahead_of(
    work: Callable[[Sequence[int]], Scanned],
    pieces: Sequence[Sequence[int]] = PIECES,
    stop: StopFlag | None = None,
) -> ScanAhead:
    stop = stop or StopFlag()
    return ScanAhead(Runner(), work, deque(pieces), 2, stop.leave_if_asked)


def test_what_is_not_scanned_is_left() -> None:
    third, go_on = threading.Event(), threading.Event()

    def work(piece: Sequence[int]) -> Scanned:
        if piece == PIECES[2]:
            third.set()
            go_on.wait(10)
        return TablePart(scanned=piece[0]), None

    ahead = ahead_of(work)
    with ahead:
        assert third.wait(10)
        ahead._enough.set()
        go_on.set()
    assert [part.scanned for part, _ in ahead.parts] == [0, 1, 2]
    assert [*ahead.left] == PIECES[3:]


def test_of_a_scan_that_fails_all_is_left() -> None:
    failed = threading.Event()

    def work(piece: Sequence[int]) -> Scanned:
        if piece == PIECES[5]:
            failed.set()
            raise TargetError("gone", remedy="none")
        return TablePart(), None

    ahead = ahead_of(work)
    with ahead:
        assert failed.wait(10)
    assert not ahead.parts and [*ahead.left] == PIECES


def test_an_error_beside_it_ends_it() -> None:
    begun = threading.Event()

    def work(piece: Sequence[int]) -> Scanned:
        begun.set()
        return TablePart(), None

    ahead = ahead_of(work, [(0,)] * 10_000_000)
    with pytest.raises(KeyError), ahead:
        assert begun.wait(10)
        raise KeyError
    assert not ahead.parts


def test_a_stop_that_is_asked_for_is_not_kept_waiting() -> None:
    begun, stop = threading.Event(), StopFlag()

    def work(piece: Sequence[int]) -> Scanned:
        begun.set()
        return TablePart(), None

    many = [(0,)] * 10_000_000
    ahead = ahead_of(work, many, stop)
    with ahead:
        assert begun.wait(10)
        stop.request()
        ahead._thread.join(10)
        assert not ahead._thread.is_alive()
    assert not ahead.parts and len(ahead.left) == len(many)
