"""One snapshot for all entities, or the proof that two snapshots are the same.

A killed extract has lost its snapshot, and so has an extract that is repeated for one entity. A
new snapshot serves as the old one if everything that was read in the old one is provably
unchanged in the new one. If it is not, a run starts its whole extract over; only when the
operator asked for single entities by hand does it go on, and then the manifest and every report
state that the entities are not from one moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from extract.declaration import Entity
from extract.source import Source
from utils.config import ExtractionConfig
from utils.entities import ENTITY_NAMES
from utils.error_handler import SourceError
from utils.logger import get_logger
from utils.run.run import COMPLETE, Run

PHASE = "extract"
_ONE_MOMENT = "all entities are read from one snapshot"


@dataclass(frozen=True)
class Continuity:
    """How the entities' snapshots hang together, as the manifest keeps it; `guarantee` is what
    the database promises of each.

    `rows` counts the rows of S9's tables in the snapshot (of those that could be read), which
    together with `transactions` and `history` is what a later snapshot is compared with.
    """

    taken_at: str
    server: str
    history: str
    transactions: str
    rows: Mapping[str, int]
    consistent: bool
    statement: str
    guarantee: str

    def as_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {"takenAt": values.pop("taken_at"), **values}


# What changes when a replica takes over, which is the same S9 all the same.
_PASSING = {"inRecovery", "timeline"}


def recognise_source(run: Run, source: Source) -> None:
    """Record which database answers, when a run first reads; later ones must reach the same.

    Raises SourceError when it is another one, whatever the configuration calls it.
    """
    now = dict(source.snapshot.identity)
    before = run.manifest.reached.get("source") or {}
    compared = before.keys() & now.keys() - _PASSING
    differences = [name for name in now if name in compared and before[name] != now[name]]
    if differences:
        was, is_now = (
            ", ".join(f"{name} {identity[name]}" for name in differences)
            for identity in (before, now)
        )
        raise SourceError(
            f"this S9 is not the database that {run.workspace.root} was read from: that was "
            f"{was}, this is {is_now}",
            remedy="point source.host at the same server as before (a replica of it is the same "
            "S9). A database that was restored or moved to a new server is another S9: give it "
            "its own data.directory",
        )
    run.manifest.reached["source"] = {**before, **now}


def tables_of(entity: Entity, extraction: ExtractionConfig) -> frozenset[str] | None:
    """Every table that is read for an entity; None when configured SQL may read others."""
    chosen = extraction.of(entity.name)
    of_others = (extraction.of(copy.of).query for copy in entity.copies if copy.of)
    if chosen.query or chosen.where or any(of_others):
        return None
    query = entity.queries[extraction.disabled_parties]
    tables = [entity.table, *(copy.table for copy in entity.copies)]
    tables += [table for table in entity.mentions if f"{{{table.name}." in query]
    if entity.children:
        tables.append(entity.children.table)
    return frozenset(table.name for table in tables)


def establish(
    run: Run,
    source: Source,
    declared: Mapping[str, Entity],
    due: Sequence[str],
    *,
    by_hand: bool,
) -> Sequence[str]:
    """Relate the source's new snapshot to what is already extracted; returns what is due now.

    `by_hand`: the operator named the entities, so nothing more than these is read again.
    """
    recognise_source(run, source)
    extraction = run.config.extraction
    read = [tables_of(entity, extraction) for entity in declared.values()]
    rows = source.rows_of(sorted(_all(read)))
    due = _relate(run, source, declared, due, rows, by_hand=by_hand)
    _state_exceptions(run, source.exceptions(None if None in read else _all(read)))
    return due


def follow_on(
    run: Run, source: Source, entities: Sequence[Entity], before: Mapping[str, Any]
) -> None:
    """Record the source's new snapshot as that of files which S9's log has brought up to it;
    `before` is the snapshot that they were of until then."""
    since = before.get("followedSince") or before.get("takenAt")
    statement = f"read from one snapshot at {since}, and kept in step by S9's log since"
    consistent = bool(before.get("consistent"))
    _record(run, source, {}, statement, consistent=consistent)
    run.manifest.snapshot = {**run.manifest.snapshot, "followedSince": since}
    read = [tables_of(entity, run.config.extraction) for entity in entities]
    _state_exceptions(run, source.exceptions(None if None in read else _all(read)))
    run.save()


def _relate(
    run: Run,
    source: Source,
    declared: Mapping[str, Entity],
    due: Sequence[str],
    rows: Mapping[str, int],
    *,
    by_hand: bool,
) -> Sequence[str]:
    kept = _kept(run, due)
    if not kept:
        _record(run, source, rows, _ONE_MOMENT)
        return due
    doubt = doubt_of(run, source, [declared[name] for name in kept])
    if not doubt:
        earlier = run.manifest.snapshot["takenAt"]
        statement = (
            f"read from more than one snapshot; what {', '.join(kept)} were read from is proved "
            f"to be unchanged between {earlier} and {source.snapshot.taken_at}"
        )
        _record(run, source, rows, statement)
        return due
    if by_hand:
        _go_on_by_hand(run, source, rows, due, kept, doubt)
        return due
    get_logger().warning("%s: extracting all entities again, from one snapshot", doubt)
    for name in ENTITY_NAMES:
        run.manifest.forget(PHASE, name)
    run.checkpoint.clear()
    _record(run, source, rows, f"{_ONE_MOMENT} (read again: {doubt})")
    return ENTITY_NAMES


def _state_exceptions(run: Run, exceptions: str) -> None:
    """Tables without snapshots are of no moment that could be named."""
    if not exceptions:
        return
    statement = f"{run.manifest.snapshot['statement']}; but {exceptions}"
    get_logger().warning("The extract is not from one moment: %s", exceptions)
    run.manifest.snapshot = {
        **run.manifest.snapshot,
        "consistent": False,
        "statement": statement,
    }
    run.save()


def _kept(run: Run, due: Sequence[str]) -> list[str]:
    """Entities whose earlier extract is to be used, whole or up to its checkpoint."""
    kept = []
    for name in ENTITY_NAMES:
        entry = run.manifest.phase(PHASE, name)
        if name not in due and entry is not None and entry.status == COMPLETE:
            kept.append(name)
    saved = run.checkpoint.load() if run.resuming else None
    if saved is not None and saved.phase == PHASE and saved.entity in due:
        kept.append(saved.entity)
    return kept


def _all(parts: Iterable[frozenset[str] | None]) -> frozenset[str]:
    return frozenset().union(*(part or () for part in parts))


def doubt_of(run: Run, source: Source, entities: Sequence[Entity]) -> str:
    """Why what these entities are read from may not be what it was in the earlier snapshot; ""
    when it is."""
    earlier = run.manifest.snapshot
    known = earlier.get("rows") or {}
    read = [tables_of(entity, run.config.extraction) for entity in entities]
    tables = _all(read)
    provable = (
        earlier.get("consistent")
        and earlier.get("history") == source.snapshot.history
        and None not in read
        and tables <= known.keys()
    )
    if not provable:
        return "it cannot be proved that S9 has not changed since the earlier extract"
    if source.unchanged_since(earlier["transactions"], {name: known[name] for name in tables}):
        return ""
    return f"S9 has changed since {earlier['takenAt']} (or it cannot be proved that it has not)"


def _go_on_by_hand(
    run: Run,
    source: Source,
    rows: Mapping[str, int],
    due: Sequence[str],
    kept: Sequence[str],
    doubt: str,
) -> None:
    """Each entity is of one moment by itself, at least: none continues from its checkpoint."""
    saved = run.checkpoint.load()
    if saved is not None and saved.phase == PHASE:
        run.checkpoint.clear()
    earlier = [name for name in kept if name not in due]
    if not earlier:
        _record(run, source, rows, _ONE_MOMENT)
        return
    statement = (
        f"{', '.join(due)} were read at {source.snapshot.taken_at} and {', '.join(earlier)} "
        f"earlier; {doubt}: the entities are not from one moment"
    )
    get_logger().warning(
        "%s (to read all of them again: %s)", statement, run.command("--phase extract")
    )
    _record(run, source, {}, statement, consistent=False)


def _record(
    run: Run,
    source: Source,
    rows: Mapping[str, int],
    statement: str,
    *,
    consistent: bool = True,
) -> None:
    taken = source.snapshot
    run.manifest.snapshot = Continuity(
        taken_at=taken.taken_at,
        server=taken.server,
        history=taken.history,
        transactions=taken.transactions,
        rows=rows,
        consistent=consistent,
        statement=statement,
        guarantee=taken.guarantee,
    ).as_json()
    run.save()
