"""One query for all sets of columns gives what a query for each gives, whatever way is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from extract.engine import open_for, planned_of
from extract.entities import entities_of
from extract.extract_sales import SALES_WITH_LINES
from extract.postgresql.source import PostgresSource
from extract.source import Snapshot, Source
from extract.sums.adding_up import add_up, adding_up
from extract.sums.queries import SumQueries
from tests.conftest import S9Database
from tests.support.s9.many_sales import many_sales
from tests.support.s9.pooler import pooler
from tests.support.s9.reading import config_of
from utils.config import Config, Secret
from utils.demo.sample.data import SampleSize, generate
from utils.embedded.postgresql import EmbeddedPostgres
from utils.entities import column_of, shape_of
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.sums.source_sums import columns_by, measures_of

BOTH = pytest.mark.parametrize("database", ["s9", "s9_on_mysql"], ids=["postgresql", "mysql"])


@contextmanager
def reading(
    s9: S9Database, root: Path, connections: int = 1, **changes: Any
) -> Iterator[tuple[Run, Source]]:
    files = Workspace(root)
    files.prepare()
    run = Run(Config(source=config_of(s9, **changes)), files, Manifest.new())
    with open_for(run, entities_of("s9"), connections) as opened:
        yield run, opened


def added_up(s9: S9Database, root: Path) -> bytes:
    """The file of what S9 adds up of its sales."""
    with reading(s9, root) as (run, opened):
        add_up(run, opened, planned_of(run, opened, SALES_WITH_LINES))
    return run.workspace.source_sums("sales").read_bytes()


def with_holes(s9: S9Database) -> None:
    s9.execute("UPDATE msg SET status = NULL, currency = NULL WHERE first_id % 7 = 0")
    s9.execute("UPDATE msg SET sale_date = NULL WHERE first_id % 11 = 0")
    s9.execute("UPDATE msg SET subtotal = NULL WHERE first_id % 13 = 0")


def test_by_grouping_sets_and_by_places_it_is_the_same(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_sales(s9, 200)
    with_holes(s9)
    s9.execute("UPDATE msg SET total = 'NaN' WHERE first_id % 13 = 0")
    by_sets = added_up(s9, tmp_path / "sets")
    monkeypatch.setattr(PostgresSource, "groups_by_sets", False)
    assert added_up(s9, tmp_path / "places") == by_sets
    assert by_sets.count(b'{"by":') > 30
    assert by_sets.count(b'{"key":') > 10


@BOTH
def test_one_query_gives_what_one_for_each_gives(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    s9: S9Database = request.getfixturevalue(database)
    generate(s9.server.connect(s9.name), SampleSize(40, 15, 500), seed=7)
    with_holes(s9)
    shape = shape_of("sales")
    sets = columns_by(shape)
    with reading(s9, tmp_path) as (run, opened):
        planned = planned_of(run, opened, SALES_WITH_LINES)
        amounts = tuple(map(column_of, measures_of(shape).amounts))
        queries = SumQueries(opened, planned, amounts)
        at_once = list(opened.summed(queries.groups(sets)))
        each = [
            (b"%d" % place, text)
            for place, by in enumerate(sets)
            for _, text in opened.summed(queries.groups([by]))
        ]
    assert at_once == each
    assert len(each) > 100


# --- beside what is read --------------------------------------------------------------------------


def beside(s9: S9Database, root: Path, **changes: Any) -> tuple[bytes, bool]:
    """The same file, over another connection where there is one; and whether there was."""
    with reading(s9, root, **changes) as (run, opened):
        planned = planned_of(run, opened, SALES_WITH_LINES)
        with adding_up(run, opened, planned) as finish:
            count = opened.tally("SELECT count(*) FROM msg")
            names = [thread.name for thread in threading.enumerate()]
            finish()
            assert opened.tally("SELECT count(*) FROM msg") == count
    return run.workspace.source_sums("sales").read_bytes(), any("sums" in name for name in names)


def test_over_another_connection_it_is_the_same_and_of_the_same_moment(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_sales(s9, 200)
    expected = added_up(s9, tmp_path / "alone")
    joins = PostgresSource._joined

    def later(self: PostgresSource, snapshot: Snapshot) -> Snapshot:
        s9.execute("UPDATE msg SET total = 1, currency = 'XXX'")
        return joins(self, snapshot)

    monkeypatch.setattr(PostgresSource, "_joined", later)
    assert beside(s9, tmp_path / "beside") == (expected, True)


def test_where_no_connection_is_free_it_is_asked_over_the_one(
    s9: S9Database, tmp_path: Path
) -> None:
    many_sales(s9, 200)
    expected = added_up(s9, tmp_path / "alone")
    account = f"{s9.name}_two"
    s9.execute(f"CREATE ROLE {account} LOGIN PASSWORD 'secret' CONNECTION LIMIT 2")
    s9.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {account}")
    try:
        limited = {"username": account, "password": Secret("secret")}
        assert beside(s9, tmp_path / "limited", **limited) == (expected, False)
    finally:
        s9.execute(f"DROP OWNED BY {account}")
        s9.execute(f"DROP ROLE {account}")


def test_behind_a_pooler_nobody_waits_for_a_connection(s9: S9Database, tmp_path: Path) -> None:
    many_sales(s9, 200)
    expected = added_up(s9, tmp_path / "alone")
    server = s9.server
    assert isinstance(server, EmbeddedPostgres)
    with pooler(server, size=2) as port:
        assert beside(s9, tmp_path / "pooled", port=port) == (expected, False)


def test_nobody_waits_behind_somebody_who_waits_for_the_extract_to_end(
    s9: S9Database, tmp_path: Path
) -> None:
    """An ALTER waits for the table, and whoever asks after it waits for the ALTER."""
    many_sales(s9, 200)
    expected = added_up(s9, tmp_path / "alone")
    another: Any = s9.server.connect(s9.name)
    another.autocommit = True
    alter = threading.Thread(
        target=another.cursor().execute, args=("ALTER TABLE msg ADD COLUMN z int",)
    )
    with closing(another), reading(s9, tmp_path / "waited") as (run, opened):
        alter.start()
        while not s9.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.01)
        began = time.monotonic()
        with opened.beside() as other:
            assert other is None
        assert time.monotonic() - began < 10
        add_up(run, opened, planned_of(run, opened, SALES_WITH_LINES))
        opened.__exit__(None, None, None)
        alter.join()
    assert run.workspace.source_sums("sales").read_bytes() == expected


@BOTH
def test_a_connection_that_is_lost_beside_costs_nothing_but_the_asking(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    s9: S9Database = request.getfixturevalue(database)
    caplog.set_level("INFO")
    generate(s9.server.connect(s9.name), SampleSize(40, 15, 500), seed=7)
    expected = added_up(s9, tmp_path / "alone")
    with (
        reading(s9, tmp_path / "beside", connections=3) as (run, opened),
        adding_up(run, Killing(opened, s9), planned_of(run, opened, SALES_WITH_LINES)) as finish,
    ):
        finish()
    assert run.workspace.source_sums("sales").read_bytes() == expected
    assert "S9 is asked again for what it adds up" in caplog.text


class Killing:
    """A source whose other connection is killed as soon as it is there."""

    def __init__(self, source: Source, s9: S9Database) -> None:
        self._source = source
        self._s9 = s9

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @contextmanager
    def beside(self) -> Iterator[Source]:
        with self._source.beside() as other:
            assert other is not None
            number = other.connection_number
            kill = "KILL {}" if self._s9.type == "mysql" else "SELECT pg_terminate_backend({})"
            self._s9.execute(kill.format(number))
            yield other
