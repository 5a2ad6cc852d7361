"""Spark as the engine, and what happens to it: kills of the command, of Spark's process, of workers
and machines in every step; a cluster of processes; the other Spark; commands beside --full."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, Sample, TableNames
from tests.scenarios.conftest import DONE_TABLES
from tests.scenarios.fleet.conftest import SparkHire, spark_operator
from tests.support.faults.sabotage import SabotagedOperator, events, seeded_kills, shared, told
from tests.support.fleet.cluster import Cluster
from tests.support.fleet.sabotage import (
    assert_all_are_gone,
    assert_nothing_is_left,
    begun,
    kills,
    sabotaged,
    set_conf,
    verified_by_all,
)
from tests.support.fleet.spark import SubmittingOperator, require_spark, spark_home
from tests.support.operators.operator import Operator, scan_all, small_trade
from tests.support.places import ROOT
from utils.version import PACKAGES

__all__ = ["spark_operator"]

OTHER_SPARK = ROOT / ".venv" / "spark-3.5"
STEPS = ("read_part", "make_part", "number_part")


@pytest.fixture(scope="session", autouse=True)
def _spark() -> None:
    require_spark()


def assert_is_as_on_one_machine(
    operator: Operator, finished: Operator, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    assert operator.files() == finished.files()
    assert told(operator) == told(finished)
    assert scan_all(dynamodb, tables) == scan_all(dynamodb, DONE_TABLES)
    assert_nothing_is_left(operator)


@pytest.mark.parametrize("who", ["driver", "jvm"])
@pytest.mark.parametrize("step", [*STEPS, "BatchWriteItem", "verify"])
def test_killed_while_a_part_is_done(
    who: str,
    step: str,
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    kill: dict[str, Any] = {"function": step, "when": "after", "who": who}
    if step == "BatchWriteItem":
        kill = {"request": step, "after": 2, "who": who}
    if step == "verify":
        kill["function"] = "_WithTroubles"
    tool = shared(verified_by_all(sabotaged(spark_operator(sample.s9), kill)))
    outcome = tool.run("--full")
    assert kills(tool), outcome.output
    if who == "driver":
        assert outcome.code == -signal.SIGKILL
    elif outcome.code != 5:  # Spark's process is not always missed
        outcome.failed(1, "Java) has ended")
    assert_all_are_gone(tool)
    if outcome.code != 5:
        tool.run("--resume").ended(5)
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


@pytest.mark.parametrize("step", ["read_part", "make_part", "number_part", "live"])
def test_stopped_by_ctrl_c_in_any_phase(
    step: str,
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    tool = shared(sabotaged(spark_operator(sample.s9), rest={step: 0.5}))
    for times in (1, 2):
        with tool.start(tool.way_on) as running:
            running.wait_for(lambda: any(name.startswith(step) for name in begun(tool)))
            for _ in range(times):
                time.sleep(0.1)
                running.interrupt()
            assert running.end(30).code == 130
        assert_all_are_gone(tool)
    tool.run("--resume").ended(5)
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


def test_killed_at_events_of_the_command(
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
    seed: int,
) -> None:
    tool = shared(sabotaged(spark_operator(sample.s9)))
    happened = events(tool, "--full")
    shutil.rmtree(tool.data)
    for name in (tables.buyers, tables.producers, tables.sales):
        dynamodb.delete_table(TableName=name)
    command = "--full"
    for kill in seeded_kills(random.Random(seed), happened, 15):
        tool.killed(command, **kill)
        assert_all_are_gone(tool)
        command = tool.way_on
    tool.run(command).ended(5)
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


@pytest.fixture(params=["4.1", "3.5"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Cluster, str]]:
    """A cluster of two workers, and the version of its Spark."""
    version: str = request.param
    with Cluster(home_of(version), tmp_path / "cluster") as running:
        yield running, version


def home_of(version: str) -> Path:
    if version == "3.5":
        if not OTHER_SPARK.exists():
            pytest.skip("needs pyspark 3.5: make .venv/.stamps/spark")
        return OTHER_SPARK / "pyspark"
    return spark_home()


def on(tool: SabotagedOperator, cluster: Cluster, version: str) -> SabotagedOperator:
    """Who works with a cluster, be it of the other Spark."""
    tool.configure(engine={"master": cluster.url})
    set_conf(tool, spark_executor_memory="512m", spark_driver_host="127.0.0.1")
    path = str(ROOT)
    if version == "3.5":
        tool.environment["PYTHONPATH"] = str(OTHER_SPARK)
        path = f"{OTHER_SPARK}:{ROOT}"
    set_conf(tool, spark_executorEnv_PYTHONPATH=path)
    for name in ("FLEET_PLAN", "HOME"):
        set_conf(tool, **{f"spark.executorEnv.{name}": tool.environment[name]})
    return tool


def test_a_cluster_leaves_what_one_machine_leaves(
    cluster: tuple[Cluster, str],
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    tool = on(shared(sabotaged(spark_operator(sample.s9))), *cluster)
    tool.run("--full").ended(5)
    assert len(begun(tool)) > 20
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


@pytest.mark.parametrize("lost", ["executor", "machine"])
@pytest.mark.parametrize("step", ["make_part", "BatchWriteItem"])
def test_a_cluster_that_loses_some_of_itself_ends_the_same(
    lost: str,
    step: str,
    tmp_path: Path,
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    """With twins of tasks that are slow."""
    kill: dict[str, Any] = {"function": step, "when": "after", "place": 2, "who": "jvm"}
    if step == "BatchWriteItem":
        kill = {"request": step, "after": 2, "who": "jvm"}
    with Cluster(home_of("4.1"), tmp_path / "cluster") as cluster:
        tool = shared(sabotaged(spark_operator(sample.s9), *([kill] * (lost == "executor"))))
        on(tool, cluster, "4.1")
        set_conf(
            tool,
            spark_speculation="true",
            spark_speculation_interval="50ms",
            spark_speculation_multiplier="1.1",
            spark_speculation_quantile="0.2",
            spark_speculation_minTaskRuntime="10ms",
        )
        with tool.start("--full") as running:
            if lost == "machine":
                if step == "make_part":
                    running.wait_for(lambda: begun(tool)["make_part 2"])
                else:
                    running.wait_for(lambda: any("live" in name for name in begun(tool)))
                cluster.lose(1)
            running.end(300).ended(5)
        assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


@pytest.mark.parametrize("kill", [None, *STEPS])
def test_the_other_spark_does_the_same(
    kill: str | None,
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    home_of("3.5")
    planned = [{"function": kill, "when": "after"}] if kill else []
    tool = shared(sabotaged(spark_operator(sample.s9), *planned))
    tool.environment["PYTHONPATH"] = str(OTHER_SPARK)
    tool.run("--full").ended(5)
    assert len(kills(tool)) == len(planned)
    assert "Spark 3.5" in (tool.data / "reports" / "migration.log").read_text(encoding="utf-8")
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


def test_what_spark_submit_says_goes_first(
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    hired = spark_operator(sample.s9).configure(engine={"master": "local[7]"})
    tool = SubmittingOperator.like(hired)
    tool.master = "local[1]"
    tool.environment["PYSPARK_PYTHON"] = sys.executable
    tool.run("--full").ended(5)
    log = (tool.data / "reports" / "migration.log").read_text(encoding="utf-8")
    assert "Spark 4.1.4 at local[1]" in log
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


def test_a_master_that_listens_and_says_nothing_is_given_up(
    sample: Sample, spark_operator: SparkHire
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        master = f"spark://127.0.0.1:{silent.getsockname()[1]}"
        tool = spark_operator(sample.s9).configure(engine={"master": master})
        tool.run("--full").failed(1, "cannot do any work", master)
        with tool.start("--full") as running:
            time.sleep(5)
            began = time.monotonic()
            running.interrupt()
            assert running.end().code == 130
            assert time.monotonic() - began < 5
    assert_all_are_gone(tool)


def test_a_cluster_without_a_free_core_is_given_up(
    tmp_path: Path, sample: Sample, spark_operator: SparkHire
) -> None:
    with Cluster(home_of("4.1"), tmp_path / "cluster", workers=0) as cluster:
        tool = on(sabotaged(spark_operator(sample.s9)), cluster, "4.1")
        tool.plan["set"] = {**tool.plan["set"], "utils.fleet.spark_fleet.PATIENCE": 3.0}
        tool.run("--full").failed(1, "none of its machines has taken up any work", cluster.url)
    assert_all_are_gone(tool)


@pytest.mark.parametrize("step", [*STEPS, "BatchWriteItem"])
def test_without_checkpoints_it_ends_the_same(
    step: str,
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    kill: dict[str, Any] = {"function": step, "when": "after"}
    if step == "BatchWriteItem":
        kill = {"request": step, "after": 2}
    driver = {"function": "live", "when": "before", "who": "driver"}
    tool = shared(sabotaged(spark_operator(sample.s9), kill, *([driver] * (step == "make_part"))))
    tool.configure(checkpoint={"enabled": False})
    if tool.run("--full").code == -signal.SIGKILL:
        tool.run("--resume")
    tool.outcomes[-1].ended(5)
    assert kills(tool)
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


def test_what_is_encrypted_leaves_nothing_readable(
    sample: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    key = pyrage.x25519.Identity.generate()
    kill = {"function": "make_part", "when": "after", "who": "driver", "place": 3}
    tool = sabotaged(spark_operator(sample.s9), kill)
    tool.configure(data={"recipient": str(key.to_public())})
    assert tool.run("--full").code == -signal.SIGKILL
    tool.run("--resume").ended(5)
    left = [
        p
        for name in ("extracted", "transformed", "quarantine")
        for p in (tool.data / name).rglob("*")
    ]
    assert {path.suffix for path in left if "sums" not in path.name} == {".age"}
    assert_all_are_gone(tool)
    identity = tool.directory / "key"
    identity.write_text(str(key), encoding="utf-8")
    identity.chmod(0o600)
    for phase in ("transform", "validate"):  # which takes out what is refused
        tool.run("--phase", phase, "--identity", str(identity)).ended(5)
    made, expected = (each.manifest()["artifacts"] for each in (tool, finished))
    names = [name for name in expected if name.startswith("transformed/")]
    assert {n: made[n]["sha256"] for n in names} == {n: expected[n]["sha256"] for n in names}


def test_every_other_command_works_with_it(
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    tool = sabotaged(spark_operator(sample.s9))
    tool.run("--dry-run").ended(5)
    assert tool.rehearsal.transformed() == finished.transformed()
    tool.run("--full").ended(5)
    assert tool.files() == finished.files()
    assert told(tool) == told(finished)
    tool.run("--phase", "transform", "--entity", "sales").ended(5)
    tool.run("--phase", "validate").ended(5)
    tool.run("--phase", "load").ended(5)
    tool.run("--phase", "verify").ended(5)
    assert tool.transformed() == finished.transformed()
    tool.run("--phase", "verify", "--from-source").ended(5)
    tool.run("status").ended(0)
    tool.run("retry-quarantine").ended(5)
    tool.run("sync").ended(5)
    assert tool.transformed() == finished.transformed()
    tool.run("explain", "sales", "1")
    tool.outcomes[-1].ended(tool.outcomes[-1].code)
    tool.run("rollback", "--yes")
    tool.outcomes[-1].ended(tool.outcomes[-1].code)
    assert not any(scan_all(dynamodb, tables).values())
    assert_all_are_gone(tool)
    assert not list(tool.data.rglob("part-*"))
    tool.run("clean", "--yes").ended(0)
    left = [path.name for path in tool.data.rglob("*") if path.is_file()]
    assert not [name for name in left if "spark" in name or "part" in name], left


def test_fewer_connections_than_readers_need_are_told_with_the_setting(
    s9: S9Database, spark_operator: SparkHire
) -> None:
    small_trade(s9)
    tool = spark_operator(s9)
    s9.execute(f"ALTER DATABASE {s9.name} CONNECTION LIMIT 3")  # the owner's, and two
    tool.run("--full").failed(
        1, "the machines of the fleet", "no connection left", "engine.readers"
    )
    s9.execute(f"ALTER DATABASE {s9.name} CONNECTION LIMIT -1")
    tool.run("--resume").ended(0)
    assert_nothing_is_left(tool)


def test_machines_that_see_no_files_do_whatever_follows(
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    operator = spark_operator(sample.s9)
    tool = shared(sabotaged(operator, blind=str(operator.data)))
    tool.run("--full").ended(5)
    before = scan_all(dynamodb, tables)
    lost = next(iter(before["sales"].values()))
    key = {name: lost[name] for name in ("PK", "SK")}
    dynamodb.delete_item(TableName=tables.sales, Key=key)
    tool.run("--phase", "verify").ended(4)
    tool.run("--phase", "verify", "--from-source").ended(4)
    tool.run("--phase", "verify", "--repair").ended(5)
    assert scan_all(dynamodb, tables) == before
    tool.run("--phase", "verify", "--from-source").ended(5)
    tool.run("backup").ended(0)
    tool.run("--full", "--restart").ended(5)
    tool.run("rollback", "--yes").ended(0)
    assert not any(scan_all(dynamodb, tables).values())
    assert_all_are_gone(tool)


@pytest.mark.parametrize("version", ["4.1", "3.5"])
def test_a_cluster_that_has_neither_the_tool_nor_the_files(
    version: str,
    tmp_path: Path,
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    """In a name space of its own, where other file systems are in their places."""
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("needs the right to mount")
    tool = shared(sabotaged(spark_operator(sample.s9)))
    tool.environment["SPARK_CONF_DIR"] = str(tmp_path / "conf")
    (tmp_path / "conf").mkdir()
    hidden = [*(ROOT / package for package in PACKAGES), tool.directory]
    with Cluster(home_of(version), tmp_path / "cluster", hidden=hidden) as cluster:
        tool.configure(engine={"master": cluster.url})
        path = str(OTHER_SPARK) if version == "3.5" else str(tmp_path / "nothing")
        if version == "3.5":
            tool.environment["PYTHONPATH"] = path
        set_conf(
            tool,
            spark_executor_memory="512m",
            spark_driver_host="127.0.0.1",
            spark_executorEnv_PYTHONPATH=path,
        )
        outcome = tool.run("--full").ended(5)
    assert "through this one" in outcome.output
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)


def test_mysql_is_read_by_this_machine_and_the_rest_is_shared(
    sample_on_mysql: Sample, spark_operator: SparkHire, finished: Operator
) -> None:
    tool = sabotaged(spark_operator(sample_on_mysql.s9))
    tool.run("--full").ended(5)
    log = (tool.data / "reports" / "migration.log").read_text(encoding="utf-8")
    assert log.count("cannot share its snapshot with other connections") == 3
    shared_out = begun(tool)
    assert shared_out["make_part 1"] == 3
    assert not [name for name in shared_out if name.startswith("read_part")]
    assert tool.transformed() == finished.transformed()
    assert told(tool) == told(finished)
    assert_nothing_is_left(tool)


def test_the_connection_that_holds_the_snapshot_is_lost_and_what_was_read_serves(
    sample: Sample,
    spark_operator: SparkHire,
    finished: Operator,
    dynamodb: DynamoDBClient,
    tables: TableNames,
) -> None:
    tool = sabotaged(spark_operator(sample.s9), rest={"read_part": 0.5})
    holds = "state = 'idle in transaction' AND usename = %s AND datname = current_database()"
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {holds}"
    with tool.start("--full") as running:
        running.wait_for(lambda: begun(tool)["read_part 3"])
        sample.s9.rows(end, sample.s9.server.reader)
        outcome = running.end().ended(5)
    assert "The connection to S9 was lost" in outcome.output
    assert "is proved to be unchanged" in tool.manifest()["snapshot"]["statement"]
    assert_is_as_on_one_machine(tool, finished, dynamodb, tables)
