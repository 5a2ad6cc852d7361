"""What a second run over a changed S9 once did wrong (trial B), done by `sync`: after each change
the tables are those of a fresh `--full` into empty ones, item by item."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.application.application import LATER, Application
from tests.support.damage.desk import database
from tests.support.damage.tables import differing
from tests.support.living.fresh import fresh_migration
from tests.support.living.judge import Contents, contents_of
from tests.support.operators.operator import Operator, Outcome, insert, line, party, sale
from transform.values.ids import record_id
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

NAMES = TableNames("second-Sales", "second-Buyers", "second-Producers")


@dataclass
class InStep:
    """A target that is kept in step. The S9 of one test is that of the next, changed."""

    operator: Operator
    s9: S9Database
    aws: EmbeddedAws
    dynamodb: DynamoDBClient

    def sync(self, on_conflict: str = "skip") -> Outcome:
        """A pass."""
        self.operator.configure(load={"onConflict": on_conflict})
        return self.operator.run("sync")

    def tables(self) -> Contents:
        """What is in the tables."""
        return contents_of(self.application().scan())

    def application(self) -> Application:
        """The Sale Module over the tables."""
        return Application(self.dynamodb, NAMES)

    def fresh(self) -> Contents:
        """What a fresh migration of S9 gives."""
        return fresh_migration(self.operator, self.s9, self.aws, self.dynamodb, NAMES)

    def item(self, number: int, line: int | None = None) -> dict[str, Any]:
        """What opens a sale, or a line of it, as the table has it."""
        sk = "METADATA" if line is None else f"LINE#{record_id('line', line, True)}"
        found = self.tables()["sales"][f"SALE#{record_id('sale', number, True)}", sk]
        return dict(found)


@pytest.fixture(scope="module")
def in_step(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: EmbeddedPostgres,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
) -> Iterator[InStep]:
    """Nine sales of two lines, each for one test, and their parties; migrated."""
    with database(postgres, "second_run") as s9:
        insert(s9, "msg_anag", *(party(n, 2) for n in range(1, 6)), party(21, 1), party(22, 1))
        for number in range(101, 110):
            insert(s9, "msg", sale(number, 5 if number == 108 else 1 + number % 2, 21))
            insert(s9, "msg_line", line(number * 10 + 1, number), line(number * 10 + 2, number))
        operator = hire(tmp_path_factory.mktemp("second"), s9, aws, NAMES)
        operator.configure(migration={"validateAfterLoad": False, "processes": 1})
        operator.run("--full").ended(0)
        yield InStep(operator, s9, aws, dynamodb)


def removed_line(s9: S9Database) -> None:
    s9.execute("DELETE FROM msg_line WHERE id = 1011")


def moved_line(s9: S9Database) -> None:
    s9.execute("UPDATE msg_line SET msg_id = 103 WHERE id = 1021")


def deleted_sale(s9: S9Database) -> None:
    s9.execute("DELETE FROM msg_line WHERE msg_id = 104")
    s9.execute("DELETE FROM msg WHERE first_id = 104")


def disabled_sale(s9: S9Database) -> None:
    """It is the last one of its year: another one gets its place in the numbering."""
    s9.execute("UPDATE msg SET enabled = false WHERE first_id = 109")


def deleted_party(s9: S9Database) -> None:
    s9.execute("DELETE FROM msg_anag WHERE first_id IN (3, 22)")


def disabled_party(s9: S9Database) -> None:
    s9.execute("UPDATE msg_anag SET enabled = false WHERE first_id = 4")


def party_with_its_sale(s9: S9Database) -> None:
    """A party goes with its sale."""
    s9.execute("DELETE FROM msg_line WHERE msg_id = 108")
    s9.execute("DELETE FROM msg WHERE first_id = 108")
    s9.execute("DELETE FROM msg_anag WHERE first_id = 5")


def changed_line(s9: S9Database) -> None:
    """Only the line says when it was changed."""
    s9.execute(
        "UPDATE msg_line SET unit_price = 99, updated_at = '2026-01-02 03:04:05' WHERE id = 1051"
    )


def changed_line_without_a_time(s9: S9Database) -> None:
    s9.execute("UPDATE msg_line SET unit_price = 98 WHERE id = 1052")


def fewer_lines(s9: S9Database) -> None:
    s9.execute("UPDATE msg SET updated_at = '2026-01-02 03:04:05' WHERE first_id = 106")
    s9.execute("DELETE FROM msg_line WHERE id = 1061")


@pytest.mark.parametrize(
    ("change", "on_conflict"),
    [
        (removed_line, "fail"),
        (moved_line, "skip"),
        (disabled_sale, "skip"),
        (changed_line, "newer"),
        (changed_line_without_a_time, "newer"),
        (fewer_lines, "overwrite"),
        (deleted_sale, "skip"),
        (deleted_party, "fail"),
        (disabled_party, "newer"),
        (party_with_its_sale, "overwrite"),
    ],
)
def test_the_target_is_as_a_fresh_one(
    in_step: InStep, change: Callable[[S9Database], None], on_conflict: str
) -> None:
    before = in_step.tables()
    change(in_step.s9)
    in_step.sync(on_conflict).ended(0)
    after, fresh = in_step.tables(), in_step.fresh()
    assert not any(differing(_plain(after), _plain(fresh)).values())
    assert any(differing(_plain(before), _plain(after)).values())


@pytest.mark.parametrize("on_conflict", ["skip", "newer"])
def test_a_line_of_the_application_keeps_the_sale_that_s9_has_changed(
    in_step: InStep, on_conflict: str
) -> None:
    """Everything of that sale stays, so that a new line of S9's is in no table; all others are as
    in a fresh migration."""
    application = in_step.application()
    header = in_step.item(107)
    application.put("sales", {**in_step.item(107, 1071), "SK": {"S": "LINE#of-its-own"}})
    application.change("sales", header, linesCount={"N": "3"}, updatedAt={"S": LATER})
    held = _of(in_step.tables(), header["PK"]["S"])
    in_step.s9.execute("UPDATE msg SET notes = %s WHERE first_id = 107", on_conflict)
    insert(in_step.s9, "msg_line", line(1070 + len(on_conflict), 107))
    in_step.s9.execute("UPDATE msg SET notes = %s WHERE first_id = 103", on_conflict)
    in_step.sync(on_conflict).ended(5)
    after, fresh = in_step.tables(), in_step.fresh()
    assert _of(after, header["PK"]["S"]) == held
    different = differing(_plain(after), _plain(fresh))
    assert {pk for pk, _ in different.pop("sales")} == {header["PK"]["S"]}
    assert not any(different.values())


def test_what_the_application_has_changed_stays_though_no_file_says_what_was_written(
    in_step: InStep,
) -> None:
    """Its sale is disabled in S9, and the state of the loads is lost."""
    application, header = in_step.application(), in_step.item(106)
    application.change("sales", header, notes={"S": "its own"}, updatedAt={"S": LATER})
    held = _of(in_step.tables(), header["PK"]["S"])
    shutil.rmtree(in_step.operator.data / "undo")
    in_step.s9.execute("UPDATE msg SET enabled = false WHERE first_id = 106")
    for _ in range(2):
        in_step.sync().ended(5)
        assert _of(in_step.tables(), header["PK"]["S"]) == held


def _of(contents: Contents, pk: str) -> dict[str, Any]:
    return {sk: item for (of, sk), item in contents["sales"].items() if of == pk}


def _plain(contents: Contents) -> dict[str, dict[tuple[str, str], Any]]:
    return {name: dict(items) for name, items in contents.items()}
