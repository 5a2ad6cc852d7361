"""The machine is killed and its disk is gone, again and again: what S3 has is enough to go on."""

from __future__ import annotations

import random
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.support.application.application import Application
from tests.support.aws.s3_places import PlaceInS3, lose_the_machine, move_on
from tests.support.faults.sabotage import (
    Result,
    SabotagedOperator,
    events,
    seeded_kills,
    shared,
    start_over,
)
from tests.support.operators.operator import ENTITIES, Operator, scan_all
from tests.support.s9.many_sales import many_sales

SEED = 20261128
KILLS = 9
OF_A_LOAD = 8
# A rollback waits for what may be on its way; nothing is, here.
SOON: dict[str, Any] = {"load.rollback.engine.UNDERWAY_FOR": 0.1}


def go_on(tool: SabotagedOperator, place: PlaceInS3, chance: random.Random) -> str:
    """What to type next."""
    return "--resume" if move_on(tool, place, chance) else "--full"


def in_s3(operator: Operator, place: PlaceInS3) -> SabotagedOperator:
    operator.configure(data={"directory": str(place)})
    tool = SabotagedOperator.like(operator, s3=True)
    tool.plan["set"] = {**tool.plan["set"], **SOON}
    return tool


def test_killed_in_every_phase_and_lost_it_ends_as_an_undisturbed_run(
    operator: Operator,
    finished: Operator,
    place: PlaceInS3,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    operator.configure(migration={"batchSize": 10, "workers": 2, "processes": 1})
    tool = in_s3(operator, place)
    happened = events(tool, "--full")
    start_over(tool, dynamodb, tables)
    tool.configure(data={"directory": f"{place}/again"})
    again = PlaceInS3.at(place, "again")
    command, chance = "--full", random.Random(SEED)
    for kill in seeded_kills(chance, happened, KILLS):
        tool.killed(command, **kill)
        command = go_on(tool, again, chance)
    tool.run(command).ended(5)
    assert Result.of(tool, dynamodb, tables) == Result.of(finished, dynamodb, DONE_TABLES)
    again.assert_whole()
    lose_the_machine(tool)
    tool.run("rollback", "--yes").ended(0)
    assert scan_all(dynamodb, tables) == {entity: {} for entity in ENTITIES}


def test_killed_while_it_replaces_and_while_it_is_undone_nothing_is_lost(
    alone: Operator,
    s9: S9Database,
    place: PlaceInS3,
    dynamodb: DynamoDBClient,
    application: Application,
) -> None:
    many_sales(s9, 60)
    tool = shared(in_s3(alone, place))
    tool.run("--full").ended(0)
    first = application.scan()
    s9.execute("UPDATE msg_anag SET city = 'Lecco'")
    s9.execute("UPDATE msg_line SET product_description = 'Dado M1' WHERE id % 3 = 0")
    tool.configure(load={"onConflict": "overwrite"})
    chance = random.Random(SEED)
    command = "--full"
    for _ in range(OF_A_LOAD):
        kill = {"phase": "load", "entity": chance.choice(["buyers", "sales"])}
        if tool.is_killed(command, **kill, after=chance.randint(1, 60)):
            command = go_on(tool, place, chance)
    tool.run(command).ended(0)
    second = application.scan()
    assert second != first
    assert tool.report("verification")["passed"]
    for _ in range(OF_A_LOAD):
        kill = {"phase": "rollback", "entity": chance.choice(["buyers", "sales"])}
        if tool.is_killed("rollback", "--yes", **kill, after=chance.randint(1, 30)):
            go_on(tool, place, chance)
    tool.run("rollback", "--yes")
    assert application.scan() == first
