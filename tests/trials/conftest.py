"""The operators of tests/scenarios, for the cases in which the tool was once found wanting; and the
application at a desk (tests/support/application/desk.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from load.backup.engine import back_up, new_name
from load.backup.folder import BackupFolder
from tests.scenarios.conftest import after_a_run, alone, finished, operator
from tests.support.application.desk import Desk, one_session
from tests.support.application.parties_and_sales import two_parties
from tests.support.application.sale_module import Item, SaleModule
from utils.embedded.aws import EmbeddedAws

__all__ = ["after_a_run", "alone", "application", "does", "finished", "operator", "quick"]


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Commands at a desk share what opening a session of AWS takes."""
    with one_session():
        yield


@contextmanager
def desk_with(directory: Path, aws: EmbeddedAws, sales: list[list[Item]]) -> Iterator[Desk]:
    """A desk with two buyers, two producers and these sales, in tables of its own."""
    opened = Desk(directory / "data", aws.endpoint_url)
    opened.records = {**two_parties(), "sales": sales}
    yield opened
    opened.drop()


def put(desk: Desk, entity: str) -> None:
    """Put the records of an entity into its table as they are."""
    for item in (item for record in desk.records[entity] for item in record):
        desk.client.put_item(TableName=desk.table(entity), Item=item)


def backed_up(desk: Desk, entity: str = "sales") -> BackupFolder:
    """A new backup of an entity's table."""
    work, table = desk.session(), desk.table(entity)
    return back_up(work, table, new_name(work.config, table))


@pytest.fixture
def application(desk: Desk) -> SaleModule:
    """The Sale Module over the tables of a desk."""
    return SaleModule(desk.client, {name: desk.table(name) for name in desk.records})


def does(act: Any) -> None:
    """An act of the application is done to its end."""
    for _ in act:
        pass
