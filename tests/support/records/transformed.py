"""A small migration as the phases before verify leave it: files, manifest, and a loaded target."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

from load.load_buyers import TABLE as BUYERS
from load.load_producers import TABLE as PRODUCERS
from load.load_sales import TABLE as SALES
from utils.aws.session import open_dynamodb
from utils.config import Config, MigrationConfig, TargetConfig
from utils.dynamodb.table_spec import TableSpec
from utils.files.artifacts import ArtifactWriter
from utils.files.findings import Finding
from utils.files.quarantine import Refusal
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.telemetry.tasks import Tasks
from validate.verify.engine import verify
from validate.verify.verification_report import VerificationResult

Item = dict[str, dict[str, Any]]

TABLES = {"buyers": BUYERS, "producers": PRODUCERS, "sales": SALES}
_NAMESPACE = uuid.UUID("6f9c7a52-0a5e-4a5e-9d0c-5a1e00000000")
_AUDIT = {
    "createdAt": {"S": "2024-01-01T08:00:00.000Z"},
    "createdBy": {"S": "migration@system"},
    "updatedBy": {"S": "migration@system"},
}


def identity(kind: str, number: int) -> str:
    """The UUID of a record, the same in every test."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{number}"))


def changed_at(number: int) -> dict[str, str]:
    """An updatedAt that is different for different records."""
    return {"S": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}T10:00:00.000Z"}


def party(kind: str, number: int) -> Item:
    """The item of a buyer or producer."""
    name, country = f"Officine {kind} {number:05} S.p.A.", ("IT", "DE", "FR")[number % 3]
    status = "inactive" if number % 5 == 0 else "active"
    party_id = identity(kind, number)
    return {
        "PK": {"S": f"{kind.upper()}#{party_id}"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": f"STATUS#{status}"},
        "GSI1SK": {"S": name},
        "GSI2PK": {"S": f"COUNTRY#{country}"},
        "GSI2SK": {"S": name},
        f"{kind}Id": {"S": party_id},
        "companyName": {"S": name},
        "country": {"S": country},
        "status": {"S": status},
        "address": {"S": "Via dell'Università 1"},
        "city": {"S": "Forlì"},
        "fiscalCode": {"S": ""},
        "legacyId": {"S": str(number)},
        **_AUDIT,
        "updatedAt": changed_at(number),
    }


def sale(number: int, *, buyer: int = 1, producer: int = 1, lines: int = 2) -> list[Item]:
    """The items of a sale: METADATA, then its lines. Every seventh is outside the numbering; in a
    year, dates rise with numbers."""
    first_day = datetime.date(2020 + number % 4, 1, 15)
    sale_id, date = identity("sale", number), str(first_day + datetime.timedelta(number // 4))
    status = "cancelled" if number % 7 == 0 else ("draft", "confirmed", "paid")[number % 3]
    numbering = {} if status == "cancelled" else {"GSI4PK": {"S": "SALE"}, "GSI4SK": {"S": date}}
    head: Item = {
        "PK": {"S": f"SALE#{sale_id}"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": f"STATUS#{status}"},
        "GSI1SK": {"S": date},
        "GSI2PK": {"S": f"BUYER#{identity('buyer', buyer)}"},
        "GSI2SK": {"S": date},
        "GSI3PK": {"S": f"PRODUCER#{identity('producer', producer)}"},
        "GSI3SK": {"S": date},
        **numbering,
        "saleId": {"S": sale_id},
        "saleNumber": {"N": str(number)},
        "saleDate": {"S": date},
        "status": {"S": status},
        "buyerId": {"S": identity("buyer", buyer)},
        "producerId": {"S": identity("producer", producer)},
        "notes": {"S": 'Consegna "urgente",\tmercoledì 😀'},
        "subtotal": {"N": "25.5"},
        "total": {"N": "31.11"},
        "invoiceGenerated": {"BOOL": False},
        "linesCount": {"N": str(lines)},
        "legacyId": {"S": str(number)},
        **_AUDIT,
        "updatedAt": changed_at(number),
    }
    return [head, *(sale_line(number, position) for position in range(1, lines + 1))]


def sale_line(sale_number: int, position: int) -> Item:
    """The item of a sale's line."""
    number = sale_number * 1000 + position
    sale_id, line_id = identity("sale", sale_number), identity("line", number)
    return {
        "PK": {"S": f"SALE#{sale_id}"},
        "SK": {"S": f"LINE#{line_id}"},
        "saleId": {"S": sale_id},
        "lineId": {"S": line_id},
        "lineNumber": {"N": str(position)},
        "productDescription": {"S": f"Tubo {position}"},
        "quantity": {"N": "0.001"},
        "unitPrice": {"N": "12.75"},
        "discount": {"N": "0"},
        "legacyId": {"S": str(number)},
        **_AUDIT,
        "updatedAt": changed_at(sale_number),
    }


@dataclass
class Migration:
    """Records of three entities, a data directory and three tables of their own."""

    root: Path
    endpoint: str
    records: dict[str, list[list[Item]]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = uuid.uuid4().hex[:8]
        self.config = Config(
            target=TargetConfig(
                endpoint=self.endpoint,
                use_local_stack=True,
                buyers_table=f"Buyers-{name}",
                producers_table=f"Producers-{name}",
                sales_table=f"Sales-{name}",
            ),
            migration=MigrationConfig(max_retries=2, retry_delay=0.001, workers=2),
        )
        self.workspace = Workspace(self.root)
        self.workspace.prepare()

    @cached_property
    def client(self) -> DynamoDBClient:
        return open_dynamodb(self.config.target)

    def table(self, entity: str) -> str:
        return self.config.target.table(entity)

    def fill(self, *, parties: int = 6, sales: int = 12) -> None:
        """Records that refer to each other; sales have none to three lines."""
        self.records = {
            "buyers": [[party("buyer", n)] for n in range(1, parties + 1)],
            "producers": [[party("producer", n)] for n in range(1, parties + 1)],
            "sales": [
                sale(n, buyer=n % parties + 1, producer=(n + 1) % parties + 1, lines=n % 4)
                for n in range(1, sales + 1)
            ],
        }

    def write(self) -> Run:
        """Write the files and the manifest as a migration without mishaps leaves them."""
        run = Run(self.config, self.workspace, Manifest.new(), Tasks())
        for entity in TABLES:
            self._write_entity(run, entity)
        run.save()
        return run

    def _write_entity(self, run: Run, entity: str) -> None:
        records = self.records.get(entity, [])
        items = sum(map(len, records))
        refused = self.refused.get(entity, 0)
        path = self.workspace.transformed(entity)
        with ArtifactWriter(path) as writer:
            for record in records:
                data = b"".join(orjson.dumps({"Item": item}) + b"\n" for item in record)
                writer.write(data, records=1, items=len(record))
            entry = writer.commit()
        run.publish(path, entry)
        run.publish(
            self.workspace.extracted(entity),
            replace(entry, records=len(records) + refused, items=items + refused),
        )
        source = {"records": len(records) + refused, "items": items + refused}
        run.finish("extract", entity, inputs={}, settings="", result={"source": source})
        run.finish(
            "load",
            entity,
            inputs=run.sha_of(path),
            settings="",
            result={
                "records": len(records),
                "items": items,
                "refused": 0,
                "refusedRecords": 0,
            },
        )
        self.quarantine(run, entity, "transform", [str(90_000 + n) for n in range(refused)])

    def quarantine(
        self, run: Run, entity: str, phase: str, legacy_ids: Sequence[str], items: int = 1
    ) -> None:
        """Write an entity's quarantine anew, with these records."""
        if not legacy_ids:
            return
        path = self.workspace.quarantine(entity)
        with ArtifactWriter(path) as writer:
            for legacy_id in legacy_ids:
                finding = Finding(entity, legacy_id, "status", "unknown", "error", "unknown")
                refusal = Refusal(entity, legacy_id, phase, (finding,), items, b"{}")
                writer.write(refusal.as_line(), records=1, items=items)
            run.publish(path, writer.commit())

    def load(self) -> None:
        """Create the tables and put every item into them."""
        for entity, spec in TABLES.items():
            create_table(self.client, self.table(entity), spec)
            items = [item for record in self.records.get(entity, []) for item in record]
            put_items(self.client, self.table(entity), items)

    def verify(self, run: Run, entities: Iterable[str] = tuple(TABLES)) -> VerificationResult:
        return verify(run, TABLES, list(entities), sleep=lambda _: None)

    def put(self, entity: str, item: Item) -> None:
        self.client.put_item(TableName=self.table(entity), Item=item)

    def delete(self, entity: str, item: Item) -> None:
        self.client.delete_item(
            TableName=self.table(entity), Key={"PK": item["PK"], "SK": item["SK"]}
        )


def create_table(
    client: DynamoDBClient, name: str, spec: TableSpec, keys: Sequence[str] = ("PK", "SK")
) -> None:
    """Create a table with the indexes of its declaration and the given key."""
    definitions: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _schema(*keys),
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in dict.fromkeys([*keys, *spec.key_attributes[2:]])
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index.name,
                "KeySchema": _schema(index.partition_key, index.sort_key),
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in spec.indexes
        ],
    }
    if not spec.indexes:
        del definitions["GlobalSecondaryIndexes"]
    client.create_table(**definitions)


def put_items(client: DynamoDBClient, table: str, items: Sequence[Item]) -> None:
    """Put items in batches of 25."""
    for start in range(0, len(items), 25):
        batch: list[WriteRequestTypeDef] = [
            {"PutRequest": {"Item": item}} for item in items[start : start + 25]
        ]
        answer = client.batch_write_item(RequestItems={table: batch})
        assert not answer["UnprocessedItems"]


def _schema(partition_key: str, sort_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]
