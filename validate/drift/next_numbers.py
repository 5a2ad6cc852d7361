"""The next sale number of each year, as the Sale Module would give it now: the request of its API
(the latest-dated sale of the year in the index), and 1 more."""

from __future__ import annotations

from typing import Any

from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.table_reader import TableReader
from utils.dynamodb.table_spec import TableSpec
from utils.files.elsewhere import size_of
from utils.run.run import Run
from utils.sale_numbering import NumbersSoFar

SALES, _INDEX_KEY = "sales", "GSI4PK"


def next_numbers(run: Run, inner: Run, spec: TableSpec) -> dict[str, int]:
    """By year, of those in which S9 (as `inner` has read it) has numbered sales; what the index
    does not answer with a number is left out. Raises TargetError."""
    path, numbers = inner.workspace.transformed(SALES), NumbersSoFar()
    if path.exists():
        numbers.read(inner, path, size_of(path))
    retry = RetryPolicy.of(run.config.migration, run.stop.sleep)
    reader, index = TableReader(DynamoDB(run.config.target), retry), spec.index_of(_INDEX_KEY)
    found = {}
    for year in sorted(each.decode() for each in numbers.numbering.last):
        answer = reader.ask(
            "Query",
            {
                "TableName": run.config.target.table(SALES),
                "IndexName": index.name,
                "KeyConditionExpression": "#p = :p AND #s BETWEEN :from AND :to",
                "ExpressionAttributeNames": {"#p": index.partition_key, "#s": index.sort_key},
                "ExpressionAttributeValues": {
                    ":p": {"S": "SALE"},
                    ":from": {"S": f"{year}-01-01"},
                    ":to": {"S": f"{year}-12-31"},
                },
                "ScanIndexForward": False,
                "Limit": 1,
            },
        )
        sale: dict[str, Any] = next(iter(answer.get("Items", ())), {})
        last = sale.get("saleNumber", {}).get("N", "")
        if isinstance(last, str) and last.isdigit():
            found[year] = int(last) + 1
    return found
