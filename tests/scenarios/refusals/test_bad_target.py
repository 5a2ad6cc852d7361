"""A target that is not ready: found before S9 is read, and told whole."""

from __future__ import annotations

from mypy_boto3_dynamodb import DynamoDBClient

from load.entities import TABLES
from tests.conftest import S9Database, TableNames
from tests.support.application.gateway import Gateway
from tests.support.aws.tables import create, create_good_tables, schema, strings
from tests.support.operators.operator import IMPATIENT, Operator, exists, scan_all, small_trade
from utils.embedded.aws import EmbeddedAws


def test_missing_tables_are_all_named_and_not_made_unasked(
    operator: Operator, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    operator.configure(target={"createTables": False})
    for command in ("--dry-run", "--full"):
        outcome = operator.run(command)
        outcome.failed(1, tables.sales, tables.buyers, tables.producers, "target.createTables")
    assert not exists(dynamodb, tables.sales)
    assert not list(operator.data.rglob("extracted/*.json")), "S9 was read for nothing"


def test_everything_wrong_with_the_tables_is_told_at_once(
    operator: Operator, tables: TableNames, dynamodb: DynamoDBClient
) -> None:
    create(
        dynamodb,
        tables.buyers,
        "buyers",
        KeySchema=schema("id", "SK"),
        AttributeDefinitions=strings("id", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"),
    )
    indexes = [
        {
            "IndexName": "GSI2-QueryByStatus",
            "KeySchema": schema("GSI2SK", "GSI2PK"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ]
    create(
        dynamodb,
        tables.producers,
        "producers",
        GlobalSecondaryIndexes=indexes,
        AttributeDefinitions=strings("PK", "SK", "GSI2PK", "GSI2SK"),
    )
    kinds = strings(*TABLES["sales"].key_attributes)
    kinds[-1]["AttributeType"] = "N"
    create(dynamodb, tables.sales, "sales", AttributeDefinitions=kinds)
    operator.run("--full").failed(
        1,
        f"table {tables.buyers} has the key id, SK, not PK, SK",
        f"table {tables.producers} lacks the index GSI1-QueryByCode",
        f"index GSI2-QueryByStatus of {tables.producers} has the key GSI2SK, GSI2PK",
        f"table {tables.sales}: key attribute GSI4SK has type N, not S",
    )


def test_tables_that_are_there_are_used(operator: Operator, tables: TableNames) -> None:
    create_good_tables(operator, tables)
    none = {"where": "false"}
    operator.configure(
        target={"createTables": False},
        migration={"validateAfterLoad": False},
        extraction={"buyers": none, "producers": none, "sales": none},
    )
    operator.run("--full").ended(0)


def test_without_credentials_the_ways_to_give_them_are_named(after_a_run: Operator) -> None:
    after_a_run.configure(target={"useLocalStack": False})
    files = after_a_run.files()
    after_a_run.run("--phase", "load").failed(1, "no AWS credentials", "useLocalStack")
    assert after_a_run.files() == files
    after_a_run.environment["AWS_ACCESS_KEY_ID"] = "AKIAEXAMPLE"  # half of them are none
    after_a_run.run("--phase", "load").failed(1, "AWS credentials", "useLocalStack")
    assert after_a_run.files() == files


def test_a_profile_that_does_not_exist_is_named(after_a_run: Operator) -> None:
    after_a_run.configure(target={"useLocalStack": False, "profile": "prod-eu"})
    after_a_run.run("--phase", "load").failed(1, "prod-eu", "target.profile")
    after_a_run.config["target"]["profile"] = None
    after_a_run.environment["AWS_PROFILE"] = "prod-us"
    after_a_run.run("--phase", "load").failed(1, "prod-us", "AWS_PROFILE")


def test_localstack_needs_nothing_of_a_real_account(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    alone.environment |= {"AWS_PROFILE": "prod-us", "AWS_CONFIG_FILE": "/nonexistent"}
    alone.configure(migration={"validateAfterLoad": False})
    alone.run("--full").ended(0)


def test_a_proxy_of_the_environment_is_used_for_every_call(
    alone: Operator, s9: S9Database, aws: EmbeddedAws, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    alone.configure(target={"endpoint": "http://dynamodb.invalid:8000"}, migration=IMPATIENT)
    with Gateway(aws.host, aws.port) as proxy:
        alone.environment["http_proxy"] = proxy.url
        alone.run("--full").ended(0)
    assert len(scan_all(dynamodb, tables)["sales"]) == 5


def test_an_endpoint_where_nobody_listens(operator: Operator) -> None:
    operator.configure(target={"endpoint": "http://127.0.0.1:9"})
    operator.run("--full").failed(1, "http://127.0.0.1:9 cannot be reached", "target.endpoint")
