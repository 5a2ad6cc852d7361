"""One query for all sets of columns gives what a query for each gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.engine import open_for, planned_of
from extract.entities import entities_of
from extract.extract_sales import SALES_WITH_LINES
from extract.postgresql.source import PostgresSource
from extract.sums.adding_up import add_up
from tests.conftest import S9Database
from tests.support.s9.many_sales import many_sales
from utils.config import Config, Secret, SourceConfig
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run


def added_up(s9: S9Database, root: Path) -> bytes:
    """The file of what S9 adds up of its sales."""
    server = s9.server
    source = SourceConfig(
        host=server.host,
        port=server.port,
        database=s9.name,
        username=server.reader,
        password=Secret(server.reader_password),
        ssl=False,
    )
    files = Workspace(root)
    files.prepare()
    run = Run(Config(source=source), files, Manifest.new())
    with open_for(run, entities_of("s9")) as opened:
        add_up(run, opened, planned_of(run, opened, SALES_WITH_LINES))
    return files.source_sums("sales").read_bytes()


def test_one_query_gives_what_one_for_each_gives(
    s9: S9Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_sales(s9, 200)
    s9.execute("UPDATE msg SET status = NULL, currency = NULL WHERE first_id % 7 = 0")
    s9.execute("UPDATE msg SET sale_date = NULL WHERE first_id % 11 = 0")
    s9.execute("UPDATE msg SET total = 'NaN', subtotal = NULL WHERE first_id % 13 = 0")
    at_once = added_up(s9, tmp_path / "once")
    monkeypatch.setattr(PostgresSource, "groups_by_sets", False)
    assert added_up(s9, tmp_path / "each") == at_once
    assert at_once.count(b'{"by":') > 30
    assert at_once.count(b'{"key":') > 10
