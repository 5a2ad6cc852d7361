"""The gate before the load, as an operator meets it: what stops, what goes to quarantine."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.operators.operator import (
    Operator,
    by_key,
    exists,
    insert,
    party,
    sale,
    scan_all,
    small_trade,
)

NOTHING: dict[str, object] = {"buyers": {}, "producers": {}, "sales": {}}


def one_bad_buyer(s9: S9Database) -> None:
    """A small trade in which buyer 2 (with sale 11) lives nowhere."""
    small_trade(s9)
    s9.execute("UPDATE msg_anag SET country = 'ZZ' WHERE first_id = 2")


def test_errors_stop_the_run_before_anything_is_written(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    one_bad_buyer(s9)
    alone.configure(migration={"continueOnError": False})
    outcome = alone.run("--full").ended(3)
    assert "validation_report.json" in outcome.last_line
    assert "migration.continueOnError" in outcome.last_line
    assert scan_all(dynamodb, tables) == NOTHING
    assert not exists(dynamodb, tables.sales)
    report = alone.report("validation")
    assert not report["passed"]
    assert {(f["entity"], f["legacyId"], f["rule"]) for f in report["findings"]} == {
        ("buyers", "2", "unknown-country"),
        ("sales", "11", "unknown-country"),
    }
    assert not (alone.data / "reports" / "load_report.json").exists()

    alone.run("--phase", "load").failed(1, "has not passed validation")
    assert not exists(dynamodb, tables.sales)


def test_with_continue_on_error_the_rest_arrives_and_what_is_mended_with_the_next_run(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    one_bad_buyer(s9)
    alone.run("--full").ended(5)
    assert set(alone.quarantine("buyers")) == {"2"}
    assert set(alone.quarantine("sales")) == {"11"}
    found = scan_all(dynamodb, tables)
    assert {item["legacyId"]["S"] for item in found["buyers"].values()} == {"1"}
    assert {item["legacyId"]["S"] for item in found["sales"].values()} == {"10", "1", "2"}
    assert alone.report("verification")["passed"]

    s9.execute("UPDATE msg_anag SET country = 'SMR' WHERE first_id = 2")
    alone.run("--full").ended(0)
    found = scan_all(dynamodb, tables)
    for entity, items in found.items():
        assert items == by_key(alone.items(entity))
        assert alone.quarantine(entity) == {}
    assert len(found["sales"]) == 5


def test_strict_mode_makes_warnings_errors(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    s9.execute("UPDATE msg_anag SET email = 'a@example.com; b@example.com' WHERE first_id = 1")
    alone.configure(migration={"continueOnError": False})
    alone.run("--phase", "extract").ended(0)
    alone.run("--phase", "transform").ended(0)
    outcome = alone.run("--phase", "validate").ended(0)
    assert findings(alone) == {("buyers", "1", "email-several", "warning")}
    for text in (alone.report("validation")["findings"][0]["message"], outcome.output):
        assert "example.com" not in text, "personal data are masked"

    alone.configure(validation={"strictMode": True})
    alone.run("--phase", "validate").ended(3)
    assert findings(alone) == {
        ("buyers", "1", "email-several", "error"),
        ("sales", "10", "reference", "error"),
    }

    alone.configure(validation={"businessRules": False})
    alone.run("--phase", "validate").ended(0)
    assert findings(alone) == set()


def findings(operator: Operator) -> set[tuple[str, str, str, str]]:
    return {
        (found["entity"], found["legacyId"], found["rule"], found["severity"])
        for found in operator.report("validation")["findings"]
    }


def test_a_sale_whose_party_is_not_migrated_is_refused(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    insert(s9, "msg_anag", party(4, 2, enabled=False))
    insert(s9, "msg", sale(12, 4, 3))
    alone.run("--dry-run").ended(5)
    refused = alone.rehearsal.quarantine("sales")
    assert {key: entry["rule"] for key, entry in refused.items()} == {"12": "reference"}
