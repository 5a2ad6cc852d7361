"""An S9 that changes and goes away at random moments: what is extracted is always of one moment.

Every buyer's name changes again and again, in one transaction with all others; a sale carries a
copy of its buyer's name, so an extract of two moments would be seen.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.faults.sabotage import SabotagedOperator
from tests.support.operators.operator import Running
from tests.support.s9.many_sales import many_sales
from utils.demo.sample.schema import create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

CHANGES = (
    "UPDATE msg_anag SET name = 'Officina ' || {n} || ' ' || first_id",
    "INSERT INTO msg_anag (first_id, kind, enabled, name) VALUES (5000 + {n}, 2, true, 'N{n}')",
    "DELETE FROM msg_line WHERE msg_id = {n}",
    "UPDATE msg SET total = {n} WHERE first_id = {n}",
)
HANG_UP = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 's9-migrate'"
)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S9Database]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("fragile")) as server:
        connection = server.connect()
        create_tables(connection)
        many_sales(S9Database(server, server.database, connection), 4_000, note=3_000)
        connection.close()
        yield S9Database(server, server.database, connection)


def do(s9: S9Database, statement: str) -> None:
    session: Any = s9.server.connect(s9.name)
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute(statement)
    session.close()


def disturb(running: Running, s9: S9Database, chance: random.Random) -> None:
    """Change S9, hang up on the tool or crash the server, until the tool has ended."""
    crashes = 0
    while running.process.poll() is None:
        time.sleep(chance.uniform(0.1, 0.9))
        dice = chance.random()
        try:
            if dice < 0.3 and crashes < 3:
                crashes += 1
                s9.server.restart(immediate=True)
            elif dice < 0.7 and crashes < 6:
                crashes += 1
                do(s9, HANG_UP)
            elif crashes < 6:
                do(s9, chance.choice(CHANGES).format(n=chance.randint(1, 4_000)))
        except psycopg2.Error:
            continue  # a duplicate key, or the server is on its way up


@pytest.mark.parametrize("extract", range(12))
def test_whatever_happens_to_s9_the_extract_is_of_one_moment(
    extract: int,
    tmp_path: pytest.TempPathFactory,
    fragile: S9Database,
    aws: EmbeddedAws,
    tables: TableNames,
    seed: int,
) -> None:
    chance = random.Random(seed * 1000 + extract)
    operator = hire(tmp_path, fragile, aws, tables)  # type: ignore[arg-type]
    operator.configure(migration={"maxRetries": 50, "retryDelay": 0.2})
    settings = {"utils.checkpoint._REST_PER_COST": 0.0}
    tool = SabotagedOperator.like(operator, set=settings, pace=chance.choice([0.0, 0.01, 0.05]))
    with tool.start("--phase", "extract") as running:
        disturb(running, fragile, chance)
        running.end().ended(0)
    snapshot = tool.manifest()["snapshot"]
    assert snapshot["consistent"]
    names = {buyer["first_id"]: buyer["name"] for buyer in tool.extracted("buyers")}
    copies = {(sale["buyer_id"], sale["buyer"]["name"]) for sale in tool.extracted("sales")}
    assert copies and copies <= names.items(), snapshot["statement"]
