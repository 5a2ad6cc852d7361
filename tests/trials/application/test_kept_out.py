"""Kept is not arrived: what is in no table is said so, with exit code 5 (trial A10)."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.operators.operator import Operator, insert, line, party, small_trade
from tests.support.operators.undone import headers

ARRIVED = "every record arrived"


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def changed(alone: Operator, s9: S9Database, application: Application) -> Operator:
    """An operator who has migrated; since then the application has changed the first sale."""
    small_trade(s9)
    first = alone.run("--full").ended(0)
    assert first.last_line == "Done: every record arrived."
    application.change("sales", headers(alone, "sales")[0], status={"S": "paid"})
    return alone


@pytest.mark.parametrize("policy", ["skip", "newer"])
def test_a_line_that_is_in_no_table_is_kept_out(
    changed: Operator, s9: S9Database, policy: str
) -> None:
    insert(s9, "msg_line", line(9, 10))
    changed.configure(load={"onConflict": policy})
    outcome = changed.run("--full").ended(5)
    assert ARRIVED not in outcome.output and "everything" not in outcome.output
    assert "1 item of S9 is in no table" in outcome.last_line
    assert "conflicts_report.json and verification_report.json" in outcome.last_line
    kept = changed.report("verification")["keys"]["sales"]["kept"]
    assert kept["absent"] == 1
    assert [each for each in kept["list"] if not each["inTable"]]
    assert changed.run("--phase", "verify").ended(5).last_line == outcome.last_line


def test_what_stays_as_the_table_has_it_is_there_and_has_not_arrived(changed: Operator) -> None:
    changed.configure(load={"onConflict": "skip"})
    outcome = changed.run("--full").ended(0)
    assert ARRIVED not in outcome.output and "everything" not in outcome.output
    assert "1 item stays as it is in the tables" in outcome.last_line
    assert changed.report("verification")["passed"]


def test_kept_out_and_quarantined_are_both_said(changed: Operator, s9: S9Database) -> None:
    insert(s9, "msg_line", line(9, 10))
    insert(s9, "msg_anag", party(77, 2, name=None))
    changed.configure(load={"onConflict": "skip"})
    outcome = changed.run("--full").ended(5)
    assert ARRIVED not in outcome.output
    assert "1 item of S9 is in no table" in outcome.last_line
    assert "1 record is in data/quarantine" in outcome.last_line
    assert outcome.last_line.endswith("python migrate.py retry-quarantine")


@pytest.mark.parametrize("refused", [False, True])
def test_what_nobody_has_looked_at_is_not_said_to_have_arrived(
    alone: Operator, s9: S9Database, refused: bool
) -> None:
    small_trade(s9)
    if refused:
        insert(s9, "msg_anag", party(77, 2, name=None))
    alone.configure(migration={"validateAfterLoad": False})
    code = 5 if refused else 0
    outcome = alone.run("--full").ended(code)
    assert ARRIVED not in outcome.output
    assert outcome.closing == "loaded"
    assert outcome.last_line.endswith("python migrate.py --phase verify")
    assert ("data/quarantine" in outcome.last_line) == refused
    again = alone.run("--resume").ended(code)
    assert again.last_line == outcome.last_line
    looked = alone.run("--phase", "verify").ended(code)
    assert (ARRIVED in looked.last_line) != refused


def test_a_part_that_is_verified_is_not_all(changed: Operator) -> None:
    changed.run("--phase", "load", "--entity", "buyers").ended(0)
    outcome = changed.run("--phase", "verify", "--entity", "buyers").ended(0)
    assert outcome.closing == "part-verified"
    assert ARRIVED not in outcome.output
    assert "Not verified: producers and sales" in outcome.last_line
