"""What a load will take: the figures of a plan, computed from the transformed files before anything
is written.

    times = StepTimes(); run.events.listen(times)      # before the phases of the rehearsal
    …extract, transform, validate, survey…
    found = forecast(run, TABLES, described, marks=plans, scale=scale, seconds=times.seconds)
    found.as_json()                                     # a section of plan.json
    found.sentences()                                   # for the screen

The load's report has the same figures afterwards: `items`, `sentBytes` and `writeUnits` of a table
here are `items`, `sentBytes` and `consumedWriteUnits` there, exactly, where all items are new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from load.forecast.advice import advice_on
from load.forecast.capacity import PARTITION_WRITES, Capacities
from load.forecast.figures import Bytes, Forecast, PlaceForecast, ReadUnits, TableForecast
from load.forecast.hot_keys import HotKey
from load.forecast.hours import Limit, Load, LoadTimes, StepTime, measured_times
from load.forecast.import_time import UNTOLD, ImportForecast, import_forecast
from load.forecast.places import places_of
from load.forecast.prices import Price
from load.forecast.speed import Speed, measure_speed
from load.forecast.verify_units import Held, VerifyUnits, pattern_units, scan_units
from load.forecast.write_units import Census, Figures, PlaceUnits, take_census
from utils.dynamodb.item_size import READ_UNIT_BYTES
from utils.dynamodb.table_spec import TableSpec
from utils.run.run import Run
from utils.wording.masking import mask


def forecast(
    run: Run,
    specs: Mapping[str, TableSpec],
    described: Mapping[str, Mapping[str, Any] | None],
    *,
    marks: Mapping[str, Path] | None = None,
    held: Mapping[str, tuple[int, int]] | None = None,
    scale: Mapping[str, float] | None = None,
    seconds: Mapping[tuple[str, str], float] | None = None,
    speed: Speed | None = None,
    partition_writes: float = PARTITION_WRITES,
) -> Forecast:
    """Forecast the load of the transformed files of the entities `specs`, as far as there are any.

    `described` has, by entity, what DescribeTable says of its table, None for one that is to be
    created (load/target/tables.py, `describe`). `marks` are the plans of the load by entity
    (utils/files/line_marks.py); where there is none, all items are new. `held` are the items and
    bytes that a table has, by default as DynamoDB last counted them. `scale` says of how many times
    as many records as are in the file the figures are to be (a rehearsal with --limit); `seconds`
    are what phases took here (StepTimes.seconds). `speed` is measured if it is not given: half a
    second. Raises TargetError when the target cannot be reached, Interrupted.
    """
    marks, held, scale = marks or {}, held or {}, scale or {}
    done = {name: spec for name, spec in specs.items() if run.workspace.transformed(name).exists()}
    speed = speed or measure_speed(run, list((done or specs).values())[-1])
    tables = []
    for entity, spec in done.items():
        description = described.get(entity)
        census = take_census(run, spec, places_of(spec, description), marks.get(entity))
        capacities, times = Capacities(description), scale.get(entity, 1.0)
        making = _Making(run, spec, capacities, speed, partition_writes, times)
        there = held.get(entity) or _held(description)
        tables.append(making.of(census, there, _held_by_index(description)))
    measured = measured_times(seconds or {}, scale)
    imported = import_forecast(
        {each.entity: each.sent_bytes for each in tables},
        {each.entity: run.workspace.transformed(each.entity) for each in tables},
        chosen=run.config.load.imports,
    )
    if imported.chosen:
        tables = [_by_import(each, imported) for each in tables]
    steps = (*measured, *(step for each in tables for step in each.times))
    advice = tuple(advice_on(run.config, tables))
    return Forecast(tuple(tables), steps, advice, speed, run.config.prices, imported)


def _by_import(table: TableForecast, imported: ImportForecast) -> TableForecast:
    """The same table, whose load is an import: the upload is what is known of its time."""
    seconds = imported.seconds[table.entity]
    upload = StepTime.of(
        "load",
        table.entity,
        iter([Limit("upload", seconds, f"this machine compresses the files; {UNTOLD}")]),
    )
    others = [each for each in table.times if each.phase not in ("load", "backup")]
    return replace(table, times=(upload, *others))


def _held(description: Mapping[str, Any] | None) -> tuple[int, int]:
    known = description or {}
    return int(known.get("ItemCount") or 0), int(known.get("TableSizeBytes") or 0)


def _held_by_index(description: Mapping[str, Any] | None) -> Mapping[str, Held]:
    return {
        index["IndexName"]: Held(
            int(index.get("ItemCount") or 0), int(index.get("IndexSizeBytes") or 0)
        )
        for index in (description or {}).get("GlobalSecondaryIndexes") or ()
    }


@dataclass(frozen=True)
class _Making:
    """Makes the forecast of one table out of what is in its file; `scale` is how many times as much
    it is to be."""

    run: Run
    spec: TableSpec
    capacities: Capacities
    speed: Speed
    partition_writes: float
    scale: float

    @property
    def _table(self) -> str:
        return self.run.config.target.table(self.spec.entity)

    def of(
        self, census: Census, held: tuple[int, int], held_by_index: Mapping[str, Held]
    ) -> TableForecast:
        """`held` are the items and bytes that the table has before, `held_by_index` those of its
        indexes by name."""
        figures = self._scaled_figures(census.figures)
        sizes = Bytes.of(census.sizes)
        places = tuple(map(self._place, census.places))
        reads = self._reads(Held(*held), held_by_index, figures, census)
        units = sum(place.write_units for place in places)
        return TableForecast(
            entity=self.spec.entity,
            table=self._table,
            mode=self.capacities.of("").mode,
            records=figures.records,
            items=self._scaled(sum(census.sizes.values())),
            bytes=Bytes(
                self._scaled(sizes.total), sizes.average, sizes.percentile95, sizes.largest
            ),
            new=figures.new,
            sent_bytes=figures.sent_bytes,
            there=figures.there,
            kept=figures.kept,
            replaced=figures.replaced,
            replacing=(figures.least, figures.most),
            places=places,
            held_bytes=held[1],
            read_units=reads,
            price=Price.of(
                self.run.config.prices,
                write_units=units + figures.least,
                read_units=reads.total,
                sent_bytes=figures.sent_bytes,
                by_the_hour=not self.capacities.is_on_demand,
            ),
            times=tuple(self._times(figures, places, held, reads)),
            extrapolated=self.scale != 1,
        )

    def _scaled(self, count: float) -> int:
        return round(count * self.scale)

    def _scaled_figures(self, figures: Figures) -> Figures:
        if self.scale == 1:
            return figures
        return Figures(*(self._scaled(value) for value in vars(figures).values()))

    def _place(self, found: PlaceUnits) -> PlaceForecast:
        """A record is no larger for there being more of them, a key of an index gets more."""
        grows = self.scale if found.place.index else 1.0
        hottest = tuple(
            HotKey(_shown(hot.key, found), round(hot.units * grows), hot.share * grows / self.scale)
            for hot in (found.keys.hottest(found.units) if found.units else ())
        )
        return PlaceForecast(
            found.place.index,
            self._scaled(found.items),
            self._scaled(found.units),
            hottest,
            hottest[0].units / self.partition_writes if hottest else 0.0,
        )

    def _reads(
        self, held: Held, held_by_index: Mapping[str, Held], figures: Figures, census: Census
    ) -> ReadUnits:
        migration = self.run.config.migration
        backs_up = migration.backup_before_load and self.run.config.backup.enabled
        return ReadUnits(
            backup=_read_units(held.bytes) if backs_up else 0,
            verification=(
                self._verification(held, held_by_index, figures, census)
                if migration.validate_after_load
                else VerifyUnits()
            ),
        )

    def _verification(
        self, held: Held, held_by_index: Mapping[str, Held], figures: Figures, census: Census
    ) -> VerifyUnits:
        """Of the table as it is going to be, and of the indexes that the Sale Module asks for."""
        whole = Held(held.items + figures.new, held.bytes + figures.new_bytes)
        indexes = {}
        for place in census.places[1:]:
            if not place.place.further:
                before = held_by_index.get(place.place.index, Held(0, 0))
                size = before.bytes + self._scaled(place.size)
                now = Held(before.items + self._scaled(place.items), size)
                indexes[place.place.index] = scan_units(now, eventually=True)
        patterns = pattern_units(
            self.spec.entity,
            whole,
            records=figures.records,
            largest=max(census.sizes, default=0),
            sample=self.run.config.verify.sample,
        )
        return VerifyUnits(scan_units(whole), tuple(indexes.items()), patterns)

    def _times(
        self,
        figures: Figures,
        places: tuple[PlaceForecast, ...],
        held: tuple[int, int],
        reads: ReadUnits,
    ) -> Iterator[StepTime]:
        config, entity = self.run.config, self.spec.entity
        times = LoadTimes(
            self._table,
            self.capacities,
            self.speed,
            config.migration,
            config.backup,
            config.verify,
            self.partition_writes,
        )
        loads = tuple(Load(p.index, p.items, p.write_units, p.hottest) for p in places)
        if reads.backup:
            yield StepTime.of("backup", entity, times.of_backup(*held, reads.backup))
        yield StepTime.of("load", entity, times.of_load(loads, figures.replaced))
        if reads.verify:
            items, size = held[0] + figures.new, held[1] + figures.new_bytes
            yield StepTime.of("verify", entity, times.of_verify(items, size, reads.verification))


def _read_units(size: int) -> int:
    """What a strongly consistent scan of so many bytes takes."""
    return ceil(size / READ_UNIT_BYTES)


def _shown(key: str, found: PlaceUnits) -> str:
    """A partition key as it may be shown: those of the Sale Module's are statuses, countries and
    ids, those of an index that somebody else has made may be personal."""
    return mask(key) if found.place.further else key
