"""Reconciliation: from what S9 adds up to what the target adds up to, row by row, to the cent.

    S9 (SQL, in the snapshot) - in quarantine + computed by the transform - refused by the load
    ± kept by the load ± changed by the application ± changed in S9 since the load = the target

What remains is a difference: damage, with the records that make it by their keys, or something
that no record explains. A reconciliation without a difference is a proof in money that every record
arrived; it rests on S9's own SQL and on a scan of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from utils.differences import read_differences
from utils.entities import shape_of
from utils.files.artifacts import sha256_of
from utils.files.elsewhere import size_of
from utils.files.pieces import places
from utils.files.quarantine import quarantined_keys, read_quarantine
from utils.files.spill import ranges
from utils.run.run import Run
from utils.sums.source_sums import Head, measures_of, read_head
from utils.wording.figures import counted
from validate.reconciliation.parts import Contributors, LabelsOf
from validate.reconciliation.passes import (
    AddedUp,
    AddingPass,
    SourcePass,
    TargetPass,
    currencies_of,
)
from validate.reconciliation.rows import (
    APPLICATION,
    COMPUTED,
    KEPT,
    QUARANTINE,
    REFUSED,
    S9,
    SINCE,
    TARGET,
    Row,
    RowKey,
    Rows,
    label_text,
)
from validate.sums.figures import Figures, plain
from validate.sums.sums import Sums

_PHASE = "verify"
_BEFORE_LOAD = ("extract", "transform", "validate")
_LISTED = 3  # sales that a sentence names
_BETWEEN = {
    QUARANTINE: "in quarantine",
    COMPUTED: "computed",
    REFUSED: "refused by the load",
    KEPT: "kept",
    APPLICATION: "by the application",
    SINCE: "changed in S9 since",
}

Labels = Callable[[str], LabelsOf]
"""Of an entity: what the target calls the values of its columns."""


@dataclass
class Reconciliation:
    """What an entity's amounts come to. `totals` are by currency, of the whole; `differing` counts
    the rows with a difference, `first` is one of them. `rows` has all of them, as long
    as the scratch directory is there. `unexplained` says that no record explains a difference.
    `stated` are sentences on what it rests on."""

    entity: str
    rows: AddedUp
    head: Head
    taken_at: str
    sources: Mapping[str, str] = field(default_factory=dict)
    totals: dict[str, Row] = field(default_factory=dict)
    differing: int = 0
    first: tuple[RowKey, Row] | None = None
    unexplained: bool = False
    unequal: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems

    @property
    def amounts(self) -> int:
        """How many amounts there are."""
        return len(measures_of(shape_of(self.entity)).amounts)

    def totals_by(self, by: str) -> dict[str, Row]:
        """What the rows of a dimension add up to, by currency, in their order."""
        return currencies_of([each for each in self.rows.totals.values() if each.by == by])

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that is wrong."""
        found = []
        if self.first is not None:
            said = counted(
                self.differing,
                "row of the reconciliation does not add up",
                "rows of the reconciliation do not add up",
            )
            found.append(f"{said}, the first: {self._row(*self.first)}")
        if self.unexplained:
            found.append(
                "no record explains why S9's own sums and those of the target differ: "
                "the files in between are not what S9 has"
            )
        if self.unequal:
            listed = ", ".join(self.unequal)
            found.append(f"the sums by {listed} are not those by the other dimensions")
        return found

    @property
    def apart(self) -> int:
        """How many things are wrong that no damaged item explains, each of which is counted where
        items are."""
        return int(self.unexplained) + bool(self.unequal)

    def _row(self, key: RowKey, row: Row) -> str:
        shape = shape_of(self.entity)
        off = row.difference(self.amounts)
        names = measures_of(shape).amounts
        said = [counted(off.records, shape.singular, shape.name)] if off.records else []
        if off.lines and shape.children:
            said.append(counted(off.lines, shape.children.singular, shape.children.name))
        said += [f"{n} {plain(a)}" for n, a in zip(names, off.amounts, strict=True) if a]
        sales = ", ".join(row.sales[:_LISTED]) + (" …" if row.count > _LISTED else "")
        by = f"{key.by} {label_text(key.label)}, {label_text(key.currency)}"
        return f"{by}: {', '.join(said)}" + (f" ({sales})" if sales else "")


class Steps(Protocol):
    """How a verification has its work done by processes, in steps that are shown."""

    def counted(
        self, step: str, entity: str, work: Callable[[Any], Any], pieces: Sequence[Any]
    ) -> Iterator[Any]:
        """What `work` finds in each piece."""


def reconcile(
    steps: Steps,
    run: Run,
    entity: str,
    sums: Sums,
    differences: Path,
    labels: Labels,
    scratch: Path,
) -> Reconciliation | None:
    """Reconcile an entity with amounts; None of one without, or where the extract has left no sums
    of S9's (an extract by an earlier version).

    `run` is that whose files the target was compared with: the migration's, or the one that has
    read S9 once more. `sums` is what the migrated records in the scanned table add up to,
    `differences` the file of all records that are not as in S9 (utils/differences.py), `labels`
    what the target calls S9's values, as the transform has it. `scratch` has to stay until the
    reconciliation is written.

    `steps` does what processes can share. Raises ArtifactError when the sums are not the file that
    the manifest says.
    """
    shape, files = shape_of(entity), run.workspace
    path = files.source_sums(entity)
    if shape.measures is None or files.name_of(path) not in run.manifest.artifacts:
        return None
    run.artifact(path, written_by="extract", anew=True)
    rows, said = Rows(scratch, shape), labels(entity)
    parts, head = Contributors(shape, rows, said), read_head(path)
    quarantine = files.quarantine(entity)
    with run.progress.task(_PHASE, entity, None, step="reconciling"):
        parts.refused(read_quarantine(quarantine, _BEFORE_LOAD), head)
        parts.computed(files.transformed(entity), path, head, scratch)
        for record in read_differences(differences):
            parts.difference(record)
        parts.target(sums.few_rows())
    work = SourcePass(path, entity, said, head, scratch)
    for runs in steps.counted("reconciling S9", entity, work, places(size_of(path))):
        rows.take(runs)
    of_target = TargetPass(sums, said, scratch)
    for runs in steps.counted("reconciling the target", entity, of_target, sums.buckets):
        rows.take(runs)
    added_up = _added_up(steps, entity, rows, scratch)
    if added_up.is_unexplained:
        with run.progress.task(_PHASE, entity, None, step="looking for what explains it"):
            extracted = files.extracted(entity)
            parts.otherwise(
                extracted, files.transformed(entity), head, quarantined_keys(quarantine)
            )
        added_up.remove()
        added_up = _added_up(steps, entity, rows, scratch)
    extract = run.manifest.phase("extract", entity)
    taken_at = str(extract.result.get("snapshot", "")) if extract else ""
    sources = _computed_from(run, entity, differences)
    found = Reconciliation(entity, added_up, head, taken_at, sources)
    _look_at(found)
    return found


def _added_up(steps: Steps, entity: str, rows: Rows, scratch: Path) -> AddedUp:
    """All rows, put together."""
    runs, found = rows.finish(), AddedUp()
    work = AddingPass(runs, entity, scratch)
    for part in steps.counted("putting the rows together", entity, work, ranges(runs)):
        found.add(part)
    return found


def _look_at(found: Reconciliation) -> None:
    """Say what the rows have come to."""
    all_rows = found.rows
    found.differing = all_rows.differing
    found.unexplained = all_rows.differs_unexplained
    if all_rows.first is not None:
        _, key, row = all_rows.first
        found.first = RowKey.of_text(key), row
    totals: dict[str, dict[bytes, Row]] = {}
    for (by, currency), total in sorted(all_rows.totals.items(), key=lambda each: each[1].at):
        totals.setdefault(by, {})[currency] = total.whole
    if not totals:
        return
    first = next(iter(totals))
    found.unequal = tuple(
        name for name, each in totals.items() if not _same(each, totals[first], found.amounts)
    )
    found.totals = found.totals_by(first)


def _same(one: Mapping[bytes, Row], other: Mapping[bytes, Row], amounts: int) -> bool:
    for text in {*one, *other}:
        mine, others = one.get(text, Row()), other.get(text, Row())
        for name in (S9, TARGET):
            if not (mine.column(name, amounts) - others.column(name, amounts)).is_nothing:
                return False
    return True


def _computed_from(run: Run, entity: str, differences: Path) -> Mapping[str, str]:
    """The SHA-256 of every file that the rows are computed from, by its name."""
    files = run.workspace
    paths = [
        files.source_sums(entity),
        files.extracted(entity),
        files.quarantine(entity),
        files.transformed(entity),
    ]
    known = {files.name_of(path): run.manifest.artifacts.get(files.name_of(path)) for path in paths}
    found = {name: entry.sha256 for name, entry in known.items() if entry is not None}
    if differences.exists():
        found[f"{differences.parent.name}/{differences.name}"] = sha256_of(differences)
    return found


def totals_of(found: Reconciliation) -> str:
    """What the screen says of the totals, for each currency: S9, what is between, the target, and
    what is left: the amounts add up by hand."""
    said = []
    for currency, row in found.totals.items():
        parts = [f"S9 {_figures_said(found, row.column(S9, found.amounts))} {currency}"]
        between = {words: row.column(name, found.amounts) for name, words in _BETWEEN.items()}
        parts += [
            f"{words} {_figures_said(found, each, signed=True)}"
            for words, each in between.items()
            if not each.is_nothing
        ]
        parts.append(f"target {_figures_said(found, row.column(TARGET, found.amounts))} {currency}")
        off = row.difference(found.amounts)
        left = "" if off.is_nothing else f": {_figures_said(found, off, signed=True)}"
        parts.append(f"a difference{left}" if left else "no difference")
        said.append(", ".join(parts))
    return f"{found.entity.capitalize()} in money: {'; '.join(said) or 'none'}"


def _figures_said(found: Reconciliation, figures: Figures, *, signed: bool = False) -> str:
    """How many records and lines, and the last amount (the total); `signed` are those that are
    added to others, without what is zero."""
    shape, total = shape_of(found.entity), figures.amounts[-1]
    counts = [(figures.records, shape.singular, shape.name)]
    if shape.children:
        counts.append((figures.lines, shape.children.singular, shape.children.name))
    if not signed:
        return ", ".join([*(counted(*each) for each in counts), shown_amount(total)])
    parts = [_sign(each[0]) + counted(abs(each[0]), *each[1:]) for each in counts if each[0]]
    parts += [_sign(total) + shown_amount(abs(total))] if total else []
    return ", ".join(parts) or "other amounts"


def _sign(number: int | Decimal) -> str:
    return "+" if number > 0 else "-"


def shown_amount(amount: Decimal) -> str:
    """An amount with at least two decimals, and with commas between the thousands."""
    whole, _, rest = plain(amount).partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-')):,}.{rest.ljust(2, '0')}"
