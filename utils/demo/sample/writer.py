"""Filling S9's tables, on either database."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import psycopg2.extensions
from pymysql.connections import Connection

from utils.demo.sample.dirt import Row
from utils.demo.sample.schema import TABLES, AnyConnection, Names, Table

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
# MySQL has no infinity. What it has instead are days that no calendar has.
_ON_MYSQL = {"infinity": "2024-00-00 00:00:00", "-infinity": "2024-06-00 00:00:00"}


class Writer(Protocol):
    """Writes S9's tables in one database."""

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        """Add rows: values by canonical column name."""

    def finish(self) -> None:
        """Tell the database what is in the tables now, and commit."""


def writer_to(connection: AnyConnection, names: Names = "english") -> Writer:
    """The writer for the connection's database; "italian" takes the first Italian name wherever
    S9's documentation lists one."""
    if isinstance(connection, Connection):
        return MySqlWriter(connection, names)
    return PostgresWriter(connection, names)


class PostgresWriter:
    """Writes by COPY."""

    def __init__(self, connection: psycopg2.extensions.connection, names: Names) -> None:
        self._connection = connection
        self._names = names

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        columns = [column.name for column in table.columns]
        text = "".join(_copy_line(row, columns) for row in rows)
        named = ", ".join(column.named(self._names) for column in table.columns)
        with self._connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table.name} ({named}) FROM STDIN", io.StringIO(text))

    def finish(self) -> None:
        with self._connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"ANALYZE {table.name}")
        self._connection.commit()


class MySqlWriter:
    """Writes by INSERT of many rows."""

    def __init__(self, connection: Connection[Any], names: Names) -> None:
        self._connection = connection
        self._names = names

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        named = ", ".join(column.named(self._names) for column in table.columns)
        places = ", ".join(["%s"] * len(table.columns))
        values = [[_on_mysql(row[column.name]) for column in table.columns] for row in rows]
        with self._connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = ''")  # as lenient as S9's servers are
            cursor.executemany(f"INSERT INTO {table.name} ({named}) VALUES ({places})", values)

    def finish(self) -> None:
        self._connection.commit()
        with self._connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"ANALYZE TABLE {table.name}")


def _copy_line(row: Row, columns: Sequence[str]) -> str:
    return "\t".join([_copy_value(row[column]) for column in columns]) + "\n"


def _copy_value(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    return str(value)


def _on_mysql(value: object) -> object:
    return _ON_MYSQL.get(value, value) if isinstance(value, str) else value
