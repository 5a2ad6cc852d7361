"""A database that is read as the tool reads it, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from extract.databases import open_source
from extract.selection import Field, Selection
from extract.source import Source
from tests.conftest import S9Database
from utils.config import Secret, SourceConfig


def opened(s9: S9Database, scratch: Path, **changes: Any) -> Source:
    return open_source(config_of(s9, **changes), None, scratch)


def config_of(s9: S9Database, **changes: Any) -> SourceConfig:
    values: dict[str, Any] = {
        "type": s9.type,
        "host": s9.server.host,
        "port": s9.server.port,
        "database": s9.name,
        "username": s9.server.reader,
        "password": Secret(s9.server.reader_password),
        "ssl": False,
        **changes,
    }
    return SourceConfig(**values)


def read(s9: S9Database, scratch: Path, **changes: Any) -> bytes:
    """The one row of the table t as JSON."""
    with opened(s9, scratch, **changes) as source:
        fields = tuple(Field(column, column.name) for column in source.columns("SELECT * FROM t"))
        with source.rows(Selection("SELECT * FROM t", "id", (), fields), None) as (rows, _):
            [(key, row)] = rows
    assert key == b"1"
    return row
