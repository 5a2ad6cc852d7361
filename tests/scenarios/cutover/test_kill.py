"""Killed anywhere, the cut-over goes on by the same command, or back by its own; and what the
data directory says of the owner, the tables say to all others."""

from __future__ import annotations

import random
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.cutover.marks import marks
from tests.support.faults.sabotage import SabotagedOperator, events
from tests.support.operators.operator import Operator, insert, line, sale

SEED = 20261127
STOPPED = ("cutover", "--s9-is-stopped")
ABORT, SWITCHED, BACK = (
    ("cutover", "--abort"),
    ("cutover", "--switched"),
    ("cutover", "--back", "--yes"),
)


def state(operator: Operator) -> dict[str, Any]:
    """What the file of the cut-over says."""
    path = operator.data / "cutover.json"
    return dict(orjson.loads(path.read_bytes())) if path.exists() else {"steps": {}}


def test_killed_before_it_is_certified(migrated: Operator, s9: S9Database) -> None:
    chance, tool = random.Random(SEED), SabotagedOperator.like(migrated)
    happened = len(events(tool, *STOPPED))
    tool.run(*ABORT).ended(0)
    for number, share in enumerate((0.3, 0.9)):
        insert(s9, "msg", sale(12 + number, 1, 3))
        insert(s9, "msg_line", line(6 + number, 12 + number))
        moment = int(happened * chance.uniform(share, share + 0.08))
        tool.killed(*STOPPED, after=moment)
        tool.run("cutover", "--status").ended(0)
        tool.run(*STOPPED).ended(0)
        assert "certified" in state(tool)["steps"], moment
        assert tool.report("cutover")["entities"]["sales"]["extracted"] == 3 + number
        tool.run(*ABORT).ended(0)
        assert not (tool.data / "reports" / "cutover_report.json").exists()


def test_killed_in_the_switch_and_on_the_way_back(
    migrated: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    chance, tool = random.Random(SEED), SabotagedOperator.like(migrated)
    tool.run(*STOPPED).ended(0)
    for words, owner in ((SWITCHED, "the Sale Module"), (BACK, "S9")):
        for what in ("after rename", "before request", "after fsync"):
            tool.is_killed(*words, what=what, after=chance.randrange(1, 8))
            if state(tool)["owner"] != "S9":  # to all others, too
                assert None not in marks(dynamodb, tables)
        if state(tool)["owner"] != owner:
            tool.run(*words).ended(0)
        assert state(tool)["owner"] == owner
    assert marks(dynamodb, tables) == [None] * 3
    tool.run("sync").ended(0)
