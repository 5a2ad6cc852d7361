"""The transform by parts: ranges of the extracted file, each of which becomes files of its own.

What a part becomes depends on its lines alone, but for the numbering of sales, which is decided
over all of them (utils/sale_numbering.py): when all parts are there, those are gone through once
more in which keys stand that do not belong there. One after the other, the parts are what one
machine would have made, byte for byte (utils/files/parts.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from transform.census.tally import Tally
from transform.pieces.piece import transform_piece
from transform.refusals import PHASE
from transform.rules import TransformRules
from utils.checkpoint import Checkpoint
from utils.earlier.by_key import key_of_items
from utils.entities import shape_of
from utils.files.artifacts import ArtifactEntry, ArtifactWriter
from utils.files.parts import Part, file_of, require_whole, tidy
from utils.files.pieces import ByteRange, places
from utils.findings.source_names import SourceNames
from utils.fleet.fleet import ITEMS_A_PART, Fleet
from utils.fleet.part_files import is_there, put_together, writing
from utils.processes.actors import undisturbed
from utils.run.run import Run
from utils.sale_numbering import (
    Candidate,
    Numbering,
    NumbersSoFar,
    PieceNumbers,
    headers_of,
    surplus_at,
    write_without,
)

Last = Mapping[bytes, Candidate]


class Found(NamedTuple):
    """What a part has found of one rule: how often, and a record that has it."""

    rule: str
    severity: str
    times: int
    key: str


@dataclass(frozen=True)
class MadePart:
    """What a part became: its files, and what has been counted. Of sales there is also what their
    numbering needs, by pieces of the part's file of items."""

    items: Part
    refused: Part
    tally: Tally
    found: tuple[Found, ...]
    numbers: tuple[tuple[ByteRange, PieceNumbers], ...] = ()

    @property
    def records(self) -> int:
        """Those that were made, and those that were refused."""
        return self.items.records + self.refused.records

    def as_json(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {
            "items": self.items.as_json(),
            "refused": self.refused.as_json(),
            "tally": self.tally.as_json(),
            "found": [list(each) for each in self.found],
            "numbers": [[*place, _numbers_as_json(numbers)] for place, numbers in self.numbers],
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> MadePart:
        """What `as_json` gave."""
        return cls(
            Part(**stored["items"]),
            Part(**stored["refused"]),
            Tally.of_json(stored["tally"]),
            tuple(Found(*each) for each in stored["found"]),
            tuple(
                (ByteRange(start, end), _numbers_of_json(numbers))
                for start, end, numbers in stored["numbers"]
            ),
        )


def _numbers_as_json(numbers: PieceNumbers) -> dict[str, Any]:
    # As text: JSON's readers take no number as large as S9's may be.
    last = [[str(e.number), e.date.decode(), e.key.decode()] for e in numbers.last.values()]
    return {"last": last, "latest": [date.decode() for date in numbers.latest.values()]}


def _numbers_of_json(stored: Mapping[str, Any]) -> PieceNumbers:
    last = [Candidate(int(n), date.encode(), key.encode()) for n, date, key in stored["last"]]
    latest = [date.encode() for date in stored["latest"]]
    return PieceNumbers({each.year: each for each in last}, {date[:4]: date for date in latest})


@dataclass(frozen=True)
class _Order:
    """What whoever makes a part has to know: the files, and what becomes of a row."""

    rows: Path
    items: Path
    refused: Path
    names: SourceNames
    rules: TransformRules


@dataclass
class Parts:
    """An entity's transform by parts, and how far it is: `made` are the parts that are there."""

    run: Run
    fleet: Fleet
    entity: str
    inputs: Mapping[str, str]
    pieces: Sequence[ByteRange]
    made: dict[int, MadePart] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, entity: str, rows: ArtifactEntry) -> Parts | None:
        """The parts into which an entity's extracted file is cut; None when there are too few for a
        fleet, or there is none."""
        wanted = run.config.engine.parts or -(-rows.items // ITEMS_A_PART)
        if run.fleet is None or min(wanted, rows.records) < 2:
            return None
        pieces = places(rows.bytes, target=-(-rows.bytes // wanted))
        return cls(run, run.fleet, entity, run.sha_of(run.workspace.extracted(entity)), pieces)

    def go_on_from(self, saved: Checkpoint | None) -> None:
        """Take up what a checkpoint tells of, as far as its files are there."""
        if saved is None or saved.state.get("parts") != len(self.pieces):
            return
        leave = self.run.stop.leave_if_asked
        for number, stored in saved.state["made"].items():
            part = MadePart.of_json(stored)
            files = (self._items, part.items), (self._refused, part.refused)
            if all(is_there(path, file) for path, file in files):
                self.made[int(number)] = part
        # They may have been on the disk for long.
        require_whole(self._items, [part.items for part in self.made.values()], leave)

    @property
    def _items(self) -> Path:
        return self.run.workspace.transformed(self.entity)

    @property
    def _refused(self) -> Path:
        return self.run.workspace.quarantine(self.entity)

    @property
    def in_order(self) -> list[MadePart]:
        """All parts, now that they are made."""
        return [self.made[number] for number in range(len(self.pieces))]

    @property
    def tally(self) -> Tally:
        """What has been counted, in all of them."""
        counted = Tally()
        for part in self.in_order:
            counted.add(part.tally)
        return counted

    def make(self, names: SourceNames, rules: TransformRules, total: int) -> Numbering:
        """Have the parts made that are not there; returns what the sales are numbered by. `total`
        are the records of all. Raises Interrupted when a stop is asked for."""
        if not self.made:
            tidy(self._items)
            tidy(self._refused)
        run, rows = self.run, self.run.workspace.extracted(self.entity)
        order = _Order(rows, self._items, self._refused, names, rules)
        done, errors = self._counts()
        tracker = run.track(PHASE, self.entity, self.inputs, total=total, unit="records", done=done)
        with run.progress.task(PHASE, self.entity, total, done=done, errors=errors) as task:
            missing = [n for n in range(len(self.pieces)) if n not in self.made]

            def is_made(number: int, part: MadePart) -> None:
                self.made[number] = part
                for each in part.found:
                    task.found(*each)
                refused, size = part.refused.records, part.items.bytes
                task.advance(part.records, errors=refused, bytes=size)
                tracker.reached(self._counts()[0], self._as_json)

            try:
                self._each(partial(make_part, order=order), missing, self.pieces, is_made)
            finally:
                if missing and self.made:
                    tracker.save(self._counts()[0], self._as_json)
        return self._number(total) if shape_of(self.entity).numbered else Numbering()

    def _each(
        self,
        work: Callable[[tuple[int, Any]], Any],
        numbers: Sequence[int],
        given: Sequence[Any] | Mapping[int, Any],
        is_done: Callable[[int, Any], None],
    ) -> None:
        """Have work done on parts: on each its number, and what is given for it."""
        parts = [(number, given[number]) for number in numbers]
        results = self.fleet.each(work, parts, pause=self.run.stop.leave_if_asked)
        try:
            for at, result in results:
                is_done(numbers[at], result)
        finally:
            results.close()

    def _counts(self) -> tuple[int, int]:
        """How many records have been gone through, and how many of them are refused."""
        made = self.made.values()
        return sum(each.records for each in made), sum(each.refused.records for each in made)

    def _as_json(self) -> dict[str, Any]:
        made = {str(number): part.as_json() for number, part in self.made.items()}
        return {"parts": len(self.pieces), "made": made}

    def _number(self, total: int) -> Numbering:
        """Take the keys out that do not belong there, now that all sales are known."""
        numbering = Numbering()
        for each in chain.from_iterable(part.numbers for part in self.made.values()):
            numbering.add(each[1].last.values())
        late: dict[int, tuple[Part, list[ByteRange]]] = {}
        for number, part in self.made.items():
            seen = NumbersSoFar(numbering)
            for place, numbers in part.numbers:
                seen.add(place, numbers)
            if pieces := seen.to_look_at():
                late[number] = part.items, pieces

        def is_numbered(number: int, items: Part) -> None:
            self.made[number] = replace(self.made[number], items=items)

        with self.run.progress.task(PHASE, self.entity, total, step="numbering") as step:
            work = partial(number_part, path=self._items, last=numbering.last)
            self._each(work, list(late), late, is_numbered)
            step.advance(total)
        return numbering

    def publish(self) -> None:
        """Publish what was made: the items in parts, and in one file what is refused of all."""
        made = self.in_order
        records = sum(part.records for part in made)
        with (
            self.run.progress.task(PHASE, self.entity, records, step="checking the parts") as task,
            ArtifactWriter(self._refused) as quarantine,
        ):
            put_together(quarantine, self._refused, [each.refused for each in made], self.run.stop)
            self.run.commit(self._refused, quarantine)
            self.run.commit_parts(self._items, [part.items for part in made])
            task.advance(records)


def make_part(part: tuple[int, ByteRange], order: _Order) -> MadePart:
    """Transform the lines that begin in a range of the extracted file, on whatever machine."""
    number, place = part
    tally, found, numbers = Tally(), Counter[tuple[str, str]](), []
    ends: list[bytes] = []  # the data of the first piece and of the last one
    keys: dict[tuple[str, str], str] = {}
    with writing(order.items, number) as items, writing(order.refused, number) as refused:
        work = partial(
            transform_piece,
            path=order.rows,
            names=order.names,
            rules=order.rules,
            scratch=order.items.parent,  # nothing crosses to another process here
        )
        for piece in places(place.end, start=place.start):
            became = undisturbed(work, piece)
            start = items.output.bytes
            items.output.write(became.data.data, records=became.records, items=became.items)
            if became.records:
                ends = [*ends[:1], became.data.data]
            if became.numbers is not None:
                numbers.append((ByteRange(start, items.output.bytes), became.numbers))
            for refusal in became.refusals:
                refused.output.write(refusal.as_line(), records=1, items=refusal.items)
                for each in refusal.findings:
                    found[each.rule, each.severity] += 1
                    keys.setdefault((each.rule, each.severity), each.legacy_id)
            tally.add(became.tally)
        items.spans(*(key_of_items(line) for data in ends for line in headers_of(data)))
    return MadePart(
        items.written,
        refused.written,
        tally,
        tuple(Found(*rule, times, keys[rule]) for rule, times in found.items()),
        tuple(numbers),
    )


def number_part(part: tuple[int, tuple[Part, Sequence[ByteRange]]], path: Path, last: Last) -> Part:
    """Write a part without the keys that do not belong there; they are in some of its pieces. What
    there was stays: whoever does it once more reads the same."""
    number, (before, pieces) = part
    made = file_of(path, before)
    with writing(path, number) as items:
        surplus = chain.from_iterable(surplus_at(piece, made, last) for piece in pieces)
        write_without(made, surplus, items.output)
        items.output.write(b"", records=before.records, items=before.items)
        items.ends = before.first, before.last
    return items.written
