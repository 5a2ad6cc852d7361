"""The figures of a forecast: what each table and its indexes take, how long, at which price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from load.forecast.hot_keys import HotKey
from load.forecast.hours import StepTime, duration
from load.forecast.import_time import UNTOLD, ImportForecast
from load.forecast.prices import Price, price_of_reads
from load.forecast.speed import Speed
from load.forecast.verify_units import VerifyUnits
from utils.config import PricesConfig
from utils.wording.figures import costing, counted


@dataclass(frozen=True)
class Bytes:
    """Bytes of items as DynamoDB counts them: all together, an item's on average, what 95 of 100
    items have at the most, and the largest item."""

    total: int = 0
    average: float = 0.0
    percentile95: int = 0
    largest: int = 0

    @classmethod
    def of(cls, sizes: Mapping[int, int]) -> Bytes:
        """Of how many items there are of each size."""
        count = sum(sizes.values())
        if not count:
            return cls()
        total = sum(size * items for size, items in sizes.items())
        return cls(total, total / count, _percentile(sizes, count, 0.95), max(sizes))

    def as_json(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "average": round(self.average, 1),
            "percentile95": self.percentile95,
            "largest": self.largest,
        }


def _percentile(sizes: Mapping[int, int], count: int, share: float) -> int:
    """The smallest size that so large a share of the items do not exceed (nearest rank)."""
    seen = 0
    for size in sorted(sizes):
        seen += sizes[size]
        if seen >= share * count:
            return size
    return 0


@dataclass(frozen=True)
class PlaceForecast:
    """What goes to the table (`index` is "") or an index: items, write units, the partition keys
    with the most of these, and the seconds that the hottest of them alone takes."""

    index: str
    items: int
    write_units: int
    hottest: tuple[HotKey, ...]
    hottest_seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            **({"index": self.index} if self.index else {}),
            "items": self.items,
            "writeUnits": self.write_units,
            "hottest": [
                {"key": hot.key, "writeUnits": hot.units, "share": round(hot.share, 4)}
                for hot in self.hottest
            ],
            "hottestSeconds": round(self.hottest_seconds, 3),
        }


@dataclass(frozen=True)
class ReadUnits:
    """Read units of the backup before the load, of the survey (which reads the backup on disk), and
    of the verification after it."""

    backup: int = 0
    survey: int = 0
    verification: VerifyUnits = field(default_factory=VerifyUnits)

    @property
    def verify(self) -> int:
        return self.verification.total

    @property
    def total(self) -> int:
        return self.backup + self.survey + self.verify

    def as_json(self) -> dict[str, Any]:
        return {
            "backup": self.backup,
            "survey": self.survey,
            "verify": self.verify,
            "ofVerify": self.verification.as_json(),
            "total": self.total,
        }


@dataclass(frozen=True)
class TableForecast:
    """What one entity's load will take.

    Its file has `records` and `items` with `bytes`; `new` items go out in batches, `sent_bytes` of
    the file. `there` are in the table already, `kept` stay as they are there; `replaced` take
    `replacing` write units, from the least to the most, besides those of `places` (the table first,
    then its indexes). `held_bytes` are in the table before. `mode` is on-demand or provisioned.
    """

    entity: str
    table: str
    mode: str
    records: int
    items: int
    bytes: Bytes
    new: int
    sent_bytes: int
    there: int
    kept: int
    replaced: int
    replacing: tuple[int, int]
    places: tuple[PlaceForecast, ...]
    held_bytes: int
    read_units: ReadUnits
    price: Price
    times: tuple[StepTime, ...]
    extrapolated: bool = False

    @property
    def write_units(self) -> int:
        """Write units of the new items, indexes included."""
        return sum(place.write_units for place in self.places)

    def time_of(self, phase: str) -> StepTime | None:
        """The time of a phase (`backup`, `load`, `verify`)."""
        return next((each for each in self.times if each.phase == phase), None)

    def as_json(self) -> dict[str, Any]:
        table, *indexes = self.places
        return {
            "table": self.table,
            "mode": self.mode,
            "extrapolated": self.extrapolated,
            "records": self.records,
            "items": self.items,
            "bytes": self.bytes.as_json(),
            "new": self.new,
            "sentBytes": self.sent_bytes,
            "alreadyThere": self.there,
            "kept": self.kept,
            "replaced": self.replaced,
            "writeUnits": self.write_units,
            "replacingWriteUnits": {"least": self.replacing[0], "most": self.replacing[1]},
            "ofTable": table.as_json(),
            "ofIndexes": [index.as_json() for index in indexes],
            "heldBytes": self.held_bytes,
            "readUnits": self.read_units.as_json(),
            "price": self.price.as_json(),
        }


@dataclass(frozen=True)
class Forecast:
    """What the load of all entities will take, with what is to be done about it."""

    tables: tuple[TableForecast, ...]
    times: tuple[StepTime, ...]
    advice: tuple[str, ...]
    speed: Speed
    prices: PricesConfig
    imported: ImportForecast

    @property
    def items(self) -> int:
        return sum(table.items for table in self.tables)

    @property
    def write_units(self) -> int:
        """Write units of all new items, indexes included."""
        return sum(table.write_units for table in self.tables)

    @property
    def read_units(self) -> int:
        return sum(table.read_units.total for table in self.tables)

    @property
    def price(self) -> Price:
        nothing = Price.of(self.prices, write_units=0, read_units=0, sent_bytes=0)
        return sum((table.price for table in self.tables), nothing)

    @property
    def seconds(self) -> float:
        """How long the whole takes: one entity's phase follows the other."""
        return sum(step.seconds for step in self.times)

    @property
    def bottleneck(self) -> StepTime | None:
        """The step that takes longest of those that have a limit."""
        limited = [step for step in self.times if step.limits]
        return max(limited, key=lambda step: step.seconds, default=None)

    def seconds_of(self, phase: str) -> float:
        """How long a phase takes for all entities."""
        return sum(step.seconds for step in self.times if step.phase == phase)

    def sentences(self) -> list[str]:
        """What an operator should know of it, in a few sentences."""
        return [*_sentences(self), *self.advice]

    def as_json(self) -> dict[str, Any]:
        slowest = self.bottleneck
        phases = dict.fromkeys(step.phase for step in self.times)
        return {
            "tables": {table.entity: table.as_json() for table in self.tables},
            "items": self.items,
            "writeUnits": self.write_units,
            "readUnits": self.read_units,
            "price": self.price.as_json(),
            "import": self.imported.as_json(),
            "seconds": round(self.seconds, 3),
            "secondsOfPhases": {phase: round(self.seconds_of(phase), 3) for phase in phases},
            "bottleneck": slowest.as_json() if slowest else None,
            "steps": [step.as_json() for step in self.times],
            "measured": {
                "itemsASecond": round(self.speed.items_a_second),
                "roundTripSeconds": round(self.speed.round_trip, 5),
                "processes": self.speed.processes,
                "mostInFlight": self.speed.in_flight,
            },
            "advice": list(self.advice),
        }


def _sentences(found: Forecast) -> Iterator[str]:
    price = found.price
    prices, currency = found.prices, found.prices.currency
    where = f"prices of {prices.region}, {prices.as_of}"
    yield (
        f"{counted(found.write_units, 'write unit')} with all indexes and "
        f"{counted(found.read_units, 'read unit')}: {costing(price.by_batches, currency)} in "
        f"batches, {costing(price.by_import, currency)} by import from S3, into new tables "
        f"({where})"
    )
    if found.imported.chosen:
        yield (
            f"It is loaded by import (load.method): {found.imported.what()}, and no write units. "
            f"The upload takes this machine {duration(found.imported.upload_seconds)}, and the way "
            f"to S3 what it takes; {UNTOLD}"
        )
    if verify := sum(table.read_units.verify for table in found.tables):
        patterns = sum(table.read_units.verification.patterns for table in found.tables)
        yield (
            f"The verification takes {counted(verify, 'read unit')}, "
            f"{costing(price_of_reads(prices, verify), currency)}, in "
            f"{duration(found.seconds_of('verify'))}: the access patterns {patterns:,} of them at "
            "the most"
        )
    if price.by_the_hour:
        yield (
            "Tables with provisioned capacity are paid for by the hour, whatever is written: their "
            "units are not in the price"
        )
    step = found.bottleneck
    if step and (limit := step.bottleneck) and step.seconds >= 1:
        yield f"The {step.phase} of {step.entity} takes {duration(step.seconds)}: {limit.what}"
