"""One snapshot for all entities, or the proof that two snapshots are the same.

A killed extract has lost its snapshot, and so has an extract that is repeated for one entity. A
new snapshot serves as the old one if S9's tables are provably unchanged between the two. If they
are not, a run starts its whole extract anew; only when the operator asked for single entities by
hand does it go on, and then the manifest and every report state that the entities are not of one
moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from extract.declaration import Entity
from extract.postgresql import PostgresSource
from utils.config import ENTITY_NAMES, ExtractionConfig
from utils.logger import get_logger
from utils.run import COMPLETE, Run

PHASE = "extract"


@dataclass(frozen=True)
class Continuity:
    """How the entities' snapshots hang together, as the manifest keeps it."""

    taken_at: str
    server: str
    transactions: str
    rows: dict[str, int] | None
    consistent: bool
    statement: str

    def as_json(self) -> dict[str, Any]:
        return {
            "takenAt": self.taken_at,
            "server": self.server,
            "transactions": self.transactions,
            "rows": self.rows,
            "consistent": self.consistent,
            "statement": self.statement,
        }


def tables_of(entities: Sequence[Entity], extraction: ExtractionConfig) -> list[str] | None:
    """Every table that the extract reads; None when configured queries may read others."""
    if any(extraction.of(entity.name).query for entity in entities):
        return None
    names = dict.fromkeys(entity.table.name for entity in entities)
    names.update(
        dict.fromkeys(entity.children.table.name for entity in entities if entity.children)
    )
    return list(names)


def establish(
    run: Run,
    source: PostgresSource,
    due: Sequence[str],
    tables: Sequence[str] | None,
    *,
    by_hand: bool,
) -> Sequence[str]:
    """Relate the source's new snapshot to what is already extracted; returns what is due now.

    `by_hand`: the operator named the entities, so nothing more than these is read again.
    """
    kept = _kept(run, due)
    earlier = run.manifest.snapshot
    if not kept:
        _record(run, _fresh(source, tables, "all entities are read from one snapshot"))
        return due
    if earlier.get("consistent") and earlier.get("rows") is not None:
        if source.unchanged_since(earlier["transactions"], earlier["rows"]):
            run.manifest.snapshot = {
                **earlier,
                "statement": "read from more than one snapshot; S9's tables are proved unchanged "
                f"between {earlier['takenAt']} and {source.snapshot.taken_at}",
            }
            run.save()
            return due
        why = f"S9 has changed since {earlier['takenAt']}"
    else:
        why = "whether S9 has changed since the earlier extract cannot be proved"
    if by_hand:
        _go_on_inconsistently(run, source, due, kept, why)
        return due
    get_logger().warning("%s: extracting all entities anew, from one snapshot", why)
    for name in ENTITY_NAMES:
        run.manifest.forget(PHASE, name)
    run.checkpoint.clear()
    _record(run, _fresh(source, tables, "all entities are read from one snapshot"))
    return ENTITY_NAMES


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


def _fresh(source: PostgresSource, tables: Sequence[str] | None, statement: str) -> Continuity:
    snapshot = source.snapshot
    return Continuity(
        taken_at=snapshot.taken_at,
        server=snapshot.server,
        transactions=snapshot.transactions,
        rows=None if tables is None else source.rows_of(tables),
        consistent=True,
        statement=statement,
    )


def _go_on_inconsistently(
    run: Run, source: PostgresSource, due: Sequence[str], kept: Sequence[str], why: str
) -> None:
    statement = (
        f"{', '.join(due)} were read at {source.snapshot.taken_at} and {', '.join(kept)} earlier; "
        f"{why}: the entities are not of one moment"
    )
    get_logger().warning("%s (python migrate.py --phase extract reads all anew)", statement)
    fresh = _fresh(source, None, statement)
    _record(run, Continuity(**{**fresh.__dict__, "consistent": False}))


def _record(run: Run, continuity: Continuity) -> None:
    run.manifest.snapshot = continuity.as_json()
    run.save()
