"""A target that takes so many write units a second under one partition key takes the time that was
forecast. The clock is not the machine's, so that the time is what the load waits for."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson
import pytest

from load.forecast.forecast import forecast
from load.forecast.speed import Speed
from load.writing.adaptive_rate import AdaptiveLimiter
from load.writing.batch_writer import BatchWriter
from load.writing.batches import batches
from tests.bench.sink.capacity import PartitionCapacity
from tests.support.records.transformed import TABLES, Migration, sale
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.error_handler import Throttled

TRIP = 0.004
SPEED = Speed(load_seconds=1e-6, round_trip=TRIP, processes=1, in_flight=1)


@dataclass
class Clock:
    """A time that passes when somebody waits."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.0)


@dataclass
class HotTarget:
    """A table each of whose partition keys takes so many units a second."""

    units: float
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.capacity = PartitionCapacity(self.units, burst=0.2, clock=self.clock)

    def call(self, operation: str, body: bytes) -> bytes:
        assert operation == "BatchWriteItem"
        self.clock.sleep(TRIP)
        puts = orjson.loads(body)["RequestItems"]["T"]
        before = len(self.capacity.taken)
        chosen = self.capacity.choose([orjson.dumps(put["PutRequest"]["Item"]) for put in puts])
        if not any(chosen):
            raise Throttled("ProvisionedThroughputExceededException", "one key is hot")
        left = [put for put, is_taken in zip(puts, chosen, strict=True) if not is_taken]
        units = sum(taken for _, taken in self.capacity.taken[before:])
        return orjson.dumps(
            {
                "UnprocessedItems": {"T": left} if left else {},
                "ConsumedCapacity": [{"TableName": "T", "CapacityUnits": units}],
            }
        )


def seconds_to_load(path: Path, target: HotTarget) -> float:
    """How long a load of a file waits."""
    clock = target.clock
    writer = BatchWriter(
        cast(DynamoDB, target),
        "T",
        RetryPolicy(50, 0.1, sleep=clock.sleep, uniform=random.Random(5).uniform),
        AdaptiveLimiter(None, clock=clock, sleep=clock.sleep, say=lambda _: None),
        indexes=len(TABLES["sales"].indexes),
    )
    with path.open("rb") as lines:
        for batch in batches(lines, 25):
            writer.write(batch)
    return clock.now


@pytest.mark.parametrize(
    ("sales", "lines", "units", "index"),
    [
        (6_000, 0, 1_000.0, "GSI2-QueryByProducer"),  # one buyer has them all
        (2_000, 2, 100.0, "GSI4-QueryByDate"),
    ],
)
def test_a_hot_key_takes_the_time_that_was_forecast(
    tmp_path: Path, sales: int, lines: int, units: float, index: str
) -> None:
    migration = Migration(tmp_path, "http://localhost:1")
    buyers = 1 if index.startswith("GSI2") else 50
    migration.records["sales"] = [
        sale(n, buyer=n % buyers, producer=n % 40, lines=lines) for n in range(1, sales + 1)
    ]
    run = migration.write()
    spec = {"sales": TABLES["sales"]}
    step = forecast(run, spec, {}, speed=SPEED, partition_writes=units).tables[0].time_of("load")
    assert step is not None and step.bottleneck is not None
    assert (step.bottleneck.kind, step.bottleneck.index) == ("hot-key", index)
    took = seconds_to_load(run.workspace.transformed("sales"), HotTarget(units))
    assert took == pytest.approx(step.seconds, rel=0.15)
