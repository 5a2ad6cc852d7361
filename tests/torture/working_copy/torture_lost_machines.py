"""Hours of machines that are lost: a migration whose files are kept in S3, killed at seeded moments
of every command that writes, and gone on with on a machine that has nothing; now and then on the
same one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.application.application import Application
from tests.support.aws.s3_places import PlaceInS3, move_on
from tests.support.faults.sabotage import SabotagedOperator, shared
from tests.support.operators.operator import Operator
from tests.support.s9.many_sales import many_sales
from utils.embedded.aws import EmbeddedAws

ROUNDS = 12
KILLS = 6  # of each command
LATEST = 500  # event
MARK = "MIGRATION#LOCK"
SOON: dict[str, Any] = {"load.rollback.engine.UNDERWAY_FOR": 0.1}
EDITS = (
    "UPDATE msg_anag SET city = 'Lecco' WHERE first_id % 2 = 0",
    "UPDATE msg_line SET product_description = 'Dado' WHERE id % 3 = 0",
    "DELETE FROM msg_line WHERE id % 11 = 0",
)


def items_of(application: Application) -> dict[str, Any]:
    """Every item but the marks of who was killed, which expire."""
    return {
        entity: {key: item for key, item in items.items() if key != (MARK, "LOCK")}
        for entity, items in application.scan().items()
    }


def to_the_end(
    tool: SabotagedOperator, place: PlaceInS3, chance: random.Random, first: str, again: str
) -> None:
    """A command, killed at so many moments, until it has come to its end."""
    command = first
    for _ in range(KILLS):
        if not tool.is_killed(*command.split(), after=chance.randint(1, LATEST)):
            break
        is_begun = move_on(tool, place, chance)
        command = again if is_begun else first
    if "nothing to resume" in tool.run(*command.split()).output:  # killed before it had begun
        tool.run(*first.split())


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.timeout(1800)
def test_whatever_is_lost_nothing_of_the_migration_is(
    alone: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
    number: int,
) -> None:
    chance, place = random.Random(f"{seed} {number}"), PlaceInS3(aws)
    many_sales(s9, 40)
    application = Application(dynamodb, tables)
    alone.configure(data={"directory": str(place)}, load={"onConflict": "overwrite"})
    alone.configure(migration={"processes": 1 + number % 2, "batchSize": 10})
    tool = SabotagedOperator.like(alone, s3=True)
    tool = shared(tool) if number % 2 else tool
    tool.plan["set"] = {**tool.plan["set"], **SOON}
    to_the_end(tool, place, chance, "--full", "--resume")
    assert tool.report("verification")["passed"]
    first = items_of(application)
    for edit in EDITS:
        s9.execute(edit)
    command = chance.choice(["sync", "--full"])
    to_the_end(tool, place, chance, command, "sync" if command == "sync" else "--resume")
    tool.run("--phase", "verify").ended(0)
    assert items_of(application) != first
    to_the_end(tool, place, chance, "rollback --yes", "rollback --yes")
    told = "\n".join(each.output[-3000:] for each in tool.outcomes[-8:])
    assert items_of(application) == first, (command, told)
    tool.run("sync").ended(0)
    lost = chance.choice([pk for pk, sk in first["sales"] if sk == "METADATA"])
    for pk, sk in first["sales"]:
        if pk == lost:
            key = {"PK": {"S": pk}, "SK": {"S": sk}}
            dynamodb.delete_item(TableName=tables.sales, Key=key)
    repair = "--phase verify --repair"
    to_the_end(tool, place, chance, repair, repair)
    tool.run("--phase", "verify").ended(0)
    place.assert_whole()
