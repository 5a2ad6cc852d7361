"""What the steps of a verification work with: the run, the target's reader, processes that share
the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
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
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactEntry
from utils.files.spill import SpillFile
from utils.run.run import Run
from utils.telemetry.troubles import Troubles, take_troubles
from validate.patterns.access_patterns import Patience
from validate.patterns.pattern_samples import SampleSize
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
    are other migrations' times that have been found in the tables (validate/verify/other_times.py).
    `patience_anew` is how long an index is waited for, `meter` counts what is read, within
    `verify.maxReadUnits`."""

    run: Run
    origin: Run
    retry: RetryPolicy
    patience_anew: Callable[[], Patience]
    scratch: Path
    references: list[SpillFile] = field(default_factory=list)
    learnt: tuple[tuple[str, str], ...] = ()
    meter: ReadMeter = field(init=False)
    reader: TableReader = field(init=False)

    def __post_init__(self) -> None:
        target = self.run.config.target
        self.meter = ReadMeter(self.scratch / "read-units", self.run.config.verify.max_read_units)
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
        processes, at_once = self.in_flight()
        segments = segments_for(items, fewest=_FEWEST_SEGMENTS)
        work = TablePass(
            self.reader,
            self.table(entity),
            segments,
            self.scratch,
            entity=entity,
            compared=compared,
            as_written=as_written,
            keyed=keyed,
            stamps=self.moments(entity).texts(),
            at_once=at_once,
            indexes=indexes,
        )
        return self.shared(work, pieces_of(segments, processes), at_most=processes)

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
