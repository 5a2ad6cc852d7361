"""docs/architecture.md: its example is an entity that can be added and migrated, as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.support.documents.worked_example import Block, ToolCopy, blocks_of
from utils.demo.sample.schema import create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

BLOCKS = blocks_of("architecture.md")
TABLES = {name: f"worked-{name}" for name in ("buyers", "producers", "sales", "payments")}
CONFIG = {
    "source": {
        **{"host": "${S9_HOST}", "port": "${S9_PORT}", "database": "worked", "ssl": False},
        **{"username": "${S9_USER}", "password": "${S9_PASSWORD}"},
    },
    "target": {
        **{"useLocalStack": True, "endpoint": "${AWS_URL}"},
        **{f"{name}Table": table for name, table in TABLES.items()},
    },
    "migration": {"continueOnError": True, "backupBeforeLoad": False, "processes": 1},
    "transformation": {"generateIds": False, "migrationTimestamp": "2026-01-30T08:00:00.000Z"},
}
# Sale 13 is of a day that no calendar has, sale 14 disabled.
ROWS = """
INSERT INTO msg_anag (first_id, kind, enabled, name) VALUES
    (1, 2, true, 'Bianchi srl'), (2, 1, true, 'Viteria Ligure'), (3, 2, true, 'Rossi spa');
INSERT INTO msg (first_id, enabled, sale_number, sale_date, buyer_id, producer_id, status) VALUES
    (11, true, 1, '2024-03-05', 1, 2, 'confirmed'), (12, true, 2, '2024-03-06', 3, 2, 'draft'),
    (13, true, 3, 'infinity', 1, 2, 'draft'), (14, false, 4, '2024-03-08', 1, 2, 'draft');
INSERT INTO msg_line (id, msg_id, line_number, product_description, quantity, unit_price) VALUES
    (21, 11, 1, 'Viti M8', 2, 10), (22, 12, 1, 'Dadi M8', 4, 5);
CREATE TABLE msg_payment (
    id integer PRIMARY KEY, msg_id integer, data date, importo numeric(18,2),
    metodo varchar(40), note text
);
INSERT INTO msg_payment VALUES
    (31, 11, '2024-03-31', 12.20, 'bonifico', NULL), (32, 11, '2024-04-30', 12.20, NULL, 'saldo'),
    (33, 12, '2024-04-15', 24.40, 'contanti', NULL), (34, 13, '2024-04-15', 1.00, NULL, NULL),
    (35, 14, '2024-04-15', 2.00, NULL, NULL);
"""


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> ToolCopy:
    """A copy of the tool in which the page has been followed to its end."""
    copy = ToolCopy.into(tmp_path_factory.mktemp("tool"))
    copy.apply(BLOCKS.values())
    copy.hurry()
    return copy


@pytest.fixture(scope="module")
def migrated(tool: ToolCopy, postgres: EmbeddedPostgres, aws: EmbeddedAws) -> Path:
    """The data directory of a migration with payments."""
    postgres.create_database("worked")
    connection = postgres.connect("worked")
    create_tables(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute(ROWS)
    connection.close()
    (tool.root / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    tool.variables.update(
        S9_HOST=postgres.host,
        S9_PORT=str(postgres.port),
        S9_USER=postgres.reader,
        S9_PASSWORD=postgres.reader_password,
        AWS_URL=aws.endpoint_url,
    )
    tool.run(5, "migrate.py", "--full")
    return tool.root / "data"


@pytest.fixture(scope="module")
def tables(aws: EmbeddedAws) -> Iterator[DynamoDBClient]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=aws.endpoint_url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield client
    client.close()


def report(data: Path, name: str) -> Any:
    return orjson.loads((data / "reports" / f"{name}_report.json").read_bytes())


def lines(path: Path) -> list[Any]:
    return list(map(orjson.loads, path.read_bytes().splitlines()))


def key(record: str) -> dict[str, Any]:
    return {"PK": {"S": record}, "SK": {"S": "METADATA"}}


def there(tables: DynamoDBClient, entity: str) -> set[str]:
    found = tables.scan(TableName=TABLES[entity])["Items"]
    return {item["PK"]["S"] for item in found if item["SK"]["S"] == "METADATA"}


def test_all_payments_of_migrated_sales_arrive(migrated: Path, tables: DynamoDBClient) -> None:
    assert there(tables, "payments") == {f"PAYMENT#PAYMENT{n}" for n in (31, 32, 33)}
    first = lines(migrated / "transformed" / "payments.json")[0]["Item"]
    assert first["GSI1PK"] == {"S": "SALE#SALE11"}
    assert first["GSI1SK"] == first["paymentDate"] == {"S": "2024-03-31"}
    assert (first["amount"], first["method"]) == ({"N": "12.2"}, {"S": "bonifico"})


def test_a_payment_whose_sale_is_refused_goes_to_quarantine(migrated: Path) -> None:
    (sale,) = lines(migrated / "quarantine" / "sales.json")
    (payment,) = lines(migrated / "quarantine" / "payments.json")
    assert (sale["legacyId"], payment["legacyId"]) == ("13", "34")
    assert (payment["phase"], payment["rule"]) == ("validate", "reference")
    why = "its sale is not migrated, because sale 13 is refused (invalid-date)"
    assert payment["reason"] == why


def test_the_ledger_of_payments_begins_with_their_table_and_closes(migrated: Path) -> None:
    counts = report(migrated, "verification")["counts"]["payments"]
    assert counts["target"] == {"records": 3, "items": 3}
    assert counts["table"]["notSelected"] == {"of sales that are not selected": 1}


def test_verification_looks_at_payments_their_sales_and_what_is_asked(migrated: Path) -> None:
    verified = report(migrated, "verification")
    assert verified["passed"]
    assert verified["references"]["checked"] == 2 * 2 + 3  # two parties a sale, a sale a payment
    asked = {
        p["name"]: p["sampled"] for p in verified["accessPatterns"] if p["entity"] == "payments"
    }
    assert asked == {"one payment": 3, "payments of a sale": 2, "delta sync": 3}


def test_a_damaged_payment_is_found_and_one_that_has_lost_its_sale(
    tool: ToolCopy, migrated: Path, tables: DynamoDBClient
) -> None:
    payment, sale = (TABLES["payments"], "PAYMENT#PAYMENT31"), (TABLES["sales"], "SALE#SALE12")
    whole = {at: tables.get_item(TableName=at[0], Key=key(at[1]))["Item"] for at in (payment, sale)}
    damaged = {**whole[payment], "amount": {"N": "12.21"}}
    tables.put_item(TableName=payment[0], Item=damaged)
    tables.delete_item(TableName=sale[0], Key=key(sale[1]))
    tool.run(4, "migrate.py", "--phase", "verify")
    found = report(migrated, "verification")
    (different,) = found["keys"]["payments"]["different"]["list"]
    assert different == {"PK": payment[1], "SK": "METADATA", "attributes": ["amount"]}
    lost = {"payment": "PAYMENT#PAYMENT33", "sale": "SALE#SALE12"}
    assert found["references"]["unresolved"]["list"] == [lost]
    assert any("reference of a payment leads to no sale" in each for each in found["problems"])
    for (table, _), item in whole.items():
        tables.put_item(TableName=table, Item=item)


def test_a_second_run_writes_the_same(tool: ToolCopy, migrated: Path) -> None:
    before = (migrated / "transformed" / "payments.json").read_bytes()
    tool.run(5, "migrate.py", "--full")
    assert (migrated / "transformed" / "payments.json").read_bytes() == before
    assert report(migrated, "verification")["passed"]


def test_rollback_takes_payments_away_and_keeps_a_sale_that_one_of_the_applications_names(
    tool: ToolCopy, migrated: Path, tables: DynamoDBClient
) -> None:
    theirs = {
        **key("PAYMENT#theirs"),
        **{"GSI1PK": {"S": "SALE#SALE11"}, "GSI1SK": {"S": "2026-02-01"}},
        **{"saleId": {"S": "SALE11"}, "paymentId": {"S": "theirs"}, "amount": {"N": "1"}},
    }
    tables.put_item(TableName=TABLES["payments"], Item=theirs)
    tool.run(0, "migrate.py", "rollback", "--yes")
    assert there(tables, "payments") == {"PAYMENT#theirs"}
    assert there(tables, "sales") == {"SALE#SALE11"}
    assert there(tables, "buyers") == {"BUYER#BUYER1"}
    assert there(tables, "producers") == {"PRODUCER#PRODUCER2"}
    kept = {each["PK"]: each["usedBy"] for each in report(migrated, "rollback")["kept"]}
    assert kept["SALE#SALE11"] == "PAYMENT#theirs"


def test_what_must_hold_of_every_entity_holds_of_the_one_on_the_page(tool: ToolCopy) -> None:
    tool.test("tests/unit/test_entities.py")
    ruff = ("-m", "ruff", "check", "--no-cache", "--config", ".ci/ruff.toml")
    tool.run(0, *ruff, *(path for path in BLOCKS if path.endswith(".py")))


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    """With its shape alone, the tests say which files lack a payment."""
    copy = ToolCopy.into(tmp_path)
    copy.apply([BLOCKS["utils/entities.py"]])
    said = copy.test("tests/unit/test_entities.py", code=1)
    due = {path for path, block in BLOCKS.items() if is_part(block)}
    assert len(due) >= 9
    assert {path for path in due if path not in said} == set()


def is_part(block: Block) -> bool:
    """Whether a step is a part that the tests ask for."""
    no_part = ("utils/entities.py", "utils/demo/sample/schema.py", "docs/configuration.md")
    return block.path not in no_part
