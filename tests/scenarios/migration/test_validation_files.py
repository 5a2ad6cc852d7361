"""The gate before the load, on the files that extract and transform leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.content import content_of
from tests.support.records.items import Item, as_lines, numbers, party, sale_record, texts
from utils.config import Config, MigrationConfig, ValidationConfig
from utils.error_handler import ArtifactError
from utils.files.artifacts import ArtifactWriter, sha256_of
from utils.files.findings import Finding
from utils.files.quarantine import Refusal, read_quarantine
from utils.files.workspace import Workspace
from utils.interrupt import Interrupted
from utils.run.manifest import Manifest
from utils.run.run import COMPLETE, FAILED, Run
from utils.telemetry.tasks import Tasks
from validate.gate import validation_report
from validate.validate_data import ValidationResult, validate

ENTITIES = ("buyers", "producers", "sales")


@dataclass
class Files:
    """A data directory as the transform leaves it, and what the gate makes of it."""

    root: Path
    records: dict[str, list[list[Item]]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    def write(self) -> None:
        self.workspace.prepare()
        run = Run(Config(), self.workspace, Manifest.new(), Tasks())
        for entity in ENTITIES:
            records, refused = self.records.get(entity, []), self.refused.get(entity, [])
            keys = [record[0].get("legacyId", {"S": "0"})["S"] for record in records]
            rows = [[self.row(key)] for key in [*keys, *refused]]
            self._publish(run, self.workspace.extracted(entity), rows)
            self._publish(run, self.workspace.transformed(entity), map(as_lines, records))
            lines = [[self._refusal(entity, key).as_line()] for key in refused]
            self._publish(run, self.workspace.quarantine(entity), lines)
        run.save()

    @staticmethod
    def row(legacy_id: str) -> bytes:
        """An extracted row; its name looks like a key to a careless reader."""
        row = {"name": f'Riga "first_id":1 di {legacy_id}', "first_id": int(legacy_id)}
        return orjson.dumps(row) + b"\n"

    @staticmethod
    def _publish(run: Run, path: Path, records: Iterable[list[bytes]]) -> None:
        with ArtifactWriter(path) as writer:
            for record in records:
                writer.write(b"".join(record), records=1, items=len(record))
            run.publish(path, writer.commit())

    def _refusal(self, entity: str, legacy_id: str) -> Refusal:
        finding = Finding(entity, legacy_id, "status", "unknown-status", "error", "unknown")
        row = self.row(legacy_id).rstrip(b"\n")
        return Refusal(entity, legacy_id, "transform", (finding,), 1, row)

    def run(self, *, go_on: bool = False, **rules: bool) -> Run:
        config = Config(
            migration=MigrationConfig(continue_on_error=go_on),
            validation=ValidationConfig(**rules),
        )
        manifest = Manifest.load(self.workspace.manifest)
        assert manifest is not None
        return Run(config, self.workspace, manifest, Tasks())

    def validate(
        self, *, go_on: bool = False, entities: Sequence[str] = ENTITIES, **rules: bool
    ) -> ValidationResult:
        return validate(self.run(go_on=go_on, **rules), entities)

    @property
    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.workspace.report("validation").read_bytes())
        return document

    def contents(self) -> dict[str, bytes]:
        """Every artifact and quarantine file, byte for byte."""
        paths = [
            path
            for entity in ENTITIES
            for path in (self.workspace.transformed(entity), self.workspace.quarantine(entity))
        ]
        return {str(path.relative_to(self.root)): content_of(path) for path in paths}

    def kept(self, entity: str) -> list[str]:
        """The S9 keys of the records that are left in a transformed file."""
        lines = content_of(self.workspace.transformed(entity)).splitlines()
        items = [orjson.loads(line)["Item"] for line in lines]
        return [item["legacyId"]["S"] for item in items if item["SK"]["S"] == "METADATA"]

    def quarantined(self, entity: str) -> list[tuple[str, str, str]]:
        """(S9 key, phase, first rule) of the records in quarantine."""
        return [
            (refusal.legacy_id, refusal.phase, refusal.findings[0].rule)
            for refusal in read_quarantine(self.workspace.quarantine(entity))
        ]


def sound(root: Path) -> Files:
    """Three buyers, two producers and five sales, without a fault."""
    return Files(
        root,
        {
            "buyers": [[party("buyer", number)] for number in (1, 2, 3)],
            "producers": [[party("producer", number)] for number in (1, 2)],
            "sales": [
                sale_record(number, lines=number % 3 + 1, buyer=number % 3 + 1, producer=2)
                for number in range(1, 6)
            ],
        },
    )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return sound(tmp_path)


@pytest.fixture
def faulty(tmp_path: Path) -> Files:
    """Buyer 2 has no city, and sales 1 and 4 need buyer 2; sale 3 has an amount that is not
    canonical; sale 9 was refused by the transform."""
    files = sound(tmp_path)
    files.records["buyers"][1][0].pop("city")
    files.records["sales"][2][1].update(numbers(netAmount="32.630"))
    files.refused["sales"] = ["9"]
    files.write()
    return files


def test_sound_files_pass_and_stay_as_they_are(files: Files) -> None:
    files.write()
    before = files.contents()
    result = files.validate()
    assert (result.passed, result.error_count, result.warning_count) == (True, 0, 0)
    assert files.contents() == before
    assert files.report["passed"] is True
    assert files.report["findings"] == []
    assert files.report["entities"]["sales"] == {
        "records": 5,
        "items": 16,
        "errors": 0,
        "warnings": 0,
        "recordsWithErrors": 0,
        "quarantined": {},
    }


def test_a_verdict_names_the_file_that_passed(files: Files) -> None:
    files.write()
    files.validate()
    manifest = files.run().manifest
    for entity in ENTITIES:
        entry = manifest.phase("validate", entity)
        assert entry is not None
        assert entry.status == COMPLETE
        path = files.workspace.transformed(entity)
        assert entry.inputs == {f"transformed/{entity}.json": sha256_of(path)}


def test_errors_stop_the_run_and_change_nothing(faulty: Files) -> None:
    before = faulty.contents()
    result = faulty.validate()
    assert not result.passed
    assert faulty.contents() == before
    assert not faulty.report["passed"]
    for entity, status in (("buyers", FAILED), ("producers", COMPLETE), ("sales", FAILED)):
        entry = faulty.run().manifest.phase("validate", entity)
        assert entry is not None
        assert entry.status == status
        assert bool(entry.inputs) is (status == COMPLETE)


def test_the_report_tells_every_error_once_with_those_of_the_transform(faulty: Files) -> None:
    result = faulty.validate()
    report = faulty.report
    assert report["errorCount"] == result.error_count == 5
    assert report["rules"] == {
        "reference": 2,
        "attribute-missing": 1,
        "attribute-value": 1,
        "unknown-status": 1,
    }
    found = [(f["entity"], f["legacyId"], f["rule"]) for f in report["findings"]]
    assert sorted(found) == [
        ("buyers", "2", "attribute-missing"),
        ("sales", "1", "reference"),
        ("sales", "3", "attribute-value"),
        ("sales", "4", "reference"),
        ("sales", "9", "unknown-status"),
    ]
    assert report["entities"]["sales"]["recordsWithErrors"] == 4
    assert report["entities"]["sales"]["quarantined"] == {"transform": 1}


def test_going_on_moves_the_records_with_errors_and_the_sales_that_need_them(
    faulty: Files,
) -> None:
    result = faulty.validate(go_on=True)
    assert result.passed
    assert result.quarantined == 4
    assert faulty.kept("buyers") == ["1", "3"]
    assert faulty.kept("sales") == ["2", "5"]
    assert faulty.quarantined("buyers") == [("2", "validate", "attribute-missing")]
    assert faulty.quarantined("sales") == [
        ("9", "transform", "unknown-status"),
        ("1", "validate", "reference"),
        ("3", "validate", "attribute-value"),
        ("4", "validate", "reference"),
    ]


def test_a_refused_record_is_kept_whole_as_it_was_extracted(faulty: Files) -> None:
    faulty.validate(go_on=True)
    for refusal in read_quarantine(faulty.workspace.quarantine("sales")):
        assert refusal.record + b"\n" == faulty.row(refusal.legacy_id)
    (line,) = faulty.workspace.quarantine("buyers").read_bytes().splitlines()
    entry = orjson.loads(line)
    assert entry["rule"] == "attribute-missing"
    assert entry["field"] == "city"
    assert entry["reason"] == entry["findings"][0]["message"]


def test_the_ledger_closes_after_records_have_left(faulty: Files) -> None:
    before = faulty.run().manifest.artifacts
    faulty.validate(go_on=True)
    after = faulty.run().manifest.artifacts
    for entity in ENTITIES:
        kept, refused = f"transformed/{entity}.json", f"quarantine/{entity}.json"
        for count in ("records", "items"):
            moved = getattr(before[kept], count) - getattr(after[kept], count)
            assert moved == getattr(after[refused], count) - getattr(before[refused], count)
        path = faulty.workspace.transformed(entity)
        assert after[kept].sha256 == sha256_of(path)
        assert after[kept].records == len(faulty.kept(entity))
        assert after[kept].items == len(content_of(path).splitlines())
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_validation_changes_nothing_and_still_tells_everything(faulty: Files) -> None:
    first = faulty.validate(go_on=True)
    contents, told = faulty.contents(), faulty.report
    second = faulty.validate(go_on=True)
    assert faulty.contents() == contents
    assert (second.passed, second.error_count, second.quarantined) == (True, first.error_count, 0)
    assert faulty.report["rules"] == told["rules"]
    assert faulty.report["entities"]["sales"]["quarantined"] == {"transform": 1, "validate": 3}
    assert all(finding["quarantined"] for finding in faulty.report["findings"])


def test_records_in_quarantine_stop_a_run_that_must_not_go_on(faulty: Files) -> None:
    faulty.validate(go_on=True)
    assert not faulty.validate().passed


def test_strict_mode_refuses_what_is_only_doubtful(files: Files) -> None:
    files.records["buyers"][0][0].update(texts(email="nobody"))
    files.write()
    assert files.validate().warning_count == 1
    strict = files.validate(strict_mode=True)
    assert (strict.passed, strict.warning_count) == (False, 0)
    assert files.validate(go_on=True, strict_mode=True).quarantined == 2
    assert files.kept("buyers") == ["2", "3"]
    assert files.kept("sales") == ["1", "2", "4", "5"]


def test_a_party_that_is_refused_for_what_it_shares_is_the_cause_that_sales_name(
    files: Files,
) -> None:
    files.records["buyers"][1][0].update(texts(code="C00001"))
    files.write()
    files.validate(strict_mode=True, go_on=True)
    assert files.kept("buyers") == ["1", "3"]
    causes = [each["cause"] for each in files.report["findings"] if each["rule"] == "reference"]
    refused = {"entity": "buyers", "key": "2", "why": "refused", "reason": "duplicate-code"}
    assert causes == [refused, refused]


def test_each_group_of_rules_can_be_switched_off_and_the_report_says_so(files: Files) -> None:
    files.records["buyers"][0][0].update(texts(email="nobody", code="C00002"))
    files.records["sales"].append(sale_record(6, buyer=77))
    files.write()
    assert files.validate(validate_references=False).error_count == 0
    assert files.report["skipped"] == {"references": "validation.validateReferences is false"}
    files.validate(check_duplicates=False)
    assert set(files.report["rules"]) == {"email", "reference"}
    files.validate(business_rules=False)
    assert set(files.report["rules"]) == {"duplicate-code", "reference"}
    files.validate()
    assert set(files.report["rules"]) == {"duplicate-code", "email", "reference"}
    assert files.report["skipped"] == {}


def test_sales_alone_are_judged_by_the_parties_on_disk(files: Files) -> None:
    files.records["sales"].append(sale_record(6, buyer=77))
    files.write()
    result = files.validate(entities=["sales"])
    assert result.error_count == 1
    assert list(files.report["entities"]) == ["sales"]
    assert files.report["findings"][0]["field"] == "buyerId"


def test_refusing_a_party_takes_back_what_was_said_of_sales(files: Files) -> None:
    files.records["buyers"][0][0].update(texts(email="nobody"))
    files.write()
    files.validate()
    assert files.run().manifest.phase("validate", "sales") is not None
    files.validate(entities=["buyers"], go_on=True, strict_mode=True)
    assert files.run().manifest.phase("validate", "sales") is None


def test_duplicates_are_told_and_only_a_key_is_an_error(files: Files) -> None:
    files.records["buyers"] += [[party("buyer", 4, code="C00001", vatNumber="00743110157")]]
    files.records["buyers"][2][0].update(texts(vatNumber="IT00743110157"))
    twin = sale_record(6)
    twin[0].update(numbers(saleNumber="5"))
    files.records["sales"] += [twin, sale_record(6)]
    files.write()
    result = files.validate(go_on=True)
    assert files.report["rules"] == {
        "duplicate-key": 1,
        "duplicate-code": 1,
        "duplicate-vat-number": 1,
        "duplicate-sale-number": 1,
    }
    assert (result.error_count, result.warning_count, result.quarantined) == (1, 3, 1)
    assert files.kept("sales") == ["1", "2", "3", "4", "5", "6"]


def test_sale_numbers_of_different_years_and_of_proforma_do_not_clash(files: Files) -> None:
    other_year = sale_record(6, saleDate={"S": "2023-03-04"}, year={"N": "2023"})
    proforma = sale_record(7, docType={"S": "proforma"})
    for record in (other_year, proforma):
        record[0].update(numbers(saleNumber="5"))
    for name in ("GSI4PK", "GSI4SK"):
        del proforma[0][name]
    files.records["sales"] += [other_year, proforma]
    files.write()
    assert files.validate().warning_count == 0
    assert files.report["findings"] == []


def test_a_party_refused_as_a_duplicate_of_a_kept_one_leaves_its_sales_alone(
    files: Files,
) -> None:
    files.records["buyers"].append([party("buyer", 3, code="C9")])
    files.write()
    assert files.validate(go_on=True).quarantined == 1
    assert files.kept("buyers") == ["1", "2", "3"]
    assert files.kept("sales") == ["1", "2", "3", "4", "5"]


def test_counts_are_whole_where_the_list_is_cut(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation_report, "LISTED_PER_RULE", 3)
    files.records["sales"] = [sale_record(number, lines=0) for number in range(1, 11)]
    files.write()
    files.validate()
    report = files.report
    assert report["warningCount"] == report["rules"]["no-lines"] == 10
    assert len(report["findings"]) == 3
    assert report["truncated"] == {"no-lines": 7}
    every = (files.workspace.reports / report["allFindings"]).read_bytes().splitlines()
    assert [orjson.loads(line)["legacyId"] for line in every] == [str(n) for n in range(1, 11)]


def test_a_record_without_its_key_is_kept_as_the_items_it_became(files: Files) -> None:
    files.records["sales"][1][0].pop("legacyId")
    files.write()
    assert files.validate(go_on=True).quarantined == 1
    (refusal,) = read_quarantine(files.workspace.quarantine("sales"))
    assert refusal.legacy_id == ""
    assert len(orjson.loads(refusal.record)) == len(files.records["sales"][1])
    assert files.kept("sales") == ["1", "3", "4", "5"]


@pytest.mark.parametrize("part", ["transformed", "quarantine", "extracted"])
def test_a_file_that_was_edited_by_hand_is_refused(faulty: Files, part: str) -> None:
    path = faulty.root / part / "sales.json"
    path.write_bytes(content_of(path) + b"\n")
    with pytest.raises(ArtifactError) as stopped:
        faulty.validate(go_on=True)
    assert str(path) in stopped.value.message
    assert "--phase" in stopped.value.remedy


def test_a_stop_leaves_everything_as_it_was(faulty: Files) -> None:
    before = faulty.contents()
    run = faulty.run(go_on=True)
    run.stop.request()
    with pytest.raises(Interrupted):
        validate(run)
    assert faulty.contents() == before
    assert list(faulty.workspace.scratch.iterdir()) == []


class Killed(BaseException):
    """The process ends here."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int, *, before: bool) -> None:
    """End the process at a rename: renames are all that changes what is on disk."""
    left = [number]
    rename = Path.replace

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0 and before:
            raise Killed
        result = rename(self, target)
        if left[0] == 0:
            raise Killed
        return result

    monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", range(1, 20))
def test_killed_at_any_rename_the_next_validation_ends_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, before: bool
) -> None:
    undisturbed, disturbed = sound(tmp_path / "one"), sound(tmp_path / "two")
    for files in (undisturbed, disturbed):
        files.records["buyers"][1][0].pop("city")
        files.refused["sales"] = ["9"]
        files.write()
    undisturbed.validate(go_on=True, check_duplicates=False)
    with monkeypatch.context() as patched:
        kill_at(patched, number, before=before)
        try:
            disturbed.validate(go_on=True, check_duplicates=False)
        except Killed:
            pass
        else:
            assert number > 12, "the kills must reach to the end of the validation"
    assert disturbed.validate(go_on=True, check_duplicates=False).passed
    assert disturbed.contents() == undisturbed.contents()
    assert disturbed.report["rules"] == undisturbed.report["rules"]
    assert disturbed.quarantined("sales") == [
        ("9", "transform", "unknown-status"),
        ("1", "validate", "reference"),
        ("4", "validate", "reference"),
    ]
