"""The parts of an entity's transformed file: who checks them, and how far that has come.

Machines of a fleet take large parts, so that each is worth a task; the processes of this machine
take small ones. What a part leaves is the same for both, and nobody changes it: a run that is
stopped or killed goes on with the parts that are missing (but for parties: their gate is quick, and
starts over).
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from utils.checkpoint import Checkpoint
from utils.files.artifacts import ArtifactEntry
from utils.files.pieces import ByteRange, places
from utils.files.spill import BUCKETS, Runs, portions, ranges
from utils.files.storage import make_directory, require_plain, storage_errors
from utils.fleet.fleet import ITEMS_A_PART
from utils.run.run import Run
from validate.gate.part import CheckedPart, CheckPass
from validate.gate.removal import PHASE

Part = TypeVar("Part")
Result = TypeVar("Result")

# Of this machine's own processes: enough parts for all of them, each small enough to be waited for.
_FEWEST, _MOST_PIECES = 32, 32
_TASKS_AT_ONCE = 4  # portions of buckets for each that works at the same time


@dataclass(frozen=True)
class Hands:
    """Who does the parts of an entity's file: the fleet, if there is one and the file is worth it,
    or whoever shares this run's pieces."""

    run: Run
    file: ArtifactEntry

    @property
    def _wanted(self) -> int:
        return self.run.config.engine.parts or -(-self.file.items // ITEMS_A_PART)

    @property
    def are_the_fleets(self) -> bool:
        """Whether these are parts for a fleet."""
        return self.run.fleet is not None and min(self._wanted, self.file.records) > 1

    def parts(self) -> list[ByteRange]:
        """The parts, as they follow each other in the file."""
        size = self.file.bytes
        if self.are_the_fleets:
            return places(size, target=-(-size // self._wanted))
        pieces = places(size)
        together = min(-(-len(pieces) // _FEWEST), _MOST_PIECES) or 1
        each = (pieces[at : at + together] for at in range(0, len(pieces), together))
        return [ByteRange(some[0].start, some[-1].end) for some in each]

    def each(
        self, work: Callable[[Part], Result], parts: Sequence[Part]
    ) -> Generator[tuple[int, Result], None, None]:
        """Yield the place of each part and `work(part)`, as they are done. Raises Interrupted when
        a stop is asked for."""
        look = self.run.stop.leave_if_asked
        fleet = self.run.fleet if self.are_the_fleets else None
        if fleet is not None:
            yield from fleet.each(work, parts, pause=look)
            return
        with closing(self.run.runner.in_order(work, parts, pause=look)) as results:
            for place, result in enumerate(results):
                yield place, result
                look()

    def compared(
        self, work: Callable[[Sequence[range]], Result], *sides: Iterable[Runs]
    ) -> list[Result]:
        """What comes of comparing what is in the buckets of some runs, in the order of the buckets;
        nothing where there are no runs."""
        runs = [tuple(run for each in side for run in each) for side in sides]
        if not any(runs):
            return []
        given = portions(ranges(*runs, count=BUCKETS), _TASKS_AT_ONCE * self.run.runner.at_once)
        found = dict(self.each(work, given))
        return [found[place] for place in range(len(given))]


@dataclass
class Parts:
    """The check of an entity by parts, and how far it is: `made` are the parts that are there."""

    run: Run
    entity: str
    hands: Hands
    made: dict[int, CheckedPart] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pieces = self.hands.parts()
        self._directory = self.run.workspace.journal(self.entity)
        self._inputs = self.run.sha_of(self.run.workspace.transformed(self.entity))
        self._kept: dict[int, str] = {}  # parts whose files outlive the machine, as texts

    def check(self, work: Callable[[Path], CheckPass]) -> list[CheckedPart]:
        """Have the parts checked that are not there, by the work that leaves what it finds below a
        directory; returns all of them, in the order of the file. Raises Interrupted when a stop is
        asked for."""
        self._go_on_from(self.run.begin(PHASE, self.entity, self._inputs))
        total, missing = self.hands.file.records, self._missing()
        done, errors = self._counts()
        tracker = self.run.track(
            PHASE, self.entity, self._inputs, total=total, unit="records", done=done
        )
        with self.run.progress.task(PHASE, self.entity, total, done=done, errors=errors) as task:
            parts = [(number, self._pieces[number]) for number in missing]
            try:
                with closing(self.hands.each(work(self._directory), parts)) as results:
                    for place, part in results:
                        self.made[missing[place]] = part
                        task.advance(part.records, errors=part.errors)
                        done += part.records
                        tracker.reached(done, self._as_json)
            finally:
                if self.made and (self._missing() or self.hands.are_the_fleets):
                    tracker.save(done, self._as_json)
        return [self.made[number] for number in range(len(self._pieces))]

    def place(self, number: int) -> ByteRange:
        """Where a part is in the file."""
        return self._pieces[number]

    def _missing(self) -> list[int]:
        return [number for number in range(len(self._pieces)) if number not in self.made]

    def _counts(self) -> tuple[int, int]:
        """How many records have been checked, and how many of them have errors."""
        made = self.made.values()
        return sum(each.records for each in made), sum(each.errors for each in made)

    def _go_on_from(self, saved: Checkpoint | None) -> None:
        """Take up what a checkpoint tells of, as far as its files are there; other files go."""
        if saved is not None and saved.state.get("pieces") == self._cut():
            for number, stored in saved.state["made"].items():
                part = CheckedPart.of_text(stored)
                if all(self._is_there(Path(file.path), file.ends[-1]) for file in part.files):
                    self.made[int(number)] = part
                    self._kept[int(number)] = stored
        require_plain(self._directory, stat.S_ISDIR)
        if not self.made:
            remove_parts(self.run, self.entity)
        make_directory(self._directory)

    def _is_there(self, path: Path, size: int) -> bool:
        return path.parent == self._directory and path.is_file() and path.stat().st_size == size

    def _as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps, now that it is on disk."""
        for number in self.made.keys() - self._kept.keys():
            for file in self.made[number].files:
                _sync(Path(file.path))
            self._kept[number] = self.made[number].as_text()
        return {"pieces": self._cut(), "made": {str(n): text for n, text in self._kept.items()}}

    def _cut(self) -> str:
        """Where the parts are, as a checkpoint keeps it."""
        return " ".join(str(each.end) for each in self._pieces)


def remove_parts(run: Run, entity: str) -> None:
    """Remove what the parts of an entity have left. A task that does not know yet that it is not
    needed may still write there."""
    shutil.rmtree(run.workspace.journal(entity), ignore_errors=True)


def _sync(path: Path) -> None:
    with storage_errors(path), path.open("rb") as file:
        os.fsync(file.fileno())
