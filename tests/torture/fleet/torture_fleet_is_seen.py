"""Machines that share a run's work are seen by whoever watches it: how many there are, what they do
and what is lost of them. All of that is told by the run's events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyspark
import pytest

from tests.conftest import S9Database
from tests.scenarios.fleet.conftest import SparkHire, spark_operator
from tests.support.browser import PHONE, Browser, axe, overflowing
from tests.support.faults.sabotage import SabotagedOperator, shared
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.sabotage import sabotaged, set_conf
from tests.support.operators.dashboards import dashboard_of
from tests.support.operators.operator import Operator, Running
from tests.support.s9.many_sales import many_sales
from utils.telemetry.event_file import read_events
from utils.telemetry.events import FleetAtWork, FleetGone, RunFinished, Told

__all__ = ["spark_operator"]


_LOADING = {"phase": "load", "entity": "sales", "what": "step", "after": 1}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two machines, of a core each."""
    with Cluster(Path(pyspark.__file__).parent, tmp_path / "cluster") as running:
        yield running


@pytest.fixture
def tool(s9: S9Database, spark_operator: SparkHire) -> SabotagedOperator:
    """An operator with two cores of this machine, whose load stands still when it is told to."""
    many_sales(s9, 300)
    return shared(sabotaged(spark_operator(s9)))


@pytest.fixture
def on_a_cluster(tool: SabotagedOperator, cluster: Cluster) -> SabotagedOperator:
    """The same with two machines."""
    tool.configure(engine={"master": cluster.url})
    set_conf(tool, spark_executor_memory="512m", spark_driver_host="127.0.0.1")
    for name in ("FLEET_PLAN", "HOME"):
        set_conf(tool, **{f"spark.executorEnv.{name}": tool.environment[name]})
    return tool


def seen(operator: Operator) -> Any:
    """What `status --json` says of the fleet."""
    return orjson.loads(operator.run("status", "--json").ended(0).stdout)["fleet"]


def tried(fleet: Any) -> dict[str, tuple[int, int]]:
    return {each["phase"]: (each["ended"], each["lost"]) for each in fleet["phases"]}


def wait_until(operator: Operator, running: Running, **figures: int) -> Any:
    """Wait until the fleet is seen with these figures."""
    last: Any = None

    def is_so() -> bool:
        nonlocal last
        last = seen(operator)
        return last is not None and all(last[name] == n for name, n in figures.items())

    running.wait_for(is_so)
    return last


def of_the_fleet(operator: Operator) -> list[Told]:
    events = read_events(operator.data / "events.jsonl")
    kinds = (FleetAtWork, FleetGone, RunFinished)
    return [told for told in events if isinstance(told.event, kinds)]


def test_a_cluster_is_seen_at_work_when_it_loses_a_machine_and_when_it_is_gone(
    on_a_cluster: SabotagedOperator, cluster: Cluster, browser: Browser
) -> None:
    tool = on_a_cluster
    with tool.held("--full", **_LOADING) as running, dashboard_of(tool) as dashboard:
        page = browser.page()
        page.goto(dashboard.address)
        there = wait_until(tool, running, executors=2, cores=2, tasks=2)
        assert (there["machines"], there["isThere"]) == (1, True)
        assert there["software"] == f"Spark {pyspark.__version__}"
        assert there["master"] == cluster.url
        before = tried(there)
        assert set(before) == {"extract", "transform", "validate", "load"}
        assert all(ended > 0 and not lost for ended, lost in before.values())
        fleet = page.locator("#fleet")
        fleet.get_by_text("2 tasks at work on 1 machine").wait_for()
        assert "2 tasks on 1 machine" in tool.run("status").output
        cluster.lose(1)
        less = wait_until(tool, running, executors=1)
        assert less["cores"] == 1
        fleet.locator("tr", has_text="Load").get_by_role("cell", name="1", exact=True).wait_for()
        assert tried(seen(tool))["load"][1] == 1
        shown = tool.run("status").output
        assert f"Fleet: Spark {pyspark.__version__} at {cluster.url}, 1 core on 1 machine" in shown
        assert "and 1 lost" in shown
        assert axe(page) == []
        page.set_viewport_size({"width": PHONE, "height": 900})
        assert overflowing(page) == []
        tool.let_go()
        running.end(300).ended(0)
        fleet.get_by_text("Let go").wait_for()
    assert browser.complaints == []
    gone = seen(tool)
    assert (gone["isThere"], gone["tasks"]) == (False, 0)
    assert set(tried(gone)) == {"extract", "transform", "validate", "load"}  # little to verify
    assert "let go" in tool.run("status").output
    assert [type(told.event) for told in of_the_fleet(tool)[-2:]] == [FleetGone, RunFinished]


def test_a_fleet_that_was_killed_with_its_command_is_not_there_any_more(
    tool: SabotagedOperator,
) -> None:
    tool.killed("--full", **_LOADING)
    assert not seen(tool)["isThere"]
    tool.run("--resume").ended(0)
    after = seen(tool)
    assert not after["isThere"]
    assert set(tried(after)) == {"extract", "transform", "validate", "load"}


def test_one_machine_alone_says_nothing_of_a_fleet(
    s9: S9Database, spark_operator: SparkHire
) -> None:
    many_sales(s9, 20)
    alone = spark_operator(s9).configure(engine={"type": "local", "master": None})
    alone.run("--full").ended(0)
    assert seen(alone) is None
    assert "Fleet" not in alone.run("status").output
    assert [type(told.event) for told in of_the_fleet(alone)] == [RunFinished]
