"""Verification against a real server: it passes what arrived, and names what did not."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.aws.moto_server import MotoAws
from tests.support.records.transformed import (
    TABLES,
    Item,
    Migration,
    create_table,
    identity,
    party,
    put_items,
    sale,
)
from utils.config import VerifyConfig
from utils.dynamodb import scan_segments, table_reader
from utils.dynamodb.table_spec import Index
from utils.embedded.aws import EmbeddedAws
from utils.error_handler import ArtifactError, TargetError
from utils.files import spill
from utils.files.known_files import FileStamp
from utils.interrupt import Interrupted
from utils.processes.pool import Workers
from utils.run.run import Run
from validate.patterns import pattern_samples
from validate.verify import looks, passes
from validate.verify.verification_report import VerificationResult


@pytest.fixture
def migration(aws: EmbeddedAws, tmp_path: Path) -> Migration:
    """Six buyers, six producers and twelve sales, loaded into tables of their own."""
    made = Migration(tmp_path, aws.endpoint_url)
    made.fill()
    return made


@pytest.fixture
def loaded(migration: Migration) -> Run:
    run = migration.write()
    migration.load()
    return run


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[MotoAws]:
    server = MotoAws(tmp_path / "moto.log")
    with server:
        yield server


def keys(entries: Any) -> list[str]:
    return [entry["SK"] if entry["SK"] != "METADATA" else entry["PK"] for entry in entries]


def pattern(result: VerificationResult, name: str) -> tuple[str, ...]:
    """The failures of an access pattern."""
    (found,) = [p for e in result.entities.values() for p in e.patterns if p.name == name]
    return found.failures


def head(migration: Migration, number: int) -> Item:
    return migration.records["sales"][number - 1][0]


def line(migration: Migration, number: int) -> Item:
    return migration.records["sales"][number - 1][1]


def rename(item: Item, **changes: str) -> Item:
    return {**item, **{name: {"S": text} for name, text in changes.items()}}


def foreign(item: Item, **changes: str) -> Item:
    """An item as the live application writes it: it has no legacyId."""
    return {n: value for n, value in rename(item, **changes).items() if n != "legacyId"}


def dated(item: Item, day: str) -> Item:
    """A sale of another day, which the index of numbers has as well."""
    keys = ("saleDate", "GSI1SK", "GSI2SK", "GSI3SK", "GSI4SK")
    return rename(item, GSI4PK="SALE", **dict.fromkeys(keys, day))


# What arrived -----------------------------------------------------------------------------------


def test_an_undisturbed_target_passes_and_the_report_says_why(
    migration: Migration, loaded: Run
) -> None:
    result = migration.verify(loaded)
    assert result.problems == []
    assert result.passed

    report = orjson.loads(result.report.read_bytes())
    assert report["passed"] is True
    assert report["runId"] == loaded.manifest.run_id
    assert set(report["counts"]) == set(report["keys"]) == set(report["indexes"]) == set(TABLES)
    sales = report["counts"]["sales"]
    assert sales["closes"] is True
    for station in ("source", "extracted", "transformed", "loaded", "target"):
        assert sales[station] == {"records": 12, "items": 30}
    assert sales["quarantined"] == sales["refused"] == {"records": 0, "items": 0}
    assert report["references"]["checked"] == 24
    assert report["lines"]["checked"] == 12
    assert {p["name"] for p in report["accessPatterns"] if p["entity"] == "sales"} == {
        "one sale",
        "sales by status",
        "sales of a buyer",
        "sales of a producer",
        "all sales",
        "next sale number",
        "lines of a sale",
        "delta sync",
    }
    assert all(p["passed"] and p["sampled"] for p in report["accessPatterns"])
    assert stat.S_IMODE(result.report.stat().st_mode) == 0o600
    assert list(migration.workspace.scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["total", "linesCount"])
def test_numbers_in_another_notation_are_the_same_numbers(migration: Migration, name: str) -> None:
    for record in migration.records["sales"]:
        plain = record[0][name]["N"]
        other = {"N": f"{Decimal(plain):.9f}"}
        record[0] = {**record[0], "notes": {"S": "no escape"}, name: other}
    run = migration.write()
    migration.load()
    key = {"PK": record[0]["PK"], "SK": record[0]["SK"]}
    found = migration.client.get_item(TableName=migration.table("sales"), Key=key)
    assert found["Item"][name] == {"N": plain}, "the server has put it into its own notation"
    result = migration.verify(run)
    assert result.problems == []
    assert orjson.loads(result.report.read_bytes())["references"]["checked"] == 24
    migration.put("sales", {**record[0], name: {"N": "77"}})
    assert not migration.verify(run).passed


def test_the_outcome_is_in_the_manifest_for_the_summary(migration: Migration, loaded: Run) -> None:
    migration.verify(loaded)
    entry = loaded.manifest.phases["verify"]["sales"]
    assert entry.status == "complete"
    figures = {
        "missing": 0,
        "different": 0,
        "onlyInTarget": {},
        "changedSince": 0,
        "changedInSource": 0,
        "foreign": 0,
    }
    more = {"keptAbsent": 0, "otherProblems": 0}
    arrived = {"passed": True, "records": 12, "items": 30, **figures, **more}
    assert entry.result == arrived
    migration.delete("sales", line(migration, 1))
    migration.verify(loaded)
    entry = loaded.manifest.phases["verify"]["sales"]
    assert entry.status == "failed"
    # The ledger does not close, a sale lacks a line, and the API would not find it.
    lost = {"passed": False, "items": 29, "missing": 1, "otherProblems": 3}
    assert entry.result == {**arrived, **lost}


def test_records_in_quarantine_close_the_ledger(migration: Migration) -> None:
    migration.refused = {"sales": 3, "buyers": 1}
    run = migration.write()
    migration.load()
    result = migration.verify(run)
    assert result.problems == []
    assert result.entities["sales"].ledger.quarantined.records == 3


def test_records_that_the_load_refused_are_not_missing(migration: Migration, loaded: Run) -> None:
    refused = migration.records["sales"][2]
    for item in refused:
        migration.delete("sales", item)
    migration.quarantine(loaded, "sales", "load", ["3"], items=len(refused))
    entry = loaded.manifest.phases["load"]["sales"]
    figures = {"records": 11, "items": 26, "refused": 4, "refusedRecords": 1}
    loaded.manifest.record("load", "sales", replace(entry, result=figures))
    result = migration.verify(loaded, ["sales"])
    assert result.entities["sales"].keys.passed
    assert result.entities["sales"].ledger.problems == ()


def test_an_empty_migration_passes(aws: EmbeddedAws, tmp_path: Path) -> None:
    empty = Migration(tmp_path, aws.endpoint_url)
    run = empty.write()
    empty.load()
    assert empty.verify(run).problems == []


def test_items_of_the_application_are_counted_and_harmless(
    migration: Migration, loaded: Run
) -> None:
    newest = foreign(dated(sale(77, lines=1)[0], "2023-12-31"), PK="SALE#theirs")
    theirs = [
        newest,
        foreign(sale(77, lines=1)[1], PK="SALE#theirs"),
        *(
            foreign(dated(sale(3, lines=0)[0], f"2023-12-{n:02}"), PK=f"SALE#more{n}")
            for n in range(1, 30)
        ),
        {"PK": {"S": "SETTINGS"}, "SK": {"S": "numbering"}, "next": {"N": "7"}},
    ]
    put_items(migration.client, migration.table("sales"), theirs)
    migration.put("buyers", foreign(party("buyer", 1), PK="BUYER#theirs"))
    result = migration.verify(loaded)
    assert result.problems == []
    assert result.entities["sales"].keys.foreign == len(theirs)
    assert result.entities["buyers"].keys.foreign == 1


def test_a_sale_may_refer_to_a_buyer_of_the_application(migration: Migration) -> None:
    theirs = foreign(party("buyer", 1), PK="BUYER#theirs", buyerId="theirs")
    head(migration, 1)["buyerId"] = {"S": "theirs"}
    head(migration, 1)["GSI2PK"] = {"S": "BUYER#theirs"}
    run = migration.write()
    migration.load()
    migration.put("buyers", theirs)
    assert migration.verify(run).problems == []


def test_only_the_sales_can_be_verified(migration: Migration, loaded: Run) -> None:
    result = migration.verify(loaded, ["sales"])
    assert result.problems == []
    assert list(result.entities) == ["sales"]
    assert result.references is not None
    assert result.references.checked == 24
    migration.delete("producers", migration.records["producers"][0][0])
    assert not migration.verify(loaded, ["sales"]).passed


def test_only_the_buyers_can_be_verified(migration: Migration, loaded: Run) -> None:
    migration.delete("sales", head(migration, 1))
    result = migration.verify(loaded, ["buyers"])
    assert result.passed
    assert result.references is None
    assert not result.lines and result.as_json()["lines"] is None


def test_many_pages_in_many_segments_are_one_table(
    migration: Migration, loaded: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_reader, "PAGE_ITEMS", 3)
    result = migration.verify(loaded)
    assert result.problems == []
    assert result.entities["sales"].ledger.target.items == 30
    migration.delete("sales", line(migration, 5))
    assert migration.verify(loaded).entities["sales"].keys.missing.count == 1


def test_the_report_is_the_same_for_any_number_of_processes(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_segments, "SEGMENT_ITEMS", 5)
    monkeypatch.setattr(passes, "_FILE_BYTES", 3_000)
    monkeypatch.setattr(spill, "_TOGETHER_BYTES", 1)
    migration.fill(parties=8, sales=40)
    run = migration.write()
    migration.load()
    for number in (3, 11, 29):
        migration.delete("sales", line(migration, number))
        migration.delete("sales", head(migration, number + 1))
        migration.put("sales", rename(head(migration, number + 3), status="changed"))
        migration.put("sales", foreign(line(migration, number + 6), SK="LINE#theirs"))
        migration.put("sales", rename(head(migration, number), PK=f"SALE#extra{number}"))
        migration.delete("buyers", migration.records["buyers"][number % 8][0])
    reports = []
    for processes, by_key in ((1, 100), (2, 100), (3, 100), (2, 0)):
        # What is in doubt is asked for by key, or, when it is much, read with the whole table.
        monkeypatch.setattr(looks, "_FEWEST", by_key)
        with Workers(processes) as run.workers:
            result = migration.verify(run)
        report = orjson.loads(result.report.read_bytes())
        del report["at"], report["readUnits"]  # what it took to find the same
        reports.append(orjson.dumps(report))
        assert list(migration.workspace.scratch.iterdir()) == []
    assert set(reports) == {reports[0]}
    report = orjson.loads(reports[0])
    found = report["keys"]["sales"]
    assert found["missing"]["count"] == 6
    assert found["different"]["count"] == found["extra"]["count"] == found["foreign"] == 3
    assert all(entry["attributes"] for entry in found["different"]["list"])
    assert report["lines"]["count"] >= 9
    assert report["references"]["unresolved"]["count"] > 0


def test_a_stop_ends_it_while_other_processes_wait_for_the_target(
    migration: Migration, loaded: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_segments, "SEGMENT_ITEMS", 1)

    def stop_after_a_while(*_: object, **__: object) -> Any:
        loaded.stop.request()
        return wait([], 0.0)

    with Workers(2) as loaded.workers:
        monkeypatch.setattr("utils.processes.pool.wait", stop_after_a_while)
        with pytest.raises(Interrupted):
            migration.verify(loaded, ["sales"])
    assert list(migration.workspace.scratch.iterdir()) == []


def test_groups_larger_than_the_sample_are_compared_as_far_as_it_goes(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pattern_samples, "GROUP", 4)
    monkeypatch.setattr("validate.patterns.access_patterns.GROUP", 4)
    migration.fill(parties=2, sales=40)
    run = migration.write()
    migration.load()
    assert migration.verify(run, ["sales"]).problems == []
    for number in range(1, 41):
        if head(migration, number)["GSI2SK"]["S"].startswith("2020"):
            migration.delete("sales", head(migration, number))
    assert pattern(migration.verify(run, ["sales"]), "sales of a buyer")


@pytest.mark.parametrize("number", ["2.550E1", "25.50"])
def test_numbers_that_another_server_keeps_as_written_are_equal(
    moto: MotoAws, tmp_path: Path, number: str
) -> None:
    migration = Migration(tmp_path / "data", moto.endpoint_url)
    migration.fill(parties=2, sales=3)
    run = migration.write()
    migration.load()
    migration.put("sales", {**head(migration, 1), "subtotal": {"N": number}})
    result = migration.verify(run)
    assert result.entities["sales"].keys.passed
    assert result.problems == []


@pytest.mark.parametrize("number", ["2.550E1", "25.50", "25.5"])
def test_a_number_that_the_table_has_in_another_notation_is_equal_at_the_second_look(
    migration: Migration, number: str, caplog: pytest.LogCaptureFixture
) -> None:
    # What has no escaped letters is compared as it is written.
    head(migration, 1).update(subtotal={"N": number}, notes={"S": "Consegna urgente"})
    run = migration.write()
    migration.load()
    with caplog.at_level(logging.INFO, "migrate"):
        assert migration.verify(run).problems == []
    told = [message for message in caplog.messages if "reading again" in message]
    assert len(told) == (number != "25.5")
    assert all("of sales" in message for message in told)


# What did not -----------------------------------------------------------------------------------


def test_a_deleted_item_is_named(migration: Migration, loaded: Run) -> None:
    gone = head(migration, 4)
    migration.delete("sales", gone)
    result = migration.verify(loaded)
    assert not result.passed
    report = orjson.loads(result.report.read_bytes())
    assert report["passed"] is False
    missing = report["keys"]["sales"]["missing"]
    assert missing == {
        "count": 1,
        "list": [{"PK": gone["PK"]["S"], "SK": "METADATA"}],
        "truncated": False,
    }
    assert any(gone["PK"]["S"] in problem for problem in result.problems)
    assert result.entities["sales"].ledger.problems == (
        "the load wrote 12 records and 30 items, the target has 11 records and 29 items",
    )


def test_an_item_of_an_earlier_migration_is_extra(migration: Migration, loaded: Run) -> None:
    extra = party("producer", 99)
    migration.put("producers", extra)
    result = migration.verify(loaded)
    report = orjson.loads(result.report.read_bytes())["keys"]["producers"]
    assert keys(report["extra"]["list"]) == [extra["PK"]["S"]]
    assert not result.passed


def test_a_changed_item_is_named_with_its_attributes_and_without_their_values(
    migration: Migration, loaded: Run
) -> None:
    changed = migration.records["buyers"][2][0]
    migration.put("buyers", rename(changed, city="Geheimstadt", notes="Geheimnis"))
    result = migration.verify(loaded)
    assert not result.passed
    different = orjson.loads(result.report.read_bytes())["keys"]["buyers"]["different"]
    assert different["list"] == [
        {"PK": changed["PK"]["S"], "SK": "METADATA", "attributes": ["city", "notes"]}
    ]
    assert b"Geheim" not in result.report.read_bytes()
    assert pattern(result, "one buyer") == (f"{changed['PK']['S']} differs in city, notes",)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("total", {"N": "31.12"}),
        ("total", {"S": "31.11"}),
        ("invoiceGenerated", {"BOOL": True}),
        ("deletedAt", {"NULL": True}),
        ("legacyId", None),
    ],
)
def test_the_least_change_of_a_sale_is_found(
    migration: Migration, loaded: Run, attribute: str, value: dict[str, Any] | None
) -> None:
    item = dict(head(migration, 2))
    if value is None:
        del item[attribute]
    else:
        item[attribute] = value
    migration.put("sales", item)
    (found,) = migration.verify(loaded, ["sales"]).entities["sales"].keys.different.entries
    assert found.key.pk == item["PK"]["S"]
    assert found.attributes == (attribute,)


def test_a_removed_line_is_missed_three_times(migration: Migration, loaded: Run) -> None:
    gone = line(migration, 6)
    migration.delete("sales", gone)
    result = migration.verify(loaded)
    report = orjson.loads(result.report.read_bytes())
    assert keys(report["keys"]["sales"]["missing"]["list"]) == [gone["SK"]["S"]]
    assert report["lines"]["list"] == [{"PK": gone["PK"]["S"], "linesCount": "2", "found": 1}]
    assert len(pattern(result, "lines of a sale")) == 1


def test_lines_fewer_than_said_are_found_although_the_file_says_the_same(
    migration: Migration,
) -> None:
    lost = migration.records["sales"][5].pop()
    run = migration.write()
    migration.load()
    result = migration.verify(run)
    assert result.entities["sales"].keys.passed
    assert [problem for problem in result.problems if lost["PK"]["S"] in problem]


def test_a_sale_whose_buyer_is_gone_is_named(migration: Migration) -> None:
    orphaned = migration.records["buyers"].pop(2)[0]["PK"]["S"]
    run = migration.write()
    migration.load()
    result = migration.verify(run)
    assert all(found.passed for found in result.entities.values())
    assert not result.passed
    unresolved = orjson.loads(result.report.read_bytes())["references"]["unresolved"]
    assert {entry["party"] for entry in unresolved["list"]} == {orphaned}
    expected = {
        record[0]["PK"]["S"]
        for record in migration.records["sales"]
        if record[0]["GSI2PK"]["S"] == orphaned
    }
    assert {entry["sale"] for entry in unresolved["list"]} == expected


def test_a_buyer_is_not_found_among_the_producers(migration: Migration) -> None:
    head(migration, 1)["buyerId"] = {"S": identity("producer", 1)}
    run = migration.write()
    migration.load()
    result = migration.verify(run)
    assert result.references is not None
    assert result.references.unresolved.count == 1


def test_a_missing_index_is_named_and_its_pattern_fails(migration: Migration, loaded: Run) -> None:
    name = migration.table("sales")
    migration.client.delete_table(TableName=name)
    spec = TABLES["sales"]
    create_table(migration.client, name, replace(spec, indexes=spec.indexes[1:]))
    put_items(
        migration.client, name, [item for record in migration.records["sales"] for item in record]
    )
    result = migration.verify(loaded)
    assert f"sales: the index GSI1-QueryByBuyer of {name} is missing" in result.problems
    report = orjson.loads(result.report.read_bytes())
    assert report["indexes"]["sales"]["indexes"]["GSI1-QueryByBuyer"]["exists"] is False
    assert pattern(result, "sales by status")
    assert not pattern(result, "sales of a buyer")


def test_an_index_with_other_keys_is_named(migration: Migration, loaded: Run) -> None:
    name, spec = migration.table("sales"), TABLES["sales"]
    migration.client.delete_table(TableName=name)
    swapped = (Index("GSI1-QueryByBuyer", "GSI2PK", "GSI2SK"), *spec.indexes[1:])
    create_table(migration.client, name, replace(spec, indexes=swapped))
    put_items(
        migration.client, name, [item for record in migration.records["sales"] for item in record]
    )
    problems = migration.verify(loaded).problems
    assert any("key of the index GSI1-QueryByBuyer" in problem for problem in problems)


def test_a_table_with_another_key_is_a_difference_and_no_crash(
    migration: Migration, loaded: Run
) -> None:
    name, spec = migration.table("buyers"), TABLES["buyers"]
    migration.client.delete_table(TableName=name)
    create_table(migration.client, name, spec, keys=("buyerId", "SK"))
    items = [item for record in migration.records["buyers"] for item in record]
    put_items(migration.client, name, [rename(item, city="Elsewhere") for item in items])
    result = migration.verify(loaded)
    assert f"buyers: the key of {name} is not PK, SK (both String)" in result.problems
    assert result.entities["buyers"].keys.different.count == len(items)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("sales by status", lambda item: item.update(GSI1PK={"S": "STATUS#elsewhere"})),
        ("sales of a buyer", lambda item: item.update(GSI2PK={"S": "BUYER#elsewhere"})),
        ("sales of a producer", lambda item: item.pop("GSI3SK")),
        ("sales of a buyer", lambda item: item.update(GSI2SK={"S": "1999-01-01"})),
        ("next sale number", lambda item: item.update(GSI4SK={"S": "2019-06-01"})),
    ],
)
def test_an_index_key_that_belies_its_sale_fails_the_pattern_alone(
    migration: Migration, name: str, spoil: Callable[[Item], Any]
) -> None:
    migration.fill(parties=2, sales=3)
    spoil(head(migration, 3))
    run = migration.write()
    migration.load()
    result = migration.verify(run)
    assert result.entities["sales"].keys.passed
    assert pattern(result, name)
    assert not result.passed


def test_the_latest_number_of_a_year_must_come_from_the_latest_sale(
    migration: Migration, loaded: Run
) -> None:
    latest = max(
        (record[0] for record in migration.records["sales"] if "GSI4PK" in record[0]),
        key=lambda item: item["saleDate"]["S"],
    )
    migration.put("sales", {**latest, "saleNumber": {"N": "999"}})
    (failure,) = pattern(migration.verify(loaded, ["sales"]), "next sale number")
    assert latest["PK"]["S"] in failure


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("list buyers", {"deletedAt": "2024-06-01T00:00:00.000Z"}),
        ("list buyers by status", {"status": "archived"}),
        ("list buyers by country", {"country": "XX"}),
        ("list buyers with a part of the name", {"companyName": "?"}),
        ("delta sync", {"updatedAt": "1999-01-01T00:00:00.000Z"}),
    ],
)
def test_a_filter_that_leaves_out_one_of_ours_fails(
    migration: Migration, loaded: Run, name: str, changes: dict[str, str]
) -> None:
    for record in migration.records["buyers"]:
        migration.put("buyers", rename(record[0], **changes))
    result = migration.verify(loaded, ["buyers"])
    assert all("is left out" in failure for failure in pattern(result, name))
    assert pattern(result, name)


# What stops it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"31.11"', b'"31.12"'), (b'"31.11"}', b'"31.11"]')],
    ids=["edited", "no JSON"],
)
def test_an_edited_file_is_refused(
    migration: Migration, loaded: Run, old: bytes, new: bytes
) -> None:
    path = migration.workspace.transformed("sales")
    text = path.read_bytes()
    path.write_bytes(text.replace(old, new, 1))
    assert path.read_bytes() != text
    with pytest.raises(ArtifactError, match="SHA-256") as stopped:
        migration.verify(loaded)
    assert "--phase transform" in stopped.value.remedy
    assert "sales" not in loaded.manifest.phases.get("verify", {})


def test_the_proof_reads_files_that_the_run_knows(migration: Migration, loaded: Run) -> None:
    path = migration.workspace.transformed("sales")
    os.utime(path, (1.5e9 + 0.123456789, 1.5e9 + 0.123456789))
    known = loaded.manifest.artifacts["transformed/sales.json"]
    loaded.manifest.artifacts["transformed/sales.json"] = replace(known, sha256="untrue")
    loaded.known_files.has_read(path, "untrue", FileStamp.of(path))
    loaded.artifact(path, written_by="transform")
    with pytest.raises(ArtifactError, match="SHA-256"):
        migration.verify(loaded)


def test_a_missing_table_stops_with_a_remedy(migration: Migration, loaded: Run) -> None:
    migration.client.delete_table(TableName=migration.table("producers"))
    with pytest.raises(TargetError, match="a table is missing") as stopped:
        migration.verify(loaded)
    assert "target.createTables" in stopped.value.remedy
    with pytest.raises(TargetError, match="a table is missing"):
        migration.verify(loaded, ["sales"])


def test_a_target_that_is_not_there_stops_with_a_remedy(tmp_path: Path) -> None:
    nowhere = Migration(tmp_path, "http://127.0.0.1:9")
    with pytest.raises(TargetError, match="cannot be reached"):
        nowhere.verify(nowhere.write())


def test_a_stop_that_is_asked_for_ends_it(migration: Migration, loaded: Run) -> None:
    loaded.stop.request()
    with pytest.raises(Interrupted):
        migration.verify(loaded)
    assert list(migration.workspace.scratch.iterdir()) == []


@pytest.mark.parametrize("most", [3, None])
def test_the_access_patterns_are_asked_for_as_many_as_the_setting_says(
    migration: Migration, most: int | None
) -> None:
    migration.config = replace(migration.config, verify=VerifyConfig(sample=most))
    run = migration.write()
    migration.load()
    result = migration.verify(run)
    assert result.problems == []
    asked = {
        each.name: (each.sampled, each.of)
        for each in result.entities["sales"].patterns
        if each.of is not None and each.what is not None
    }
    sales, parties = (most or 12, 12), (most or 6, 6)
    assert asked == {
        "one sale": sales,
        "lines of a sale": sales,
        "sales of a buyer": parties,
        "sales of a producer": parties,
        "next sale number": (4, 4),
    }
    migration.put("sales", rename(head(migration, 1), GSI2SK="1999-01-01"))
    if most is None:
        assert pattern(migration.verify(run), "sales of a buyer") != ()


def test_every_index_is_read_whole_and_its_keys_are_compared(
    migration: Migration, loaded: Run
) -> None:
    """A sale whose status says otherwise than its key is found, whoever wrote it; a line in an
    index, too."""
    theirs = foreign(sale(77, lines=0)[0], PK="SALE#theirs", status="other")
    in_index = rename(line(migration, 1), GSI1PK="STATUS#paid", GSI1SK="2020-01-01")
    put_items(migration.client, migration.table("sales"), [theirs, in_index])
    result = migration.verify(loaded)
    report = orjson.loads(result.report.read_bytes())["indexes"]["sales"]
    assert report["passed"] is False
    assert {
        entry["PK"]: [(each["key"], each["attribute"]) for each in entry["disagree"]]
        for entry in report["keys"]["list"]
    } == {
        "SALE#theirs": [("GSI1PK", "status")],
        in_index["PK"]["S"]: [("GSI1PK", None), ("GSI1SK", None)],
    }
    first = report["indexes"]["GSI1-QueryByBuyer"]
    assert (first["items"], first["entries"], first["wrong"]["count"]) == (14, 14, 0)
    assert first["readUnits"] > 0


def test_a_year_that_only_the_table_has_is_asked_for(migration: Migration, loaded: Run) -> None:
    theirs = foreign(dated(sale(77, lines=0)[0], "2031-05-05"), PK="SALE#theirs")
    migration.put("sales", theirs)
    result = migration.verify(loaded)
    assert result.problems == []
    (found,) = [p for p in result.entities["sales"].patterns if p.name == "next sale number"]
    assert found.sampled == 5


def test_what_the_application_has_made_itself_is_checked_as_well(
    migration: Migration, loaded: Run
) -> None:
    """Its sales, too, name parties that are there, and have the lines that they say."""
    good, dangling = foreign(sale(77, lines=0)[0], PK="SALE#good"), sale(78, lines=1)
    theirs = foreign(dangling[0], PK="SALE#dangling", buyerId="nobody", GSI2PK="BUYER#nobody")
    put_items(migration.client, migration.table("sales"), [good, theirs])
    result = migration.verify(loaded)
    assert result.references is not None
    assert result.references.checked == 24 + 4
    assert [each.named for each in result.references.unresolved.entries] == ["BUYER#nobody"]
    lines = result.lines["sales"]
    assert lines.checked == 12 + 2
    assert [each.sale for each in lines.different.entries] == ["SALE#dangling"]
    assert result.entities["sales"].keys.foreign == 2
    migration.put("sales", foreign(dangling[1], PK="SALE#dangling"))
    migration.put("buyers", foreign(party("buyer", 9), PK="BUYER#nobody"))
    again = migration.verify(loaded)
    assert again.problems == []
    assert again.lines["sales"].checked == 12 + 2
