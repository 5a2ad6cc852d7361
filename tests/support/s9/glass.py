"""The server's side of the glass: what may stand between an account and the rows that S9 holds.

A pane is one such thing, as data: the statements that put it up, and what must be true of an
extract through it: the very rows that are read without it, or a refusal that names it. A new one
is a line in the list of its database (test_glass_postgresql.py, test_glass_mysql.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extract.engine import extract
from extract.entities import entities_of
from tests.conftest import S9Database
from tests.support.records.content import content_of
from tests.support.s9.reading import config_of
from utils.config import (
    Config,
    EntityExtraction,
    ExtractionConfig,
    MigrationConfig,
)
from utils.error_handler import MigrationError
from utils.files.workspace import Workspace
from utils.run.manifest import Manifest
from utils.run.run import Run
from utils.telemetry.tasks import Tasks

ENTITIES = entities_of("s9")


@dataclass(frozen=True)
class Pane:
    """`put_up` are statements of the owner, in which $reader and $database stand for the account
    and the database; `taken_down` are those that undo them where the database is used again.

    `refused` are words of the message that an extract must end with; without them, the right rows
    must be read. `stated` are words that the manifest must then say of the snapshot. `extraction`
    has settings by entity, `source` further ones of the source.
    """

    name: str
    put_up: tuple[str, ...] = ()
    taken_down: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()
    extraction: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sight:
    """What an extract saw: the extracted files, and the manifest's word on the snapshot."""

    rows: Mapping[str, bytes]
    snapshot: Mapping[str, Any]


@contextmanager
def standing(pane: Pane, s9: S9Database) -> Iterator[None]:
    """The pane is up for as long as this lasts."""
    for statement in pane.put_up:
        s9.execute(_named(statement, s9))
    try:
        yield
    finally:
        for statement in pane.taken_down:
            s9.execute(_named(statement, s9))


def look(s9: S9Database, directory: Path, pane: Pane | None = None) -> Sight:
    """Extract everything into `directory`, as the reader. Raises MigrationError."""
    run = run_in(directory, s9, pane)
    extract(run, ENTITIES, tuple(ENTITIES), stop)
    rows = {name: content_of(run.workspace.extracted(name)) for name in ENTITIES}
    return Sight(rows, run.manifest.snapshot)


def run_in(directory: Path, s9: S9Database, pane: Pane | None = None) -> Run:
    """A run of the reader's in a directory of its own."""
    files = Workspace(directory)
    files.prepare()
    config = _config(s9, pane or Pane("nothing"))
    return Run(config, files, Manifest.new(), Tasks())


def assert_seen_through(
    pane: Pane, s9: S9Database, directory: Path, expected: Mapping[str, bytes]
) -> None:
    """Through the pane the `expected` files are extracted, or the extract is refused with its
    words and leaves no file."""
    with standing(pane, s9):
        if pane.refused:
            with pytest.raises(MigrationError) as refusal:
                look(s9, directory, pane)
            said = f"{refusal.value.message}\n{refusal.value.remedy}"
            for word in pane.refused:
                assert word in said
            return
        sight = look(s9, directory, pane)
    assert sight.rows == expected
    for word in pane.stated:
        assert word in sight.snapshot["statement"]
    assert sight.snapshot["consistent"] is not bool(pane.stated)


def _config(s9: S9Database, pane: Pane) -> Config:
    chosen: dict[str, Any] = {
        name: EntityExtraction(**values) for name, values in pane.extraction.items()
    }
    return Config(
        source=config_of(s9, **pane.source),
        extraction=ExtractionConfig(**chosen),
        migration=MigrationConfig(max_retries=2, retry_delay=0),
    )


def _named(statement: str, s9: S9Database) -> str:
    return statement.replace("$reader", s9.server.reader).replace("$database", s9.name)


def stop(_phase: str, _entity: str, error: MigrationError) -> None:
    """What is done when an entity cannot be read."""
    raise error
