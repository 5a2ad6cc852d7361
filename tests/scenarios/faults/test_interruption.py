"""Ctrl-C, and a second run while one is at work."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.operators.operator import ENTITIES, Operator, scan, scan_all, small_trade

SLOW = {"batchDelay": 200, "workers": 1, "validateAfterLoad": False}


def test_ctrl_c_in_the_load_is_resumed_to_the_same_result_and_nobody_else_may_run(
    operator: Operator, finished: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    operator.configure(migration=SLOW, checkpoint={"interval": 25})
    with operator.start("--full") as running:
        running.wait_for(lambda: len(scan(dynamodb, tables.sales)) > 1)  # the mark is the first
        second = operator.run("--full").failed(1, "another run is at work", "process ")
        assert f"process {running.process.pid}," in second.stderr
        running.interrupt()
        outcome = running.end()
    outcome.failed(130, "stopped in load, sales", "interrupted by the operator")
    assert outcome.stderr.rstrip().endswith("python migrate.py --resume")
    before = scan(dynamodb, tables.sales)
    assert 0 < len(before) < len(finished.items("sales"))

    operator.configure(migration={"batchDelay": 0})
    resumed = operator.run("--resume").ended(5)
    assert "interrupted by the operator" in resumed.stderr
    for phase in ("Extract", "Transform", "Load"):
        assert f"{phase} of buyers is already complete" in resumed.stderr
    assert operator.files() == finished.files()
    assert scan_all(dynamodb, tables) == scan_all(dynamodb, DONE_TABLES)


@contextmanager
def locked(s9: S9Database, table: str) -> Iterator[None]:
    """Hold a table back from every reader, as a long query of S9's own would."""
    with closing(s9.server.connect(s9.name)) as session, session.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


def waits_for_a_lock(s9: S9Database) -> bool:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 's9-migrate' AND wait_event_type = 'Lock'"
    )
    return s9.rows(query) != [(0,)]


def test_ctrl_c_while_s9_keeps_the_tool_waiting_is_heeded(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    with locked(s9, "msg_line"), alone.start("--full") as running:
        running.wait_for(lambda: waits_for_a_lock(s9))
        running.interrupt()
        outcome = running.end(10)
    outcome.failed(130, "interrupted by the operator", "--resume")
    alone.run("--resume").ended(0)
    assert [len(alone.items(entity)) for entity in ENTITIES] == [2, 1, 5]


def test_a_lock_of_another_process_is_respected_and_let_go_of_by_the_dead(
    after_a_run: Operator,
) -> None:
    files = after_a_run.files()
    with held(after_a_run.data / ".lock", "process 4711, since 2026-01-30T08:00:00Z"):
        for arguments in (("--full",), ("--phase", "transform")):
            after_a_run.run(*arguments).failed(1, "another run is at work", "process 4711", "wait")
    assert after_a_run.files() == files
    after_a_run.run("--phase", "transform", "--entity", "buyers").ended(5)


def test_two_rehearsals_at_once_are_refused_as_well(after_a_run: Operator) -> None:
    rehearsal = after_a_run.data / "dry-run"
    rehearsal.mkdir()
    (rehearsal / "at-work").touch()
    with held(rehearsal / ".lock", "process 4711"):
        after_a_run.run("--dry-run").failed(1, "another run is at work")
    assert (rehearsal / "at-work").exists(), "the files of the rehearsal at work are gone"


@contextmanager
def held(lock: Path, holder: str) -> Iterator[None]:
    """Hold a lock file as a run does."""
    with lock.open("w", encoding="utf-8") as handle:
        handle.write(f"{holder}\n")
        handle.flush()
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
