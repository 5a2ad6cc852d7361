"""data/events.jsonl of whole commands: it says what the reports say, and nobody's name."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest

from tests.conftest import S9Database
from tests.support.operators.operator import ENTITIES, Operator, small_trade
from utils.telemetry.event_file import read_events
from utils.telemetry.events import (
    CheckpointSaved,
    Found,
    RunBegun,
    RunFinished,
    Step,
    StepBegun,
    StepFinished,
    TableState,
    Told,
)

PHASES = ("extract", "transform", "validate", "load", "verify")
PERSONAL = ("companyName", "companyNameAlias", "vatNumber", "fiscalCode", "email", "pec", "address")


def events_of(operator: Operator) -> list[Told]:
    return read_events(operator.data / "events.jsonl")


@pytest.fixture(scope="module")
def told(finished: Operator) -> list[Told]:
    """The events of the finished run."""
    return events_of(finished)


def finished_steps(told: list[Told]) -> dict[Step, StepFinished]:
    return {each.event.step: each.event for each in told if isinstance(each.event, StepFinished)}


def test_a_run_begins_and_ends_with_what_the_operator_sees(
    finished: Operator, told: list[Told]
) -> None:
    first, last = told[0].event, told[-1].event
    assert isinstance(first, RunBegun)
    assert (first.command, first.phases, first.entities) == ("full", PHASES, ENTITIES)
    assert isinstance(last, RunFinished)
    assert (last.exit_code, last.sentence) == (5, finished.outcomes[0].last_line)
    assert {each.run for each in told} == {finished.manifest()["run_id"]}
    rise(told)


def rise(told: list[Told]) -> None:
    """Assert that numbers rise: of progress there are more events than lines."""
    numbers = [each.number for each in told]
    assert numbers == sorted({*numbers})
    assert numbers[0] == 1


def test_every_step_that_begins_ends_and_counts_what_the_manifest_does(
    finished: Operator, told: list[Told]
) -> None:
    begun = [each.event.step for each in told if isinstance(each.event, StepBegun)]
    ended = finished_steps(told)
    assert {*begun} == {*ended}
    assert {each.outcome for each in ended.values()} == {"done"}
    artifacts, load = finished.manifest()["artifacts"], finished.report("load")["entities"]
    for phase, name in product(PHASES, ENTITIES):
        count = ended[Step(phase, name)].count
        assert (count.done, count.total) == (count.total, count.done), (phase, name)
        if phase in ("extract", "transform"):
            assert count.done == artifacts[f"extracted/{name}.json"]["records"]
            assert count.bytes > 0
        if phase == "load":
            assert count.done == load[name]["items"]
            assert count.write_units == load[name]["consumedWriteUnits"]


@pytest.mark.parametrize(
    "step",
    [
        Step("extract", "", "connecting"),
        Step("extract", "sales", "counting"),
        Step("transform", "sales", "numbering"),
        Step("validate", "buyers", "duplicates"),
        Step("load", "", "waiting for tables"),
        Step("backup", "done-Sales"),
        Step("verify", "sales", "comparing"),
        Step("verify", "sales", "access patterns"),
        Step("verify", "", "references"),
    ],
)
def test_what_may_take_a_while_is_a_step(told: list[Told], step: Step) -> None:
    assert step in finished_steps(told)


def test_findings_checkpoints_and_tables_are_told(finished: Operator, told: list[Told]) -> None:
    found: Counter[str] = Counter()
    for each in told:
        if isinstance(each.event, Found):
            found[each.event.rule] += each.event.times
    assert found == finished.report("validation")["rules"]
    assert any(isinstance(each.event, CheckpointSaved) for each in told)
    states = {each.event.table for each in told if isinstance(each.event, TableState)}
    assert states == {"done-Sales", "done-Buyers", "done-Producers"}


def test_nobody_is_named(finished: Operator) -> None:
    text = (finished.data / "events.jsonl").read_text()
    named = {
        value
        for entity in ("buyers", "producers")
        for item in finished.items(entity)
        for name in PERSONAL
        if len(value := item.get(name, {}).get("S", "")) > 4
    }
    assert len(named) > 100
    assert not [value for value in named if value in text]


def test_numbers_go_on_from_command_to_command_and_clean_takes_the_file(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.run("--phase", "extract").ended(0)
    alone.run("--phase", "transform", "--entity", "buyers").ended(0)
    told = events_of(alone)
    rise(told)
    begun = [each.event for each in told if isinstance(each.event, RunBegun)]
    assert [(each.phases, each.entities) for each in begun] == [
        (("extract",), ENTITIES),
        (("transform",), ("buyers",)),
    ]
    alone.configure(source={"password": "wrong"})
    alone.run("--phase", "extract").failed(1)
    last: Any = events_of(alone)[-1].event
    assert (last.exit_code, "password" in last.sentence) == (1, True)
    alone.run("clean", "--yes", "--unfinished").ended(0)
    assert not (alone.data / "events.jsonl").exists()
