"""The Sale Module owns the data: what still works, what refuses, and the way back."""

from __future__ import annotations

import csv

import orjson

from tests.conftest import S9Database
from tests.support.application.application import LATER, Application
from tests.support.operators.operator import Operator, insert, line, sale
from tests.support.operators.undone import headers

REFUSED = (
    ("--full",),
    ("--full", "--restart"),
    ("--resume",),
    ("--phase", "load"),
    ("--phase", "verify", "--repair"),
    ("sync",),
    ("sync", "--every", "60"),
    ("sync", "--follow"),
    ("retry-quarantine",),
    ("rollback", "--yes"),
    ("rollback", "--repair", "--yes"),
)


def switch(operator: Operator) -> None:
    """All steps, with nothing to be accepted."""
    operator.run("cutover", "--s9-is-stopped").ended(0)
    operator.run("cutover", "--switched").ended(0)


def test_what_would_write_s9_over_the_application_refuses(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    switch(migrated)
    before, manifest = application.scan(), migrated.manifest()
    backup = next(iter((migrated.data / "backups").iterdir())).name
    for words in (*REFUSED, ("restore", backup, "--yes")):
        refused = migrated.run(*words).failed(2, "S9 is history since", "cutover --back")
        assert refused.stdout == ""
    assert application.scan() == before
    assert migrated.manifest() == manifest
    assert "the Sale Module owns the data" in migrated.run("--dry-run").output
    for words in (("sync", "--dry-run"), ("--phase", "verify"), ("rollback", "--dry-run")):
        migrated.run(*words).ended(0)
    seen = orjson.loads(migrated.run("status", "--json").ended(0).stdout)
    assert seen["cutover"]["owner"] == "the Sale Module"
    migrated.run("evidence").ended(0)
    assert "cutover.json" in migrated.run("clean", "--yes").ended(0).stdout
    migrated.run("sync").failed(2, "S9 is history since")
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    migrated.run("sync", "--after-switch").ended(0)
    assert application.scan() != before


def test_the_drift_names_what_both_sides_have_done(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    verification = (migrated.data / "reports" / "verification_report.json").read_bytes()
    manifest = migrated.manifest()
    changed, deleted = headers(migrated, "sales")
    application.change("sales", changed, status={"S": "paid"}, updatedAt={"S": LATER})
    application.change("sales", deleted, deletedAt={"S": LATER})
    made = application.create("buyers")
    s9.execute("UPDATE msg_anag SET city = 'Bergamo' WHERE first_id = 3")
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(6, 12))

    done = migrated.run("drift").ended(0)
    assert "3 records were changed by the application and 2 records by S9" in done.last_line
    report = migrated.report("drift")
    found = {(each["legacyId"] or each["PK"]): each for each in report["records"]}
    assert {key: each["what"] for key, each in found.items()} == {
        "10": "changed",
        "11": "deleted",
        "12": "newInSource",
        "3": "changedInSource",
        made["PK"]["S"]: "added",
    }
    [item] = [each for each in found["10"]["items"] if each["SK"] == "METADATA"]
    assert {"GSI1PK", "status", "updatedBy"} <= set(item["attributes"])
    assert found["10"]["at"] == LATER
    assert "someone@example.com" not in (migrated.data / "reports/drift_report.json").read_text()
    with (migrated.data / "reports" / "drift.csv").open(encoding="utf-8-sig") as table:
        rows = list(csv.DictReader(table, delimiter=";"))
    assert {row["What"] for row in rows} >= {"changed", "deleted", "added", "newInSource"}
    assert (migrated.data / "reports" / "verification_report.json").read_bytes() == verification
    assert migrated.manifest() == manifest

    application.delete("sales", migrated.items("sales")[1])
    report = orjson.loads(migrated.run("drift", "--json").ended(4).stdout)
    assert (report["damaged"], report["entities"]["sales"]["damaged"]) == (True, 1)


def test_the_way_back_names_what_it_loses(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    migrated.run("cutover", "--back").failed(2, "the switch has not been made")
    switch(migrated)
    first, _ = headers(migrated, "sales")
    application.change("sales", first, status={"S": "paid"}, updatedAt={"S": LATER})
    refused = migrated.run("cutover", "--back").failed(2, "it was not confirmed")
    assert "changed 1 record that S9 has not: the way back loses exactly that" in refused.stdout
    assert migrated.report("drift")["owner"] == "the Sale Module"
    migrated.run("cutover", "--abort").failed(2, "the switch was made at")
    done = migrated.run("cutover", "--back", "--yes").ended(0)
    assert "S9 owns the data again, without 1 record" in done.last_line
    assert "S9 owns the data" in migrated.run("cutover", "--status").ended(0).last_line
    migrated.run("sync").ended(0)
