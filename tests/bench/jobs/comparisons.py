"""What the phases are measured beside: the usual way to do it, and the limits of the machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import orjson
import psycopg2
from boto3.dynamodb.types import TypeDeserializer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.bench.jobs.raw import Wire
from tests.bench.measure import Figures, Job, Watch
from tests.bench.scene import configured, lines_of
from utils.config import Config

BATCH = 25
_ON_THEIR_WAY = 512  # requests: 40 ms of 12,800 a second
SWALLOWED = "Swallowed"  # a table that nobody has created: the sink counts and forgets
_ROWS = ("msg_anag WHERE enabled", "msg WHERE enabled", "msg_line")


def copy(job: Job) -> Figures:
    """COPY (SELECT row_to_json(t) FROM … t) TO STDOUT, one table after another, to nowhere; in no
    order, with nothing joined."""
    source = configured(job.config).source
    watch, count = Watch(), 0
    connection = psycopg2.connect(
        host=source.host,
        port=source.port,
        dbname=source.database,
        user=source.username,
        password=str(source.password),
        sslmode="disable",
    )
    with connection.cursor() as cursor, Path(os.devnull).open("wb") as nowhere, watch.running():
        for rows in _ROWS:
            query = f"SELECT row_to_json(t) FROM (SELECT * FROM {rows}) AS t"
            cursor.copy_expert(f"COPY ({query}) TO STDOUT", nowhere)
            count += cursor.rowcount
    connection.close()
    return watch.figures(count)


def json_of_transform(job: Job) -> Figures:
    """What no transform can do without: parse every extracted line, write every item."""
    config = configured(job.config)
    extracted, items = lines_of(config, "extracted"), _items(config)
    watch = Watch()
    with watch.running():
        for line in extracted:
            orjson.loads(line)
        for item in items:
            orjson.dumps(item)
    return watch.figures(len(items))


def json_of_validate(job: Job) -> Figures:
    """What no validation can do without: parse every transformed line."""
    lines = lines_of(configured(job.config), "transformed")
    watch = Watch()
    with watch.running():
        for line in lines:
            orjson.loads(line)
    return watch.figures(len(lines))


def batch_writer(job: Job) -> Figures:
    """boto3's batch_writer, as everybody writes it, with the first `limit` items."""
    config = configured(job.config)
    native = TypeDeserializer().deserialize
    items = [
        {name: native(value) for name, value in item.items()} for item in _items(config, job.limit)
    ]
    table = boto3.resource(
        "dynamodb",
        endpoint_url=config.target.endpoint_url,
        region_name=config.target.region,
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    ).Table(SWALLOWED)
    watch = Watch()
    with watch.running(), table.batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)
    return watch.figures(len(items))


def sha256(job: Job) -> Figures:
    """The hash that a signature needs of every body."""
    bodies = list(_bodies(configured(job.config)))
    watch = Watch()
    with watch.running():
        for body, _ in bodies:
            hashlib.sha256(body).hexdigest()
    return watch.figures(sum(items for _, items in bodies))


def signature(job: Job) -> Figures:
    """botocore's SigV4 alone, hash included."""
    bodies = list(_bodies(configured(job.config)))
    signer = SigV4Auth(Credentials("bench", "bench"), "dynamodb", "eu-west-1")
    watch = Watch()
    with watch.running():
        for body, _ in bodies:
            signer.add_auth(AWSRequest("POST", "http://127.0.0.1/", data=body))
    return watch.figures(sum(items for _, items in bodies))


def sink_alone(job: Job) -> Figures:
    """What the sink takes in from one raw socket, without signature and HTTP library."""
    config = configured(job.config)
    bodies = list(_bodies(config))
    watch = Watch()
    with Wire(config.target.endpoint) as wire, watch.running():
        for body, _ in bodies:
            wire.ask("BatchWriteItem", body)
    return watch.figures(sum(items for _, items in bodies))


def sink_pipelined(job: Job) -> Figures:
    """What the sink takes in over a network: as `sink_alone`, with as many requests on their way
    as it takes for it to have something to do all the time."""
    config = configured(job.config)
    bodies = list(_bodies(config))
    watch = Watch()
    with Wire(config.target.endpoint, _trusted()) as wire, watch.running():
        for number, (body, _) in enumerate(bodies):
            wire.send("BatchWriteItem", body)
            if number >= _ON_THEIR_WAY:
                wire.receive()
        for _ in range(min(len(bodies), _ON_THEIR_WAY)):
            wire.receive()
    return watch.figures(sum(items for _, items in bodies))


def _trusted() -> Path | None:
    file = os.environ.get("AWS_CA_BUNDLE")
    return Path(file) if file else None


def scan_alone(job: Job) -> Figures:
    """What the sink gives out to one raw socket: every page of the sales table, unread."""
    items = 0
    watch = Watch()
    with watch.running():
        for page in _pages(configured(job.config)):
            items += int(page[len(b'{"Count":') : page.index(b",")])
    return watch.figures(items)


def json_of_pages(job: Job) -> Figures:
    """What no verification can do without: parse every page of the scan."""
    pages = list(_pages(configured(job.config)))
    items = 0
    watch = Watch()
    with watch.running():
        for page in pages:
            items += len(orjson.loads(page)["Items"])
    return watch.figures(items)


def _pages(config: Config) -> Iterator[bytes]:
    request: dict[str, Any] = {"TableName": config.target.sales_table, "Limit": 2_500}
    with Wire(config.target.endpoint) as wire:
        while True:
            page = wire.ask("Scan", orjson.dumps(request))
            yield page
            mark = page.rfind(b'"LastEvaluatedKey":', -200)
            if mark < 0:
                return
            request["ExclusiveStartKey"] = orjson.loads(b"{" + page[mark:])["LastEvaluatedKey"]


def _items(config: Config, limit: int = 0) -> list[dict[str, Any]]:
    """Items of the sales and their lines, then of the parties; the first `limit` of them."""
    lines = lines_of(config, "transformed")[::-1]
    return [orjson.loads(line)["Item"] for line in (lines[:limit] if limit else lines)]


def _bodies(config: Config) -> Iterator[tuple[bytes, int]]:
    """The requests that a load consists of, and how many items each has."""
    lines = lines_of(config, "transformed")
    for start in range(0, len(lines), BATCH):
        batch = lines[start : start + BATCH]
        yield _body(batch), len(batch)


def _body(lines: Sequence[bytes]) -> bytes:
    puts = b",".join(b'{"PutRequest":%b}' % line for line in lines)
    return b'{"RequestItems":{"%b":[%b]}}' % (SWALLOWED.encode(), puts)
