"""What is read from S9, as the configuration and the installation's column names decide."""

from __future__ import annotations

import io
from pathlib import Path

import orjson

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator, insert, party, sale, small_trade
from utils.demo.sample.schema import TABLES, create_tables
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres


def ids(operator: Operator, entity: str) -> list[int]:
    return [row["first_id"] for row in operator.extracted(entity)]


def test_disabled_parties_are_taken_as_asked(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    insert(
        s9,
        "msg_anag",
        *(party(key, 2, enabled=False) for key in (4, 5)),
        *(party(key, 1, enabled=False) for key in (6, 7)),
    )
    insert(s9, "msg", sale(12, 5, 7), sale(13, 4, 6, enabled=False))
    for policy, buyers, producers in (
        ("exclude", [1, 2], [3]),
        ("all", [1, 2, 4, 5], [3, 6, 7]),
        ("referenced", [1, 2, 5], [3, 7]),
    ):
        alone.configure(extraction={"disabledParties": policy})
        alone.run("--phase", "extract").ended(0)
        assert ids(alone, "buyers") == buyers
        assert ids(alone, "producers") == producers
        assert ids(alone, "sales") == [10, 11, 12]
    alone.run("--phase", "transform").ended(0)
    alone.run("--phase", "validate").ended(0)
    statuses = {item["legacyId"]["S"]: item["status"]["S"] for item in alone.items("buyers")}
    assert statuses == {"1": "active", "2": "active", "5": "inactive"}


def test_a_condition_a_limit_and_a_query_narrow_what_is_read(
    alone: Operator, s9: S9Database
) -> None:
    small_trade(s9)
    insert(s9, "msg_anag", party(20, 2), party(21, 2))
    insert(s9, "msg", sale(14, 1, 3), sale(15, 1, 3), sale(9, 1, 3))
    alone.configure(
        extraction={
            "buyers": {"where": "first_id < 20 OR name LIKE '%20%'", "limit": 3},
            "sales": {
                "query": "SELECT * FROM msg WHERE enabled AND first_id <> 11",
                "where": "sale_number >= 10",
                "limit": 2,
            },
        }
    )
    alone.run("--phase", "extract").ended(0)
    assert ids(alone, "buyers") == [1, 2, 20]
    assert ids(alone, "sales") == [10, 14]
    assert [len(row["lines"]) for row in alone.extracted("sales")] == [2, 0]
    counted = alone.manifest()["phases"]["extract"]["sales"]["result"]["source"]
    assert counted == {"records": 2, "items": 4}


def test_columns_nobody_maps_are_reported_and_kept(alone: Operator, s9: S9Database) -> None:
    small_trade(s9)
    s9.execute("ALTER TABLE msg_anag ADD COLUMN loyalty_card text DEFAULT 'gold'")
    s9.execute("ALTER TABLE msg_anag DROP COLUMN created_by")
    outcome = alone.run("--phase", "extract").ended(0)
    assert "loyalty_card" in outcome.stderr
    columns = alone.manifest()["phases"]["extract"]["buyers"]["result"]["columns"]["msg_anag"]
    assert columns["unmapped"] == ["loyalty_card"]
    assert columns["missing"] == ["created_by"]
    assert {row["loyalty_card"] for row in alone.extracted("buyers")} == {"gold"}
    alone.run("--phase", "transform").ended(0)
    assert b"gold" not in b"".join(alone.transformed().values())


def test_italian_column_names_give_the_same_bytes(
    tmp_path: Path,
    finished: Operator,
    postgres: EmbeddedPostgres,
    aws: EmbeddedAws,
    tables: TableNames,
) -> None:
    postgres.create_database("italian")
    connection = postgres.connect("italian")
    try:
        create_tables(connection, "italian")
        copy_sample(postgres, "italian")
    finally:
        connection.close()
    italian = hire(tmp_path, S9Database(postgres, "italian", connection), aws, tables)
    italian.run("--phase", "extract").ended(0)
    italian.run("--phase", "transform").ended(5)
    italian.run("--phase", "validate").ended(5)
    assert _as_records(italian.files()) == _as_records(finished.files())
    postgres.drop_database("italian")


def _as_records(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without the findings of what is in quarantine, which say where in S9 to look."""
    return {
        name: b"".join(map(_without_findings, content.splitlines(keepends=True)))
        for name, content in files.items()
    }


def _without_findings(line: bytes) -> bytes:
    entry = orjson.loads(line)
    if "findings" not in entry:
        return line
    rules = [(each["field"], each["rule"]) for each in entry["findings"]]
    return orjson.dumps({**entry, "findings": rules, "reason": ""})


def copy_sample(postgres: EmbeddedPostgres, database: str) -> None:
    """Copy the shared sample into a database whose columns go by Italian names."""
    source, target = postgres.connect("sample"), postgres.connect(database)
    try:
        for table in TABLES:
            rows = io.StringIO()
            english = ", ".join(column.name for column in table.columns)
            italian = ", ".join(column.italian for column in table.columns)
            with source.cursor() as reader, target.cursor() as writer:
                reader.copy_expert(f"COPY {table.name} ({english}) TO STDOUT", rows)
                rows.seek(0)
                writer.copy_expert(f"COPY {table.name} ({italian}) FROM STDIN", rows)
        target.commit()
    finally:
        source.close()
        target.close()
