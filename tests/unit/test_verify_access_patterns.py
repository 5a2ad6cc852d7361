"""An index that lags behind its table gets some time, once for all patterns together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from load.load_buyers import TABLE
from tests.transformed_artifacts import party
from utils.dynamodb import RequestRefused
from utils.retry import RetryPolicy
from validate.access_patterns import Patience, replay
from validate.pattern_samples import Sample, Samples
from validate.target_scan import TargetReader
from validate.verification_report import PatternResult


@dataclass
class LateReader:
    """A target where nothing is found at first; after `late` requests, everything."""

    late: int
    asked: list[str] = field(default_factory=list)

    def ask(self, operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(operation)
        if operation == "Scan":
            return {"Items": []}
        return {"Item": party("buyer", 1)} if len(self.asked) > self.late else {}


@dataclass
class RefusingReader:
    """A target that refuses every GetItem."""

    def ask(self, operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        if operation == "GetItem":
            raise RequestRefused("the key does not match the schema", remedy="mend the table")
        return {"Items": []}


def replayed(reader: object, slept: list[float], retries: int = 5) -> tuple[PatternResult, ...]:
    samples = Samples(frozenset())
    item = party("buyer", 1)
    samples.records.kept[item["PK"]["S"]] = Sample(item=item)
    patience = Patience(
        RetryPolicy(retries, 0.5, sleep=slept.append, uniform=lambda _, bound: bound)
    )
    return replay(cast(TargetReader, reader), "Buyers", TABLE, samples, patience)


@pytest.mark.parametrize(("late", "slept"), [(0, []), (1, [0.5]), (3, [0.5, 1.0, 2.0])])
def test_it_is_asked_again_until_it_is_right(late: int, slept: list[float]) -> None:
    naps: list[float] = []
    results = replayed(LateReader(late), naps)
    assert naps == slept
    assert not any(result.failures for result in results)


def test_it_fails_when_the_patience_is_used_up() -> None:
    naps: list[float] = []
    results = replayed(LateReader(1_000_000), naps, retries=2)
    failures = {result.name: result.failures for result in results if result.failures}
    pk = party("buyer", 1)["PK"]["S"]
    assert failures == {"one buyer": (f"{pk} is not there",)}
    assert naps == [0.5, 1.0]


def test_a_refused_request_is_a_failure_of_its_pattern() -> None:
    results = replayed(RefusingReader(), [])
    failures = {result.name: result.failures for result in results if result.failures}
    assert failures == {"one buyer": ("the key does not match the schema",)}
