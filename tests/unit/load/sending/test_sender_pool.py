"""The crew of a load: the rate is shared out among those who are at work, and only among those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from load.entities import TABLES
from load.sending.file_lanes import LANES, Piece
from load.sending.in_flight import InFlight
from load.sending.sender import (
    AcceptedElsewhere,
    Acknowledged,
    Many,
    SenderOrders,
    SenderReport,
    WriteRate,
)
from load.sending.sender_pool import WORTH_IT, SenderPool, sender_pool
from load.writing.rate_limiter import Answered
from utils.config import MOST_IN_FLIGHT, MigrationConfig, TargetConfig
from utils.error_handler import MigrationError

Said = list[tuple[int, SenderReport | Exception]]
KILLED = MigrationError("a process has ended", remedy="go on with --resume")


class Talk:
    """Keeps the rates that senders are told; they say what the test lets them say."""

    def __init__(self) -> None:
        self.rates: dict[int, float | None] = {}
        self.said: Said = []
        self.elsewhere: dict[int, float] = {}
        self.threads: dict[int, int] = {}
        self.killed: set[int] = set()

    def tell(self, actor: int, message: object, /) -> None:
        if actor in self.killed:
            raise KILLED
        if isinstance(message, WriteRate):
            self.rates[actor] = message.units
        if isinstance(message, Many):
            self.threads[actor] = message.batches
        if isinstance(message, AcceptedElsewhere):
            self.elsewhere[actor] = message.units

    def hear(self, seconds: float) -> Said:
        del seconds
        said, self.said = self.said, []
        return said


def pieces(count: int) -> Iterator[Piece]:
    return (Piece(number, number, number + 1) for number in range(count))


def finished(number: int, *, ended: bool = False) -> SenderReport:
    done = Acknowledged(number, 0, 1, finished=True)
    return SenderReport(acknowledged={number: done}, ended=ended)


def accepting(units: float) -> SenderReport:
    return SenderReport(accepted=Answered(units))


def crew_of_two(talk: Talk, count: int = 100) -> SenderPool:
    crew = SenderPool(talk, 2, 500.0, InFlight(4))
    crew.supply(pieces(count))
    return crew


@pytest.mark.parametrize(
    ("in_flight", "processes", "threads"),
    [(None, 8, [1] * 8), (None, 2, [2, 2]), (3, 8, [1] * 3), (40, 6, [1] * 6), (1, 2, [1])],
)
def test_every_process_has_a_part_in_a_load_if_so_many_batches_may_be_in_flight(
    in_flight: int | None, processes: int, threads: list[int], tmp_path: Path
) -> None:
    class Pool:
        at_once, most_in_flight = processes, MOST_IN_FLIGHT

        @contextmanager
        def conversing(self, makes: Sequence[partial[object]]) -> Iterator[Talk]:
            given = [make.args[0].in_flight for make in makes]
            assert given == threads
            yield Talk()

    migration = MigrationConfig(workers=in_flight)
    paths = (tmp_path / "sales.json", tmp_path / "plan")
    orders = SenderOrders(
        *paths, TargetConfig(), migration, TABLES["sales"], frozenset(), None, None
    )
    with sender_pool(Pool(), orders, WORTH_IT) as crew:  # type: ignore[arg-type] # it starts nobody
        assert crew.working


def test_a_sender_whose_process_is_still_being_born_leaves_its_share_to_the_other() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    crew.keep_to(1000.0)
    assert talk.rates == {0: 1000.0}


def test_a_sender_that_is_there_has_half() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    crew.keep_to(1000.0)
    talk.said = [(1, SenderReport())]
    crew.hear()
    crew.keep_to(1000.0)
    assert talk.rates[0] == 500.0
    assert talk.rates.get(1, 500.0) == 500.0  # which is what it was born with


def test_a_sender_that_has_no_pieces_left_leaves_its_share_to_the_other() -> None:
    talk = Talk()
    crew = crew_of_two(talk, 2)  # one each
    talk.said = [(1, finished(1))]
    crew.hear()
    crew.keep_to(1000.0)
    assert talk.rates == {0: 1000.0}


def test_no_limit_is_no_limit_for_everybody() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    talk.said = [(1, SenderReport())]
    crew.hear()
    crew.keep_to(None)
    assert talk.rates == {0: None, 1: None}


def test_the_batches_in_flight_are_shared_out_among_those_that_are_at_work() -> None:
    now = 0.0
    talk = Talk()
    crew = SenderPool(talk, 2, None, InFlight(7, clock=lambda: now))
    crew.supply(pieces(100))
    talk.said = [(1, SenderReport())]
    crew.hear()
    now = 1.0
    talk.said = [(0, SenderReport(accepted=Answered(1000.0, 100, 0.5)))]
    crew.hear()
    crew.keep_to(None)
    assert talk.threads == {0: 4, 1: 3}


def test_one_that_is_throttled_hears_how_the_others_get_on() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    talk.said = [
        (0, SenderReport(accepted=Answered(10.0))),
        (1, SenderReport(accepted=Answered(1.0))),
        (0, SenderReport(accepted=Answered(5.0))),
    ]
    crew.hear()
    assert talk.elsewhere == {}
    talk.said = [
        (1, SenderReport(accepted=Answered(2.0), throttled="no room")),
        (0, SenderReport(accepted=Answered(1.0))),
    ]
    crew.hear()
    assert talk.elsewhere == {1: 16.0}


def test_a_process_that_dies_when_its_work_is_done_is_not_missed() -> None:
    talk = Talk()
    crew = crew_of_two(talk, 2)
    talk.said = [(1, finished(1, ended=True))]
    crew.hear()
    talk.said = [(1, KILLED), (0, finished(0, ended=True))]
    assert len(crew.hear()) == 1
    assert not crew.working


def test_a_process_that_dies_at_its_work_is_told_of_once_and_the_others_are_heard() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    talk.killed = {1}
    talk.said = [(1, finished(1)), (0, finished(0, ended=True))]
    assert len(crew.hear()) == 2  # the piece that 1 is given next does not arrive
    talk.said = [(1, KILLED)]
    assert crew.hear() == []
    with pytest.raises(MigrationError, match="a process has ended"):
        crew.hear()
    assert not crew.working


def test_what_ends_the_handing_out_of_pieces_loses_no_last_word() -> None:
    def full() -> Iterator[Piece]:
        yield from pieces(LANES)
        raise MigrationError("the disk is full", remedy="make room")

    talk = Talk()
    crew = SenderPool(talk, 2, None, InFlight(4))
    crew.supply(full())
    talk.said = [(1, finished(1)), (0, finished(0, ended=True))]
    with pytest.raises(MigrationError, match="full"):
        crew.hear()
    crew.stop()
    talk.said = [(1, SenderReport(ended=True))]
    crew.hear()
    assert not crew.working
