"""How long the phases take, and what holds them up.

Every limit gives the time that it alone would impose; they act at the same time, so that the
longest of these is the time, and that limit the bottleneck.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from load.forecast.capacity import Capacities
from load.forecast.hot_keys import HotKey
from load.forecast.speed import Speed
from load.forecast.verify_units import VerifyUnits
from utils.config import BackupConfig, MigrationConfig, VerifyConfig
from utils.telemetry.events import StepFinished, Told
from utils.wording.figures import counted, counted_in

HOT_KEY = "hot-key"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_PAGE_BYTES = 1 << 20
_SCANS = 16  # pages at once
_REHEARSED = ("extract", "transform", "validate", "survey")


@dataclass(frozen=True)
class Load:
    """What is written to one place: the table (`index` is "") or an index."""

    index: str
    items: float
    units: float
    hottest: tuple[HotKey, ...] = ()


@dataclass(frozen=True)
class Limit:
    """Something that takes `seconds` by itself. `kind` is a word for programs, `what` a sentence;
    `index` and `key` say where, if it is a table's (`index` is "") or an index's."""

    kind: str
    seconds: float
    what: str
    index: str | None = None
    key: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "seconds": round(self.seconds, 3),
            "what": self.what,
            **({} if self.index is None else {"index": self.index or None}),
            **({} if self.key is None else {"key": self.key}),
        }


@dataclass(frozen=True)
class StepTime:
    """How long a phase takes for an entity: `limits`, the longest first, or `seconds` that were
    measured where it is not limits that say it."""

    phase: str
    entity: str
    seconds: float
    limits: tuple[Limit, ...] = ()

    @classmethod
    def of(cls, phase: str, entity: str, limits: Iterator[Limit]) -> StepTime:
        ranked = tuple(sorted(limits, key=lambda limit: -limit.seconds))
        return cls(phase, entity, ranked[0].seconds if ranked else 0.0, ranked)

    @property
    def bottleneck(self) -> Limit | None:
        """What holds it up."""
        return self.limits[0] if self.limits else None

    def as_json(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "entity": self.entity,
            "seconds": round(self.seconds, 3),
            "bottleneck": self.bottleneck.what if self.bottleneck else None,
            "limits": [limit.as_json() for limit in self.limits],
        }


@dataclass
class StepTimes:
    """Listens to the events of a rehearsal (`run.events.listen`), and keeps how long each phase
    took for each entity."""

    seconds: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, told: Told) -> None:
        event = told.event
        if isinstance(event, StepFinished) and not event.step.name:
            key = event.step.phase, event.step.entity
            self.seconds[key] = self.seconds.get(key, 0.0) + event.seconds


@dataclass(frozen=True)
class LoadTimes:
    """Finds the limits of one entity's load, backup and verification. `partition_writes` are the
    write units a second that one partition key takes."""

    table: str
    capacities: Capacities
    speed: Speed
    migration: MigrationConfig
    backup: BackupConfig
    verify: VerifyConfig
    partition_writes: float

    def of_load(self, loads: tuple[Load, ...], replaced: float) -> Iterator[Limit]:
        """Of a load that writes `loads`, and replaces so many items one by one."""
        items = loads[0].items
        if not items and not replaced:
            return
        yield from self._of_machine(items)
        yield from self._of_requests(items, replaced)
        for each in loads:
            yield from self._of_place(each)
        units, limit = sum(each.units for each in loads), self.migration.max_write_units
        if limit:
            yield Limit(
                "max-write-units",
                units / limit,
                f"migration.maxWriteUnits allows {counted(limit, 'write unit')} a second",
            )

    def _of_machine(self, items: float) -> Iterator[Limit]:
        rate = self.speed.items_a_second
        yield Limit(
            "machine",
            items / rate,
            f"this machine sends {counted_in(rate, 'items')} a second "
            f"({counted(self.speed.processes, 'process', 'processes')})",
        )

    def _of_requests(self, items: float, replaced: float) -> Iterator[Limit]:
        speed, migration = self.speed, self.migration
        trip = speed.round_trip + migration.batch_delay / 1000
        requests = items / migration.batch_size + replaced
        rests = f" and {migration.batch_delay} ms of batchDelay" if migration.batch_delay else ""
        yield Limit(
            "requests",
            requests * trip / speed.in_flight,
            f"an answer takes {speed.round_trip * 1000:,.0f} ms{rests}, with "
            f"{counted(speed.in_flight, 'request')} in flight at the most",
        )

    def _of_place(self, load: Load) -> Iterator[Limit]:
        if not load.units:
            return
        capacity = self.capacities.of(load.index)
        name = f"index {load.index}" if load.index else f"table {self.table}"
        yield Limit(
            "capacity",
            capacity.seconds_for(load.units),
            f"{name} takes {counted_in(capacity.writes, 'write units')} a second "
            f"({capacity.because})",
            load.index,
        )
        for hot in load.hottest[:1]:
            yield Limit(
                HOT_KEY,
                hot.units / self.partition_writes,
                f"{name}: {hot.share:.0%} of its write units have the partition key {hot.key}, "
                f"and one key takes {self.partition_writes:,.0f} a second",
                load.index,
                hot.key,
            )

    def of_backup(self, items: float, size: float, units: float) -> Iterator[Limit]:
        """Of a backup of a table with so many items and bytes, which takes `units` read units."""
        yield from self._of_scan(items, size, units, self.speed.backup_seconds)
        if self.backup.max_read_units:
            yield Limit(
                "max-read-units",
                units / self.backup.max_read_units,
                "backup.maxReadUnits allows "
                f"{counted(self.backup.max_read_units, 'read unit')} a second",
            )

    def of_verify(self, items: float, size: float, units: VerifyUnits) -> Iterator[Limit]:
        """The same of a verification, which reads the file as well, the indexes, and by access
        patterns."""
        table = units.table + units.patterns
        yield from self._of_scan(items, size, table, self.speed.verify_seconds)
        for index, read in units.indexes:
            capacity = self.capacities.of(index)
            yield Limit(
                "capacity",
                read / capacity.reads,
                f"index {index} gives {counted_in(capacity.reads, 'read units')} a second",
                index,
            )
        if most := self.verify.max_read_units:
            yield Limit(
                "max-read-units",
                units.total / most,
                f"verify.maxReadUnits allows {counted(most, 'read unit')} a second",
            )

    def _of_scan(
        self, items: float, size: float, units: float, core_seconds: float
    ) -> Iterator[Limit]:
        if not items:
            return
        capacity, speed = self.capacities.of(""), self.speed
        yield Limit(
            "machine",
            items * core_seconds / speed.processes,
            f"this machine reads {counted_in(speed.processes / core_seconds, 'items')} a second",
        )
        yield Limit(
            "requests",
            (1 + size / _PAGE_BYTES / _SCANS) * speed.round_trip,
            f"an answer takes {speed.round_trip * 1000:,.0f} ms",
        )
        yield Limit(
            "capacity",
            units / capacity.reads,
            f"table {self.table} gives {counted_in(capacity.reads, 'read units')} a second",
            "",
        )


def measured_times(
    seconds: Mapping[tuple[str, str], float], scale: Mapping[str, float]
) -> Iterator[StepTime]:
    """The phases that a rehearsal goes through itself, as long as they took, each for an entity;
    of a part of its records as long as they would take for all (`scale`, by entity)."""
    for (phase, entity), took in seconds.items():
        if phase in _REHEARSED:
            yield StepTime(phase, entity, took * scale.get(entity, 1.0))


def duration(seconds: float) -> str:
    """A time in words: `under a second`, `40 s`, `3 min 40 s`, `2 h 5 min`, `3 days 4 h`."""
    if seconds < 1:
        return "under a second"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    days = counted(whole // _DAY, "day")
    hours = whole % _DAY // _HOUR
    return f"{days} {hours} h" if hours else days


def _two(whole: int, large: int, many: str, small: int, few: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {many}" + (f" {rest} {few}" if rest else "")
