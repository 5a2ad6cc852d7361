"""What a verification would find after a load that has not been: a plan's look ahead.

It is verify's own comparison (validate/compare/comparison.py), made between the transformed file
and the table as the load would leave it: what the table holds now, with what the load writes and
takes away by its plan (utils/files/line_marks.py). Nothing of the target is read here: what its
tables hold has been read for the survey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from utils.dynamodb.item_content import Moments
from utils.dynamodb.table_spec import TableSpec
from utils.entities import is_referenced, shape_of
from utils.error_handler import ExitCode
from utils.files.elsewhere import size_of
from utils.files.line_marks import CONDITIONAL, KEPT_ABSENT, KEPT_MARKS, NEW, LineMarks
from utils.files.pieces import ByteRange, located_records, places, portions
from utils.files.spill import Scratch, Spill, SpillFile, ranges, read_buckets
from utils.plan.verdict import Obstacle, Stage
from utils.run.run import Run
from utils.wording.figures import counted
from utils.wording.invocation import again
from validate.compare.comparison import Comparison
from validate.compare.differences import Listing, ReferenceFindings
from validate.compare.file_records import FileRecord, read_file_lines
from validate.compare.record_entries import entry_of, pk_of
from validate.compare.table_pages import read_table_page
from validate.compare.target_references import is_there, references_of, references_wanted
from validate.foretold.foretold_numbers import (
    Dated,
    FileNumbers,
    Latest,
    dated_in,
    wrong_numbers,
)
from validate.indexes.index_entries import TableKeys
from validate.indexes.index_findings import KeyAgreement
from validate.verify.passes import ReferencePass, file_pieces

_PAGE, _PAGE_BYTES = 1_000, 2 << 20  # items that are looked at together
_REPLACED, _ADDED = b"!", b"+"
_OPENING, _CLOSING = len(b'{"Item":'), -len(b"}\n")


@dataclass(frozen=True)
class HeldItems:
    """What a table holds, in pieces that processes can share: `lines` gives those of a piece, each
    `{"Item":…}` with a line break. `moments` are the times that count as the migration's own,
    `spec` says what the table should look like."""

    pieces: Sequence[Any]
    lines: Callable[[Any], Iterable[bytes]]
    moments: Moments
    spec: TableSpec


@dataclass(frozen=True)
class Foretold:
    """What verify would find. `only_in_target` counts by entity and kind, `others` has a sentence
    for each further thing that would be wrong."""

    only_in_target: Mapping[str, Mapping[str, int]]
    others: Sequence[str]

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that would be wrong."""
        over = {name: sum(kinds.values()) for name, kinds in self.only_in_target.items()}
        said = [
            f"{name}: {counted(count, 'item is', 'items are')} only in the target"
            for name, count in over.items()
        ]
        return [*said, *self.others]

    @property
    def passed(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "problems": list(self.problems),
            "onlyInTarget": {name: dict(kinds) for name, kinds in self.only_in_target.items()},
        }

    def obstacles(self, run: Run) -> Iterator[Obstacle]:
        """What of it is in the way of a migration."""
        over = sum(sum(kinds.values()) for kinds in self.only_in_target.values())
        if over:
            yield Obstacle(
                Stage.VERIFY,
                f"{counted(over, 'item is', 'items are')} only in the target: S9 no longer has "
                "them, the extraction settings leave them out, or their records are in quarantine"
                f"{_listed_in(run, self.only_in_target)}",
                "a load deletes none of them: mend those in quarantine, and delete what S9 no "
                f"longer has in the Sale Module, then look again: {again()}; or leave them, and "
                "verify says so every time",
                ExitCode.VERIFICATION_FAILED,
                count=over,
            )
        for problem in self.others:
            yield Obstacle(
                Stage.VERIFY,
                problem,
                f"mend what it names, then look again: {again()}",
                ExitCode.VERIFICATION_FAILED,
                rank=1,
            )


def _listed_in(run: Run, entities: Iterable[str]) -> str:
    lists = [run.workspace.report(f"only_in_target_{name}") for name in entities]
    there = [str(path) for path in lists if path.exists()]
    return f" (listed in {', '.join(there)})" if there else ""


def foretell(run: Run, entities: Sequence[str], held: Mapping[str, HeldItems]) -> Foretold:
    """Verify entities against the tables as a load would leave them; `held` has what each table
    holds now. The plans of the load are in the data directory (`Workspace.plan`).

    Raises ArtifactError when a file is not what the manifest says, Interrupted.
    """
    over, problems = {}, []
    references: list[SpillFile] = []
    with Scratch(run.workspace.scratch) as scratch:
        for entity in entities:
            look = _Look(run, entity, scratch)
            compared = look.compare(held[entity])
            references += look.references
            beside_items = (*look.wrong_numbers, *look.agreement.sentences())
            problems += [f"{entity}: {sentence}" for sentence in beside_items]
            if compared.keys.only_in_target:
                over[entity] = dict(compared.keys.only_in_target)
            beside = replace(compared.keys, extra=Listing())
            sentences = beside.sentences(run.config.target.table(entity))
            if shape_of(entity).children:
                sentences += compared.lines.sentences(entity)
            problems += [f"{entity}: {sentence}" for sentence in sentences]
        found = ReferenceFindings()
        looked_up, buckets = ReferencePass(tuple(references)), ranges(references)
        for part in _shared(run, looked_up, buckets, "", "foretelling: references"):
            found.extend(part)
    problems += [f"{name}: {each}" for name in entities for each in found.sentences(name)]
    return Foretold(over, problems)


class _Look:
    """The look at one entity. `references` are what its records name and are named by,
    `wrong_numbers` what there is to say of the next number of each year, `agreement` which index
    keys do not say what their attributes say."""

    def __init__(self, run: Run, entity: str, scratch: Path) -> None:
        self._run = run
        self._entity = entity
        self._scratch = scratch
        self.references: list[SpillFile] = []
        self.wrong_numbers: list[str] = []
        self.agreement = KeyAgreement()

    def compare(self, held: HeldItems) -> Comparison:
        run, path = self._run, self._run.workspace.transformed(self._entity)
        run.artifact(path, written_by="transform")
        tables = _TablePass(held, self._scratch, self._entity)
        in_table, dated = list[SpillFile](), Latest()
        for part in _shared(run, tables, held.pieces, self._entity, "foretelling: the table"):
            in_table += part.entries
            self.references += part.references
            dated.add(part.dated)
            self.agreement.extend(part.agreement)
        wrong = frozenset(orjson.dumps(each.key.pk) for each in self.agreement.wrong.entries)
        replaced = set[bytes]()
        plan, asked = run.workspace.plan(self._entity), dated.pks()
        files = _FilePass(path, plan, self._scratch, self._entity, asked, wrong)
        in_file, arriving, numbers = list[SpillFile](), list[SpillFile](), FileNumbers()
        pieces = file_pieces(size_of(path))
        for file in _shared(run, files, pieces, self._entity, "foretelling: the file"):
            in_file += file.entries
            arriving += file.arriving
            self.references += file.references
            numbers.extend(file.numbers)
            replaced |= file.replaced
        self.agreement.forget({orjson.loads(pk) for pk in replaced})
        self.wrong_numbers = wrong_numbers(numbers, dated.years)
        work = _AfterPass(tuple(in_file), tuple(arriving), tuple(in_table), self._entity)
        result = Comparison()
        buckets = ranges(in_file, in_table)
        for found in _shared(run, work, buckets, self._entity, "foretelling: comparing"):
            result.add(found)
        for path in {Path(each.path) for each in (*in_file, *arriving, *in_table)}:
            path.unlink()
        return result


def _shared(
    run: Run, work: Callable[[Any], Any], pieces: Sequence[Any], entity: str, step: str
) -> Iterator[Any]:
    """What `work` finds in each piece, by all processes, as a step of its own. Raises
    Interrupted."""
    with run.progress.task("verify", entity, len(pieces), unit="parts", step=step) as task:
        for found in run.runner.in_order(work, pieces, pause=run.stop.leave_if_asked):
            yield found
            task.advance()


@dataclass(frozen=True)
class _FileRuns:
    """A piece of the file: its entries as verify has them, those of what the load puts into the
    table, references, numbers, and the records with wrong keys that the load replaces."""

    entries: tuple[SpillFile, ...]
    arriving: tuple[SpillFile, ...]
    references: tuple[SpillFile, ...]
    numbers: FileNumbers
    replaced: frozenset[bytes]


@dataclass(frozen=True)
class _FilePass:
    """Reads pieces of a transformed file with the plan of its load; of the PKs `asked` for it says
    which are the file's, and of those with `wrong` keys which are replaced."""

    path: Path
    plan: Path
    scratch: Path
    entity: str
    asked: frozenset[bytes] = frozenset()
    wrong: frozenset[bytes] = frozenset()

    def __call__(self, place: ByteRange) -> _FileRuns:
        entries, arriving, references = (Spill(self.scratch) for _ in range(3))
        wanted, counts = references_wanted(self.entity), bool(shape_of(self.entity).children)
        named, numbered = is_referenced(self.entity), shape_of(self.entity).numbered
        numbers, replaced = FileNumbers(), set[bytes]()
        for record, marks in self._records(place):
            if record.pk in self.wrong and not CONDITIONAL.isdisjoint(marks):
                replaced.add(record.pk)
            entries.add([record.entry])
            arriving.add(_arriving(record, marks, counts=counts))
            if named and marks[0] != KEPT_ABSENT:
                references.add([is_there(record.pk)])
            if record.head and (marks[0] == NEW or marks[0] in CONDITIONAL):
                references.add(references_of(record.pk, record.head, wanted))
            if numbered and record.head:
                in_table = marks[0] not in KEPT_MARKS
                numbers.look(record.pk, record.head, self.asked, in_table=in_table)
        return _FileRuns(
            entries.finish(),
            arriving.finish(),
            references.finish(),
            numbers,
            frozenset(replaced),
        )

    def _records(self, place: ByteRange) -> Iterator[tuple[FileRecord, Sequence[int]]]:
        with LineMarks(self.plan) as plan:
            for part in places(place.end, start=place.start):
                start, lines = located_records(self.path, part)
                marks = plan.marks(start, lines)
                rest = iter(marks)
                for record in read_file_lines(lines, self.entity, marks=marks):
                    yield record, list(islice(rest, len(record.lines)))


def _arriving(
    record: FileRecord, marks: Sequence[int], *, counts: bool
) -> Iterator[tuple[bytes, bytes]]:
    """The entry of what the load writes of a record, if anything: all of one that it replaces."""
    replaced = not CONDITIONAL.isdisjoint(marks)
    members = [
        member
        for member, mark in zip(record.members, marks, strict=True)
        if mark == NEW or (replaced and mark not in KEPT_MARKS)
    ]
    if members:
        pk, entry = entry_of(record.pk, members, counts=counts)
        yield pk, (_REPLACED if replaced else _ADDED) + entry


@dataclass(frozen=True)
class _TableRuns:
    """A piece of what a table holds: its entries, references, the sales in the index of numbers
    that are the latest-dated of their years, and how index keys agree with attributes."""

    entries: tuple[SpillFile, ...]
    references: tuple[SpillFile, ...]
    dated: tuple[Dated, ...]
    agreement: KeyAgreement


@dataclass(frozen=True)
class _TablePass:
    """Reads pieces of what a table holds."""

    held: HeldItems
    scratch: Path
    entity: str

    def __call__(self, piece: Any) -> _TableRuns:
        entries, references = Spill(self.scratch), Spill(self.scratch)
        read = partial(
            read_table_page,
            entity=self.entity,
            stamps=self.held.moments.texts(),
            as_written=False,
            keys=partial(TableKeys, self.held.spec),
        )
        lines, dated, agreement = iter(self.held.lines(piece)), Latest(), KeyAgreement()
        for some in portions(lines, _PAGE, len, _PAGE_BYTES):
            page = read(_as_page(some))
            entries.add(page.entries)
            references.add(page.references)
            if isinstance(page.keys, TableKeys):
                agreement.extend(page.keys.agreement)
            if shape_of(self.entity).numbered:
                dated.add(dated_in(some))
        latest = (sale for sales in dated.years.values() for sale in sales)
        return _TableRuns(entries.finish(), references.finish(), tuple(latest), agreement)


def _as_page(lines: Sequence[bytes]) -> bytes:
    """Lines `{"Item":…}` as the answer to a Scan."""
    items = b",".join([line[_OPENING:_CLOSING] for line in lines])
    return b'{"Items":[%b],"Count":%d,"ScannedCount":%d}' % (items, len(lines), len(lines))


@dataclass(frozen=True)
class _AfterPass:
    """Compares what is in buckets of a file with what is in the table after the load."""

    in_file: tuple[SpillFile, ...]
    arriving: tuple[SpillFile, ...]
    in_table: tuple[SpillFile, ...]
    entity: str

    def __call__(self, numbers: range) -> Comparison:
        comparison = Comparison()
        sides = (read_buckets(runs, numbers) for runs in (self.in_file, self.arriving))
        now = read_buckets(self.in_table, numbers)
        for in_file, arriving, in_table in zip(*sides, now, strict=True):
            after = list(_after(arriving, in_table))
            comparison.add_bucket(in_file, after, self.entity)
        return comparison


def _after(arriving: Sequence[bytes], in_table: Sequence[bytes]) -> Iterator[bytes]:
    """The entries of the table after the load."""
    entries = [(each[:1], each[1:]) for each in arriving]
    replaced = {pk_of(entry) for how, entry in entries if how == _REPLACED}
    yield from (entry for _, entry in entries)
    yield from (entry for entry in in_table if pk_of(entry) not in replaced)
