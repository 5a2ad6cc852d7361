"""`retry-quarantine`: mended records go through the phases again, and the ledger closes again."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.operators.operator import Operator, insert, sale, scan_all, small_trade


def migrate_with(operator: Operator, s9: S9Database, *faults: str) -> None:
    """A small trade with faults in it, migrated as far as it goes."""
    small_trade(s9)
    for fault in faults:
        s9.execute(fault)
    operator.run("--full").ended(5)


def test_a_record_mended_in_s9_arrives_with_what_needed_it(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    migrate_with(alone, s9, "UPDATE msg_anag SET country = 'ZZ' WHERE first_id = 2")
    assert set(alone.quarantine("sales")) == {"11"}
    before = scan_all(dynamodb, tables)
    s9.execute("UPDATE msg_anag SET country = 'DE' WHERE first_id = 2")

    outcome = alone.run("retry-quarantine").ended(0)

    assert "every record arrived" in outcome.last_line
    assert alone.quarantine("buyers") == alone.quarantine("sales") == {}
    after = scan_all(dynamodb, tables)
    assert {item["legacyId"]["S"] for item in after["sales"].values()} == {
        "10",
        "11",
        "1",
        "2",
        "3",
    }
    for entity, items in before.items():  # what was there already is what it was
        assert {key: after[entity][key] for key in items} == items
    report = alone.report("verification")
    assert report["passed"]
    assert all(counts["closes"] for counts in report["counts"].values())
    # One row is of a later moment than the others, and every report says so.
    assert report["snapshot"]["consistent"] is False
    assert "were read again" in report["snapshot"]["statement"]


def test_only_the_mended_records_are_sent(alone: Operator, s9: S9Database) -> None:
    migrate_with(alone, s9, "UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    s9.execute("UPDATE msg SET status = 'pagato' WHERE first_id = 11")
    alone.run("retry-quarantine").ended(0)
    loaded = alone.report("load")["entities"]["sales"]
    assert (loaded["records"], loaded["items"]) == (2, 5)
    assert loaded["consumedWriteUnits"] > 0
    assert loaded["batches"] == 2  # a sale's lines, then what opens it


def test_a_word_added_to_the_mapping_is_enough(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    migrate_with(alone, s9, "UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    alone.configure(transformation={"statusMapping": {"sospeso": "draft"}})
    alone.run("retry-quarantine").ended(0)
    sales = scan_all(dynamodb, tables)["sales"].values()
    statuses = {item["legacyId"]["S"]: item["status"]["S"] for item in sales if "status" in item}
    assert statuses["11"] == "draft"
    assert alone.report("verification")["passed"]


def test_what_is_not_mended_stays_in_quarantine(alone: Operator, s9: S9Database) -> None:
    migrate_with(alone, s9, "UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    held = alone.quarantine("sales")
    alone.run("retry-quarantine").ended(5)
    assert set(alone.quarantine("sales")) == set(held) == {"11"}
    assert alone.report("verification")["passed"]


def test_a_record_that_has_left_s9_leaves_the_ledger(alone: Operator, s9: S9Database) -> None:
    migrate_with(alone, s9, "UPDATE msg SET status = 'sospeso' WHERE first_id = 11")
    s9.execute("DELETE FROM msg_line WHERE msg_id = 11")
    s9.execute("DELETE FROM msg WHERE first_id = 11")
    outcome = alone.run("retry-quarantine").ended(0)
    assert "1 of the sales have left S9 in the meantime" in outcome.stderr
    assert alone.report("verification")["counts"]["sales"]["source"]["records"] == 1


def test_after_it_a_new_full_run_changes_nothing(alone: Operator, s9: S9Database) -> None:
    migrate_with(alone, s9, "UPDATE msg SET status = 'sospeso' WHERE first_id = 10")
    s9.execute("UPDATE msg SET status = 'pagato' WHERE first_id = 10")
    alone.run("retry-quarantine").ended(0)
    retried = alone.transformed()
    alone.run("--full").ended(0)
    assert alone.transformed() == retried


def test_with_an_empty_quarantine_there_is_nothing_to_do(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.run("--full").ended(0)
    assert "nothing in quarantine" in alone.run("retry-quarantine").ended(0).stderr


def test_an_unfinished_run_is_brought_to_its_end_first(alone: Operator, s9: S9Database) -> None:
    alone.run("retry-quarantine").failed(2, "--full")
    small_trade(s9)
    insert(s9, "msg", sale(12, 1, 3))
    endpoint = alone.config["target"]["endpoint"]
    alone.run("--phase", "extract").ended(0)
    alone.run("retry-quarantine").failed(2, "--resume")
    assert alone.config["target"]["endpoint"] == endpoint
