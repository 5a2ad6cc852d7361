"""What tests do at a desk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load.backup.engine import back_up, new_name
from load.backup.folder import BackupFolder
from tests.support.application.desk import Desk
from tests.support.application.parties_and_sales import two_parties
from tests.support.application.sale_module import Item
from utils.embedded.aws import EmbeddedAws


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


def does(act: Any) -> None:
    """An act of the application is done to its end."""
    for _ in act:
        pass
