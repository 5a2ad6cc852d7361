"""A target that is kept in step with a living S9."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import LATER, Application
from tests.support.living.times import assert_times_are_known
from tests.support.operators.operator import (
    ENTITIES,
    Operator,
    insert,
    line,
    party,
    sale,
    small_trade,
)
from tests.support.operators.undone import headers


@pytest.fixture
def application(dynamodb: DynamoDBClient, tables: TableNames) -> Application:
    return Application(dynamodb, tables)


@pytest.fixture
def migrated(alone: Operator, s9: S9Database, application: Application) -> Operator:
    """An operator who has migrated two sales with three lines."""
    small_trade(s9)
    alone.run("--full").ended(0)
    return alone


def change(s9: S9Database) -> None:
    """A sale gets other notes, loses a line and gets another; there is a third sale."""
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    s9.execute("DELETE FROM msg_line WHERE id = 2")
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(5, 10), line(6, 12))


def test_a_sync_writes_what_has_changed_and_nothing_else(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    before = application.scan()
    done = migrated.run("sync").ended(0)
    assert "0 records new, 0 records changed, 0 records taken away, 5 records as" in done.last_line
    change(s9)
    foreseen = migrated.run("sync", "--dry-run").ended(0)
    assert "1 new record, replace 1 record" in foreseen.last_line
    assert foreseen.last_line.endswith("python migrate.py sync")
    assert application.scan() == before
    migrated.run("sync").ended(0)
    report = migrated.report("sync")
    assert [(each["legacyId"], each["what"], each["items"]) for each in report["changes"]] == [
        ("10", "changed", {"added": 1, "replaced": 1, "takenAway": 1}),
        ("12", "new", {"added": 2, "replaced": 0, "takenAway": 0}),
    ]
    migrated.run("--phase", "verify").ended(0)
    migrated.run("--phase", "verify", "--from-source").ended(0)


def test_a_rollback_undoes_the_last_sync_alone(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    before = application.scan()
    change(s9)
    migrated.run("sync").ended(0)
    after = application.scan()
    assert after != before
    migrated.run("rollback", "--yes").ended(0)
    assert application.scan() == before
    migrated.run("sync").ended(0)
    assert application.scan() == after


def test_what_is_known_is_rebuilt_from_the_tables(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    change(s9)
    shutil.rmtree(migrated.data / "undo")
    migrated.run("sync").ended(0)
    report = migrated.report("sync")["entities"]
    assert report["buyers"]["unchanged"] == 2
    assert (report["sales"]["unchanged"], report["sales"]["changed"], report["sales"]["new"]) == (
        1,
        1,
        1,
    )
    migrated.run("--phase", "verify").ended(0)


def test_the_application_wins(migrated: Operator, s9: S9Database, application: Application) -> None:
    migrated.configure(load={"onConflict": "skip"})
    first, _ = headers(migrated, "sales")
    application.change("sales", first, status={"S": "paid"}, updatedAt={"S": LATER})
    held = application.scan()
    s9.execute("UPDATE msg SET notes = 'urgente'")
    done = migrated.run("sync")
    assert "1 record that S9 has changed stays as the application has it" in done.last_line
    now = application.scan()
    key = (first["PK"]["S"], "METADATA")
    assert now["sales"][key] == held["sales"][key]
    assert migrated.report("sync")["entities"]["sales"]["kept"] == 1
    again = migrated.run("sync")
    assert again.code == done.code
    assert application.scan() == now


def test_a_changed_record_gets_the_time_of_its_pass(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    small_trade(s9)
    alone.configure(transformation={"updatedAt": "migration"})
    alone.run("--full").ended(0)
    before = application.scan()
    first = {item["updatedAt"]["S"] for items in before.values() for item in items.values()}
    s9.execute("UPDATE msg SET notes = 'urgente' WHERE first_id = 10")
    alone.run("sync").ended(0)
    once = application.scan()
    assert once["buyers"] == before["buyers"]
    changed = [key for key, item in once["sales"].items() if item != before["sales"][key]]
    times = {once["sales"][key]["updatedAt"]["S"] for key in changed}
    assert len(changed) == 3  # the sale with both of its lines
    assert len(times) == 1 and min(times) > max(first)
    alone.run("sync").ended(0)
    assert application.scan() == once
    alone.run("--phase", "verify").ended(0)
    alone.run("--phase", "verify", "--from-source").ended(0)


def test_the_times_of_many_passes_are_all_known_for_what_they_are(
    alone: Operator, s9: S9Database, application: Application
) -> None:
    assert_times_are_known(alone, s9, application, passes=6)


def test_what_has_left_s9_is_taken_away(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    """A sale and its buyer, whom nobody else names; the sale of another buyer stays."""
    s9.execute("DELETE FROM msg_line WHERE msg_id = 11")
    s9.execute("UPDATE msg SET enabled = false WHERE first_id = 11")
    s9.execute("DELETE FROM msg_anag WHERE first_id = 2")
    before = application.scan()
    foreseen = migrated.run("sync", "--dry-run").ended(0)
    assert "take 2 records away" in foreseen.last_line
    assert application.scan() == before
    done = migrated.run("sync").ended(0)
    assert "2 records taken away" in done.last_line
    assert {item["legacyId"]["S"] for item in application.scan()["buyers"].values()} == {"1"}
    migrated.run("--phase", "verify").ended(0)
    migrated.run("rollback", "--yes").ended(0)
    assert application.scan() == before
    migrated.run("sync").ended(0)
    migrated.run("--phase", "verify", "--from-source").ended(0)


def test_what_is_refused_now_stays_until_it_is_to_go(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    before = application.scan()
    [(status,)] = s9.rows("SELECT status FROM msg WHERE first_id = 10")
    s9.execute("UPDATE msg SET status = 'unheard of' WHERE first_id = 10")
    done = migrated.run("sync").ended(5)
    assert "1 record that S9 no longer has stays in the tables" in done.last_line
    assert application.scan() == before
    migrated.run("sync").ended(5)  # known to be there although no file of a load has it
    assert application.scan() == before
    migrated.configure(sync={"refused": "remove"})
    migrated.run("sync").ended(5)
    assert len(application.scan()["sales"]) == 2
    s9.execute("UPDATE msg SET status = %s WHERE first_id = 10", status)
    migrated.run("retry-quarantine").ended(0)
    migrated.run("--phase", "verify", "--from-source").ended(0)


def test_a_record_that_was_softly_deleted_comes_back(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    migrated.configure(sync={"removed": "softDelete"})
    before = application.scan()
    s9.execute("UPDATE msg SET enabled = false WHERE first_id = 10")
    migrated.run("sync").ended(0)
    deleted = [item for item in application.scan()["sales"].values() if "deletedAt" in item]
    assert [item["legacyId"]["S"] for item in deleted] == ["10"]
    migrated.run("sync").ended(0)
    s9.execute("UPDATE msg SET enabled = true WHERE first_id = 10")
    migrated.run("sync").ended(0)
    assert application.scan() == before


def test_one_pass_after_the_other_costs_no_more_than_one(migrated: Operator) -> None:
    """For weeks: nothing stays open of a pass that is over, and nothing piles up on disk."""
    pid, found = 0, dict[int, int]()

    def passes() -> int:
        lines = (migrated.data / "events.jsonl").read_text(encoding="utf-8").splitlines()
        return sum('"run-begun"' in line and '"command":"sync"' in line for line in lines)

    with migrated.start("sync", "--every", "0") as running:
        pid = running.process.pid
        for number in (2, 6):
            running.wait_for(lambda number=number: passes() > number)  # type: ignore[misc]
            found[number] = open_files(pid)
        running.interrupt()
        running.end()
    assert found[6] <= found[2] + 2, found  # that a pass has open while it works
    pictures = list((migrated.data / "undo" / "pictures").iterdir())
    assert len(pictures) <= 3 * len(ENTITIES)  # one is being made, of one it is not known yet


def open_files(pid: int) -> int:
    """The fewest files that a process has open within a moment: not those that come and go."""
    looks = []
    for _ in range(40):
        looks.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        time.sleep(0.02)
    return min(looks)


def test_an_entity_that_cannot_be_read_fails_alone(
    migrated: Operator, s9: S9Database, application: Application
) -> None:
    """Nothing is taken away then, and the next pass does what is left."""
    s9.execute("ALTER TABLE msg_line RENAME TO gone")
    insert(s9, "msg_anag", party(9, 2))
    before = application.scan()
    failed = migrated.run("sync").ended(1)
    assert "msg_line" in failed.output
    assert application.scan()["sales"] == before["sales"]
    s9.execute("ALTER TABLE gone RENAME TO msg_line")
    migrated.run("sync").ended(0)
    assert len(application.scan()["buyers"]) == len(before["buyers"]) + 1
