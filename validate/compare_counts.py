"""The ledger: every record is accounted for on every station from S9's tables to the target.

rows of the table = source + not selected, by reason; source = extracted = transformed +
quarantined; transformed = loaded + refused + kept; loaded = what a scan of the target finds. Each
equation but the first must hold for records and for items; the first for records and for lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from utils.files.quarantine import read_quarantine
from utils.run.run import Run
from utils.wording.figures import counted

_AT_LOAD = "load"


@dataclass(frozen=True)
class Count:
    """Records, and the items that they are or become."""

    records: int
    items: int

    def __add__(self, other: Count) -> Count:
        return Count(self.records + other.records, self.items + other.items)

    def __sub__(self, other: Count) -> Count:
        return Count(self.records - other.records, self.items - other.items)

    def __str__(self) -> str:
        return f"{counted(self.records, 'record')} and {counted(self.items, 'item')}"

    def as_json(self) -> dict[str, int]:
        return {"records": self.records, "items": self.items}


_NONE = Count(0, 0)


@dataclass(frozen=True)
class Ledger:
    """One entity on every station; None where a station left no figures.

    `table` is S9's table as the extract has counted it: its rows, and those that are not selected
    by reason. `kept` is what the load has left as the table has it, `beyond` what is in the table
    and not in the file; `target` is without them.
    `problems` has a sentence for each equation that does not close.
    """

    source: Count | None
    extracted: Count | None
    quarantined: Count
    transformed: Count
    loaded: Count | None
    refused: Count | None
    target: Count
    problems: tuple[str, ...] = ()
    kept: Count = field(default_factory=lambda: Count(0, 0))
    beyond: Count = field(default_factory=lambda: Count(0, 0))
    table: Mapping[str, Any] | None = None

    @property
    def closes(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        stations = {
            "source": self.source,
            "extracted": self.extracted,
            "quarantined": self.quarantined,
            "transformed": self.transformed,
            "loaded": self.loaded,
            "refused": self.refused,
            "kept": self.kept,
            "target": self.target,
            "onlyInTarget": self.beyond,
        }
        return {
            "table": self.table,
            **{name: count and count.as_json() for name, count in stations.items()},
            "closes": self.closes,
            "problems": list(self.problems),
        }


@dataclass(frozen=True)
class QuarantineCounts:
    """What is in quarantine: refused before the load, and by the load; of the latter the legacy
    ids, which are as few as there are refusals."""

    before_load: Count
    at_load: Count
    at_load_ids: frozenset[str]


def count_refusals(run: Run, entity: str) -> QuarantineCounts:
    """Count an entity's quarantine; raises ArtifactError when it is not what was written."""
    path = run.workspace.quarantine(entity)
    if path.exists() or run.workspace.name_of(path) in run.manifest.artifacts:
        run.artifact(path, written_by="transform", anew=True)
    records, items = {True: 0, False: 0}, {True: 0, False: 0}
    ids = set()
    for refusal in read_quarantine(path):
        at_load = refusal.phase == _AT_LOAD
        records[at_load] += 1
        items[at_load] += refusal.items
        if at_load:
            ids.add(refusal.legacy_id)
    return QuarantineCounts(
        Count(records[False], items[False]), Count(records[True], items[True]), frozenset(ids)
    )


def close_ledger(
    run: Run,
    entity: str,
    *,
    transformed: Count,
    refusals: QuarantineCounts,
    target: Count,
    kept: Count = _NONE,
    beyond: Count = _NONE,
    ahead: Count | None = None,
) -> Ledger:
    """The ledger of an entity.

    `ahead` is what S9 has got since the load, where S9 has been read again: then nothing is asked
    of the load, and what has been transformed now is what the target has, but for that.

    `transformed` is what was counted in the file, `target` what the scan found of the
    migration's without what the load has `kept` as it was and what is in the table only
    (`beyond`); the other stations are in the manifest.
    """
    extract = _result(run, "extract", entity)
    source, table = _count(extract.get("source")), extract.get("table")
    extracted = _artifact_count(run, f"extracted/{entity}.json")
    load = _result(run, _AT_LOAD, entity)
    loaded = _count(load)
    refused = _count({"records": load.get("refusedRecords"), "items": load.get("refused")})
    stated_kept = Count(load.get("keptRecords", 0), load.get("kept", 0))
    quarantined = refusals.before_load
    stated = _artifact_count(run, f"transformed/{entity}.json")
    equations = [
        *_of_tables(table, source),
        _equation("S9 has", source, "the extract has", extracted),
        _equation(
            "the extract has", extracted, "transformed + quarantined is", transformed + quarantined
        ),
        _equation("the manifest says of the transformed file", stated, "it has", transformed),
        _equation(
            "the manifest says of the quarantine",
            _artifact_count(run, f"quarantine/{entity}.json") or Count(0, 0),
            "it has",
            quarantined + refusals.at_load,
        ),
    ]
    if ahead is not None:
        had = transformed - ahead
        equations.append(_equation("S9 had when it was loaded", had, "the target has", target))
    else:
        equations += [
            _equation(
                "the transformed file has",
                transformed,
                "loaded + refused + kept is",
                loaded + refused + kept if loaded and refused else None,
            ),
            _equation("the load kept", stated_kept, "its plan has", kept),
            _equation("the load refused", refused, "its quarantine has", refusals.at_load),
            _equation("the load wrote", loaded, "the target has", target),
            same_file(run, entity),
        ]
    return Ledger(
        source=source,
        extracted=extracted,
        quarantined=quarantined,
        transformed=transformed,
        loaded=loaded,
        refused=refused,
        target=target,
        problems=tuple(sentence for sentence in equations if sentence),
        kept=kept,
        beyond=beyond,
        table=table,
    )


def _of_tables(table: Mapping[str, Any] | None, source: Count | None) -> list[str]:
    """The sentences about tables of S9 whose rows are not all accounted for. (An extract by an
    earlier version has no count of them.)"""
    if table is None or source is None:
        return []
    lines = [(each, source.items - source.records) for each in table.values() if _is_table(each)]
    return [
        f"{each['name']} has {counted(each['rows'], 'row')}, selected + not selected is "
        f"{accounted:,}"
        for each, selected in [(table, source.records), *lines]
        if each["rows"] != (accounted := selected + sum(each["notSelected"].values()))
    ]


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and "rows" in value


def _equation(left_name: str, left: Count | None, right_name: str, right: Count | None) -> str:
    """The sentence that says that two sides are not equal; empty if they are."""
    if left == right and left is not None:
        return ""
    return f"{left_name} {left or 'no figures'}, {right_name} {right or 'no figures'}"


def same_file(run: Run, entity: str) -> str:
    """The sentence that says that the load read another file; empty if it did not."""
    name = f"transformed/{entity}.json"
    entry = run.manifest.phase(_AT_LOAD, entity)
    if entry is None:
        return f"the load is not complete: {run.command(f'--phase load --entity {entity}')}"
    if entry.inputs.get(name, run.manifest.sha_of(name)) != run.manifest.sha_of(name):
        return f"the load read a different {name} from the one that is there: load it again"
    return ""


def _result(run: Run, phase: str, entity: str) -> Mapping[str, Any]:
    entry = run.manifest.phase(phase, entity)
    return entry.result if entry else {}


def _artifact_count(run: Run, name: str) -> Count | None:
    entry = run.manifest.artifacts.get(name)
    return Count(entry.records, entry.items) if entry else None


def _count(figures: Any) -> Count | None:
    if not isinstance(figures, Mapping):
        return None
    records, items = figures.get("records"), figures.get("items")
    return Count(records, items) if isinstance(records, int) and isinstance(items, int) else None
