"""A fleet of this process alone, which does parts as a real one may: in any order, some of them
twice, and all that it is given and gives passes between processes."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from utils.fleet.fleet import Beside, Part, Result, Underway
from utils.processes.pieces_runner import ThisProcess


class FleetHere(ThisProcess):
    """See Fleet. `done` are the parts that it has done: of each the name of the work."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.done: list[str] = []

    addresses = ("127.0.0.1", "127.0.0.1")
    sees_files = True

    def start(self) -> None:
        """See Fleet."""

    def close(self) -> None:
        """See Fleet."""

    def begun(self, function: Callable[[Part], object], parts: Sequence[Part]) -> Underway:
        """See Fleet."""
        raise NotImplementedError

    def beside(self, function: Callable[[Part], Result], parts: Sequence[Part]) -> Beside[Result]:
        """See Fleet."""
        return _Asked(self, function, parts)

    def each(
        self,
        function: Callable[[Part], Result],
        parts: Sequence[Part],
        *,
        at_most: int | None = None,
        pause: Callable[[], object] | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        """See Fleet."""
        del at_most
        order = [*enumerate(parts)]
        self._chance.shuffle(order)
        work: Any = pickle.dumps(function)
        for place, part in order:
            for _ in range(self._chance.choice((1, 1, 2))):  # a twin, whose result nobody takes
                result = pickle.dumps(pickle.loads(work)(pickle.loads(pickle.dumps(part))))
            self.done.append(type(function).__name__)
            if pause is not None:
                pause()
            yield place, pickle.loads(result)


class _Asked:
    """Work that is done when it is asked for."""

    def __init__(
        self, fleet: FleetHere, function: Callable[[Any], Any], parts: Sequence[Any]
    ) -> None:
        self._fleet, self._function, self._parts = fleet, function, parts

    def results(self, pause: Callable[[], object] | None) -> Iterator[Any]:
        """See Beside."""
        found = dict(self._fleet.each(self._function, self._parts, pause=pause))
        return (found[place] for place in sorted(found))

    def close(self) -> None:
        """See Beside."""
