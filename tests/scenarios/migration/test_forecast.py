"""Plan against fact: what is forecast of a load is what the load's report says afterwards."""

from __future__ import annotations

from pathlib import Path

from load.entities import TABLES
from load.forecast.figures import Forecast
from load.forecast.forecast import forecast
from load.forecast.speed import Speed
from tests.support.operators.operator import ENTITIES, Operator
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.settings.config_file import load_config
from utils.telemetry.tasks import Tasks

ANY = Speed(load_seconds=1e-5, round_trip=0.01, processes=2, in_flight=16)


def foretold(operator: Operator, marks: dict[str, Path] | None = None) -> Forecast:
    """The forecast of the load of the files that an operator has."""
    files = Workspace(operator.data)
    config = load_config(operator.directory / "config.json", operator.environment)
    manifest = Manifest.load(files.manifest)
    assert manifest is not None
    return forecast(Run(config, files, manifest, Tasks()), TABLES, {}, marks=marks, speed=ANY)


def test_items_bytes_and_write_units_are_those_of_the_load(finished: Operator) -> None:
    loaded = finished.report("load")["entities"]
    for table in foretold(finished).tables:
        fact = loaded[table.entity]
        assert table.records == fact["records"] > 10
        assert table.items == table.new == fact["items"]
        assert table.sent_bytes == fact["sentBytes"]
        assert table.write_units == fact["consumedWriteUnits"]
        assert table.write_units > table.items
    assert {table.entity for table in foretold(finished).tables} == set(ENTITIES)
