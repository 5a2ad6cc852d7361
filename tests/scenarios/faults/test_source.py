"""S9 goes away in the middle of the extract, and may be another one when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Operator, insert, line, party, sale, scan, small_trade
from tests.support.s9.many_sales import many_sales
from utils.demo.sample.schema import create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

SALES = 5_000
# More than what the network has room for, so that most of it is still to come.
WIDE = 4_000


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S9Database]:
    """A server of its own, that may be stopped, with many wide sales."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("fragile")) as server:
        connection = server.connect()
        create_tables(connection)
        many_sales(S9Database(server, server.database, connection), SALES, note=WIDE)
        connection.close()
        yield S9Database(server, server.database, connection)


def do(s9: S9Database, statement: str) -> int:
    """Run a statement in a connection that is opened for it, because the server may have been
    restarted; returns how many rows it was about."""
    session: Any = s9.server.connect(s9.name)
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute(statement)
        count: int = cursor.rowcount
    session.close()
    return count


@pytest.fixture
def reader(
    tmp_path: Path, fragile: S9Database, aws: EmbeddedAws, tables: TableNames
) -> SabotagedOperator:
    """An operator who extracts from the fragile server."""
    hired = hire(tmp_path, fragile, aws, tables)
    hired.configure(migration={"retryDelay": 0.3})
    settings = {
        "extract.reading.records.FLUSH_RECORDS": 100,
        "utils.checkpoint._REST_PER_COST": 0.0,
    }
    return SabotagedOperator.like(hired, set=settings)


def after(records: int) -> dict[str, Any]:
    """The moment at which that many sales are extracted."""
    steps = records // 100
    return {"phase": "extract", "entity": "sales", "what": "step", "after": steps}


def undisturbed(operator: Operator, directory: Path) -> dict[str, bytes]:
    """What an extract gives now that nothing disturbs."""
    directory.mkdir()
    config: dict[str, Any] = dict(operator.config)
    other = Operator(directory, config, operator.environment, operator.secrets)
    other.run("--phase", "extract").ended(0)
    return other.files()


def test_restarted_in_the_middle_of_the_extract_it_goes_on_to_the_same_bytes(
    reader: SabotagedOperator, fragile: S9Database, tmp_path: Path
) -> None:
    with reader.held("--phase", "extract", **after(300)) as running:
        fragile.server.restart(immediate=True)
        reader.let_go()
        outcome = running.end().ended(0)
    assert "The connection to S9 was lost" in outcome.stderr
    assert "again, from one snapshot" not in outcome.stderr
    snapshot = reader.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert (
        "buyers, producers, sales were read from is proved to be unchanged" in snapshot["statement"]
    )
    assert reader.files() == undisturbed(reader, tmp_path / "undisturbed")


def test_changed_before_it_was_lost_everything_is_read_anew_from_one_snapshot(
    reader: SabotagedOperator, fragile: S9Database, tmp_path: Path
) -> None:
    with reader.held("--phase", "extract", **after(300)) as running:
        do(fragile, "UPDATE msg_anag SET name = 'Altra ditta srl' WHERE first_id = 5")
        do(fragile, "DELETE FROM msg_line WHERE msg_id = 1")
        do(fragile, "DELETE FROM msg WHERE first_id = 1")
        do(fragile, "INSERT INTO msg_anag (first_id, kind, enabled) VALUES (21, 2, true)")
        fragile.server.restart(immediate=True)
        reader.let_go()
        outcome = running.end().ended(0)
    assert "S9 has changed since" in outcome.stderr
    assert "extracting all entities again" in outcome.stderr
    snapshot = reader.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert "from one snapshot (read again: S9 has changed since" in snapshot["statement"]
    assert [len(reader.extracted(name)) for name in ("buyers", "sales")] == [21, SALES - 1]
    assert {sale["buyer"]["name"] for sale in reader.extracted("sales") if sale["buyer_id"] == 5}
    assert reader.files() == undisturbed(reader, tmp_path / "undisturbed")


def hang_up(s9: S9Database) -> int:
    """End the connections of the tool in which sales are on their way; returns how many."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 's9-migrate' AND state = 'active' AND query LIKE 'COPY%'"
    )
    return do(s9, query)


def test_lost_again_and_again_the_patience_starts_anew_with_every_step_forward(
    reader: SabotagedOperator, fragile: S9Database, tmp_path: Path
) -> None:
    reader.configure(migration={"maxRetries": 1, "retryDelay": 0.001})
    with reader.held("--phase", "extract", **after(1_000), times=2) as running:
        for _ in range(2):
            reader.wait_until_held(running)
            assert hang_up(fragile) > 0
            reader.let_go()
        outcome = running.end().ended(0)
    assert outcome.stderr.count("The connection to S9 was lost") == 2
    assert reader.files() == undisturbed(reader, tmp_path / "undisturbed")


def test_a_server_that_stays_away_stops_the_run_and_it_goes_on_when_it_is_back(
    reader: SabotagedOperator, fragile: S9Database, tmp_path: Path
) -> None:
    reader.configure(migration={"maxRetries": 2, "retryDelay": 0.001})
    with reader.held("--full", **after(300)) as running:
        fragile.server.stop(immediate=True)
        reader.let_go()
        outcome = running.end()
    outcome.failed(1, "connection to S9 was lost", "could not be opened again", "--resume")
    reader.run("--full").failed(
        2,
        "stopped in extract, sales,",
        " records: the connection to S9 was lost",
    )
    reader.run("--resume").failed(1, "cannot be reached")
    fragile.server.start()
    reader.plan = {**reader.plan, "kill": {"phase": "transform", "entity": "buyers", "after": 1}}
    resumed = reader.run("--resume")  # as far as it matters here
    assert "stopped in extract, sales," in resumed.stderr
    assert "Extract of buyers is already complete" in resumed.stderr
    expected = undisturbed(reader, tmp_path / "undisturbed")
    assert reader.files()["extracted/sales.json"] == expected["extracted/sales.json"]


def killed_before_sales(alone: Operator, s9: S9Database) -> SabotagedOperator:
    """A run that has read the parties, and of the sales nothing."""
    small_trade(s9)
    tool = SabotagedOperator.like(alone)
    tool.killed("--full", phase="extract", entity="sales", after=1)
    return tool


def test_sales_that_come_while_a_run_is_down_are_read_if_the_parties_are_what_they_were(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool = killed_before_sales(alone, s9)
    insert(s9, "msg", sale(12, 1, 3))
    insert(s9, "msg_line", line(4, 12))
    outcome = tool.run("--resume").ended(0)
    assert "Extract of buyers is already complete" in outcome.stderr
    snapshot = tool.manifest()["snapshot"]
    assert snapshot["consistent"]
    assert (
        "what buyers, producers were read from is proved to be unchanged" in snapshot["statement"]
    )
    assert len(scan(dynamodb, tables.sales)) == 3 + 4


def test_parties_that_change_while_a_run_is_down_are_read_again(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    tool = killed_before_sales(alone, s9)
    insert(s9, "msg_anag", party(4, 2))
    insert(s9, "msg", sale(12, 4, 3))
    insert(s9, "msg_line", line(4, 12))
    tool.run("--resume").ended(0)
    assert "read again: S9 has changed since" in tool.manifest()["snapshot"]["statement"]
    assert len(scan(dynamodb, tables.buyers)) == 3
    assert len(scan(dynamodb, tables.sales)) == 3 + 4


def test_with_a_condition_of_the_operators_nothing_is_proved(
    alone: Operator, s9: S9Database
) -> None:
    alone.configure(extraction={"buyers": {"where": "city IN (SELECT city FROM msg_anag)"}})
    tool = killed_before_sales(alone, s9)
    outcome = tool.run("--resume").ended(0)
    assert "it cannot be proved that S9 has not changed" in outcome.stderr
    assert "extracting all entities again" in outcome.stderr


def test_one_entity_by_hand_of_a_changed_s9_is_told_to_be_of_another_moment(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    alone.run("--phase", "extract").ended(0)
    insert(s9, "msg_anag", party(4, 2))
    outcome = alone.run("--phase", "extract", "--entity", "sales").ended(0)
    assert "the entities are not from one moment" in outcome.stderr
    assert len(alone.extracted("buyers")) == 2
    for phase in ("transform", "validate", "load", "verify"):
        alone.run("--phase", phase).ended(0)
    for name in ("validation", "load", "verification"):
        assert alone.report(name)["snapshot"]["consistent"] is False
        assert "not from one moment" in alone.report(name)["snapshot"]["statement"]


def test_an_entity_that_cannot_be_read_is_set_aside_and_resumed_when_it_can(
    alone: Operator, s9: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(s9)
    s9.execute("ALTER TABLE msg_line RENAME TO elsewhere")
    outcome = alone.run("--full").ended(1)
    assert "sales: S9" in outcome.last_line and "msg_line" in outcome.last_line
    assert alone.manifest()["phases"]["extract"]["sales"]["status"] == "failed"
    assert len(scan(dynamodb, tables.buyers)) == 2
    alone.run("--full").failed(2, "msg_line", "--resume")
    s9.execute("ALTER TABLE elsewhere RENAME TO msg_line")
    resumed = alone.run("--resume").ended(0)
    assert "Load of buyers is already complete" in resumed.stderr
    assert alone.manifest()["snapshot"]["consistent"]
    assert len(scan(dynamodb, tables.sales)) == 5
