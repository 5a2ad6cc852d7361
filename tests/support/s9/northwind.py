"""Northwind's real trade as an S9: its own tables, and the views over them that S9 is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import S9Database
from tests.support.places import ROOT
from utils.embedded.postgresql import EmbeddedPostgres

NORTHWIND = ROOT.parent / "shared" / "northwind"
VIEWS = Path(__file__).with_name("northwind_views.sql")
FILES = ("customers", "suppliers", "employees", "shippers", "products", "orders", "order_details")
USERS = {"buchanan": "s.buchanan@northwind.example"}


@contextmanager
def northwind_in(server: EmbeddedPostgres, name: str) -> Iterator[S9Database]:
    """A database of this name with Northwind's trade in it. Skips where its data are not there."""
    if not NORTHWIND.is_dir():
        pytest.skip(f"the Northwind trading data are not at {NORTHWIND}")
    server.create_database(name)
    connection = server.connect(name)
    s9 = S9Database(server, name, connection)
    try:
        s9.execute(VIEWS.read_text(encoding="utf-8"))
        for each in FILES:
            _read_csv(s9, each)
        yield s9
    finally:
        connection.close()


def _read_csv(s9: S9Database, name: str) -> None:
    with (
        (NORTHWIND / f"{name}.csv").open(encoding="utf-8") as rows,
        s9.connection.cursor() as cursor,
    ):
        cursor.copy_expert(f"COPY nw_{name} FROM STDIN (FORMAT csv, HEADER)", rows)
    s9.connection.commit()
