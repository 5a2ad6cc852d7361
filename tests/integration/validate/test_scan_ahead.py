"""A verification that has scanned a table ahead says what any other says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.records.transformed import TABLES, Migration
from utils.config import VerifyConfig
from utils.embedded.aws import EmbeddedAws
from utils.run.run import Run
from validate.verify import bench
from validate.verify.bench import Bench
from validate.verify.engine import bench_of, verify

SPECS = list(TABLES.values())


@pytest.fixture
def migration(aws: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migration:
    """A small one, in so many segments that two processes scan it."""
    monkeypatch.setattr(bench, "_FEWEST_SEGMENTS", 32)
    made = Migration(tmp_path, aws.endpoint_url)
    made.config = replace(
        made.config, migration=replace(made.config.migration, processes=2, workers=2)
    )
    made.fill(parties=20, sales=150)
    made.load()
    return made


@pytest.fixture
def run(migration: Migration) -> Run:
    found = migration.write()
    found.manifest.migration_timestamp = "2026-01-01T00:00:00.000Z"
    return found


def told(run: Run, prepared: Bench | None = None) -> dict[str, Any]:
    """What a verification reports, but for the moment."""
    verify(run, TABLES, list(TABLES), sleep=lambda _: None, prepared=prepared)
    report: dict[str, Any] = orjson.loads(run.workspace.report("verification").read_bytes())
    return {name: each for name, each in report.items() if name != "at"}


def ahead(run: Run, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The same of one that has scanned all sales ahead, before something has happened."""
    with bench_of(run, sleep=lambda _: None) as prepared:
        with prepared.scanning_ahead(SPECS):
            _, scan = prepared.ahead["sales"]
            scan._thread.join(60)
        assert scan.parts and not scan.left
        meanwhile()
        return told(run, prepared)


def damaged(migration: Migration) -> None:
    record = next(record for record in migration.records["sales"] if len(record) > 2)
    migration.delete("sales", record[1])
    migration.put("sales", {**migration.records["sales"][7][0], "notes": {"S": "odd"}})


def test_the_verdict_is_the_same(migration: Migration, run: Run) -> None:
    with run.workers:
        assert ahead(run) == (sound := told(run))
        assert sound["passed"]
        damaged(migration)
        assert ahead(run) == (odd := told(run))
        assert not odd["passed"]


def test_what_differs_is_judged_as_it_is_then(migration: Migration, run: Run) -> None:
    def mend() -> None:
        for record in migration.records["sales"]:
            for item in record:
                migration.put("sales", item)

    damaged(migration)
    with run.workers:
        assert ahead(run, mend)["passed"]


def test_nothing_is_scanned_ahead_where_reading_is_bounded(run: Run) -> None:
    config = replace(run.config, verify=VerifyConfig(max_read_units=100))
    limited = Run(config, run.workspace, run.manifest, run.progress)
    with limited.workers, bench_of(limited) as prepared, prepared.scanning_ahead(SPECS):
        assert not prepared.ahead
