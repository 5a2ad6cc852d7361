"""Northwind's real trade and the demonstration's S9, migrated by one machine and by a fleet: it
leaves the same artifacts, reports and items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.fleet.alike import Left
from tests.support.fleet.sabotage import (
    assert_nothing_is_left,
    begun,
    sabotaged,
    verified_by_all,
)
from tests.support.fleet.spark import require_spark
from tests.support.operators.operator import Operator
from tests.support.s9.northwind import USERS, northwind_in
from utils.demo.sample.data import SampleReport, generate
from utils.demo.sample.pools import USER_MAPPING
from utils.demo.sample.schema import create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

PARTS = 7
_AT_MOST = 600.0  # seconds, where others are at work as well

Hire = Callable[[str, S9Database, dict[str, str]], tuple[Operator, TableNames]]


@pytest.fixture(scope="session", autouse=True)
def _spark() -> None:
    require_spark()


@pytest.fixture
def hired(tmp_path: Path, aws: EmbeddedAws, dynamodb: DynamoDBClient) -> Iterator[Hire]:
    """Hires operators with a directory and tables of their own, by their names."""
    made: list[TableNames] = []

    def anew(name: str, s9: S9Database, users: dict[str, str]) -> tuple[Operator, TableNames]:
        directory = tmp_path / name
        directory.mkdir()
        tables = TableNames(*(f"{name}-{each}" for each in ("Sales", "Buyers", "Producers")))
        made.append(tables)
        operator = hire(directory, s9, aws, tables)
        return operator.configure(transformation={"userMapping": users}), tables

    yield anew
    for tables in made:
        for table in (tables.sales, tables.buyers, tables.producers):
            dynamodb.delete_table(TableName=table)


@pytest.fixture(scope="module")
def northwind(postgres: EmbeddedPostgres) -> Iterator[S9Database]:
    with northwind_in(postgres, "northwind_of_fleets") as s9:
        yield s9


@pytest.fixture(scope="module")
def demonstration(postgres: EmbeddedPostgres) -> Iterator[tuple[S9Database, SampleReport]]:
    """The S9 of `make demo`, as large and as dirty."""
    postgres.create_database("demonstration")
    connection = postgres.connect("demonstration")
    try:
        create_tables(connection)
        yield S9Database(postgres, "demonstration", connection), generate(connection)
    finally:
        connection.close()


def assert_a_fleet_leaves_the_same(
    hired: Hire, s9: S9Database, users: dict[str, str], dynamodb: DynamoDBClient, **plan: Any
) -> Operator:
    """Migrate by one machine and by a fleet; returns who has done the latter."""
    alone, own_tables = hired("alone", s9, users)
    alone.run("--full").ended(5)
    operator, tables = hired("fleet", s9, users)
    operator.configure(
        engine={"type": "spark", "master": "local[2,4]", "parts": PARTS, "readers": 2},
        migration={"processes": 2},
    )
    blind = {"blind": str(operator.data)} if plan.pop("is_blind") else {}
    fleet = verified_by_all(sabotaged(operator, **blind))
    with fleet.start("--full") as running:
        running.end(_AT_MOST).ended(5)
    done = begun(fleet)
    for step in ("read_part", "make_part", "_WithTroubles"):
        assert sum(n for name, n in done.items() if name.startswith(step)) >= PARTS, (step, done)
    mine, theirs = Left.of(fleet, dynamodb, tables), Left.of(alone, dynamodb, own_tables)
    assert mine.artifacts == theirs.artifacts
    assert mine.items == theirs.items
    assert mine.reports.keys() == theirs.reports.keys()
    assert not [name for name, each in theirs.reports.items() if mine.reports[name] != each]
    assert_nothing_is_left(fleet)
    return fleet


@pytest.mark.parametrize("is_blind", [False, True], ids=["", "blind"])
def test_northwind(
    hired: Hire, northwind: S9Database, dynamodb: DynamoDBClient, is_blind: bool
) -> None:
    assert_a_fleet_leaves_the_same(hired, northwind, USERS, dynamodb, is_blind=is_blind)


@pytest.mark.parametrize("is_blind", [False, True], ids=["", "blind"])
def test_the_demonstration(
    hired: Hire,
    demonstration: tuple[S9Database, SampleReport],
    dynamodb: DynamoDBClient,
    is_blind: bool,
) -> None:
    s9, report = demonstration
    fleet = assert_a_fleet_leaves_the_same(
        hired, s9, dict(USER_MAPPING), dynamodb, is_blind=is_blind
    )
    for entity in ("buyers", "producers", "sales"):
        assert fleet.quarantine(entity).keys() == report.quarantined(entity)
