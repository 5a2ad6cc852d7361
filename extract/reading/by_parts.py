"""An entity read by parts: ranges of its keys, by many at a time, all of them in one snapshot.

The snapshot is the one that this process has taken and holds; whoever reads a part sees what it
sees, however often the part is read. One after the other, in the order of the keys, the parts are,
byte for byte, what one connection would have brought. A run that was stopped goes on with
the parts that are missing, under the same conditions as any other (extract/snapshot/continuity.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from extract.databases import join_snapshot
from extract.entities import entities_of
from extract.reading.records import Pack, looked_at, packed, streamed
from extract.selection import ExtractPlan, KeyRange, Selection, configured_plan
from extract.source import Snapshot, Source
from utils.checkpoint import Checkpoint
from utils.config import Config, ExtractionConfig, SourceConfig
from utils.error_handler import BackOff, SourceError, SourceUnavailable
from utils.files.elsewhere import brought
from utils.files.extracted_rows import key_of_row
from utils.files.parts import Part, require_whole, tidy, totals
from utils.fleet.fleet import ITEMS_A_PART, Fleet
from utils.fleet.part_files import is_there, writing
from utils.logger import get_logger
from utils.run.run import Run
from utils.wording.invocation import again

PHASE = "extract"


@dataclass(frozen=True)
class Place:
    """How far the parts are: the last key of each but the last, and those that are there."""

    ends: tuple[int, ...] = ()
    there: dict[int, Part] = field(default_factory=dict)

    @classmethod
    def of(cls, saved: Checkpoint | None, path: Path) -> Place:
        """The place that a checkpoint describes, as far as its files are there."""
        if saved is None or "ends" not in saved.state:
            return cls()
        known = {int(n): Part(**part) for n, part in saved.state["there"].items()}
        there = {number: part for number, part in known.items() if is_there(path, part)}
        return cls(tuple(saved.state["ends"]), there)

    def as_json(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        there = {str(number): part.as_json() for number, part in self.there.items()}
        return {"ends": list(self.ends), "there": there}

    @property
    def ranges(self) -> list[KeyRange]:
        """The keys of each part."""
        bounds = [None, *self.ends, None]
        return list(map(KeyRange, bounds[:-1], bounds[1:]))

    @property
    def records(self) -> int:
        """Those of the parts that are there."""
        return sum(part.records for part in self.there.values())


@dataclass(frozen=True)
class _Order:
    """What whoever reads a part has to know; `path` is the file that the parts are of."""

    source: SourceConfig
    extraction: ExtractionConfig
    entity: str
    snapshot: Snapshot
    doubled: frozenset[str]
    path: Path


def place_of(
    run: Run,
    source: Source,
    planned: ExtractPlan,
    counted: Mapping[str, int],
    saved: Checkpoint | None,
) -> Place | None:
    """The parts into which the planned records of an entity, as they are `counted`, are cut; None
    when they are read here, over one connection: few, or in a snapshot that nobody can share."""
    if run.fleet is None:
        return None
    if not source.snapshot.name:
        get_logger().info(
            "S9's database cannot share its snapshot with other connections: the %s are read by "
            "this machine",
            planned.entity,
        )
        return None
    found = Place.of(saved, run.workspace.extracted(planned.entity))
    if not found.ends:
        parts = run.config.engine.parts or -(-counted["items"] // ITEMS_A_PART)
        found = Place(_ends(source, planned.records, counted["records"], parts))
    return found if found.ends else None


def _ends(source: Source, selection: Selection, records: int, parts: int) -> tuple[int, ...]:
    """The last keys of all parts but the last, of as many of the records each. One look at the
    keys, in steps, which every database does by an index."""
    size = -(-records // parts) if parts > 1 else 0
    ends: list[int] = []
    key = source.quote(selection.key)
    while size and len(ends) < parts - 1:
        rest = KeyRange(ends[-1] if ends else None).of(selection.query, key)
        found = source.tally(
            f"SELECT {key} FROM ({rest}) AS k ORDER BY {key} LIMIT 1 OFFSET {size - 1}"
        )
        if not found:
            break
        ends.append(int(found[0][0]))
    return tuple(ends)


class ReadParts(NamedTuple):
    """An entity that has been read by parts: they are there, and are not yet the artifact."""

    run: Run
    path: Path
    parts: Sequence[Part]

    @property
    def totals(self) -> tuple[int, int]:
        """The records of all, and their items."""
        return totals(self.parts)[:2]

    def commit(self) -> None:
        """Publish them. Raises ArtifactError for one that is not what its task has written."""
        records, entity = self.totals[0], self.path.stem
        with self.run.progress.task(PHASE, entity, records, step="checking the parts") as task:
            self.run.commit_parts(self.path, self.parts)
            task.advance(records)


def read_by_parts(
    run: Run,
    fleet: Fleet,
    source: Source,
    planned: ExtractPlan,
    counted: Mapping[str, int],
    place: Place,
) -> ReadParts:
    """Have the parts read that are not there.

    Raises SourceError when S9 refuses, or when the fleet sees another server; BackOff when the
    snapshot is lost.
    """
    entity, path = planned.entity, run.workspace.extracted(planned.entity)
    if place.there:  # for long, maybe
        require_whole(path, list(place.there.values()), run.stop.leave_if_asked)
    else:
        tidy(path)
    order = _Order(
        run.config.source,
        run.config.extraction,
        entity,
        source.snapshot,
        looked_at(source, planned),
        path,
    )
    total = counted["records"]
    missing = [number for number in range(len(place.ranges)) if number not in place.there]
    tracker = run.track(PHASE, entity, {}, total=total, unit="records", done=place.records)
    with run.progress.task(PHASE, entity, total, done=place.records) as task:
        work = partial(read_part, order=order)
        todo = [(number, place.ranges[number]) for number in missing]
        read = fleet.each(
            work, todo, at_most=run.config.engine.readers, pause=run.stop.leave_if_asked
        )
        try:
            for at, part in read:
                place.there[missing[at]] = part
                task.advance(part.records, bytes=part.bytes)
                tracker.reached(place.records, place.as_json)
        except (BackOff, SourceUnavailable) as lost:
            source.tally("SELECT 1")  # raises BackOff when the snapshot is lost, and not a part
            raise _other_server(run.config, lost) from lost
        finally:
            read.close()
            if missing and place.there:
                tracker.save(place.records, place.as_json)
    return ReadParts(run, path, [place.there[number] for number in range(len(place.ranges))])


def read_part(part: tuple[int, KeyRange], order: _Order) -> Part:
    """Read a part from S9 into its file, on whatever machine; returns what was written."""
    number, within = part
    entity = entities_of(order.source.layout)[order.entity]
    with (
        brought(order.source.ssl_root_cert) as authority,
        join_snapshot(replace(order.source, ssl_root_cert=authority), order.snapshot) as source,
        writing(order.path, number) as made,
    ):
        planned = configured_plan(order.extraction, source, entity, within=within)
        with streamed(source, planned, order.doubled) as records:
            for pack in packed(records):
                made.output.write(pack.data, records=pack.records, items=pack.items)
                made.spans(*_ends_of(pack))
    return made.written


def _ends_of(pack: Pack) -> list[int | None]:
    """The keys of the first record of a pack, and of its last one."""
    return [key_of_row(pack.data[: pack.data.index(b"\n") + 1]), int(pack.key)]


def _other_server(config: Config, lost: BackOff | SourceUnavailable) -> SourceError:
    return SourceError(
        f"the machines of the fleet cannot read S9 at {config.source.host} as this one does: "
        f"{lost}",
        remedy="they must reach the same server by the same name (no pooler or load balancer in "
        "front of several), and be let in: two connections for each of engine.readers "
        f"({config.engine.readers}); then: {again()}",
    )
