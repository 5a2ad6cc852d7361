"""What the steps of a verification work with: the run, the target's reader, processes that share
the work."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Generic, TypeVar

from utils.config import MOST_IN_FLIGHT
from utils.dynamodb import scan_flow
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.item_content import Moments
from utils.dynamodb.read_units import ReadMeter, tell_units
from utils.dynamodb.scan_segments import pieces_of, segments_for
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import TableSpec
from utils.entities import ENTITY_NAMES
from utils.error_handler import ArtifactError, MigrationError
from utils.files.artifacts import ArtifactEntry
from utils.files.spill import SpillFile
from utils.run.run import Run
from utils.telemetry.troubles import Troubles, take_troubles
from validate.indexes.target_indexes import describe_table
from validate.patterns.access_patterns import Patience
from validate.patterns.pattern_samples import SampleSize
from validate.verify.ahead import ScanAhead
from validate.verify.passes import TablePart, TablePass, file_pieces

PHASE = "verify"
_FEWEST_SEGMENTS = 4

Piece = TypeVar("Piece")
Found = TypeVar("Found")


@dataclass(frozen=True)
class _WithTroubles(Generic[Piece, Found]):
    """Work on a piece, with what had to be tried again for it, in whatever process."""

    work: Callable[[Piece], Found]

    def __call__(self, piece: Piece) -> tuple[Found, Troubles | None]:
        found = self.work(piece)
        tell_units()
        return found, take_troubles()


@dataclass
class Bench:
    """What every step of one verification works with. `origin` is the run whose transformed files
    say what the tables should hold: the run itself, or one that has read S9 again; then `learnt`
    are other migrations' times that have been found in the tables (validate/verify/other_times.py),
    and `ahead` has what was scanned while S9 was read. `patience_anew` is how long an index is
    waited for, `meter` counts what is read, within `verify.maxReadUnits`."""

    run: Run
    origin: Run
    retry: RetryPolicy
    patience_anew: Callable[[], Patience]
    scratch: Path
    references: list[SpillFile] = field(default_factory=list)
    learnt: tuple[tuple[str, str], ...] = ()
    ahead: dict[str, tuple[TablePass, ScanAhead]] = field(default_factory=dict)
    meter: ReadMeter = field(init=False)
    reader: TableReader = field(init=False)

    def __post_init__(self) -> None:
        target = self.run.config.target
        # A clock that all machines have, where there are several.
        clock = time.monotonic if self.run.fleet is None else time.time
        units = self.run.config.verify.max_read_units
        self.meter = ReadMeter(self.scratch / "read-units", units, clock=clock)
        self.reader = TableReader(
            DynamoDB(target),
            self.retry,
            target=target,
            pause=self.run.stop.leave_if_asked,
            meter=self.meter,
        )

    @property
    def is_anew(self) -> bool:
        """Whether S9 has been read again for this verification."""
        return self.origin is not self.run

    def loaded(self, entity: str) -> ArtifactEntry | None:
        """What was loaded, by the run's own transformed file, if that is what its manifest says."""
        with suppress(ArtifactError):
            return self.run.artifact(self.run.workspace.transformed(entity), written_by="transform")
        return None

    def table(self, entity: str) -> str:
        return self.run.config.target.table(entity)

    def get_ready(self, entities: Iterable[str]) -> None:
        """Have other processes started, if they will be needed, while this one begins alone."""
        known = self.origin.manifest.artifacts
        names = [f"transformed/{entity}.json" for entity in entities]
        pieces = [len(file_pieces(known[name].bytes)) for name in names if name in known]
        if self.run.runner.shares(max(pieces, default=0)):
            work = TablePass(self.reader, "", 0, self.scratch, entity=ENTITY_NAMES[0])
            self.run.runner.get_ready(work)

    def shared(
        self,
        work: Callable[[Piece], Found],
        pieces: Iterable[Piece],
        *,
        at_most: int | None = None,
    ) -> Iterator[Found]:
        """What `work` finds in each piece, in their order, by all processes, or `at_most` some."""
        in_order = self.run.runner.in_order(
            _WithTroubles(work), pieces, pause=self.run.stop.leave_if_asked, at_most=at_most
        )
        with closing(in_order) as found:
            for each, troubles in found:
                self.run.progress.heard(troubles)
                self.run.stop.leave_if_asked()
                yield each

    def counted(
        self, step: str, entity: str, work: Callable[[Piece], Found], pieces: Sequence[Piece]
    ) -> Iterator[Found]:
        """The same as a step of its own, of so many parts."""
        total = len(pieces)
        with self.run.progress.task(PHASE, entity, total, unit="parts", step=step) as task:
            for found in self.shared(work, pieces):
                yield found
                task.advance()

    def scan(
        self,
        entity: str,
        items: int,
        *,
        compared: bool = True,
        as_written: bool = True,
        keyed: bool = True,
        indexes: TableSpec | None = None,
    ) -> Iterator[TablePart]:
        """A table of about `items` items, in parts; with what its `indexes` should hold."""
        work = self._scanning(
            entity, items, compared=compared, as_written=as_written, keyed=keyed, indexes=indexes
        )
        processes, _ = self.in_flight()
        pieces: Iterable[Sequence[int]] = pieces_of(work.segments, processes)
        if compared and as_written and entity in self.ahead:
            work, ahead = self.ahead.pop(entity)
            pieces = ahead.left
            for part, troubles in ahead.parts:
                self.run.progress.heard(troubles)
                yield part
        yield from self.shared(work, pieces, at_most=processes)

    def _scanning(
        self,
        entity: str,
        items: int,
        *,
        compared: bool = True,
        as_written: bool = True,
        keyed: bool = True,
        indexes: TableSpec | None = None,
    ) -> TablePass:
        _, at_once = self.in_flight()
        return TablePass(
            self.reader,
            self.table(entity),
            segments_for(items, fewest=_FEWEST_SEGMENTS),
            self.scratch,
            entity=entity,
            compared=compared,
            as_written=as_written,
            keyed=keyed,
            stamps=self.moments(entity).texts(),
            at_once=at_once,
            indexes=indexes,
        )

    def scanning_ahead(self, specs: Iterable[TableSpec]) -> AbstractContextManager[None]:
        """Scan the largest of some tables while something else is done here that has no work for
        other processes, as far as that goes; `scan` goes on there. Nothing is done where that is
        not worth it, where reading is bounded and would hold up what comes next, and where other
        machines share the work: they do while S9 is read."""
        known = self.run.manifest.artifacts
        sizes = [
            (entry.items, spec)
            for spec in specs
            if (entry := known.get(f"transformed/{spec.entity}.json")) is not None
        ]
        dated = self.origin.manifest.migration_timestamp  # else all that is there looks otherwise
        if not sizes or not dated or self.meter.per_second is not None or self.run.fleet:
            return nullcontext()
        items, spec = max(sizes, key=itemgetter(0))
        processes, _ = self.in_flight()
        work = self._scanning(spec.entity, items, indexes=spec)
        pieces: deque[Sequence[int]] = deque(pieces_of(work.segments, processes))
        if not self.run.runner.shares(len(pieces)):
            return nullcontext()
        with suppress(MigrationError):  # it is told when the table is scanned in its turn
            if describe_table(self.run.config.target, spec).key_schema:
                ahead = ScanAhead(
                    self.run.runner,
                    _WithTroubles(work),
                    pieces,
                    processes,
                    self.run.stop.leave_if_asked,
                )
                self.ahead[spec.entity] = work, ahead
                return ahead
        return nullcontext()

    def sample(self) -> SampleSize:
        """How many records of each kind the access patterns are asked for."""
        known = {
            name: artifact.records
            for name in ENTITY_NAMES
            if (artifact := self.origin.manifest.artifacts.get(f"transformed/{name}.json"))
        }
        return SampleSize(self.run.config.verify.sample, known)

    def in_flight(self) -> tuple[int, int]:
        """How many processes scan, and how many pages each of them asks for at once, at most."""
        most, processes = self.run.config.migration.workers, self.run.runner.at_once
        if most is None:
            most = max(MOST_IN_FLIGHT, processes)
        processes = min(processes, most)
        return processes, min(most // processes, scan_flow.MOST)

    def moments(self, entity: str) -> Moments:
        """The times of other migrations that are in the table: those that the load has found, and
        those that have been `learnt`."""
        loaded = None if self.is_anew else self.run.manifest.phase("load", entity)
        times = loaded.result.get("otherTimestamps", []) if loaded else []
        return Moments(self.origin.manifest.migration_timestamp, tuple(times), self.learnt)
