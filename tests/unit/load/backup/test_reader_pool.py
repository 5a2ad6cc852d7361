"""How many segments of a backup's scan are read at once is found by those who read them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from load.backup import reader_pool
from load.backup.segment_reader import ReaderReport, Segment
from utils.dynamodb.scan_flow import FIRST
from utils.interrupt import StopFlag
from utils.processes.pool import Workers


class Talk:
    """One reader, which says what it is given to say, and is handed segments."""

    def __init__(self, says: list[ReaderReport]) -> None:
        self._says = iter(says)
        self.at_once: list[int] = []
        self._in_hand = 0

    def tell(self, _: int, message: object) -> None:
        assert isinstance(message, Segment)
        self._in_hand += 1

    def hear(self, _: float) -> list[tuple[int, ReaderReport]]:
        self.at_once.append(self._in_hand)
        said = next(self._says)
        self._in_hand -= said.left
        return [(0, said)]


def read_at_once(says: list[ReaderReport], segments: int, workers: int | None = None) -> list[int]:
    """How many segments are in the reader's hand before each of its reports."""
    config = SimpleNamespace(
        migration=SimpleNamespace(workers=workers), backup=SimpleNamespace(max_read_units=None)
    )
    work: Any = SimpleNamespace(config=config, workers=Workers(1), stop=StopFlag())
    orders: Any = SimpleNamespace(segments=segments, rate=None)
    throttle: Any = SimpleNamespace(rate=lambda: None, accepted=lambda _: None)
    task: Any = SimpleNamespace(advance=lambda _, **_units: None, heard=lambda _: None)
    talk: Any = Talk(says)
    due = [Segment(number) for number in range(segments)]
    reader_pool._ReaderPool(work, orders, talk, due, throttle, lambda _: None, task).read_all()
    at_once: list[int] = talk.at_once
    return at_once


def test_a_reader_gets_as_many_segments_as_keep_it_busy() -> None:
    says = [
        ReaderReport(at_once=6),  # it has waited for pages
        ReaderReport(at_once=60),
        ReaderReport(left=8, at_once=2),  # it was throttled
        ReaderReport(left=2, at_once=2),
    ]
    assert read_at_once(says, segments=10) == [FIRST, 6, 8, 2]


def test_a_given_number_is_the_ceiling() -> None:
    says = [
        ReaderReport(at_once=6),
        ReaderReport(left=3, at_once=6),
        ReaderReport(left=1, at_once=6),
    ]
    assert read_at_once(says, segments=4, workers=3) == [3, 3, 1]
