"""What a fresh `--full` into empty tables gives: beside it the tables are judged."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.living.judge import Contents, contents_of
from tests.support.operators.operator import Operator, scan_all
from utils.embedded.aws import EmbeddedAws

_ITS_OWN = ("source", "target", "data")


def fresh_migration(
    operator: Operator,
    s9: S9Database,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> Contents:
    """The contents of new tables into which another operator, with the settings of the first and a
    data directory of his own, has migrated S9 as it is. They are dropped again."""
    prefix = f"fresh-{tables.sales}-"
    names = TableNames(*(f"{prefix}{name}" for name in ("sales", "buyers", "producers")))
    directory = operator.directory / "fresh"
    directory.mkdir()
    other = hire(directory, s9, aws, names)
    other.configure(**{name: of for name, of in operator.config.items() if name not in _ITS_OWN})
    try:
        outcome = other.run("--full")
        assert outcome.code in (0, 5), outcome.output
        return contents_of(scan_all(dynamodb, names))
    finally:
        for name in (names.sales, names.buyers, names.producers):
            dynamodb.delete_table(TableName=name)
        directory.rename(operator.directory / f"fresh-{len(operator.outcomes)}")
