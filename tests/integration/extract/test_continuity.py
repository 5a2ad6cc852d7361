"""One moment of S9: a lost snapshot is replaced only by one that is provably the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from extract.engine import extract
from extract.entities import entities_of
from extract.postgresql.source import PostgresSource
from tests.support.records.content import content_of
from utils.config import CheckpointConfig, Config, MigrationConfig, Secret, SourceConfig
from utils.demo.sample.data import SampleSize, generate
from utils.demo.sample.schema import create_tables
from utils.embedded.postgresql import EmbeddedPostgres
from utils.error_handler import MigrationError
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.telemetry.tasks import Task, Tasks

TABLES = ("msg_anag", "msg", "msg_line")
ENTITIES = entities_of("s9")
ALL = tuple(ENTITIES)
ONE_SALE_NOTED = "UPDATE msg SET notes = 'x' WHERE first_id = (SELECT min(first_id) FROM msg)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of this module's own: its tests restart it."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("continuity")) as started:
        yield started


@pytest.fixture
def database(server: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"continuity_{abs(hash(request.node.name)) % 10**9}"
    server.create_database(name)
    connection = server.connect(name)
    create_tables(connection)
    generate(connection, SampleSize(40, 15, 1500), seed=3)
    connection.close()
    yield name
    server.drop_database(name)


def source_of(server: EmbeddedPostgres, database: str) -> SourceConfig:
    return SourceConfig(
        host=server.host,
        port=server.port,
        database=database,
        username=server.reader,
        password=Secret(server.reader_password),
        ssl=False,
    )


def change(server: EmbeddedPostgres, database: str, *statements: str) -> None:
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def unchanged(server: EmbeddedPostgres, database: str, *changes: str) -> bool:
    """Whether the tables are provably the same after the changes."""
    with PostgresSource(source_of(server, database)) as before:
        rows = before.rows_of(TABLES)
        transactions = before.snapshot.transactions
    change(server, database, *changes)
    with PostgresSource(source_of(server, database)) as after:
        return after.unchanged_since(transactions, rows)


def test_nothing_has_changed(server: EmbeddedPostgres, database: str) -> None:
    assert unchanged(server, database)


def test_what_changes_elsewhere_is_no_change(server: EmbeddedPostgres, database: str) -> None:
    assert unchanged(server, database, "CREATE TABLE other (n int)", "INSERT INTO other VALUES (1)")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO msg_line (id, msg_id, line_number) SELECT max(id) + 1, 1, 99 FROM msg_line",
        ONE_SALE_NOTED,
        "DELETE FROM msg_line WHERE id = (SELECT max(id) FROM msg_line)",
        "WITH gone AS (DELETE FROM msg_line WHERE id = 1 RETURNING *) "
        "INSERT INTO msg_line SELECT * FROM gone",
    ],
    ids=["insert", "update", "delete", "delete and insert again"],
)
def test_every_change_is_seen(server: EmbeddedPostgres, database: str, statement: str) -> None:
    assert not unchanged(server, database, statement)


def test_a_transaction_that_was_running_at_the_snapshot_is_seen_when_it_commits(
    server: EmbeddedPostgres, database: str
) -> None:
    writer = server.connect(database)
    with writer.cursor() as cursor:
        cursor.execute("SAVEPOINT inner_one")
        cursor.execute(ONE_SALE_NOTED)
    with PostgresSource(source_of(server, database)) as before:
        rows, transactions = before.rows_of(TABLES), before.snapshot.transactions
    writer.commit()
    writer.close()
    with PostgresSource(source_of(server, database)) as after:
        assert not after.unchanged_since(transactions, rows)


def test_a_view_proves_nothing(server: EmbeddedPostgres, database: str) -> None:
    change(server, database, "ALTER TABLE msg RENAME TO real", "CREATE VIEW msg AS TABLE real")
    change(server, database, f"GRANT SELECT ON msg TO {server.reader}")
    assert not unchanged(server, database)


class Fault(Tasks):
    """Tasks of which one does something once `after` records of an entity are extracted."""

    def __init__(self, entity: str, after: int, what: Callable[[], None]) -> None:
        super().__init__()
        self._entity, self._after, self._what = entity, after, what
        self.happened = False

    def task(self, phase: str, entity: str, total: int | None, **rest: Any) -> Task:
        opened = super().task(phase, entity, total, **rest)
        if entity == self._entity:
            plain, done = opened.advance, 0

            def advance(count: int = 1, **rest: Any) -> None:
                nonlocal done
                done += count
                plain(count, **rest)
                if done >= self._after and not self.happened:
                    self.happened = True
                    self._what()

            opened.advance = advance  # type: ignore[method-assign]
        return opened


def run_in(directory: Path, source: SourceConfig, progress: Tasks | None = None) -> Run:
    files = Workspace(directory)
    files.prepare()
    config = Config(
        source=source,
        migration=MigrationConfig(max_retries=20, retry_delay=0.02, exponential_backoff=False),
        checkpoint=CheckpointConfig(interval=1),
    )
    return Run(config, files, Manifest.new(), progress or Tasks())


def stop(phase: str, entity: str, error: MigrationError) -> None:
    raise error


def extracted(run: Run) -> dict[str, bytes]:
    return {name: content_of(run.workspace.extracted(name)) for name in ALL}


def test_a_restart_in_the_middle_goes_on_to_the_same_bytes(
    server: EmbeddedPostgres, database: str, tmp_path: Path
) -> None:
    source = source_of(server, database)
    calm = run_in(tmp_path / "calm", source)
    extract(calm, ENTITIES, ALL, stop)
    fault = Fault("sales", 300, lambda: server.restart(immediate=True))
    disturbed = run_in(tmp_path / "disturbed", source, fault)
    extract(disturbed, ENTITIES, ALL, stop)
    assert fault.happened
    assert extracted(disturbed) == extracted(calm)
    assert disturbed.manifest.snapshot["consistent"] is True
    assert calm.manifest.snapshot["statement"] == "all entities are read from one snapshot"


def test_what_changed_during_the_restart_is_not_mixed_with_what_was_read_before(
    server: EmbeddedPostgres, database: str, tmp_path: Path
) -> None:
    source = source_of(server, database)

    def restart_and_change() -> None:
        server.restart(immediate=True)
        change(
            server,
            database,
            "UPDATE msg_anag SET name = 'Changed S.p.A.' WHERE first_id IN "
            "(SELECT first_id FROM msg_anag WHERE enabled ORDER BY first_id LIMIT 5)",
            "DELETE FROM msg_line WHERE id IN (SELECT id FROM msg_line ORDER BY id LIMIT 3)",
        )

    # Of sales everything might be on its way already, and be read to its end, as of one moment.
    fault = Fault("producers", 1, restart_and_change)
    disturbed = run_in(tmp_path / "disturbed", source, fault)
    extract(disturbed, ENTITIES, ALL, stop)
    assert fault.happened
    after = run_in(tmp_path / "after", source)
    extract(after, ENTITIES, ALL, stop)
    assert extracted(disturbed) == extracted(after)
    assert disturbed.manifest.snapshot["consistent"] is True
    assert "read again" in disturbed.manifest.snapshot["statement"]


def test_an_entity_extracted_by_hand_after_a_change_is_stated(
    server: EmbeddedPostgres, database: str, tmp_path: Path
) -> None:
    run = run_in(tmp_path, source_of(server, database))
    extract(run, ENTITIES, ALL, stop)
    extract(run, ENTITIES, ("buyers",), stop, by_hand=True)
    assert run.manifest.snapshot["consistent"] is True
    change(server, database, ONE_SALE_NOTED)
    extract(run, ENTITIES, ("buyers",), stop, by_hand=True)
    assert run.manifest.snapshot["consistent"] is False
    assert "not from one moment" in run.report_head()["snapshot"]["statement"]
