"""Something else than a load has written into the tables, or they are others by now: a sync does
not take them for what was written last, and ends where a fresh `--full` into empty tables would."""

from __future__ import annotations

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.living.fresh import fresh_migration
from tests.support.living.judge import contents_of
from tests.support.operators.operator import Operator, insert, line, sale, small_trade
from tests.support.operators.undone import headers
from utils.embedded.aws import EmbeddedAws

TOLD_OTHERWISE = "UPDATE msg SET notes = 'urgente' WHERE first_id = 10"
TOLD_BACK = "UPDATE msg SET notes = NULL WHERE first_id = 10"
REPAIR = ("--phase", "verify", "--from-source", "--repair")


class Keeper:
    """Who keeps a target in step, and can say whether it is."""

    def __init__(
        self,
        operator: Operator,
        s9: S9Database,
        aws: EmbeddedAws,
        dynamodb: DynamoDBClient,
        tables: TableNames,
    ) -> None:
        self.operator, self.s9, self.tables = operator, s9, tables
        self.dynamodb, self._aws = dynamodb, aws
        self.application = Application(dynamodb, tables)
        operator.configure(load={"onConflict": "skip"}, migration={"validateAfterLoad": False})

    def backup_of(self, entity: str) -> str:
        """Back the tables up; returns the name of that of an entity's."""
        before = set(self._backups())
        table = self.application.table(entity)
        self.operator.run("backup", "--table", table).ended(0)
        [name] = set(self._backups()) - before
        return name

    def _backups(self) -> list[str]:
        return [path.name for path in (self.operator.data / "backups").iterdir()]

    def change_s9(self) -> None:
        """Another sale, another note, and a line less."""
        insert(self.s9, "msg", sale(12, 1, 3))
        insert(self.s9, "msg_line", line(6, 12))
        self.s9.execute(TOLD_OTHERWISE)
        self.s9.execute("DELETE FROM msg_line WHERE id = 2")

    def assert_converges(self) -> None:
        """A sync brings it about."""
        self.operator.run("sync").ended(0)
        now = contents_of(self.application.scan())
        assert now == fresh_migration(self.operator, self.s9, self._aws, self.dynamodb, self.tables)


@pytest.fixture
def keeper(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> Keeper:
    """Two sales with three lines are migrated."""
    small_trade(s9)
    made = Keeper(SabotagedOperator.like(alone), s9, aws, dynamodb, tables)
    made.operator.run("--full").ended(0)
    return made


def test_a_backup_was_restored_into_the_table(keeper: Keeper) -> None:
    backup = keeper.backup_of("sales")
    keeper.change_s9()
    keeper.operator.run("sync").ended(0)
    keeper.operator.run("restore", backup, "--yes").ended(0)
    keeper.assert_converges()


def test_a_restore_was_killed_at_its_first_write(keeper: Keeper) -> None:
    backup = keeper.backup_of("sales")
    keeper.change_s9()
    keeper.operator.run("sync").ended(0)
    tool = keeper.operator
    assert isinstance(tool, SabotagedOperator)
    there = {"phase": "restore", "entity": keeper.tables.sales}
    tool.killed("restore", backup, "--yes", **there, what="after request", after=1)
    keeper.assert_converges()


@pytest.mark.parametrize("moment", [1, 3])  # of the load; at the third it is complete
def test_a_sync_was_killed_and_a_backup_restored_before_it_was_resumed(
    keeper: Keeper, moment: int
) -> None:
    """Its plan says of records that they are as the table has them."""
    keeper.change_s9()
    keeper.operator.run("sync").ended(0)
    backup = keeper.backup_of("sales")
    keeper.s9.execute(TOLD_BACK)
    insert(keeper.s9, "msg_line", line(7, 11))
    keeper.operator.run("sync").ended(0)
    insert(keeper.s9, "msg_line", line(8, 11))
    tool = keeper.operator
    assert isinstance(tool, SabotagedOperator)
    tool.killed("sync", phase="load", entity="sales", what="after rename", after=moment)
    keeper.operator.run("restore", backup, "--yes").ended(0)
    keeper.assert_converges()


def test_a_load_was_killed_and_a_backup_restored_before_it_was_resumed(keeper: Keeper) -> None:
    backup = keeper.backup_of("sales")
    insert(keeper.s9, "msg", sale(12, 1, 3))
    insert(keeper.s9, "msg_line", line(6, 12))
    tool = keeper.operator
    assert isinstance(tool, SabotagedOperator)
    tool.killed("--full", phase="load", entity="sales", what="after request", after=2)
    keeper.operator.run("restore", backup, "--yes").ended(0)
    keeper.operator.run("--resume").ended(0)
    keeper.operator.run("--phase", "verify").ended(0)
    keeper.assert_converges()


def test_a_rollback_was_killed_and_then_finished(keeper: Keeper) -> None:
    keeper.change_s9()
    keeper.operator.run("sync").ended(0)
    tool = keeper.operator
    assert isinstance(tool, SabotagedOperator)
    there = {"phase": "rollback", "entity": "sales"}
    tool.killed("rollback", "--yes", **there, what="after request", after=2)
    keeper.operator.run("sync").failed(2, "is being undone, and that was cut short")
    keeper.operator.run("rollback").ended(0)
    keeper.assert_converges()


def test_a_repair_has_written_what_s9_had_then(keeper: Keeper) -> None:
    [sale_10] = [
        each for each in headers(keeper.operator, "sales") if each["legacyId"]["S"] == "10"
    ]
    keeper.s9.execute(TOLD_OTHERWISE)
    keeper.application.delete("sales", sale_10)
    keeper.operator.run(*REPAIR).ended(0)
    assert "urgente" in str(keeper.application.scan()["sales"])
    keeper.s9.execute(TOLD_BACK)
    keeper.assert_converges()


def test_a_repair_was_undone(keeper: Keeper) -> None:
    [sale_10] = [
        each for each in headers(keeper.operator, "sales") if each["legacyId"]["S"] == "10"
    ]
    keeper.application.delete("sales", sale_10)
    keeper.operator.run("--phase", "verify", "--repair").ended(0)
    keeper.operator.run("rollback", "--repair", "--yes").ended(0)
    keeper.operator.configure(load={"onConflict": "overwrite"})
    keeper.assert_converges()


def test_the_table_was_made_again(keeper: Keeper) -> None:
    """Somebody drops it, and restores it into a new one of the same name."""
    backup = keeper.backup_of("sales")
    keeper.change_s9()
    keeper.operator.run("sync").ended(0)
    keeper.dynamodb.delete_table(TableName=keeper.tables.sales)
    keeper.operator.run("restore", backup).ended(0)
    keeper.assert_converges()


def test_a_backup_was_restored_into_another_table(keeper: Keeper) -> None:
    """What was written last stays known: that table is nobody's."""
    backup = keeper.backup_of("sales")
    keeper.change_s9()
    keeper.operator.run("restore", backup, "--into", f"{keeper.tables.sales}-copy").ended(0)
    keeper.operator.run("sync").ended(0)
    assert "is read for that" not in keeper.operator.outcomes[-1].output
    keeper.assert_converges()
