"""What a verification reads is what the plan has foretold, and within the rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from load.forecast.forecast import forecast
from load.forecast.speed import Speed
from tests.support.records.transformed import TABLES, Migration
from utils.config import VerifyConfig
from utils.dynamodb.read_units import ReadMeter
from utils.embedded.aws import EmbeddedAws
from utils.run.run import Run
from validate.verify import bench
from validate.verify.engine import verify

SPEED = Speed(load_seconds=1e-9, round_trip=1e-9, processes=2, in_flight=128)
_SEGMENTS, _WINDOW = 4, 10.0


@pytest.fixture
def migration(aws: EmbeddedAws, tmp_path: Path) -> Migration:
    made = Migration(tmp_path, aws.endpoint_url)
    made.fill(parties=60, sales=400)
    return made


def report_of(run: Run) -> dict[str, Any]:
    report: dict[str, Any] = orjson.loads(run.workspace.report("verification").read_bytes())
    return report


def test_a_verification_takes_what_the_plan_has_foretold(migration: Migration) -> None:
    run = migration.write()
    plan = forecast(run, TABLES, {}, speed=SPEED).tables
    migration.load()
    assert migration.verify(run).passed
    took = report_of(run)["readUnits"]
    # The plan counts the last two pages of a segment as whole units each, DynamoDB starts one for
    # each page: of what a page holds, less than a unit is rounded up.
    foretold = sum(table.read_units.verification.table for table in plan)
    slack = len(plan) * 2 * _SEGMENTS
    assert foretold - slack <= took["tables"] <= foretold + slack
    assert took["tables"] > sum(table.bytes.total for table in plan) / 4_096
    assert any(table.read_units.verification.indexes for table in plan)
    of_indexes = sum(table.read_units.verification.of_indexes for table in plan)
    slack = _SEGMENTS * sum(len(table.read_units.verification.indexes) for table in plan)
    assert of_indexes - slack <= took["indexes"] <= of_indexes + slack
    assert 0 < took["patterns"] <= sum(table.read_units.verification.patterns for table in plan)
    assert took["total"] == took["tables"] + took["indexes"] + took["patterns"]


def test_a_rate_is_kept_to_and_the_verdict_is_the_same(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on while the only process waits."""
    run = migration.write()
    migration.load()
    migration.delete("sales", next(r for r in migration.records["sales"] if len(r) > 2)[1])
    migration.put("buyers", {**migration.records["buyers"][5][0], "city": {"S": "Lecco"}})
    migration.verify(run)
    unlimited = report_of(run)

    rate, now, taken = 20, 0.0, list[tuple[float, float]]()

    class Metered(ReadMeter):
        def settle(self, expected: float, used: float) -> None:
            taken.append((now, used))
            super().settle(expected, used)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def metered(*asked: Any, **settings: Any) -> ReadMeter:
        return replace(Metered(*asked, **settings), clock=lambda: now)

    monkeypatch.setattr(bench, "ReadMeter", metered)
    migration.config = replace(
        migration.config,
        migration=replace(migration.config.migration, workers=1, processes=1),
        verify=VerifyConfig(max_read_units=rate),
    )
    limited = Run(migration.config, run.workspace, run.manifest, run.progress)
    verify(limited, TABLES, list(TABLES), sleep=sleep)
    found = report_of(limited)
    total = found["readUnits"]["total"]
    assert total == sum(units for _, units in taken)
    assert now >= total / rate - 1
    for start, _ in taken:
        within = sum(units for at, units in taken if start <= at < start + _WINDOW)
        assert within <= rate * (_WINDOW + 1), start
    assert verdict(found) == verdict(unlimited)


def verdict(report: Any) -> Any:
    """A report without when it was written, and what it took to find what it says."""
    if isinstance(report, list):
        return [verdict(each) for each in report]
    if not isinstance(report, dict):
        return report
    told = {name: each for name, each in report.items() if name not in ("at", "readUnits")}
    return {name: verdict(each) for name, each in told.items()}
