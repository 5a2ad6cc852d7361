"""One query for all sets of columns gives what a query for each gives, whatever way is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from extract.engine import open_for, planned_of
from extract.entities import entities_of
from extract.extract_sales import SALES_WITH_LINES
from extract.postgresql.source import PostgresSource
from extract.source import Source
from extract.sums.adding_up import add_up
from extract.sums.queries import SumQueries
from tests.conftest import S9Database
from tests.support.s9.many_sales import many_sales
from tests.support.s9.reading import config_of
from utils.config import Config
from utils.demo.sample.data import SampleSize, generate
from utils.entities import column_of, shape_of
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.sums.source_sums import columns_by, measures_of

BOTH = pytest.mark.parametrize("database", ["s9", "s9_on_mysql"], ids=["postgresql", "mysql"])


@contextmanager
def reading(s9: S9Database, root: Path) -> Iterator[tuple[Run, Source]]:
    files = Workspace(root)
    files.prepare()
    run = Run(Config(source=config_of(s9)), files, Manifest.new())
    with open_for(run, entities_of("s9")) as opened:
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
