"""Whatever is killed on the way of a migration whose engine is Spark: in the end there is what an
undisturbed run on one machine leaves, and nothing else."""

from __future__ import annotations

import time

from tests.conftest import Sample
from tests.scenarios.fleet.conftest import SparkHire
from tests.support.faults.sabotage import shared, told
from tests.support.fleet.sabotage import (
    assert_all_are_gone,
    assert_nothing_is_left,
    begun,
    kills,
    sabotaged,
)
from tests.support.operators.operator import Operator
from utils.embedded.ports import free_port


def assert_is_as_on_one_machine(operator: Operator, finished: Operator) -> None:
    assert operator.files() == finished.files()
    assert told(operator) == told(finished)
    assert_nothing_is_left(operator)


def test_the_command_killed_again_and_again_goes_on_with_the_parts_that_are_there(
    sample: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    tool = shared(sabotaged(spark_operator(sample.s9)))
    tool.killed("--full", phase="extract", entity="sales", what="step", after=3)
    begun(tool)
    assert_all_are_gone(tool)
    tool.killed("--resume", phase="load", entity="sales", what="before request", after=8)
    again = begun(tool)
    assert sum(times for name, times in again.items() if name.startswith("read_part")) <= 2
    tool.run("--resume").ended(5)
    again = begun(tool)
    assert not [name for name in again if name.startswith(("read_part", "make_part"))]
    assert_is_as_on_one_machine(tool, finished)


def test_workers_killed_in_every_phase_are_done_without(
    sample: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    operator = spark_operator(sample.s9)
    tool = shared(
        sabotaged(
            operator,
            {"function": "read_part", "when": "after", "place": 1},
            {"function": "make_part", "when": "after", "place": 2},
            {"function": "number_part", "when": "after"},
            {"function": "CheckPass", "when": "after", "place": 3},
            {"function": "SharedPass", "when": "before"},
            {"request": "BatchWriteItem", "after": 3},
            blind=str(operator.data),
        )
    )
    outcome = tool.run("--full").ended(5)
    assert "through this one" in outcome.output
    assert len(kills(tool)) == 6, kills(tool)
    assert_is_as_on_one_machine(tool, finished)


def test_stopped_by_ctrl_c_it_says_how_to_go_on_and_by_two_it_leaves_at_once(
    sample: Sample, spark_operator: SparkHire
) -> None:
    tool = sabotaged(spark_operator(sample.s9), rest={"make_part": 0.7})
    with tool.start("--full") as running:
        running.wait_for(lambda: begun(tool)["make_part 1"])
        running.interrupt()
        outcome = running.end().failed(130, "interrupted by the operator")
    assert "Stopping: finishing what is in flight" in outcome.stderr
    assert_all_are_gone(tool)
    begun(tool)  # what the first one had still begun
    with tool.start("--resume") as running:
        running.wait_for(lambda: begun(tool))
        running.interrupt()
        time.sleep(0.05)
        running.interrupt()
        assert running.end(10).code == 130
    assert_all_are_gone(tool)


def test_a_master_that_nobody_is_at_is_told_at_once(
    sample: Sample, spark_operator: SparkHire
) -> None:
    master = f"spark://127.0.0.1:{free_port()}"
    tool = spark_operator(sample.s9).configure(engine={"master": master})
    tool.run("--full").failed(1, f"nobody answers at engine.master {master}")


def test_a_machine_without_java_is_told_what_is_missing(
    sample: Sample, spark_operator: SparkHire
) -> None:
    tool = spark_operator(sample.s9)
    assert "engine: Spark " in tool.run("check").stdout
    tool.environment["PATH"] = str(tool.directory)
    tool.run("--full").failed(2, "there is no Java here")
    assert "engine.type is spark, and there is no Java here" in tool.run("check").stdout
