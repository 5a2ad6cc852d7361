"""An entity read by parts: ranges of its keys, by many at a time, all of them in one snapshot.

The snapshot is the one that this process has taken and holds; whoever reads a part sees what it
sees, however often the part is read. The parts are put together here, in the order of the keys: the
file is, byte for byte, what one connection would have brought. A run that was stopped goes on with
the parts that are missing, under the same conditions as any other (extract/snapshot/continuity.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from extract.databases import join_snapshot
from extract.entities import entities_of
from extract.reading.records import looked_at, packed, streamed
from extract.selection import ExtractPlan, KeyRange, Selection, configured_plan
from extract.source import Snapshot, Source
from utils.checkpoint import Checkpoint
from utils.config import Config, ExtractionConfig, SourceConfig
from utils.error_handler import BackOff, SourceError, SourceUnavailable
from utils.files.artifacts import ArtifactWriter
from utils.files.elsewhere import brought
from utils.fleet.fleet import ITEMS_A_PART, Fleet
from utils.fleet.part_files import WrittenPart, is_there, put_together, remove_parts, writing
from utils.logger import get_logger
from utils.run.run import Run
from utils.wording.invocation import again

PHASE = "extract"


@dataclass(frozen=True)
class Place:
    """How far the parts are: the last key of each but the last, and those that are there."""

    ends: tuple[int, ...] = ()
    there: dict[int, WrittenPart] = field(default_factory=dict)

    @classmethod
    def of(cls, saved: Checkpoint | None, path: Path) -> Place:
        """The place that a checkpoint describes, as far as its files are there."""
        if saved is None or "ends" not in saved.state:
            return cls()
        known = {int(n): WrittenPart.of_json(part) for n, part in saved.state["there"].items()}
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
        return sum(part.entry.records for part in self.there.values())


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


def write_by_parts(
    run: Run,
    fleet: Fleet,
    source: Source,
    planned: ExtractPlan,
    counted: Mapping[str, int],
    place: Place,
) -> ArtifactWriter:
    """Have the parts read that are not there, and put all of them together; returns what has been
    written, to be published. The caller closes it.

    Raises SourceError when S9 refuses, or when the fleet sees another server; BackOff when the
    snapshot is lost.
    """
    entity, path = planned.entity, run.workspace.extracted(planned.entity)
    if not place.there:
        remove_parts(path)
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
                task.advance(part.entry.records, bytes=part.entry.bytes)
                tracker.reached(place.records, place.as_json)
        except (BackOff, SourceUnavailable) as lost:
            source.tally("SELECT 1")  # raises BackOff when the snapshot is lost, and not a part
            raise _other_server(run.config, lost) from lost
        finally:
            read.close()
            if missing and place.there:
                tracker.save(place.records, place.as_json)
    parts = [place.there[number] for number in range(len(place.ranges))]
    writer = ArtifactWriter(path)
    try:
        with run.progress.task(PHASE, entity, total, step="putting together") as task:
            put_together(writer, path, parts, run.stop)
            task.advance(total)
    except BaseException:
        writer.close()
        raise
    return writer


def read_part(part: tuple[int, KeyRange], order: _Order) -> WrittenPart:
    """Read a part from S9 into its file, on whatever machine; returns what was written."""
    number, keys = part
    entity = entities_of(order.source.layout)[order.entity]
    with (
        brought(order.source.ssl_root_cert) as authority,
        join_snapshot(replace(order.source, ssl_root_cert=authority), order.snapshot) as source,
        writing(order.path, number) as made,
    ):
        planned = configured_plan(order.extraction, source, entity, within=keys)
        with streamed(source, planned, order.doubled) as records:
            for pack in packed(records):
                made.output.write(pack.data, records=pack.records, items=pack.items)
    return made.written


def _other_server(config: Config, lost: BackOff | SourceUnavailable) -> SourceError:
    return SourceError(
        f"the machines of the fleet cannot read S9 at {config.source.host} as this one does: "
        f"{lost}",
        remedy="they must reach the same server by the same name (no pooler or load balancer in "
        "front of several), and be let in: two connections for each of engine.readers "
        f"({config.engine.readers}); then: {again()}",
    )
