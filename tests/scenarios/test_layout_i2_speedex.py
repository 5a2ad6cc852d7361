"""Layout i2_speedex migrated whole, with everything awkward that its columns can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.scenarios.operator import ENTITIES, Operator, by_key, scan_all
from utils.embedded import i2_data
from utils.embedded.aws import EmbeddedAws
from utils.embedded.i2_data import Sample, insert, sample
from utils.embedded.i2_schema import create_tables
from utils.embedded.postgresql import EmbeddedPostgres

TABLES = TableNames("i2-Sales", "i2-Buyers", "i2-Producers")
LAYOUT = {"layout": "i2_speedex"}


def i2_database(postgres: EmbeddedPostgres, name: str) -> S9Database:
    """A database with the tables of the layout, empty."""
    postgres.create_database(name)
    connection = postgres.connect(name)
    create_tables(connection, "postgresql")
    return S9Database(postgres, name, connection)


@pytest.fixture
def i2(postgres: EmbeddedPostgres) -> Iterator[S9Database]:
    database = i2_database(postgres, "i2_alone")
    yield database
    database.connection.close()
    postgres.drop_database("i2_alone")


@pytest.fixture
def alone(tmp_path: Any, i2: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    """An operator with an S9 of this layout of the test's own, empty."""
    return hire(tmp_path, i2, aws, tables).configure(source=LAYOUT)


@pytest.fixture(scope="module")
def planted() -> Sample:
    return sample()


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: EmbeddedPostgres,
    aws: EmbeddedAws,
    planted: Sample,
) -> Operator:
    """The operator of a run over the sample that has ended. For reading only."""
    database = i2_database(postgres, "i2_sample")
    i2_data.fill(database.connection, planted)
    database.connection.close()
    operator = hire(tmp_path_factory.mktemp("i2"), database, aws, TABLES).configure(source=LAYOUT)
    operator.run("--full").ended(5)
    return operator


def small_trade(i2: S9Database) -> None:
    """A buyer, a producer, two sales with a line each: all of it clean."""
    insert(i2.connection, "buyers", i2_data.buyer(1))
    insert(i2.connection, "producers", i2_data.producer(1))
    insert(i2.connection, "sales", i2_data.sale(10), i2_data.sale(11))
    insert(i2.connection, "sale_lines", i2_data.line(1, 10), i2_data.line(2, 11))


def item(operator: Operator, entity: str, legacy_id: str, sk: str = "METADATA") -> dict[str, Any]:
    """The transformed item of a record, or of a line (its sort key begins so)."""
    return next(
        item
        for item in operator.items(entity)
        if item["legacyId"]["S"] == legacy_id and item["SK"]["S"].startswith(sk)
    )


def why(planted: Sample, entity: str, reason: str) -> str:
    """The key of the record that was planted for a reason."""
    return next(p.legacy_id for p in planted.planted if p.entity == entity and p.kind == reason)


def test_the_target_holds_exactly_the_transformed_items_and_the_ledger_closes(
    done: Operator, dynamodb: DynamoDBClient, planted: Sample
) -> None:
    found = scan_all(dynamodb, TABLES)
    report = done.report("verification")
    assert report["passed"]
    for entity in ENTITIES:
        assert found[entity] == by_key(done.items(entity))
        assert report["counts"][entity]["closes"]
        source = report["counts"][entity]["source"]["records"]
        assert source == len(getattr(planted, entity))


@pytest.mark.parametrize("entity", ENTITIES)
def test_exactly_what_was_planted_is_refused_and_doubted(
    done: Operator, planted: Sample, entity: Any
) -> None:
    assert set(done.quarantine(entity)) == planted.keys(entity, "refused")
    findings = done.report("validation")["findings"]
    warned = {
        f["legacyId"] for f in findings if f["entity"] == entity and f["severity"] == "warning"
    }
    assert warned == planted.keys(entity, "warning")
