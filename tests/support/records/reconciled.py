"""What an accountant adds up himself, to compare the tool's reconciliation with: rows that are
read from S9 by SQL of its own, items that boto3 scans, and plain decimals."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.support.operators.operator import scan_all

Key = tuple[str, str, str, str]  # dimension, value, currency, figure
DIMENSIONS = ("year", "month", "status", "currency", "buyer", "producer")
FIGURES = ("sales", "lines", "subtotal", "taxAmount", "total")


def table_of(data: Path) -> list[dict[str, str]]:
    """The rows of reconciliation.csv, as a spreadsheet shows them, without the totals."""
    path = data / "reports" / "reconciliation.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return [row for row in rows if row["By"] in DIMENSIONS and row["Value"] != "(total)"]


def column_of_table(
    rows: Sequence[Mapping[str, str]], column: str, by: Collection[str] = DIMENSIONS
) -> dict[Key, Decimal]:
    """What is in a column, where it is not zero."""
    found = {
        (row["By"], row["Value"], row["Currency"], row["Figure"]): number(row[column])
        for row in rows
        if row["By"] in by
    }
    return {key: value for key, value in found.items() if value}


def number(text: str) -> Decimal:
    """A number of the table."""
    return Decimal(text.replace(",", "."))


def of_target(dynamodb: DynamoDBClient, tables: TableNames) -> dict[Key, Decimal]:
    """What the sales in the table add up to; those that are deleted are none."""
    items = list(scan_all(dynamodb, tables)["sales"].values())
    lines: dict[str, int] = defaultdict(int)
    for item in items:
        lines[item["PK"]["S"]] += item["SK"]["S"].startswith("LINE#")
    found: dict[Key, Decimal] = defaultdict(Decimal)
    for item in items:
        if item["SK"]["S"] != "METADATA" or "deletedAt" in item or "legacyId" not in item:
            continue
        day = item["saleDate"]["S"]
        values = {
            "year": day[:4],
            "month": day[:7],
            "status": item["status"]["S"],
            "currency": item["currency"]["S"],
            "buyer": item["buyerId"]["S"],
            "producer": item["producerId"]["S"],
        }
        figures: dict[str, Any] = {"sales": 1, "lines": lines[item["PK"]["S"]]}
        figures |= {name: item[name]["N"] for name in FIGURES[2:]}
        for by, value in values.items():
            for name, amount in figures.items():
                found[by, value, values["currency"], name] += Decimal(amount)
    return {key: value for key, value in found.items() if value}


SALES = (
    "SELECT currency, first_id, subtotal, tax_amount, total FROM msg WHERE enabled = true",
    "SELECT msg_id, count(*) FROM msg_line GROUP BY msg_id",
)


def of_source(s9: S9Database, queries: tuple[str, str] = SALES) -> dict[Key, Decimal]:
    """What S9's rows add up to, by currency."""
    lines = {str(key): int(str(count)) for key, count in s9.rows(queries[1])}
    found: dict[Key, Decimal] = defaultdict(Decimal)
    for currency, key, *amounts in s9.rows(queries[0]):
        code = str(currency or "").strip().upper() or "EUR"
        figures = [1, lines.get(str(key), 0), *(each or 0 for each in amounts)]
        for name, amount in zip(FIGURES, figures, strict=True):
            found["currency", code, code, name] += Decimal(str(amount))
    return {key: value for key, value in found.items() if value}


def by_independent_hand(
    s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> tuple[dict[Key, Decimal], dict[Key, Decimal]]:
    """Both sides."""
    return of_source(s9), of_target(dynamodb, tables)
