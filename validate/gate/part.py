"""The check of a part of a transformed file, in whatever process and on whatever machine.

Of each record there is a little that it is compared with others by, and there may be any number of
findings. So both are left on disk: findings in the order of the file, what is compared in buckets
(utils/files/spill.py). What is told of a part are figures, and where that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from utils.entities import is_referenced
from utils.files.pieces import ByteRange, places, records_at
from utils.files.spill import Runs, Spill, SpillFile
from utils.processes.actors import undisturbed
from validate.gate.duplicates import entries_of
from validate.gate.finding_spool import Located, spill_findings
from validate.gate.numbering import Outline, Outlined
from validate.gate.record_checks import ChunkFindings, Policy, check_chunk
from validate.gate.references import Names, key_entries
from validate.unchanged.passed_before import NONE, Earlier, passed_in

_IN_RUNS = ("found", "shared", "named", "keys")


@dataclass(frozen=True)
class CheckedPart:
    """What a part holds: how many records, how many of them with errors, and what the numbering
    needs of its pieces. In runs there is what was `found`, a line for each finding (read by
    `findings_in`), what the records share with others (validate/gate/duplicates.py), whom they
    name, and the `keys` by which others may name them (validate/gate/references.py)."""

    records: int
    errors: int
    found: Runs = ()
    shared: Runs = ()
    named: Runs = ()
    keys: Runs = ()
    outlines: tuple[Outlined, ...] = ()

    @property
    def files(self) -> Runs:
        """All files that the part has left."""
        return tuple(file for name in _IN_RUNS for file in getattr(self, name))

    def as_text(self) -> str:
        """As a checkpoint keeps it: a text, because there are many numbers in it."""
        runs = {name: [[file.path, file.ends] for file in getattr(self, name)] for name in _IN_RUNS}
        outlines = [[*place, outline.as_json()] for place, outline in self.outlines]
        return orjson.dumps({**vars(self), **runs, "outlines": outlines}).decode()

    @classmethod
    def of_text(cls, text: str) -> CheckedPart:
        """What `as_text` gave."""
        stored = orjson.loads(text)
        runs = {
            name: tuple(SpillFile(path, tuple(ends)) for path, ends in stored[name])
            for name in _IN_RUNS
        }
        outlines = tuple(
            (ByteRange(start, end), Outline.of_json(outline))
            for start, end, outline in stored["outlines"]
        )
        return cls(stored["records"], stored["errors"], **runs, outlines=outlines)


@dataclass(frozen=True)
class CheckPass:
    """Checks parts of the file of an entity at `path`, by a policy; what they leave goes below
    `directory`. Of records that have passed `earlier`, as they are now, only what is compared is
    asked. It is left out what nobody compares: what records share (`duplicates`), or whom they name
    (`references`)."""

    path: Path
    entity: str
    policy: Policy
    directory: Path
    earlier: Earlier | None = None
    duplicates: bool = True
    references: bool = True

    def __call__(self, part: tuple[int, ByteRange]) -> CheckedPart:
        """What becomes of the part with this number, in these bytes."""
        found = Spill(self.directory, count=1)
        shared, keys = Spill(self.directory), Spill(self.directory)
        names = Names(self.directory, self.entity)
        is_named = self.references and is_referenced(self.entity)
        records, errors, outlines = 0, 0, list[Outlined]()
        work = partial(
            check_piece,
            path=self.path,
            entity=self.entity,
            policy=self.policy,
            earlier=self.earlier,
        )
        _, (start, end) = part
        for place in places(end, start=start):
            outcome = undisturbed(work, place)
            if outcome.findings:
                located = list(_located(outcome, records))
                spill_findings(found, located)
                errors += len({e.place for e in located if e.finding.severity == "error"})
            if self.duplicates:
                shared.add(entries_of(outcome.facts, records))
            if self.references:
                names.add(outcome.facts)
            if is_named:
                keys.add(key_entries(self.entity, (each.key for each in outcome.facts), records))
            if outcome.outline.records:
                outlines.append((place, outcome.outline))
            records += len(outcome.facts)
        compared = shared.finish(), names.finish(), keys.finish()
        return CheckedPart(records, errors, found.finish(), *compared, tuple(outlines))


def check_piece(
    place: ByteRange, path: Path, entity: str, policy: Policy, earlier: Earlier | None = None
) -> ChunkFindings:
    """Check the records that begin in a piece of a transformed file; of those that have passed
    `earlier`, as they are now, only what is compared is asked."""
    lines = records_at(path, place)
    passed = NONE if earlier is None else passed_in(earlier, path, place, lines)
    return check_chunk(lines, entity, policy, passed)


def _located(outcome: ChunkFindings, first: int) -> Iterator[Located]:
    """The findings of a piece; `first` is the place of its first record in the part."""
    for number, finding in outcome.findings:
        yield Located(first + number, finding, outcome.facts[number].identity)
