"""The embedded servers answer, keep to themselves, and never outlive the program they serve."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import psycopg2.errors
import pymysql
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import REGION, S9Database, TableNames
from tests.support.aws.moto_server import MotoAws
from tests.support.places import ROOT
from utils.embedded import aws as aws_module
from utils.embedded import postgres_files, postgresql
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB, installed
from utils.embedded.ports import LOOPBACK, free_port, is_free
from utils.embedded.postgresql import EmbeddedPostgres
from utils.error_handler import ConfigurationError, SourceError, TargetError

ON_MARIADB = pytest.mark.skipif(
    installed() is None, reason="needs mariadbd: apt-get install mariadb-server"
)


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_postgres_is_version_18_in_utf_8_and_asks_for_a_password(
    postgres: EmbeddedPostgres, s9: S9Database
) -> None:
    assert s9.rows("SELECT current_setting('server_version_num')::int / 10000") == [(18,)]
    assert s9.rows("SELECT pg_encoding_to_char(encoding) FROM pg_database")[0] == ("UTF8",)
    assert s9.rows("SELECT 'società 🚚'") == [("società 🚚",)]
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(
            host=postgres.host,
            port=postgres.port,
            dbname=s9.name,
            user=postgres.owner,
            password="wrong",
        )


def test_the_reader_reads_tables_made_after_it_and_writes_nothing(
    postgres: EmbeddedPostgres, s9: S9Database
) -> None:
    s9.execute("CREATE SCHEMA other")
    s9.execute("CREATE VIEW other.parties AS SELECT * FROM msg_anag")
    reader = postgres.connect_reader(s9.name)
    try:
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM other.parties")
            assert cursor.fetchone() == (0,)
            with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
                cursor.execute("DELETE FROM msg")
            reader.rollback()
            cursor.execute("SET TRANSACTION READ WRITE")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute("DELETE FROM msg")
    finally:
        reader.close()


@pytest.mark.parametrize(
    "kind", [EmbeddedPostgres, pytest.param(EmbeddedMariaDB, marks=ON_MARIADB)]
)
def test_a_restart_keeps_port_and_data_and_breaks_open_connections(
    tmp_path: Path, kind: type[EmbeddedPostgres | EmbeddedMariaDB]
) -> None:
    with kind(tmp_path) as server:
        before = server.connect()
        with before.cursor() as cursor:
            cursor.execute("CREATE TABLE kept (n int)")
            cursor.execute("INSERT INTO kept VALUES (7)")
        before.commit()
        port = server.port
        server.restart(immediate=True)
        assert server.port == port
        broken = (psycopg2.OperationalError, pymysql.OperationalError)
        with pytest.raises(broken), before.cursor() as cursor:
            cursor.execute("SELECT 1")
        after = server.connect()
        with after.cursor() as cursor:
            cursor.execute("SELECT n FROM kept")
            assert list(cursor.fetchall()) == [(7,)]
        after.close()


def test_a_closed_server_leaves_its_log_and_nothing_else(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path) as server:
        assert server._home is not None
        home = server._home
    assert not home.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["postgresql.log"]
    assert is_free(server.port)


def test_a_server_that_does_not_start_says_what_its_log_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_SETTINGS", ("no_such_setting=1",))
    with pytest.raises(SourceError, match="no_such_setting") as raised:
        EmbeddedPostgres(tmp_path).start()
    assert str(tmp_path) in raised.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["postgresql.log"]


@pytest.mark.parametrize("server", [EmbeddedPostgres, EmbeddedAws])
def test_a_missing_wheel_is_named_with_the_file_to_install(
    server: type[EmbeddedPostgres | EmbeddedAws], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="not installed") as raised:
        server(tmp_path / "here").start()
    assert "requirements-demo.txt" in raised.value.remedy


@pytest.mark.parametrize("module", [postgresql, aws_module])
def test_a_port_taken_in_the_meantime_is_replaced(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = iter([taken, free_port()])
        monkeypatch.setattr(module, "free_port", lambda: next(ports))
        server = EmbeddedPostgres(tmp_path) if module is postgresql else EmbeddedAws()
        with server:
            assert server.running
            assert server.port != taken


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_programs_that_the_account_cannot_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_files, "_works", lambda *_: False)
    with EmbeddedPostgres(tmp_path) as server:
        assert server._installation is not None
        assert str(server._installation.programs).startswith(str(server._home))
        server.connect().close()


_PROGRAM = """
import sys, time
from pathlib import Path
from utils.embedded.aws import EmbeddedAws
from utils.embedded.mariadb import EmbeddedMariaDB, installed
from utils.embedded.postgresql import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1])) if sys.argv[2] == "postgres" else EmbeddedAws()
server.start()
print(server.port, getattr(server, "_home", "/nowhere"), flush=True)
if sys.argv[3] == "wait":
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["postgres", "aws"])
@pytest.mark.parametrize("ending", ["exit", "SIGINT", "SIGTERM", "SIGKILL"])
def test_neither_server_nor_files_outlive_the_program(
    kind: str, ending: str, tmp_path: Path
) -> None:
    mode = "exit" if ending == "exit" else "wait"
    program = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(tmp_path), kind, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert program.stdout is not None
    port_text, home = program.stdout.readline().decode().split()
    port = int(port_text)
    if ending != "exit":
        assert not is_free(port)
        program.send_signal(signal.Signals[ending])
    program.wait(20)
    program.stdout.close()
    assert eventually(lambda: is_free(port))
    assert eventually(lambda: not Path(home).exists())


def test_ctrl_c_in_the_terminal_does_not_reach_the_servers(aws: EmbeddedAws) -> None:
    assert aws._server is not None
    assert os.getpgid(aws._server._process.pid) != os.getpgrp()


def test_the_embedded_aws_starts_again_on_its_port(tmp_path: Path) -> None:
    server = EmbeddedAws(tmp_path / "aws.log")
    server.start()
    url = server.endpoint_url
    server.stop()
    assert not server.running
    server.start()
    assert server.endpoint_url == url
    server.stop()


def test_an_aws_that_does_not_start_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no memory left')"]
    monkeypatch.setattr(EmbeddedAws, "command", lambda _: command)
    with pytest.raises(TargetError, match="no memory left"):
        EmbeddedAws(tmp_path / "aws.log").start()


def test_the_second_judge_answers() -> None:
    import boto3

    with MotoAws() as server:
        client = boto3.client(
            "dynamodb",
            endpoint_url=server.endpoint_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        create_table(client, "Judged")
        assert client.list_tables()["TableNames"] == ["Judged"]


def test_two_tests_get_tables_of_their_own(dynamodb: DynamoDBClient, tables: TableNames) -> None:
    create_table(dynamodb, tables.sales)
    assert len({tables.sales, tables.buyers, tables.producers}) == 3
    assert tables.sales in names_of_tables(dynamodb)


def names_of_tables(client: DynamoDBClient) -> list[str]:
    """Every table of the server: a page of the answer has a hundred names."""
    pages = client.get_paginator("list_tables").paginate()
    return [name for page in pages for name in page["TableNames"]]


def create_table(client: DynamoDBClient, name: str) -> None:
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
    )
