"""The forecast of a load: what it says of time, price and hot keys."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import orjson
import pytest

from load.forecast.figures import Bytes, Forecast
from load.forecast.forecast import forecast
from load.forecast.hours import StepTimes, duration
from load.forecast.speed import Speed
from load.forecast.verify_units import Held, pattern_units
from tests.support.records.transformed import TABLES, Migration, sale
from utils.config import MigrationConfig, PricesConfig, VerifyConfig
from utils.dynamodb.item_size import item_size
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.telemetry.events import Count, EventStream, Step, StepFinished
from utils.telemetry.tasks import Tasks

FAST = Speed(load_seconds=1e-9, round_trip=1e-9, processes=2, in_flight=128)


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    migration = Migration(tmp_path, "http://localhost:1")
    migration.fill(parties=5, sales=40)
    return migration


def foretold(migration: Migration, **described: Any) -> Forecast:
    return forecast(migration.write(), TABLES, described, speed=FAST)


def provisioned(writes: int, **indexes: int) -> dict[str, Any]:
    def throughput(units: int) -> dict[str, Any]:
        return {"ProvisionedThroughput": {"WriteCapacityUnits": units, "ReadCapacityUnits": 10}}

    return {
        **throughput(writes),
        "ItemCount": 0,
        "TableSizeBytes": 0,
        "GlobalSecondaryIndexes": [
            {"IndexName": each.name, **throughput(indexes.get(each.partition_key, 40_000))}
            | {"KeySchema": [{"KeyType": "HASH", "AttributeName": each.partition_key}]}
            for each in TABLES["sales"].indexes
        ],
    }


def test_skewed_data_name_the_index_its_key_and_the_time_that_it_takes(
    migration: Migration,
) -> None:
    """Nearly all sales are of one buyer, and no sale is in the numbering."""
    migration.records["sales"] = [
        [{name: item[name] for name in item if "GSI4" not in name} for item in record]
        for record in (
            sale(n, buyer=1 + (n % 10 == 0), producer=1 + n % 5, lines=0) for n in range(1, 101)
        )
    ]
    step = foretold(migration).tables[2].time_of("load")
    assert step is not None and step.bottleneck is not None
    assert step.bottleneck.kind == "hot-key"
    assert step.bottleneck.index == "GSI2-QueryByProducer"
    assert str(step.bottleneck.key).startswith("BUYER#")
    assert step.seconds == 90 / 1_000
    assert "90%" in step.bottleneck.what


def test_the_constant_key_of_the_numbering_is_a_suspect(migration: Migration) -> None:
    step = foretold(migration).tables[2].time_of("load")
    assert step is not None and step.bottleneck is not None
    assert (step.bottleneck.index, step.bottleneck.key) == ("GSI4-QueryByDate", "SALE")


@pytest.mark.parametrize(
    ("described", "kind", "index"),
    [
        (provisioned(10), "capacity", ""),
        (provisioned(1_000, GSI3PK=5), "capacity", "GSI3-QueryByStatus"),
        (None, "hot-key", "GSI4-QueryByDate"),
    ],
)
def test_what_is_short_of_capacity_is_the_bottleneck(
    migration: Migration, described: Any, kind: str, index: str
) -> None:
    table = foretold(migration, sales=described).tables[2]
    step = table.time_of("load")
    assert step is not None and step.bottleneck is not None
    assert (step.bottleneck.kind, step.bottleneck.index) == (kind, index)
    units = {place.index: place.write_units for place in table.places}
    rates = {"": 10, "GSI3-QueryByStatus": 5, "GSI4-QueryByDate": 1_000}
    assert step.seconds == units[index] / rates[index]


def test_the_limit_of_the_configuration_is_one(migration: Migration) -> None:
    migration.config = replace(migration.config, migration=MigrationConfig(max_write_units=20))
    found = foretold(migration)
    step = found.tables[2].time_of("load")
    assert step is not None and step.bottleneck is not None
    assert step.bottleneck.kind == "max-write-units"
    assert step.seconds == found.tables[2].write_units / 20


def test_the_price_is_that_of_units_or_of_an_import(migration: Migration) -> None:
    prices = PricesConfig(write_units=1e6, read_units=1e4, import_gigabyte=2**30)
    migration.config = replace(migration.config, prices=replace(prices, s3_gigabyte_month=0.0))
    found = foretold(migration)
    assert found.price.writes == found.write_units
    assert found.price.imported == sum(table.sent_bytes for table in found.tables)
    assert found.price.reads == pytest.approx(found.read_units / 100)
    assert not found.price.by_the_hour
    of_hours = foretold(migration, sales=provisioned(10))
    assert of_hours.price.by_the_hour
    assert of_hours.price.writes == found.price.writes - found.tables[2].write_units
    assert any("by the hour" in sentence for sentence in of_hours.sentences())


def test_reads_are_those_of_whole_tables_before_and_after(migration: Migration) -> None:
    held = {**provisioned(10), "ItemCount": 7, "TableSizeBytes": 81_920}
    table = foretold(migration, sales=held).tables[2]
    assert table.read_units.backup == 20
    scan = (81_920 + table.bytes.total) / 4_096
    # Four segments end with a page that is not full and one that is empty.
    assert table.read_units.verification.table == ceil(scan + 8)


def test_a_verification_reads_the_indexes_with_what_is_in_them(migration: Migration) -> None:
    """Half a unit for 4 KB of what has the keys of the index."""
    items = [item for record in migration.records["sales"] for item in record]
    found = foretold(migration).tables[2].read_units.verification.indexes
    assert found == tuple(
        (index.name, ceil((size / 4_096 + 8) / 2))
        for index in TABLES["sales"].indexes
        for size in [sum(item_size(item) for item in items if index.partition_key in item)]
    )


def test_the_read_units_of_a_verification_have_their_time_and_price(migration: Migration) -> None:
    migration.config = replace(
        migration.config, verify=VerifyConfig(max_read_units=2), prices=PricesConfig(read_units=1e6)
    )
    found = foretold(migration)
    table = found.tables[2]
    step = table.time_of("verify")
    assert step is not None and step.bottleneck is not None
    assert step.bottleneck.kind == "max-read-units"
    assert step.seconds == table.read_units.verify / 2
    parts = table.read_units.verification
    assert table.read_units.verify == parts.table + parts.of_indexes + parts.patterns
    assert found.price.reads == found.read_units
    total = sum(each.read_units.verify for each in found.tables)
    assert any(f"The verification takes {total:,} read units" in s for s in found.sentences())


def test_patterns_take_no_more_than_all_that_there_is() -> None:
    few = Held(100, 400_000)
    every = pattern_units("sales", few, records=50, largest=8_000, sample=None)
    assert every <= 18 * (50 + 98) / 2  # requests of each pattern, and units of the whole table
    assert pattern_units("sales", few, records=50, largest=8_000, sample=1_000) == every
    many = Held(10_000_000, 10**10)
    asked = pattern_units("sales", many, records=3_000_000, largest=2_000, sample=1_000)
    assert asked < pattern_units("sales", many, records=3_000_000, largest=2_000, sample=None)


def test_sizes_are_exact(migration: Migration) -> None:
    items = [item for record in migration.records["sales"] for item in record]
    sizes = sorted(map(item_size, items))
    found = foretold(migration).tables[2].bytes
    assert found.total == sum(sizes)
    assert found.largest == sizes[-1]
    assert found.percentile95 == sizes[-(-95 * len(sizes) // 100) - 1]
    assert Bytes.of({}) == Bytes()


def test_a_part_of_the_records_speaks_for_all(migration: Migration) -> None:
    run = migration.write()
    one = forecast(run, TABLES, {}, speed=FAST)
    many = forecast(run, TABLES, {}, speed=FAST, scale={"sales": 10.0})
    assert many.tables[2].write_units == 10 * one.tables[2].write_units
    assert many.tables[2].items == 10 * one.tables[2].items
    assert many.tables[2].bytes.average == one.tables[2].bytes.average
    assert many.tables[2].extrapolated and not many.tables[0].extrapolated
    hot = {place.index: place.hottest for place in many.tables[2].places}
    assert hot["GSI4-QueryByDate"][0].share == 1
    was = {place.index: place.hottest for place in one.tables[2].places}
    assert hot[""][0].units == was[""][0].units


def test_phases_take_as_long_as_they_took(migration: Migration) -> None:
    stream, times = EventStream(), StepTimes()
    stream.listen(times)
    for name in ("", "comparing"):
        step = Step("transform", "sales", name)
        stream.emit(StepFinished(step=step, count=Count(), outcome="done", seconds=2.0))
    found = forecast(
        migration.write(), TABLES, {}, speed=FAST, seconds=times.seconds, scale={"sales": 3.0}
    )
    assert found.seconds_of("transform") == 6.0


def test_a_forecast_is_json_and_sentences(migration: Migration) -> None:
    found = foretold(migration)
    document = orjson.loads(orjson.dumps(found.as_json()))
    assert document["writeUnits"] == found.write_units
    assert document["tables"]["sales"]["ofIndexes"][3]["index"] == "GSI4-QueryByDate"
    assert "write units with all indexes" in found.sentences()[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "under a second"),
        (40, "40 s"),
        (220, "3 min 40 s"),
        (7_500, "2 h 5 min"),
        (3_600, "1 h"),
        (86_400 * 3 + 4 * 3_600, "3 days 4 h"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_without_files_there_is_nothing_to_forecast(tmp_path: Path) -> None:
    migration = Migration(tmp_path, "http://localhost:1")
    run = Run(migration.config, migration.workspace, Manifest.new(), Tasks())
    found = forecast(run, TABLES, {}, speed=FAST)
    assert (found.items, found.write_units, found.price.by_batches, found.seconds) == (0, 0, 0, 0)
    assert orjson.loads(orjson.dumps(found.as_json()))["bottleneck"] is None
