"""The script that one writes in an afternoon: fetchall, a loop, batch_writer.

It takes the short way everywhere (no quarantine, no checks, no checkpoint, one pass), so it does
far less than the tool; it is here for the rate and the memory of that way.
"""

from __future__ import annotations

from typing import Any

import boto3
import psycopg2
import psycopg2.extras

from tests.bench.jobs.comparisons import SWALLOWED
from tests.bench.measure import Figures, Job, Watch
from tests.bench.scene import configured

Row = dict[str, Any]


def script(job: Job) -> Figures:
    """Migrate the first `limit` sales with their lines, and the parties."""
    config = configured(job.config)
    watch = Watch()
    items = 0
    with watch.running():
        connection = psycopg2.connect(
            host=config.source.host,
            port=config.source.port,
            dbname=config.source.database,
            user=config.source.username,
            password=str(config.source.password),
            sslmode="disable",
            cursor_factory=psycopg2.extras.RealDictCursor,
        )
        table = boto3.resource(
            "dynamodb",
            endpoint_url=config.target.endpoint_url,
            region_name=config.target.region,
            aws_access_key_id="bench",
            aws_secret_access_key="bench",
        ).Table(SWALLOWED)
        with connection, connection.cursor() as cursor, table.batch_writer() as batch:
            parties = _rows(cursor, "SELECT * FROM msg_anag WHERE enabled LIMIT %s", job.limit // 9)
            sales = _rows(cursor, "SELECT * FROM msg WHERE enabled LIMIT %s", job.limit)
            keys = tuple(sale["first_id"] for sale in sales)
            lines = _rows(cursor, "SELECT * FROM msg_line WHERE msg_id IN %s", keys)
            known = {party["first_id"]: party for party in parties}
            for party in parties:
                batch.put_item(Item=_item(party, f"PARTY#{party['first_id']}", "METADATA"))
            for sale in sales:
                item = _item(sale, f"SALE#{sale['first_id']}", "METADATA")
                item["buyerName"] = known.get(sale["buyer_id"], {}).get("name", "")
                item.update(GSI1PK=f"STATUS#{sale['status']}", GSI1SK=str(sale["sale_date"]))
                item.update(GSI2PK=f"BUYER#{sale['buyer_id']}", GSI2SK=str(sale["sale_date"]))
                item.update(GSI3PK=f"PRODUCER#{sale['producer_id']}", GSI3SK=item["GSI1SK"])
                batch.put_item(Item=item)
            for line in lines:
                batch.put_item(Item=_item(line, f"SALE#{line['msg_id']}", f"LINE#{line['id']}"))
            items = len(parties) + len(sales) + len(lines)
        connection.close()
    return watch.figures(items)


def _rows(cursor: Any, query: str, value: object) -> list[Row]:
    cursor.execute(query, (value,))
    rows: list[Row] = cursor.fetchall()
    return rows


def _item(row: Row, partition: str, sort: str) -> Row:
    item: Row = {"PK": partition, "SK": sort}
    for name, value in row.items():
        if value is not None:
            item[name] = value.isoformat() if hasattr(value, "isoformat") else value
    return item
