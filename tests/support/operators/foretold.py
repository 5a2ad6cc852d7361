"""What is forecast of a load, from the files that an operator has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from load.entities import TABLES
from load.forecast.figures import Forecast, TableForecast
from load.forecast.forecast import forecast
from load.forecast.speed import Speed
from tests.support.operators.operator import Operator
from utils.files.line_marks import ADDED, CONFLICT, REPLACED, TO_ADD
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.settings.config_file import load_config
from utils.telemetry.tasks import Tasks

_ANY = Speed(load_seconds=1e-5, round_trip=0.01, processes=2, in_flight=16)
_BEFORE = bytes.maketrans(bytes((REPLACED, ADDED)), bytes((CONFLICT, TO_ADD)))


def foretold(operator: Operator, marks: Mapping[str, Path] | None = None) -> Forecast:
    """The forecast of the load of these files; `marks` are the plans of the load by entity."""
    files = Workspace(operator.data)
    config = load_config(operator.directory / "config.json", operator.environment)
    manifest = Manifest.load(files.manifest)
    assert manifest is not None
    run = Run(config, files, manifest, Tasks())
    return forecast(run, TABLES, {}, marks=marks, speed=_ANY)


def foretold_of_replacing(operator: Operator, entity: str) -> TableForecast:
    """The same of one entity, with its plan as it was before the load that has replaced records by
    it."""
    done = Workspace(operator.data).plan(entity)
    before = operator.directory / "before.plan"
    before.write_bytes(done.read_bytes().translate(_BEFORE))
    found = foretold(operator, {entity: before})
    return next(table for table in found.tables if table.entity == entity)
