"""The exit code that a dry run foretells is the one that `--full` has: prepared situations.

They come in chains, each of which begins with a small trade in S9 and no table, and goes on from
where the situation before it ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import LATER, Application
from tests.support.aws.tables import create, create_good_tables, schema, strings
from tests.support.operators.operator import IMPATIENT, Operator, small_trade
from tests.support.operators.undone import headers
from utils.dynamodb.table_spec import MARK_KEY
from utils.run.manifest import Manifest


@dataclass
class Scene:
    """S9 with a small trade, an operator, and the application at work on the tables."""

    operator: Operator
    s9: S9Database
    application: Application
    dynamodb: DynamoDBClient
    tables: TableNames
    endpoint: str = ""
    locked: int = -1

    def configure(self, **sections: Any) -> None:
        self.operator.configure(**sections)

    def move(self) -> None:
        """Go on in another data directory, whatever the last one holds."""
        directory = self.operator.config.get("data", {}).get("directory", "data")
        self.configure(data={"directory": f"{directory}-next"})


Step = tuple[int, str, Callable[[Scene], object]]


def in_the_tables(scene: Scene, entity: str, place: int = 0) -> dict[str, Any]:
    """One of the items that open a record, as the last run has made it."""
    return headers(scene.operator, entity)[place]


def change_a_buyer(scene: Scene) -> None:
    scene.application.change("buyers", in_the_tables(scene, "buyers"), city={"S": "Lecco"})


def let(policy: str) -> Callable[[Scene], None]:
    def decide(scene: Scene) -> None:
        scene.move()
        scene.configure(load={"onConflict": policy})

    return decide


def add_a_line_in_s9(scene: Scene) -> None:
    """To a sale that the application has changed."""
    scene.application.change("sales", in_the_tables(scene, "sales"), status={"S": "paid"})
    scene.s9.execute(
        "INSERT INTO msg_line (id, msg_id, line_number, product_description, quantity, unit_price)"
        " VALUES (9, 10, 3, 'Rondella', 1, 2)"
    )


def records_of_the_application(scene: Scene) -> None:
    scene.application.create("buyers")
    scene.application.create("sales")


def disable_a_sale(scene: Scene) -> None:
    scene.s9.execute("UPDATE msg SET enabled = false WHERE first_id = 11")


def enable_it_and_leave_it_out(scene: Scene) -> None:
    scene.s9.execute("UPDATE msg SET enabled = true WHERE first_id = 11")
    scene.configure(extraction={"sales": {"where": "first_id = 10"}})


def refuse_a_buyer(scene: Scene) -> None:
    """That is in the table, as is its sale."""
    scene.configure(extraction={"sales": {"where": None}})
    scene.s9.execute("UPDATE msg_anag SET country = 'XX' WHERE first_id = 2")


def without_verification(scene: Scene) -> None:
    scene.configure(migration={"validateAfterLoad": False})


def with_errors_as_errors(scene: Scene) -> None:
    scene.configure(migration={"continueOnError": False, "validateAfterLoad": True})


def mend_it(scene: Scene) -> None:
    scene.s9.execute("UPDATE msg_anag SET country = 'IT' WHERE first_id = 2")


def warnings_as_errors(scene: Scene) -> None:
    scene.s9.execute("UPDATE msg_anag SET email = 'a@example.com; b@example.com'")
    scene.configure(validation={"strictMode": True})


def delete_a_buyer(scene: Scene) -> None:
    """As the application deletes."""
    buyer = in_the_tables(scene, "buyers")
    scene.application.change("buyers", buyer, deletedAt={"S": LATER})
    let("skip")(scene)


def change_a_status_alone(scene: Scene) -> None:
    """Without the index key that repeats it."""
    sale, key = in_the_tables(scene, "sales"), {"S": "STATUS#draft"}
    scene.application.change("sales", sale, status={"S": "paid"}, GSI1PK=key)


def add_a_line_that_no_sale_counts(scene: Scene) -> None:
    sale = in_the_tables(scene, "sales")
    own = {"PK": sale["PK"], "SK": {"S": "LINE#own"}, "updatedAt": {"S": LATER}}
    scene.application.put("sales", own)


def tables_are_not_made(scene: Scene) -> None:
    scene.configure(target={"createTables": False})


def an_index_is_missing(scene: Scene) -> None:
    scene.configure(target={"createTables": True})
    keys = strings("PK", "SK", "GSI1PK", "GSI1SK")
    create(
        scene.dynamodb,
        scene.tables.buyers,
        "buyers",
        AttributeDefinitions=keys,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "GSI1-QueryByCode",
                "KeySchema": schema("GSI1PK", "GSI1SK"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def tables_without_recovery(scene: Scene) -> None:
    scene.dynamodb.delete_table(TableName=scene.tables.buyers)
    create_good_tables(scene.operator, scene.tables)
    scene.configure(backup={"pointInTimeRecovery": "require"})


def somebody_else_loads(scene: Scene) -> None:
    scene.configure(backup={"pointInTimeRecovery": "ignore"})
    now = f"{datetime.now(timezone.utc) + timedelta(seconds=30):%Y-%m-%dT%H:%M:%SZ}"
    texts = {"owner": "other", "work": "a load", "host": "elsewhere", "since": now, "renewed": now}
    mark = {name: {"S": text} for name, text in texts.items()}
    scene.dynamodb.put_item(
        TableName=scene.tables.sales, Item={**MARK_KEY, **mark, "renewals": {"N": "1"}}
    )


def a_table_of_s9_is_gone(scene: Scene) -> None:
    scene.move()
    scene.dynamodb.delete_item(TableName=scene.tables.sales, Key=MARK_KEY)
    scene.s9.execute("ALTER TABLE msg_line RENAME TO elsewhere")


def nobody_listens(scene: Scene) -> None:
    scene.s9.execute("ALTER TABLE elsewhere RENAME TO msg_line")
    scene.move()
    scene.endpoint = scene.operator.config["target"]["endpoint"]
    scene.configure(target={"endpoint": "http://127.0.0.1:9"}, migration=IMPATIENT)


def a_party_is_not_migrated(scene: Scene) -> None:
    """And nobody asks for it before the load."""
    scene.configure(target={"endpoint": scene.endpoint}, validation={"validateReferences": False})
    scene.move()
    scene.s9.execute("UPDATE msg_anag SET enabled = false WHERE first_id = 2")


def another_run_is_at_work(scene: Scene) -> None:
    scene.s9.execute("UPDATE msg_anag SET enabled = true WHERE first_id = 2")
    scene.configure(validation={"validateReferences": True})
    scene.locked = os.open(scene.operator.data / ".lock", os.O_RDWR)
    fcntl.flock(scene.locked, fcntl.LOCK_EX)


def another_target(scene: Scene) -> None:
    os.close(scene.locked)
    scene.configure(target={"salesTable": f"{scene.tables.sales}-2"})


def a_rollback_was_cut_short(scene: Scene) -> None:
    scene.configure(target={"salesTable": scene.tables.sales})
    path = scene.operator.data / "manifest.json"
    manifest = Manifest.load(path)
    assert manifest
    replace(manifest, rolled_back="begun").save(path)


def a_directory_of_a_rehearsal(scene: Scene) -> None:
    directory = scene.operator.config["data"]["directory"]
    scene.configure(data={"directory": f"{directory}/dry-run"})


def a_sale_of_the_application_with_a_low_number(scene: Scene) -> None:
    """It is the latest of its year: the API gives the number after its own next."""
    scene.move()
    scene.application.put(
        "sales",
        {
            "PK": {"S": "SALE#own"},
            "SK": {"S": "METADATA"},
            "GSI4PK": {"S": "SALE"},
            "GSI4SK": {"S": "2024-12-30"},
            "saleDate": {"S": "2024-12-30"},
            "saleNumber": {"N": "3"},
        },
    )


def it_has_got_a_higher_one(scene: Scene) -> None:
    key = {"PK": {"S": "SALE#own"}, "SK": {"S": "METADATA"}}
    scene.application.change("sales", key, saleNumber={"N": "12"})


def a_copy_of_it_has_changed_in_s9(scene: Scene) -> None:
    """A sale has the city of its buyer."""
    scene.move()
    scene.s9.execute("UPDATE msg_anag SET city = NULL WHERE first_id = 2")


def no_change(scene: Scene) -> None:
    del scene


CHAINS: dict[str, list[Step]] = {
    "the application at work": [
        (0, "no tables yet", no_change),
        (0, "all of it is there", no_change),
        (0, "and records of the application", records_of_the_application),
        (1, "a buyer has been changed", change_a_buyer),
        (2, "and that run is not finished", no_change),
        (0, "what was changed stays", let("skip")),
        (5, "a line of S9 is left out", add_a_line_in_s9),
        (5, "the younger one stays", let("newer")),
        (0, "S9 wins", let("overwrite")),
        (0, "a buyer is deleted as the application deletes", delete_a_buyer),
        (4, "a status is not in its index key", change_a_status_alone),
        (4, "a line is there that its sale does not count", add_a_line_that_no_sale_counts),
    ],
    "what has left S9": [
        (0, "no tables yet", no_change),
        (4, "a sale is disabled", disable_a_sale),
        (4, "a sale is not selected", enable_it_and_leave_it_out),
        (4, "a loaded buyer is refused", refuse_a_buyer),
        (5, "nobody looks", without_verification),
        (3, "errors stop", with_errors_as_errors),
        (0, "nothing is wrong", mend_it),
        (3, "warnings stop", warnings_as_errors),
    ],
    "numbers": [
        (0, "no tables yet", no_change),
        (4, "the latest sale has a low number", a_sale_of_the_application_with_a_low_number),
        (0, "and then a higher one", it_has_got_a_higher_one),
        (1, "a party has changed in S9", a_copy_of_it_has_changed_in_s9),
    ],
    "both ends": [
        (1, "tables are missing and are not made", tables_are_not_made),
        (1, "a table lacks an index", an_index_is_missing),
        (1, "tables without point-in-time recovery", tables_without_recovery),
        (1, "somebody else loads", somebody_else_loads),
        (1, "a table of S9 is gone", a_table_of_s9_is_gone),
        (1, "nobody listens at the endpoint", nobody_listens),
        (4, "a sale names a party that is not migrated", a_party_is_not_migrated),
        (1, "another run is at work", another_run_is_at_work),
        (2, "the data directory is of another target", another_target),
        (2, "a rollback was cut short", a_rollback_was_cut_short),
        (2, "the data directory is a rehearsal's", a_directory_of_a_rehearsal),
    ],
}


@pytest.fixture
def scene(alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames) -> Scene:
    small_trade(s9)
    return Scene(alone, s9, Application(dynamodb, tables), dynamodb, tables)


def plan_of(operator: Operator) -> Any:
    return orjson.loads((operator.rehearsal.data / "reports" / "plan.json").read_bytes())


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_foretold_comes(name: str, scene: Scene) -> None:
    for code, what, prepare in CHAINS[name]:
        prepare(scene)
        before = scene.application.scan()
        rehearsed = scene.operator.run("--dry-run")
        assert scene.application.scan() == before, what
        foretold = plan_of(scene.operator)["exitCode"]
        full = scene.operator.run("--full")
        codes = rehearsed.code, foretold, full.code
        assert codes == (code, code, code), f"{what}:\n{rehearsed.output}\n{full.output}"
