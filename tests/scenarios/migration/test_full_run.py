"""A whole migration as an operator sees it, and that doing it again changes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, Sample, TableNames
from tests.scenarios.conftest import DONE_TABLES, hire
from tests.support.application.gateway import Gateway
from tests.support.operators.operator import (
    ENTITIES,
    IMPATIENT,
    Operator,
    by_key,
    exists,
    scan_all,
    small_trade,
)
from utils.embedded.aws import EmbeddedAws

PHASES = ("extract", "transform", "validate", "load", "verify")


def test_the_target_holds_exactly_the_transformed_items(
    finished: Operator, dynamodb: DynamoDBClient
) -> None:
    found = scan_all(dynamodb, DONE_TABLES)
    for entity in ENTITIES:
        assert found[entity] == by_key(finished.items(entity))
        assert len(found[entity]) > 10


def test_the_ledger_closes_and_every_report_says_so(finished: Operator, sample: Sample) -> None:
    verified = finished.report("verification")
    assert verified["passed"]
    assert verified["problems"] == []
    for entity in ENTITIES:
        stations = verified["counts"][entity]
        assert stations["closes"]
        assert stations["source"] == stations["extracted"]
        assert stations["loaded"] == stations["transformed"] == stations["target"]
        assert stations["source"]["records"] == getattr(sample.report.size, entity)
        for what in ("records", "items"):
            sum_of_both = stations["transformed"][what] + stations["quarantined"][what]
            assert stations["source"][what] == sum_of_both
    assert verified["counts"]["sales"]["source"]["items"] == 300 + sample.report.lines
    loaded = finished.report("load")["entities"]
    assert loaded["sales"]["items"] == verified["counts"]["sales"]["target"]["items"]
    assert (finished.data / "reports" / "migration.log").stat().st_size > 0
    assert (finished.data / "reports" / "migration_errors.log").exists()


def test_quarantine_holds_what_was_planted_whole_and_with_reasons(
    finished: Operator, sample: Sample
) -> None:
    for entity in ENTITIES:
        refused = finished.quarantine(entity)
        assert set(refused) == sample.report.quarantined(entity)
        rows = {str(row["first_id"]): row for row in finished.extracted(entity)}
        for key, entry in refused.items():
            assert entry["record"] == rows[key]
            assert entry["phase"] in ("transform", "validate")
            assert entry["rule"]
            assert entry["reason"]
            assert {finding["legacyId"] for finding in entry["findings"]} == {key}


def test_every_planted_warning_is_reported(finished: Operator, sample: Sample) -> None:
    findings = finished.report("validation")["findings"]
    warned = {(finding["entity"], finding["legacyId"]) for finding in findings}
    unseen = [
        planted.kind
        for planted in sample.report.planted
        if planted.expectation == "warning"
        and not {(planted.entity, planted.legacy_id), (planted.entity, str(planted.partner))}
        & warned
    ]
    assert unseen == []


def test_nothing_is_reported_of_rows_that_nobody_planted(
    finished: Operator, sample: Sample
) -> None:
    findings = finished.report("validation")["findings"]
    for entity in ENTITIES:
        named = {each["legacyId"] for each in findings if each["entity"] == entity}
        assert named
        assert sample.report.unplanted(entity, named) == set()


def test_a_second_full_run_and_a_resume_change_no_byte_and_no_item(
    after_a_run: Operator, dynamodb: DynamoDBClient
) -> None:
    files, items = after_a_run.files(), scan_all(dynamodb, DONE_TABLES)
    del after_a_run.config["transformation"]  # the first run's timestamp is kept all the same
    for again in ("--full", "--resume"):
        outcome = after_a_run.run(again).ended(5)
        assert after_a_run.files() == files
        assert ("[Load] Sales: 100%" in outcome.stderr) == (again == "--full")
    assert scan_all(dynamodb, DONE_TABLES) == items


def test_phases_by_hand_in_their_order_do_what_a_full_run_does(
    operator: Operator, finished: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    for phase, code, following in zip(
        PHASES, (0, 5, 5, 5, 5), (*PHASES[1:], "retry-quarantine"), strict=True
    ):
        outcome = operator.run("--phase", phase).ended(code)
        assert outcome.last_line.endswith(following)
    assert operator.files() == finished.files()
    assert scan_all(dynamodb, tables) == scan_all(dynamodb, DONE_TABLES)
    assert operator.report("verification")["passed"]


def test_an_entity_by_hand_leaves_the_others_alone(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.run("--phase", "extract").ended(0)
    before = alone.files()
    s9.execute("UPDATE msg_anag SET city = 'Lecco'")
    alone.run("--phase", "extract", "--entity", "buyers").ended(0)
    after = alone.files()
    assert {row["city"] for row in alone.extracted("buyers")} == {"Lecco"}
    for name in ("extracted/producers.json", "extracted/sales.json"):
        assert after[name] == before[name]
    snapshot = alone.manifest()["snapshot"]
    assert not snapshot["consistent"]
    assert "S9 has changed" in snapshot["statement"]


def test_entities_by_hand_with_an_unchanged_s9_are_of_one_moment(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    for entity in ENTITIES:
        alone.run("--phase", "extract", "--entity", entity).ended(0)
    snapshot = alone.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert "unchanged" in snapshot["statement"]


def test_a_dry_run_writes_nothing_to_the_target_and_nothing_over_earlier_files(
    after_a_run: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    before = {path: path.read_bytes() for path in after_a_run.data.rglob("*") if path.is_file()}
    after_a_run.configure(
        target={
            "salesTable": tables.sales,
            "buyersTable": tables.buyers,
            "producersTable": tables.producers,
        }
    )
    outcome = after_a_run.run("--dry-run").ended(2)
    assert "nothing was written to the target" in outcome.last_line
    assert "holds the migration of another target" in outcome.stdout
    for name in (tables.sales, tables.buyers, tables.producers):
        assert not exists(dynamodb, name)
    for path, content in before.items():
        assert path.read_bytes() == content, path
    rehearsed = after_a_run.data / "dry-run" / "transformed" / "sales.json"
    assert rehearsed.read_bytes() == after_a_run.transformed()["sales"]


def test_a_dry_run_can_be_asked_for_in_the_configuration(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    alone.configure(migration={"dryRun": True})
    outcome = alone.run("--full").ended(0)
    assert "nothing was written to the target" in outcome.last_line
    assert not exists(dynamodb, tables.sales)


def test_a_load_that_failed_goes_on_without_reading_s9_again(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9)
    with Gateway(aws.host, aws.port) as gateway:
        gateway.writes = 5
        alone.configure(
            target={"endpoint": gateway.url},
            migration={"continueOnError": False, "batchSize": 1, "workers": 1, **IMPATIENT},
        )
        alone.run("--full").failed(1, gateway.url, "cannot be reached")
        assert [len(found) for found in scan_all(dynamodb, tables).values()] == [2, 1, 2]
        # Two lines are there, and what opens their sale is not: nothing is done with in order.
        alone.run("--full").failed(2, "stopped in load, sales, 0 of 5 items", "--resume")

        s9.execute("DELETE FROM msg_line")  # nobody looks there again
        gateway.writes = 5  # one each: what may have arrived is asked for by its own write
        outcome = alone.run("--resume").ended(0)
        assert gateway.writes == 0
    assert "Extract of sales is already complete" in outcome.stderr
    assert alone.report("verification")["passed"]
    for entity, found in scan_all(dynamodb, tables).items():
        assert found == by_key(alone.items(entity))


def test_an_entity_that_cannot_be_loaded_is_set_aside_and_resumed(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    small_trade(s9)
    with Gateway(aws.host, aws.port) as gateway:
        gateway.writes = 5
        alone.configure(
            target={"endpoint": gateway.url},
            migration={"batchSize": 1, "workers": 1, **IMPATIENT},
        )
        outcome = alone.run("--full").ended(1)
        assert "Load of sales failed" in outcome.stderr
        assert "What to do: " in outcome.stderr
        assert "everything arrived" not in outcome.output
        assert "--resume" in outcome.last_line
        assert [len(found) for found in scan_all(dynamodb, tables).values()] == [2, 1, 2]

        gateway.writes = None
        alone.run("--resume").ended(0)
    for entity, found in scan_all(dynamodb, tables).items():
        assert found == by_key(alone.items(entity))


def test_resume_without_an_unfinished_run_says_so(operator: Operator) -> None:
    operator.run("--resume").failed(2, "nothing to resume", "--full")


def test_a_difference_in_the_target_is_named(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    stray = {"PK": {"S": "SALE#stray"}, "SK": {"S": "LINE#stray"}}
    dynamodb.put_item(TableName=tables.sales, Item={**stray, "legacyId": {"S": "4711"}})
    outcome = alone.run("--phase", "verify").ended(4)
    report = alone.report("verification")
    assert not report["passed"]
    assert report["keys"]["sales"]["extra"]["list"] == [{"PK": "SALE#stray", "SK": "LINE#stray"}]
    assert "only in the target: 1 line" in outcome.last_line
    assert outcome.last_line.endswith("python migrate.py --phase verify")
    dynamodb.delete_item(TableName=tables.sales, Key=stray)
    alone.run("--phase", "verify").ended(0)


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_empty_source_succeeds_and_the_ledger_closes_with_zeros(
    entity: str, empty: Operator
) -> None:
    stations = empty.report("verification")["counts"][entity]
    assert stations["closes"]
    nothing = {"records": 0, "items": 0}
    for station in ("source", "extracted", "transformed", "quarantined", "loaded", "target"):
        assert stations[station] == nothing


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, sample: Sample, aws: EmbeddedAws) -> Operator:
    """The operator of a migration of nothing that has ended."""
    tables = TableNames("empty-Sales", "empty-Buyers", "empty-Producers")
    nothing = hire(tmp_path_factory.mktemp("empty"), sample.s9, aws, tables)
    none = {"where": "false"}
    nothing.configure(extraction={"buyers": none, "producers": none, "sales": none})
    nothing.run("--full").ended(0)
    return nothing


def test_the_log_is_json_lines_with_the_run_and_no_traceback(finished: Operator) -> None:
    text = (finished.data / "reports" / "migration.log").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert all(re.match(r'\{"time":"\d{4}-\d\d-\d\dT[\d:.]+Z","level":"', each) for each in lines)
    assert any("Extracted 60 buyers" in each for each in lines)
    assert "Traceback" not in text


def test_the_password_is_nowhere(finished: Operator) -> None:
    finished.assert_keeps_its_secrets(finished.outcomes[0])


def test_config_may_lie_elsewhere_and_next_steps_name_it(
    alone: Operator, s9: S9Database, tmp_path: Path
) -> None:
    small_trade(s9)
    alone.write_config()
    (tmp_path / "config.json").rename(tmp_path / "s9.json")
    outcome = alone.run("--phase", "extract", "--config", "s9.json").ended(0)
    assert outcome.last_line.endswith("python migrate.py --config s9.json --phase transform")
