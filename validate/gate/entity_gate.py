"""The way of one entity through the gate: each record by itself, then records among each other.

Both are work for whoever there is (validate/gate/parts.py). What is found comes here to be told, in
the order of the file: so it does not depend on who has done what.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from heapq import merge
from itertools import accumulate, chain, groupby
from operator import itemgetter
from pathlib import Path

from utils.earlier.kept import Keeping
from utils.entities import is_referenced, shape_of
from utils.files.extracted_rows import RowsByKey
from utils.files.findings import Finding
from utils.files.quarantine import read_quarantine
from utils.files.spill import Runs, Scratch
from utils.findings.source_names import names_of
from utils.run.run import Run
from utils.telemetry.tasks import Task
from validate.gate.described import Items, described
from validate.gate.duplicates import SharedPass
from validate.gate.finding_spool import (
    FindingSpool,
    Located,
    findings_in,
    places_before,
    places_by_part,
)
from validate.gate.numbering import numbering_notes, outlines_of
from validate.gate.part import CheckedPart, CheckPass
from validate.gate.parts import Hands, Parts
from validate.gate.record_checks import Policy
from validate.gate.references import (
    Causes,
    DanglingPart,
    DanglingPass,
    Doubtful,
    Keys,
    MigratedRecords,
    MissingPass,
    dangling_in,
    identifiers_of,
)
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
        self._path = run.workspace.transformed(entity)
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
        artifact = self._run.artifact(self._path, written_by="transform")
        self._count.records, self._count.items = artifact.records, artifact.items
        self._report_quarantine()
        files, hands = self._run.workspace, Hands(self._run, artifact)
        with ExitStack() as opened:
            scratch = opened.enter_context(Scratch(files.scratch))
            errors = opened.enter_context(FindingSpool(files.scratch))
            noted = opened.enter_context(Noted(files.scratch / f"noted-{self._entity}"))
            parts = Parts(self._run, self._entity, hands)
            checked = parts.check(self._pass)
            dangling = self._look_up(parts, checked, scratch)
            with self._step("findings"):
                self._take(checked, dangling, errors, noted)
            if self._rules.check_duplicates:
                with self._step("duplicates"):
                    self._compare(hands, checked, dangling, errors, scratch)
            moved, late = 0, errors
            if shape_of(self._entity).numbered:
                if self._run.config.migration.continue_on_error:
                    # The numbering is that of the sales that are left.
                    moved = self._refuse(errors)
                    late = opened.enter_context(FindingSpool(files.scratch))
                with self._step("numbering"):
                    self._check_numbering(None if moved else checked, late)
            moved += self._refuse(late)
            if self._rules.validate_references and is_referenced(self._entity):
                self._leave_keys(checked, errors, late)
            if self._keeping is not None:
                sha = self._run.manifest.sha_of(files.name_of(self._path))
                noted.keep(self._keeping, self._path, sha)
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

    def _pass(self, directory: Path) -> CheckPass:
        """The check of each record by itself."""
        return CheckPass(
            self._path,
            self._entity,
            self._policy,
            directory,
            self._earlier,
            duplicates=self._rules.check_duplicates,
            references=self._rules.validate_references,
        )

    def _look_up(
        self, parts: Parts, checked: Sequence[CheckedPart], scratch: Path
    ) -> dict[int, DanglingPart]:
        """Look up whom the records name: what dangles, in the parts in which something does."""
        if not (self._rules.validate_references and shape_of(self._entity).references):
            return {}
        named, keys = [each.named for each in checked], self._migrated.named_by(self._entity)
        missing: dict[int, Runs] = defaultdict(tuple)
        dangling: dict[int, DanglingPart] = {}
        with self._step("references") as step:
            look = MissingPass(tuple(named), keys, scratch)
            for found in parts.hands.compared(look, named, [each.runs for each in keys]):
                for number, names in found.items():
                    missing[number] += names
            doubtful = [
                (number, Doubtful(parts.place(number), checked[number].found, missing[number]))
                for number in sorted(missing)
            ]
            work = DanglingPass(self._path, self._entity, scratch)
            for place, part in parts.hands.each(work, doubtful):
                dangling[doubtful[place][0]] = part
                step.advance(0, errors=part.records)
        return dangling

    def _take(
        self,
        checked: Sequence[CheckedPart],
        dangling: Mapping[int, DanglingPart],
        errors: FindingSpool,
        noted: Noted,
    ) -> None:
        """Report what was found of each record by itself, and of those that it names."""
        first = 0
        with RowsByKey(self._run.workspace.extracted(self._entity)) as rows:
            causes = Causes(self._run, self._names, self._migrated, rows)
            for number, part in enumerate(checked):
                self._run.stop.leave_if_asked()
                found = self._found(part, dangling.get(number), causes)
                for place, some in groupby(found, key=itemgetter(0)):
                    each = list(some)
                    noted.add([each[0].finding.legacy_id])
                    self._report_record(first + place, each, errors)
                first += part.records

    def _found(
        self, part: CheckedPart, dangling: DanglingPart | None, causes: Causes
    ) -> Iterator[Located]:
        """What was found in a part, in the order of its records."""
        own = ((each, "") for each in findings_in(part.found))
        runs = dangling.runs if dangling else ()
        names = (
            (Located(each.place, self._finding(each.legacy_id, note)), each.identifier)
            for each, note in dangling_in(runs, self._entity)
        )
        for each, identifier in merge(own, names, key=lambda pair: pair[0].place):
            finding = each.finding
            explained = causes.explained(finding, identifier) if identifier else finding
            yield each._replace(finding=causes.keyed(explained))

    def _report_record(self, place: int, found: Sequence[Located], errors: FindingSpool) -> None:
        for each in found:
            self._note(each.finding)
        refusing = [each for each in found if each.finding.severity == "error"]
        if refusing:
            errors.append((place, each.finding) for each in refusing)
            _, finding, identity = refusing[0]
            self._migrated.refuse(self._entity, identity, finding.legacy_id, finding.rule)

    def _compare(
        self,
        hands: Hands,
        checked: Sequence[CheckedPart],
        dangling: Mapping[int, DanglingPart],
        errors: FindingSpool,
        scratch: Path,
    ) -> None:
        """Compare records among each other, and report those that share what they should not."""
        shared = tuple(each.shared for each in checked)
        refused = {number: each.places for number, each in dangling.items()}
        work = SharedPass(shared, _firsts(checked), refused, self._policy, self._entity, scratch)
        for bucket in chain.from_iterable(hands.compared(work, shared)):
            self._run.stop.leave_if_asked()
            self._report_late(((place, each) for place, each, _ in findings_in(bucket)), errors)

    def _check_numbering(self, checked: Sequence[CheckedPart] | None, errors: FindingSpool) -> None:
        """Ask for each year whether the next number is right; None: the file is no more as it was
        checked. Raises Interrupted."""
        if checked is None:
            outlines = outlines_of(self._path, self._run.runner)
        else:
            outlines = [each for part in checked for each in part.outlines]
        pause = self._run.stop.leave_if_asked
        for noted in numbering_notes(self._path, outlines, self._run.runner, pause):
            pause()
            found = ((place, self._finding(key, note)) for place, key, note in noted)
            self._report_late(found, errors)

    def _report_late(self, found: Iterable[tuple[int, Finding]], errors: FindingSpool) -> None:
        """Report what was found of some records, in the order of the file, by comparing them."""

        def refusing() -> Iterator[tuple[int, Finding]]:
            for place, finding in found:
                self._note(finding)
                if finding.severity == "error":
                    yield place, finding

        errors.add_run(refusing())

    def _refuse(self, errors: FindingSpool) -> int:
        """Draw the consequences: if the run goes on with errors, the refused records leave the
        file. Returns how many."""
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

    def _leave_keys(
        self, checked: Sequence[CheckedPart], errors: FindingSpool, late: FindingSpool
    ) -> None:
        """What is refused is nothing that others may name; those that do are told why."""
        prefix, firsts = shape_of(self._entity).prefix, _firsts(checked)
        for number, some in groupby(errors, key=lambda each: bisect_right(firsts, each[0]) - 1):
            known = identifiers_of(checked[number].keys)
            for place, (finding, *_) in some:
                if identifier := known.get(place - firsts[number]):  # no error of its own
                    key = f"{prefix}{identifier}"
                    self._migrated.refuse(self._entity, key, finding.legacy_id, finding.rule)
        places: Iterable[int] = (place for place, _ in errors)
        if late is not errors:  # found when the first ones had left the file
            places = places_before((place for place, _ in late), places)
        directory = self._run.workspace.journal(self._entity)
        refused = places_by_part(places, firsts, directory)
        keys = (Keys(part.keys, refused.get(number)) for number, part in enumerate(checked))
        self._migrated.add(self._entity, keys)

    def _note(self, finding: Finding) -> None:
        """This was found now."""
        self._report.add(finding)
        self._run.progress.found(finding.rule, finding.severity, finding.legacy_id)

    def _finding(self, legacy_id: str, note: Note) -> Finding:
        return described(legacy_id, note, self._names, strict=self._policy.strict, items=Items())


def _firsts(checked: Sequence[CheckedPart]) -> tuple[int, ...]:
    """The place in the file of the first record of each part."""
    return tuple(accumulate((each.records for each in checked[:-1]), initial=0))
