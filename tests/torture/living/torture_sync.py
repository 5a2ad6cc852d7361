"""Three hundred random histories of a target that is kept in step with a living S9, of up to eight
passes, while the application works: passes are killed at random events and resumed, and life goes
on before, during and between them. In the end the tables are those of a fresh `--full`, plus what
is the application's."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.application.application import Application
from tests.support.living.histories import History, script
from tests.support.living.times import assert_times_are_known
from tests.support.operators.operator import Operator
from utils.embedded.aws import EmbeddedAws

HISTORIES, ON_MARIADB = 200, 100
PASSES = 8
REMOVED = ("delete", "delete", "delete", "softDelete", "keep")
REFUSED = ("keep", "keep", "remove")


def assert_converges(
    directory: Path,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    chance = random.Random(-seed)
    settings = {"removed": chance.choice(REMOVED), "refused": chance.choice(REFUSED)}
    words = script(seed, passes=chance.randint(1, PASSES), rough=True)
    operator = hire(directory, s9, aws, tables)
    operator.configure(migration={"workers": chance.randint(1, 4)})
    history = History(operator, s9, dynamodb, tables, aws, seed, words, settings)
    history.assert_converges()


@pytest.mark.parametrize("number", range(HISTORIES))
def test_a_target_is_kept_in_step_with_a_postgresql(
    number: int,
    tmp_path: Path,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    assert_converges(tmp_path, s9, aws, dynamodb, tables, seed * 1000 + number)


@pytest.mark.parametrize("number", range(ON_MARIADB))
def test_a_target_is_kept_in_step_with_a_mariadb(
    number: int,
    tmp_path: Path,
    s9_on_mysql: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    assert_converges(tmp_path, s9_on_mysql, aws, dynamodb, tables, seed * 2000 + number)


def test_the_times_of_many_passes_are_all_known_for_what_they_are(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    assert_times_are_known(alone, s9, Application(dynamodb, tables), passes=25)
