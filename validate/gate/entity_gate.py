"""The way of one entity through the gate: each record by itself, then records among each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path

from utils.earlier.kept import Keeping
from utils.entities import shape_of
from utils.files.elsewhere import size_of
from utils.files.extracted_rows import RowsByKey
from utils.files.findings import Finding
from utils.files.pieces import places
from utils.files.quarantine import read_quarantine
from utils.files.spill import Buckets
from utils.findings.shown_values import shown
from utils.findings.source_names import names_of
from utils.run.run import Run
from utils.telemetry.tasks import Task
from validate.gate.described import Items, described
from validate.gate.duplicates import SharedValues
from validate.gate.finding_spool import FindingSpool
from validate.gate.journal import Journal
from validate.gate.numbering import Outlined, numbering_notes, outlines_of
from validate.gate.piece import PieceFindings, check_piece
from validate.gate.record_checks import Policy
from validate.gate.references import Causes, MigratedRecords, Referred
from validate.gate.removal import PHASE, remove_refused
from validate.gate.validation_report import ValidationReport
from validate.rules.catalogue import Note
from validate.unchanged.passed_before import Earlier, Noted, last_passed


class EntityGate:
    """Checks the transformed file of one entity, reports, and refuses what must be refused.

    `migrated` are the records that passed before and that others may name; an entity adds its own
    when it is done. `held` are the highest numbers of years that are in quarantine only
    (utils/sale_numbering.py). What has passed is kept by `keeping`, and what the last pass has kept
    is built upon, if it `builds_on_last`.
    """

    def __init__(
        self,
        run: Run,
        entity: str,
        migrated: MigratedRecords,
        report: ValidationReport,
        keeping: Keeping | None = None,
        *,
        builds_on_last: bool = False,
    ) -> None:
        self._run = run
        self._entity = entity
        self._migrated = migrated
        self._report = report
        self._count = report.of(entity)
        self._rules = run.config.validation
        self._names = names_of(run.manifest, entity)
        self._policy = Policy(self._rules.strict_mode, self._rules.business_rules, self._names)
        self._keeping = keeping
        self._earlier: Earlier | None = None
        if keeping is not None and builds_on_last:
            with self._step("looking for what has changed"):
                self._earlier = last_passed(keeping)
        self.held: dict[str, int] = {}

    def check(self) -> int:
        """Check every record; returns how many were moved to quarantine.

        Raises ArtifactError when the transformed file is not what the manifest says, and
        Interrupted, with everything as it was, when a stop is asked for.
        """
        path = self._run.workspace.transformed(self._entity)
        artifact = self._run.artifact(path, written_by="transform")
        self._count.records, self._count.items = artifact.records, artifact.items
        self._report_quarantine()
        with ExitStack() as opened:
            errors = opened.enter_context(FindingSpool(self._run.workspace.scratch))
            shared = None
            if self._rules.check_duplicates:
                buckets = opened.enter_context(Buckets(self._run.workspace.scratch))
                shared = SharedValues(buckets)
            files = self._run.workspace
            noted = opened.enter_context(Noted(files.scratch / f"noted-{self._entity}"))
            outlines = self._check_records(path, errors, shared, noted)
            if shared is not None:
                with self._step("duplicates"):
                    self._compare_records(errors, shared)
            moved = 0
            if shape_of(self._entity).numbered:
                if self._run.config.migration.continue_on_error:
                    # The numbering is that of the sales that are left.
                    moved = self._refuse(errors)
                    errors = opened.enter_context(FindingSpool(files.scratch))
                with self._step("numbering"):
                    if moved:
                        outlines = outlines_of(path, self._run.runner)
                    self._check_numbering(path, outlines, errors)
            moved += self._refuse(errors)
            if self._keeping is not None:
                noted.keep(self._keeping, path, self._run.manifest.sha_of(files.name_of(path)))
            return moved

    def _step(self, name: str) -> Task:
        return self._run.progress.task(PHASE, self._entity, None, step=name)

    def _report_quarantine(self) -> None:
        """Records that were refused before count as well: the operator gets the whole truth."""
        path = self._run.workspace.quarantine(self._entity)
        if self._run.workspace.name_of(path) not in self._run.manifest.artifacts:
            return
        self._run.artifact(path, written_by="transform")
        for refusal in read_quarantine(path):
            self._count.quarantined[refusal.phase] += 1
            self._count.records_with_errors += 1
            self._migrated.refuse(
                self._entity, refusal.key, refusal.legacy_id, refusal.findings[0].rule
            )
            for finding in refusal.findings:
                self._report.add(finding, refused_by=refusal.phase)

    def _check_records(
        self, path: Path, errors: FindingSpool, shared: SharedValues | None, noted: Noted
    ) -> list[Outlined]:
        """Check each record, and gather what is compared; returns the outlines of the pieces."""
        inputs = self._run.sha_of(path)
        saved = self._run.begin(PHASE, self._entity, inputs)
        first, outlines = 0, list[Outlined]()
        with (
            self._run.progress.task(PHASE, self._entity, self._count.records) as task,
            Journal(self._run.workspace.journal(self._entity), saved) as journal,
            RowsByKey(self._run.workspace.extracted(self._entity)) as rows,
        ):
            causes = Causes(self._run, self._names, self._migrated, rows)
            tracker = self._run.track(
                PHASE,
                self._entity,
                inputs,
                total=self._count.records,
                unit="records",
                done=journal.records,
            )
            referred = None
            if self._rules.validate_references and shape_of(self._entity).references:
                referred = self._migrated.referred(self._entity)
            for outcome in self._outcomes(path, journal):
                if referred is not None:
                    self._check_references(referred, outcome, causes)
                refused = self._take(first, outcome, errors, causes)
                keys = {number: finding.legacy_id for number, finding in outcome.findings}
                noted.add(key for _, key in sorted(keys.items()))
                if shared is not None:
                    shared.add(first, outcome.compared.shared)
                self._migrated.add(self._entity, outcome.compared.partition_keys())
                outlines.append((outcome.place, outcome.outline))
                first += outcome.records
                task.advance(outcome.records, errors=refused)
                if first == journal.records:
                    tracker.reached(first, journal.state)
            journal.remove()
        return outlines

    def _outcomes(self, path: Path, journal: Journal) -> Iterator[PieceFindings]:
        """What each piece gives: from the journal of the run that is resumed, then by checking."""
        yield from journal.replay()
        work = partial(
            check_piece, path=path, entity=self._entity, policy=self._policy, earlier=self._earlier
        )
        pieces = places(size_of(path), start=journal.offset)
        for outcome in self._run.runner.in_order(work, pieces):
            journal.add(outcome)
            yield outcome

    def _check_references(self, referred: Referred, outcome: PieceFindings, causes: Causes) -> None:
        """Add what is found to the outcome; records that name nobody have errors."""
        compared = outcome.compared
        dangling = referred.dangling(compared.references())
        for number, identifier, note in dangling:
            finding = self._finding(compared.legacy_id(number), note)
            outcome.findings.append((number, causes.explained(finding, identifier)))
        outcome.compared = compared.without({each.number for each in dangling})

    def _take(
        self, first: int, outcome: PieceFindings, errors: FindingSpool, causes: Causes
    ) -> int:
        """Report the findings of a piece; returns how many of its records have errors."""
        refused: dict[int, Finding] = {}
        found = []
        for number, raw in sorted(outcome.findings, key=itemgetter(0)):
            finding = causes.keyed(raw)
            self._note(finding)
            if finding.severity == "error":
                refused.setdefault(number, finding)
                found.append((first + number, finding))
        errors.append(found)
        for number, finding in refused.items():
            identity = outcome.identities.get(number, "")
            self._migrated.refuse(self._entity, identity, finding.legacy_id, finding.rule)
        return len(refused)

    def _compare_records(self, errors: FindingSpool, shared: SharedValues) -> None:
        for duplicates in shared.duplicates():
            found = [
                (place, replace(self._finding(legacy_id, note), value=self._shown(note, value)))
                for place, legacy_id, note, value in duplicates
            ]
            for _, finding in found:
                self._note(finding)
            refusing = [(place, finding) for place, finding in found if finding.severity == "error"]
            if refusing:
                errors.add_run(refusing)

    def _check_numbering(
        self, path: Path, outlines: Sequence[Outlined], errors: FindingSpool
    ) -> None:
        """Ask for each year whether the next number is right. Raises Interrupted."""
        for noted in numbering_notes(path, outlines):
            self._run.stop.leave_if_asked()
            found = [(place, self._finding(legacy_id, note)) for place, legacy_id, note in noted]
            for _, finding in found:
                self._note(finding)
            if refusing := [(place, each) for place, each in found if each.severity == "error"]:
                errors.add_run(refusing)

    def _refuse(self, errors: FindingSpool) -> int:
        """Draw the consequences: what is refused is nothing that others may name, and if the run
        goes on with errors, the refused records leave the file."""
        self._migrated.remove(self._entity, (place for place, _ in errors))
        count = sum(1 for _ in errors)
        self._count.records_with_errors += count
        if not count or not self._run.config.migration.continue_on_error:
            return 0
        with self._step("moving refused records"):
            removed = remove_refused(self._run, self._entity, errors)
        self._count.quarantined[PHASE] += removed.records
        for year, number in removed.held.items():
            self.held[year] = max(number, self.held.get(year, number))
        return removed.records

    def _note(self, finding: Finding) -> None:
        """This was found now."""
        self._report.add(finding)
        self._run.progress.found(finding.rule, finding.severity, finding.legacy_id)

    def _finding(self, legacy_id: str, note: Note) -> Finding:
        return described(legacy_id, note, self._names, strict=self._policy.strict, items=Items())

    def _shown(self, note: Note, value: str) -> str:
        if note.field in ("PK", "saleNumber"):
            return value
        return shown(value, shape_of(self._entity).schema, note.field)
