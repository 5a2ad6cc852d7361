"""Which rows of S9 are read, on both databases: A7 (a key of several parties), A9 (the ledger
begins with the table)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator, insert, line, party, sale
from utils.embedded.aws import EmbeddedAws

BOTH = pytest.mark.parametrize("database", ["s9", "s9_on_mysql"], ids=["postgresql", "mysql"])


@pytest.fixture
def s9_of(request: pytest.FixtureRequest, database: str) -> S9Database:
    """S9 on each of the two databases."""
    s9: S9Database = request.getfixturevalue(database)
    return s9


@pytest.fixture
def desk(tmp_path: Path, s9_of: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    return hire(tmp_path, s9_of, aws, tables)


def without_keys(s9: S9Database) -> None:
    """Views that join tables have no primary key: here the table has none."""
    if s9.type == "mysql":
        s9.execute("ALTER TABLE msg_anag DROP PRIMARY KEY")
    else:
        s9.execute("ALTER TABLE msg_anag DROP CONSTRAINT msg_anag_pkey")


def basic(s9: S9Database) -> None:
    """A buyer, a producer and two sales with a line each."""
    insert(s9, "msg_anag", party(1, 2, name="Acquirente srl"), party(2, 1, name="Viteria spa"))
    insert(s9, "msg", sale(10, 1, 2), sale(11, 1, 2))
    insert(s9, "msg_line", line(1, 10), line(2, 11))


def table_of(operator: Operator, entity: str) -> Any:
    return operator.manifest()["phases"]["extract"][entity]["result"]["table"]


# --- A7 -------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("held", [True, False], ids=["few", "many"])
def test_a_key_of_a_buyer_and_of_a_producer_gives_each_sale_its_own(
    desk: Operator, s9_of: S9Database, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    from extract.databases import open_source
    from extract.entities import entities_of
    from extract.reading.records import records_of
    from extract.selection import plan
    from tests.support.s9.reading import config_of
    from utils.config import EntityExtraction

    if s9_of.type == "mysql" and not held:
        monkeypatch.setattr("extract.mysql.source._FEW", 0)
    basic(s9_of)
    without_keys(s9_of)
    insert(s9_of, "msg_anag", party(1, 1, name="Altro spa"), party(2, 3, name="Altro srl"))
    with open_source(config_of(s9_of), None, desk.directory / "scratch") as source:
        planned = plan(entities_of("s9")["sales"], "exclude", EntityExtraction(), source)
        with records_of(source, planned) as records:
            rows = [orjson.loads(row) for _, _, row in records]
    assert [(row["buyer"]["name"], row["producer"]["name"]) for row in rows] == [
        ("Acquirente srl", "Viteria spa")
    ] * 2


@BOTH
@pytest.mark.parametrize("held", [True, False], ids=["few", "many"])
def test_a_key_of_two_buyers_is_one_sale_with_how_many_there_are(
    desk: Operator, s9_of: S9Database, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    from extract.databases import open_source
    from extract.entities import entities_of
    from extract.reading.records import records_of
    from extract.selection import plan
    from tests.support.s9.reading import config_of
    from utils.config import EntityExtraction

    if s9_of.type == "mysql" and not held:
        monkeypatch.setattr("extract.mysql.source._FEW", 0)
    basic(s9_of)
    without_keys(s9_of)
    insert(s9_of, "msg_anag", party(3, 2), party(3, 2), party(3, 3))
    s9_of.execute("UPDATE msg SET buyer_id = 3 WHERE first_id = 10")
    with open_source(config_of(s9_of), None, desk.directory / "scratch") as source:
        planned = plan(entities_of("s9")["sales"], "exclude", EntityExtraction(), source)
        with records_of(source, planned) as records:
            rows = [orjson.loads(row) for _, _, row in records]
    assert [(row["first_id"], row["producer"]["name"]) for row in rows] == [
        (10, "Viteria spa"),
        (11, "Viteria spa"),
    ]
    assert (rows[0]["buyer"], rows[1]["buyer"]["name"]) == (3, "Acquirente srl")


@BOTH
def test_sales_of_a_doubled_party_are_refused_by_its_key(desk: Operator, s9_of: S9Database) -> None:
    """A disabled buyer has the key of an enabled one: which of them the sale means is unknown."""
    basic(s9_of)
    without_keys(s9_of)
    insert(s9_of, "msg_anag", party(4, 2), party(4, 2, enabled=False, name="Vecchia srl"))
    insert(s9_of, "msg", sale(12, 4, 2), sale(13, 2, 2))
    outcome = desk.run("--full").ended(5)
    assert "Several rows have the same key among what sales can copy as their buyer: 4." in (
        outcome.stderr
    )
    refused = desk.quarantine("sales")
    assert set(refused) == {"12", "13"}
    assert refused["12"]["findings"][0]["rule"] == "ambiguous-party"
    assert "2 buyers of S9 have the key 4" in refused["12"]["findings"][0]["message"]
    assert "no buyer has this key" in refused["13"]["findings"][0]["message"]
    assert {item["legacyId"]["S"] for item in desk.items("sales") if "legacyId" in item} >= {"10"}


@BOTH
def test_a_configured_query_says_what_sales_copy(desk: Operator, s9_of: S9Database) -> None:
    basic(s9_of)
    insert(s9_of, "msg_anag", party(5, 4, name="Agente srl"))
    insert(s9_of, "msg", sale(12, 5, 2))
    query = "SELECT * FROM msg_anag WHERE kind IN (2, 3, 4) AND enabled = true"
    desk.configure(extraction={"buyers": {"query": query}})
    desk.run("--full").ended(0)
    names = {item["legacyId"]["S"]: item.get("buyerName") for item in desk.items("sales")}
    assert names["12"] == {"S": "Agente srl"}
    assert table_of(desk, "buyers")["notSelected"] == {"kind 1 (producers)": 1}


# --- A9 -------------------------------------------------------------------------------------------


@BOTH
def test_the_ledger_begins_with_the_rows_of_the_table(desk: Operator, s9_of: S9Database) -> None:
    basic(s9_of)
    insert(s9_of, "msg_anag", party(3, 3, enabled=False), party(4, 4), party(5, 0))
    insert(s9_of, "msg_anag", {**party(6, 2), "kind": None}, party(7, 1, enabled=None))
    insert(s9_of, "msg", sale(12, 1, 2, enabled=False), sale(13, 1, 2, enabled=None))
    insert(s9_of, "msg_line", line(3, 12), line(4, 99), {**line(5, 10), "msg_id": None})
    outcome = desk.run("--full").ended(0)
    assert table_of(desk, "buyers") == {
        "name": "msg_anag",
        "rows": 7,
        "selected": 1,
        "notSelected": {
            "kind 1 (producers)": 2,
            "disabled": 1,
            "kind 0": 1,
            "kind 4": 1,
            "kind NULL": 1,
        },
        "unknown": ["kind 0", "kind 4", "kind NULL"],
    }
    producers = table_of(desk, "producers")["notSelected"]
    assert producers["enabled NULL"] == 1
    assert producers["kind 2 (buyers)"] == producers["kind 3 (buyers)"] == 1
    sales = table_of(desk, "sales")
    assert (sales["rows"], sales["notSelected"]) == (4, {"disabled": 1, "enabled NULL": 1})
    assert sales["lines"] == {
        "name": "msg_line",
        "rows": 5,
        "selected": 2,
        "notSelected": {
            "msg_id NULL": 1,
            "of sales that are not selected": 1,
            "of sales that msg does not have": 1,
        },
        "unknown": ["msg_id NULL", "of sales that msg does not have"],
    }
    for words in ("kind 0 (1)", "kind 4 (1)", "kind NULL (1)", "enabled NULL (1)", "msg_id NULL"):
        assert words in outcome.stderr
    assert outcome.stderr.count("kind 0") == 1, "what is of no party is told once, not of each kind"
    assert outcome.stderr.count("enabled NULL") == 2, "a producer, and a sale"
    counts = desk.report("verification")["counts"]
    for entity in ("buyers", "producers", "sales"):
        assert counts[entity]["table"] == table_of(desk, entity)
        assert desk.report("mapping")["tables"][entity] == table_of(desk, entity)
        assert counts[entity]["closes"]


@pytest.mark.parametrize(
    ("column", "values", "named"),
    [
        ("varchar(8)", ["'Y'", "'true'", "''"], ["enabled Y (", "enabled true (", "enabled blank"]),
        ("tinyint", ["-1", "2", "NULL"], ["enabled -1 (", "enabled 2 (", "enabled NULL ("]),
        ("bit(2)", ["b'10'", "b'11'", "NULL"], ["enabled 2 (", "enabled 3 (", "enabled NULL ("]),
    ],
)
def test_values_of_enabled_that_nobody_knows_are_named(
    tmp_path: Path,
    s9_on_mysql: S9Database,
    aws: EmbeddedAws,
    tables: TableNames,
    column: str,
    values: list[str],
    named: list[str],
) -> None:
    s9 = s9_on_mysql
    basic(s9)
    insert(s9, "msg_anag", party(3, 2), party(4, 3), party(5, 2))
    s9.execute(f"ALTER TABLE msg_anag MODIFY enabled {column}")
    for key, value in zip((3, 4, 5), values, strict=True):
        s9.execute(f"UPDATE msg_anag SET enabled = {value} WHERE first_id = {key}")
    desk = hire(tmp_path, s9, aws, tables)
    outcome = desk.run("--phase", "extract").ended(0)
    for words in named:
        assert words in outcome.stderr
    table = table_of(desk, "buyers")
    assert (table["rows"], table["selected"], len(table["unknown"])) == (5, 1, 3)
    assert sum(table["notSelected"].values()) == 4


@BOTH
@pytest.mark.parametrize("table", ["msg", "msg_anag"])
def test_an_entity_of_which_nothing_is_selected_is_never_done(
    desk: Operator, s9_of: S9Database, table: str
) -> None:
    basic(s9_of)
    s9_of.execute(f"UPDATE {table} SET enabled = NULL")
    entity = "sales" if table == "msg" else "buyers"
    desk.configure(migration={"continueOnError": False})
    desk.run("--full").failed(1, f"nothing of {table} is selected as {entity}", "enabled NULL (")
    desk.configure(extraction={name: {"where": "1 = 1"} for name in (entity, "producers")})
    desk.run("--phase", "extract", "--entity", entity).ended(0)


@BOTH
def test_lines_of_which_none_belongs_to_a_sale_stop_the_run(
    desk: Operator, s9_of: S9Database
) -> None:
    basic(s9_of)
    s9_of.execute("UPDATE msg_line SET msg_id = msg_id + 1000")
    desk.configure(migration={"continueOnError": False})
    desk.run("--full").failed(1, "none of the 2 rows of msg_line belongs to a selected record")


@BOTH
def test_what_the_configuration_leaves_out_is_a_reason(desk: Operator, s9_of: S9Database) -> None:
    basic(s9_of)
    insert(s9_of, "msg", *(sale(key, 1, 2) for key in range(12, 20)))
    insert(s9_of, "msg", sale(30, 1, 2, enabled=False))
    desk.configure(extraction={"sales": {"where": "first_id > 11", "limit": 3}})
    desk.run("--full").ended(0)
    table = table_of(desk, "sales")
    assert table["rows"] == 11
    assert table["notSelected"] == {
        "disabled": 1,
        "extraction.sales.where": 2,
        "extraction.sales.limit": 5,
    }
    assert table["lines"]["notSelected"] == {"of sales that are not selected": 2}
    other = "SELECT * FROM msg UNION ALL SELECT * FROM msg WHERE first_id < 0"
    desk.configure(extraction={"sales": {"query": other, "where": "first_id = 10", "limit": None}})
    desk.run("--phase", "extract", "--entity", "sales").ended(0)
    assert table_of(desk, "sales")["notSelected"] == {"extraction.sales.where": 10}


@BOTH
def test_disabled_parties_that_are_referenced_are_not_counted_as_left_out(
    desk: Operator, s9_of: S9Database
) -> None:
    basic(s9_of)
    insert(s9_of, "msg_anag", *(party(key, 2, enabled=False) for key in (3, 4, 5)))
    insert(s9_of, "msg", sale(12, 4, 2))
    desk.configure(extraction={"disabledParties": "referenced"})
    desk.run("--phase", "extract").ended(0)
    table = table_of(desk, "buyers")
    assert (table["selected"], table["notSelected"]["disabled"]) == (2, 2)


def test_a_retried_record_that_has_left_s9_is_accounted_for(
    alone: Operator, s9: S9Database
) -> None:
    basic(s9)
    insert(s9, "msg", sale(12, 1, 2, status="sospeso"), sale(13, 1, 2, status="sospeso"))
    insert(s9, "msg_line", line(3, 12), line(4, 13))
    alone.run("--full").ended(5)
    s9.execute("DELETE FROM msg WHERE first_id = 12")
    s9.execute("UPDATE msg SET status = 'bozza' WHERE first_id = 13")
    insert(s9, "msg_line", line(5, 13), line(6, 13))
    alone.run("retry-quarantine").ended(0)
    table = table_of(alone, "sales")
    assert (table["rows"], table["selected"]) == (4, 3)
    assert table["notSelected"] == {"no longer selected when read again": 1}
    assert table["lines"]["rows"] == table["lines"]["selected"] == 5
    assert alone.report("verification")["counts"]["sales"]["closes"]
