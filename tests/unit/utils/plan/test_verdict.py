"""The verdict of a plan: what `--full` meets first decides, and causes come before consequences."""

from __future__ import annotations

import random

import pytest

from utils.error_handler import ExitCode, TargetError
from utils.plan.verdict import Obstacle, Stage, Verdict


def at(stage: Stage, code: ExitCode | None, **further: int) -> Obstacle:
    return Obstacle(stage, f"{stage.name} {further}", "do that", code, **further)


def test_nothing_in_the_way_is_done() -> None:
    assert Verdict().code is ExitCode.DONE
    advice = Verdict([at(Stage.ADVICE, None)])
    assert advice.code is ExitCode.DONE
    assert advice.decides is None


@pytest.mark.parametrize("seed", range(5))
def test_the_first_that_is_met_decides_in_whatever_order_they_were_found(seed: int) -> None:
    met = [
        at(Stage.ADVICE, None),
        at(Stage.HELD_BACK, ExitCode.QUARANTINED),
        at(Stage.SET_ASIDE, ExitCode.FAILED),
        at(Stage.VERIFY, ExitCode.VERIFICATION_FAILED),
        at(Stage.LOAD, ExitCode.FAILED),
        at(Stage.VALIDATE, ExitCode.VALIDATION_FAILED),
        at(Stage.SOURCE, ExitCode.FAILED),
        at(Stage.TARGET, ExitCode.FAILED),
        at(Stage.BEGIN, ExitCode.USAGE),
    ]
    while met:
        found = met.copy()
        random.Random(seed).shuffle(found)
        last = met.pop()
        assert Verdict(found).decides in (last, None)
        assert Verdict(found).code == (last.code or ExitCode.DONE)


def test_causes_come_before_consequences_and_many_before_few() -> None:
    cause = at(Stage.VALIDATE, ExitCode.VALIDATION_FAILED, rank=0, count=1)
    more = at(Stage.VALIDATE, ExitCode.VALIDATION_FAILED, rank=0, count=7)
    follows = at(Stage.VALIDATE, ExitCode.VALIDATION_FAILED, rank=3, count=900)
    assert Verdict([follows, cause, more]).to_do == [more, cause, follows]


def test_an_error_is_an_obstacle_with_its_remedy() -> None:
    error = TargetError("the table is gone", remedy="make it")
    found = Obstacle.of(Stage.TARGET, error)
    assert found.as_json() == {
        "stage": "target",
        "exitCode": 1,
        "count": 1,
        "what": "the table is gone",
        "remedy": "make it",
    }
