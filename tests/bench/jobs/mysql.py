"""The same S9 on MariaDB, where one is installed: its extract, and the client's own SELECT."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql

from tests.bench.jobs import phases
from tests.bench.measure import Figures, Job, Watch
from tests.bench.scene import configured
from utils.demo.sample.schema import TABLES, create_tables
from utils.embedded.mariadb import EmbeddedMariaDB, installed
from utils.embedded.postgresql import EmbeddedPostgres

PASSWORD = "S9_PASSWORD_ON_MYSQL"
_ROWS = ("msg_anag WHERE enabled", "msg WHERE enabled", "msg_line")


@contextmanager
def copy_of(s9: EmbeddedPostgres, directory: Path) -> Iterator[EmbeddedMariaDB | None]:
    """A MariaDB with the rows of a PostgreSQL; None where it is not installed."""
    if installed() is None:
        yield None
        return
    with EmbeddedMariaDB(directory / "mariadb") as server:
        _fill(server, s9, directory / "rows")
        os.environ[PASSWORD] = server.reader_password  # for the processes that measure
        try:
            yield server
        finally:
            del os.environ[PASSWORD]


def _fill(server: EmbeddedMariaDB, s9: EmbeddedPostgres, rows: Path) -> None:
    source, target = s9.connect(), server.connect()
    create_tables(target)
    for table in TABLES:
        columns = ", ".join(
            f"{column.name}::int" if column.type == "boolean" else column.name
            for column in table.columns
        )
        with source.cursor() as reader, rows.open("wb") as file:
            reader.copy_expert(f"COPY (SELECT {columns} FROM {table.name}) TO STDOUT", file)
        with target.cursor() as writer:
            writer.execute(
                f"LOAD DATA INFILE '{rows}' INTO TABLE {table.name} CHARACTER SET utf8mb4"
            )
            writer.execute(f"ANALYZE TABLE {table.name}")
    target.commit()
    source.close()
    target.close()
    rows.unlink()


def extract_mysql(job: Job) -> Figures:
    """From S9 on MariaDB to data/extracted. Items are rows: of parties, sales and lines."""
    return phases.extract(job)


def mariadb_client(job: Job) -> Figures:
    """mariadb -N -B -e 'SELECT * FROM …', one table after another, to nowhere; in no order, with
    nothing joined."""
    source = configured(job.config).source
    address: dict[str, Any] = {
        "host": source.host,
        "port": source.tcp_port,
        "user": source.username,
    }
    password, database = str(source.password), source.database
    with (
        pymysql.connect(
            **address, password=password, database=database, ssl_disabled=True
        ) as opened,
        opened.cursor() as cursor,
    ):
        cursor.execute("SELECT " + " + ".join(f"(SELECT count(*) FROM {r})" for r in _ROWS))
        [(count,)] = cursor.fetchall()
    command = [
        *("mariadb", "--no-defaults", "--skip-ssl", "--default-character-set=utf8mb4", "-N", "-B"),
        *(f"--host={source.host}", f"--port={source.tcp_port}", f"--user={source.username}"),
        *(f"--database={database}", "-e", "; ".join(f"SELECT * FROM {rows}" for rows in _ROWS)),
    ]
    watch = Watch()
    with watch.running():
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "MYSQL_PWD": password},
        )
    return watch.figures(int(count))
