"""The crew of a load: the rate is shared out among those who are at work, and only among those."""

from __future__ import annotations

from collections.abc import Iterator

from load.crew import Crew
from load.lanes import Piece
from load.sender import Acknowledged, Rate, Report

Said = list[tuple[int, Report | Exception]]


class Talk:
    """Keeps the rates that senders are told; they say what the test lets them say."""

    def __init__(self) -> None:
        self.rates: dict[int, float | None] = {}
        self.said: Said = []

    def tell(self, servant: int, message: object, /) -> None:
        if isinstance(message, Rate):
            self.rates[servant] = message.units

    def hear(self, seconds: float) -> Said:
        del seconds
        said, self.said = self.said, []
        return said


def pieces(count: int) -> Iterator[Piece]:
    return (Piece(number, number, number + 1) for number in range(count))


def crew_of_two(talk: Talk, count: int = 100) -> Crew:
    crew = Crew(talk, 2, 500.0)
    crew.supply(pieces(count))
    return crew


def test_a_sender_whose_process_is_still_being_born_leaves_its_share_to_the_other() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    crew.keep_to(1000.0)
    assert talk.rates == {0: 1000.0}


def test_a_sender_that_is_there_has_half() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    crew.keep_to(1000.0)
    talk.said = [(1, Report())]
    crew.hear()
    crew.keep_to(1000.0)
    assert talk.rates[0] == 500.0
    assert talk.rates.get(1, 500.0) == 500.0  # which is what it was born with


def test_a_sender_that_has_no_pieces_left_leaves_its_share_to_the_other() -> None:
    talk = Talk()
    crew = crew_of_two(talk, 2)  # one each
    talk.said = [(1, Report(acknowledged={1: Acknowledged(1, 0, 1, finished=True)}))]
    crew.hear()
    crew.keep_to(1000.0)
    assert talk.rates == {0: 1000.0}


def test_no_limit_is_no_limit_for_everybody() -> None:
    talk = Talk()
    crew = crew_of_two(talk)
    talk.said = [(1, Report())]
    crew.hear()
    crew.keep_to(None)
    assert talk.rates == {0: None, 1: None}
