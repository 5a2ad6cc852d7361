"""A short measurement of what this machine and the way to the target do: nothing is written."""

from __future__ import annotations

import hashlib
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from load.sending.in_flight import MOST
from load.writing.batch_writer import BatchWriter
from load.writing.batches import batches
from load.writing.rate_limiter import RateLimiter
from utils.config import TargetConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB, ResourceMissing
from utils.dynamodb.retrying import control
from utils.dynamodb.table_spec import TableSpec
from utils.files.parts import opened_here
from utils.files.pieces import portions
from utils.run.run import Run

_ROUND_TRIPS = 5
_SAMPLE_LINES, _SAMPLE_BYTES = 2_000, 8 << 20
_MEASURED_SECONDS = 0.2
# What a load takes besides what is measured here (signatures, connections, threads, marks):
# the CPU time of whole loads by that of this measurement, about (docs/performance.md).
_WITH_SENDING = 5.0
_READS_TO_WRITES = 2.4  # CPU time of a verification by that of a load, an item: the same place
_BACKUP_TO_WRITES = 3.5


@dataclass(frozen=True)
class Speed:
    """How fast this machine sends, and what answers: `load_seconds` of a core for an item that is
    sent, `round_trip` seconds to an answer, so many `processes`, `in_flight` requests at the
    most."""

    load_seconds: float
    round_trip: float
    processes: int
    in_flight: int

    @property
    def items_a_second(self) -> float:
        """Items that all processes together can send."""
        return self.processes / self.load_seconds

    @property
    def verify_seconds(self) -> float:
        """Seconds of a core for an item that is verified."""
        return self.load_seconds * _READS_TO_WRITES

    @property
    def backup_seconds(self) -> float:
        """Seconds of a core for an item that is backed up."""
        return self.load_seconds * _BACKUP_TO_WRITES


def measure_speed(run: Run, spec: TableSpec) -> Speed:
    """Measure with the first lines of an entity's transformed file; takes half a second, more where
    answers are slow. Raises TargetError when the target cannot be reached."""
    migration = run.config.migration
    return Speed(
        _load_seconds(run, spec),
        _round_trip(run.config.target, run.config.target.table(spec.entity)),
        run.workers.at_once,
        min(migration.workers or MOST, MOST),
    )


def _round_trip(target: TargetConfig, table: str) -> float:
    taken = []
    for _ in range(_ROUND_TRIPS + 1):
        began = time.perf_counter()
        with suppress(ResourceMissing):
            control(target, "DescribeTable", {"TableName": table})
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])  # the first has opened the connection


class _Unsent:
    """A wire that makes of a request what is signed of it, and sends nothing."""

    def __init__(self, table: str) -> None:
        answer = '{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"%s","CapacityUnits":1}]}'
        self._answer = (answer % table).encode()

    def call(self, operation: str, body: bytes) -> bytes:
        del operation
        hashlib.sha256(body).hexdigest()
        return self._answer


def _load_seconds(run: Run, spec: TableSpec) -> float:
    """Seconds of CPU time that an item takes on its way into a request."""
    table, migration = run.config.target.table(spec.entity), run.config.migration
    lines: list[bytes] = []
    with suppress(FileNotFoundError), opened_here(run.workspace.transformed(spec.entity)) as handle:
        lines = next(portions(handle, _SAMPLE_LINES, len, _SAMPLE_BYTES), [])
    writer = BatchWriter(
        cast(DynamoDB, _Unsent(table)),
        table,
        RetryPolicy.of(migration, run.stop.sleep),
        RateLimiter(),
        indexes=len(spec.indexes),
    )
    items, began = 0, time.thread_time()
    while lines and (not items or time.thread_time() - began < _MEASURED_SECONDS):
        for batch in batches(lines, migration.batch_size):
            items += writer.write(batch).items
    return _WITH_SENDING * (time.thread_time() - began) / items if items else _WITH_SENDING * 1e-5
