"""Backups as an operator meets them: before a load, on demand, put back, killed in between."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
import pyrage
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from load.backup.folder import BackupFolder
from tests.conftest import S9Database, TableNames
from tests.integration.conftest import fill
from tests.support.aws.proxy import FaultyProxy, Plan
from tests.support.faults.sabotage import SabotagedOperator, assert_nothing_is_left_over
from tests.support.operators.helpers import command_line, helpers, within
from tests.support.operators.operator import Operator, Running, scan_all, small_trade
from utils.embedded.aws import EmbeddedAws

AGE = shutil.which("age")


@pytest.fixture
def trade(alone: Operator, s9: S9Database) -> Operator:
    small_trade(s9)
    return alone


def backups_of(operator: Operator, table: str) -> list[BackupFolder]:
    """The backups of a table that the manifest lists for the run."""
    listed = operator.manifest()["backups"][table]
    assert all(entry["complete"] for entry in listed)
    return [BackupFolder.open(operator.data / "backups" / entry["name"]) for entry in listed]


def key_file(operator: Operator, name: str = "key.txt") -> tuple[Path, str]:
    """An identity file as age-keygen writes it, and its public key."""
    identity = pyrage.x25519.Identity.generate()
    path = operator.directory / name
    path.write_text(f"# created by a test\n# public key: {identity.to_public()}\n{identity}\n")
    return path, str(identity.to_public())


def few(what: int, number: int) -> None:
    resource.setrlimit(what, (number, number))


def edit_by_hand(dynamodb: DynamoDBClient, tables: TableNames) -> None:
    """What the Sale Module does meanwhile: it changes, deletes and creates an item."""
    items = dynamodb.scan(TableName=tables.sales)["Items"]
    records = [item for item in items if item["SK"]["S"] == "METADATA"]
    changed, deleted = records[:2]
    dynamodb.put_item(TableName=tables.sales, Item={**changed, "notes": {"S": "by hand"}})
    key = {name: deleted[name] for name in ("PK", "SK")}
    dynamodb.delete_item(TableName=tables.sales, Key=key)
    new = {"PK": {"S": "SALE#new"}, "SK": {"S": "METADATA"}, "saleId": {"S": "new"}}
    dynamodb.put_item(TableName=tables.sales, Item=new)


def test_what_a_load_replaces_can_be_put_back(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade.run("--full").ended(0)
    assert [each.entry.items for each in backups_of(trade, tables.sales)] == [0]
    edit_by_hand(dynamodb, tables)
    edited = scan_all(dynamodb, tables)

    trade.configure(load={"onConflict": "overwrite"}).run("--full")
    assert scan_all(dynamodb, tables) != edited
    (before,) = backups_of(trade, tables.sales)
    assert before.entry.items == 5
    name = before.path.name

    listed = trade.run("backups").ended(0)
    (line,) = (line for line in listed.stdout.splitlines() if line.startswith(name))
    assert tables.sales in line and " no " in line and before.entry.verified_at in line

    trade.run("restore", name).failed(
        2, "is not empty", "replace 1 item:", "delete 1 item:", "--yes"
    )
    done = trade.run("restore", name, "--yes").ended(0)
    assert done.last_line.startswith(f"Restored: {tables.sales} equals {name}, 5 items")
    assert scan_all(dynamodb, tables) == edited
    # The load is no longer what the manifest knew, so it can be done again.
    assert "sales" not in trade.manifest()["phases"]["load"]


def test_a_load_does_not_start_without_its_backup(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    blocked = trade.directory / "no-directory"
    blocked.write_text("")
    trade.configure(backup={"directory": str(blocked / "backups")})
    trade.run("--full").failed(1, "cannot write", "no-directory")
    assert not any(scan_all(dynamodb, tables).values())
    trade.configure(backup={"directory": None})
    trade.run("--resume").ended(0)


def test_killed_while_backing_up_and_resumed(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade.run("--full").ended(0)
    expected = scan_all(dynamodb, tables)
    # One segment, and renames are counted: how many there have been does not depend on who is
    # faster. Killed with a part in the progress, and twice with a further one that is not in it.
    tool = SabotagedOperator.like(
        trade.configure(migration={"workers": 1}),
        set={"load.backup.segment_reader.PAGE_ITEMS": 1, "load.backup.part._FULL_PLAIN": 1},
    )
    command: tuple[str, ...] = ("--full",)
    at = {"phase": "backup", "entity": tables.sales, "what": "after rename"}
    for after in (2, 1, 1):
        tool.killed(*command, **at, after=after)
        assert "load" not in tool.manifest()["phases"] or not tool.manifest()["phases"]["load"]
        command = ("--resume",)
    tool.run("--resume").ended(0)
    (backup,) = backups_of(tool, tables.sales)
    assert backup.entry.items == 5
    assert backup.entry.continued == 3
    lines = [orjson.loads(line)["Item"] for line in backup.items()]
    assert {(each["PK"]["S"], each["SK"]["S"]) for each in lines} == expected["sales"].keys()
    assert_nothing_is_left_over(tool)


def test_a_backup_by_several_processes_goes_on_whichever_of_them_is_killed(
    alone: Operator, aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    fill(dynamodb, tables.sales, 60)
    tool = SabotagedOperator.like(
        alone,
        set={
            "load.backup.reader_pool.WORTH_IT": 0,
            "load.backup.reader_pool._AT_ONCE": 1,
            "load.backup.segment_reader.PAGE_ITEMS": 1,
            "load.backup.part._FULL_PLAIN": 1,
        },
    )
    command = ("backup", "--table", tables.sales)

    def parts(segment: str = "*") -> int:
        return len(list(tool.data.rglob(f"backups/*/items-{segment}-*.gz")))

    def helper_at_work(running: Running) -> int:
        """Wait until both have written a part; returns the process that was started."""
        running.wait_for(lambda: parts("00") > 0 and parts("01") > 0 and bool(helpers(running)))
        before = parts()
        running.wait_for(lambda: parts() > before + 2)
        return helpers(running)[0]

    with FaultyProxy(aws, Plan(always=lambda _: time.sleep(0.05))) as proxy:
        tool.configure(target={"endpoint": proxy.url}, migration={"processes": 2})
        with tool.start(*command) as running:
            os.kill(helper_at_work(running), signal.SIGKILL)
            outcome = running.end()
        outcome.failed(1, "one of the processes that share the work ended", "code -9", "backup")
        with tool.start(*command) as running:
            helper = helper_at_work(running)
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
            assert within(30, lambda: not command_line(helper))
    tool.configure(target={"endpoint": aws.endpoint_url})
    tool.run(*command, preexec=lambda: few(resource.RLIMIT_NOFILE, 128)).ended(0)
    (folder,) = (tool.data / "backups").iterdir()
    backup = BackupFolder.open(folder)
    assert (backup.entry.items, backup.entry.continued) == (60, 2)
    assert len({orjson.loads(line)["Item"]["PK"]["S"] for line in backup.items()}) == 60


def test_a_resumed_load_keeps_its_backup_and_says_when_it_is_gone(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool = SabotagedOperator.like(trade.configure(checkpoint={"interval": 1}))
    tool.killed("--full", phase="load", entity="sales", after=4)
    (backup,) = backups_of(tool, tables.sales)
    moved = backup.path.with_name("moved")
    backup.path.rename(moved)
    tool.run("--resume").failed(1, backup.path.name, "is missing", "migration.backupBeforeLoad")
    moved.rename(backup.path)
    tool.run("--resume").ended(0)
    assert len(backups_of(tool, tables.sales)) == 1


def test_without_a_backup_the_operator_is_told(trade: Operator, tables: TableNames) -> None:
    trade.configure(migration={"backupBeforeLoad": False})
    outcome = trade.run("--full").ended(0)
    assert "WARNING - No backup of" in outcome.stderr
    assert trade.manifest()["backups"][tables.sales][0]["name"] == ""
    assert not (trade.data / "backups").exists()


def test_backups_on_demand_into_another_table_for_their_owner_only(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade.configure(migration={"backupBeforeLoad": False})
    trade.run("--full").ended(0)
    identity, public = key_file(trade)
    other, _ = key_file(trade, "other.txt")
    trade.configure(backup={"recipient": [public]})
    trade.run("backup", "--table", tables.buyers).ended(0)
    (folder,) = (trade.data / "backups").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((trade.data / "backups").stat().st_mode) == 0o700
    assert " yes " in trade.run("backups", "--verify").ended(0).stdout
    into = ("restore", folder.name, "--into", tables.producers, "--yes")
    dynamodb.delete_table(TableName=tables.producers)
    trade.run(*into).failed(2, "is encrypted", "--identity FILE")
    trade.run(*into, "--identity", str(other)).failed(1, "encrypted for someone else")
    trade.run(*into, "--identity", str(trade.directory / "config.json")).failed(2, "identity")
    trade.run(*into, "--identity", str(identity)).ended(0)
    found = scan_all(dynamodb, tables)
    assert found["producers"] == found["buyers"]


def test_what_aws_keeps_is_asked_for_and_recorded(trade: Operator, tables: TableNames) -> None:
    trade.configure(backup={"pointInTimeRecovery": "require"})
    missing = "has no point-in-time recovery"
    trade.run("--full").failed(1, missing, "pointInTimeRecovery")
    # The tables are there by now: it is said before anything is read. A migration would not even
    # begin over the one that has stopped.
    trade.run("--dry-run").failed(2, missing)
    assert not (trade.data / "dry-run" / "extracted" / "buyers.json").exists()
    trade.configure(backup={"pointInTimeRecovery": "enable", "native": True})
    trade.run("--resume").ended(0)
    (entry,) = trade.manifest()["backups"][tables.sales]
    assert entry["pointInTimeRecovery"]["status"] == "ENABLED"
    assert entry["pointInTimeRecovery"]["enabledByUs"] is True
    assert entry["native"]["status"] == "AVAILABLE"
    assert tables.sales in entry["native"]["arn"]


def test_files_of_records_are_encrypted_when_a_run_ends(
    after_a_run: Operator, dynamodb: DynamoDBClient
) -> None:
    operator = after_a_run
    identity, public = key_file(operator)
    other, _ = key_file(operator, "other.txt")
    plain = operator.files()
    operator.configure(data={"recipient": public})
    operator.run("--phase", "verify").ended(5)
    assert not operator.files()
    sealed = set(operator.data.rglob("*.age"))
    loaded = {f"undo/{entity}.loaded" for entity in ("buyers", "producers", "sales")}
    names = {path.relative_to(operator.data).as_posix()[:-4] for path in sealed}
    assert names == plain.keys() | loaded
    for path in sealed:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"legacyId" not in path.read_bytes()

    operator.run("--phase", "verify").failed(2, "is encrypted", "--identity FILE")
    operator.run("retry-quarantine").failed(2, "is encrypted", "--identity FILE")
    operator.run("--identity", str(other), "--phase", "verify").failed(1, "for someone else")
    assert set(operator.data.rglob("*.age")) == sealed
    operator.run("--identity", str(identity), "--phase", "verify").ended(5)
    assert not operator.files()

    operator.configure(data={"recipient": None, "identity": str(identity)})
    operator.run("--phase", "verify").ended(5)
    assert operator.files() == plain
    assert not list(operator.data.rglob("*.age"))


def test_killed_while_files_are_encrypted_nothing_is_lost(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade.run("--full").ended(0)
    plain = trade.files()
    identity, public = key_file(trade)
    trade.configure(data={"recipient": public, "identity": str(identity)})
    tool = SabotagedOperator.like(trade)
    notes = tool.directory / "events"
    tool.plan = {**tool.plan, "note": str(notes)}
    tool.run("--phase", "verify").ended(0)
    happened = len(notes.read_text().splitlines())
    tool.plan = {name: value for name, value in tool.plan.items() if name != "note"}
    for after in (happened - 25, happened - 12, happened - 3):
        tool.killed("--phase", "verify", after=after)
        tool.run("--phase", "verify").ended(0)
        assert not tool.files()
    tool.configure(data={"recipient": None})
    tool.run("--phase", "verify").ended(0)
    assert tool.files() == plain


def test_a_public_key_that_is_none_is_told_before_anything_is_begun(trade: Operator) -> None:
    _, public = key_file(trade)
    trade.configure(backup={"recipient": public[:-1] + ("q" if public[-1] != "q" else "p")})
    trade.run("--full").failed(2, "backup.recipient", "is not an age public key")
    trade.configure(backup={"recipient": "AGE-SECRET-KEY-1"})
    trade.run("--full").failed(2, "backup.recipient")
    assert not trade.data.exists()


@pytest.mark.skipif(AGE is None, reason="the age command is not installed (Debian: age)")
def test_the_age_command_opens_what_was_encrypted(
    trade: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    trade.run("--full").ended(0)
    plain = trade.files()
    identity, public = key_file(trade)
    trade.configure(backup={"recipient": public}, data={"recipient": public})
    trade.run("--full").ended(0)
    opened = {
        name: _age(identity, trade.data / f"{name}.age", "")
        for name in plain
        if name.startswith("transformed/")
    }
    assert opened == {name: text for name, text in plain.items() if name in opened}
    (backup,) = backups_of(trade, tables.sales)
    lines = b"".join(
        _age(identity, backup.path / part.file, "| gunzip") for part in backup.entry.parts
    )
    assert len(lines.splitlines()) == 5


def _age(identity: Path, file: Path, then: str) -> bytes:
    command = f'age -d -i "$0" "$1" {then}'
    done: Any = subprocess.run(
        ["sh", "-c", command, str(identity), str(file)], capture_output=True, check=True
    )
    return bytes(done.stdout)
