"""The work of a restore that processes share: records that are put back one by one, and items that
go out in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.conflicts.replaced_items import ReplacedItems
from load.restore.records import PartRestored, RecordPart, Restoring
from load.restore.seen_records import SeenRecord
from load.rollback.records_in_use import Users
from load.sending.job_pool import Share
from load.writing.adaptive_rate import AdaptiveLimiter
from load.writing.batch_writer import BatchWriter, Outcome
from utils.config import MigrationConfig, TargetConfig
from utils.dynamodb.backoff import RetryPolicy
from utils.dynamodb.client import DynamoDB
from utils.dynamodb.table_spec import Index, TableSpec
from utils.interrupt import StopFlag

TOGETHER = 100  # items of the records, or records, that are one job


@dataclass(frozen=True)
class _OfTable:
    """What is restored: a table as its `description` says."""

    target: TargetConfig
    migration: MigrationConfig
    table: str
    description: Mapping[str, Any]

    @property
    def spec(self) -> TableSpec:
        indexes = self.description.get("GlobalSecondaryIndexes") or ()
        return TableSpec(self.table, tuple(Index(each["IndexName"], "", "") for each in indexes))


@dataclass(frozen=True)
class OfRecords(_OfTable):
    """Records of a table that are put back. `before` is the file that keeps what there was of them;
    `entity` is that of the table, `users` are the entities that can name its records."""

    before: Path = Path()
    entity: str = ""
    users: tuple[str, ...] = ()

    @contextmanager
    def restoring(self, stop: StopFlag, share: Share) -> Iterator[Restoring]:
        """What puts them back in this process, with its share of the requests."""
        writer = share.writer(self, self.spec, stop, table=self.table)
        uses = None
        if self.users:
            uses = Users(writer.wire, self, self.entity, stop, {}, among=self.users)
        with ReplacedItems(self.before, durable=False) as before:
            yield Restoring(writer, before, uses)


@dataclass(frozen=True)
class PutBack:
    """The first look at records: a job is some parts of them."""

    records: OfRecords

    @contextmanager
    def opened(
        self, stop: StopFlag, share: Share
    ) -> Iterator[Callable[[Sequence[RecordPart]], list[PartRestored]]]:
        """See load.sending.job_pool.Work."""
        with self.records.restoring(stop, share) as restoring:
            yield restoring.restore


@dataclass(frozen=True)
class LookAgain:
    """The second: a job is some of the looks at what was changed (see Restoring.again)."""

    records: OfRecords

    @contextmanager
    def opened(
        self, stop: StopFlag, share: Share
    ) -> Iterator[Callable[[Sequence[tuple[SeenRecord, bool]]], list[PartRestored | None]]]:
        """See load.sending.job_pool.Work."""
        with self.records.restoring(stop, share) as restoring:
            yield restoring.again


@dataclass(frozen=True)
class InBatches(_OfTable):
    """Items that go out in batches, a job each: those of lines, or, if it `deletes`, the deletions
    of what lines describe."""

    keys: tuple[str, ...] = ()
    deletes: bool = False

    @contextmanager
    def opened(
        self, stop: StopFlag, share: Share
    ) -> Iterator[Callable[[Sequence[bytes]], Outcome]]:
        """See load.sending.job_pool.Work."""
        migration = share.in_rate(self.migration)
        writer = BatchWriter(
            DynamoDB(self.target),
            self.table,
            RetryPolicy.of(migration, stop.sleep),
            AdaptiveLimiter(migration.max_write_units, sleep=stop.sleep),
            indexes=len(self.spec.indexes),
            keys=self.keys,
        )
        yield writer.delete if self.deletes else writer.write


def together(parts: Iterable[RecordPart]) -> Iterator[list[RecordPart]]:
    """Parts as jobs of about a hundred items."""
    job: list[RecordPart] = []
    items = 0
    for part in parts:
        if job and items + part.due > TOGETHER:
            yield job
            job, items = [], 0
        job.append(part)
        items += part.due
    if job:
        yield job
