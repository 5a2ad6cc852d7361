"""Layout i2_speedex migrated whole, from either database, with all that its columns can hold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.faults.sabotage import (
    Result,
    SabotagedOperator,
    events,
    seeded_kills,
    start_over,
)
from tests.support.operators.operator import ENTITIES, Operator, by_key, exists, scan_all
from tests.support.records.reconciled import column_of_table, of_source, of_target, table_of
from tests.support.s9 import i2_data
from tests.support.s9.i2_data import Sample, insert, sample
from tests.support.s9.i2_schema import BUYERS, PRODUCERS, SALE_LINES, SALES, Dialect, create_tables
from utils.embedded.aws import EmbeddedAws

DATABASES: tuple[Dialect, ...] = ("postgresql", "mysql")
DONE = {name: TableNames(*(f"{name}-i2-{e}" for e in ("s", "b", "p"))) for name in DATABASES}
LAYOUT = {"layout": "i2_speedex"}
SEED = 20260131
# For what does not depend on the database.
on_one = pytest.mark.parametrize("i2", ["postgresql"], indirect=True)
_names = itertools.count(1)


def new_database(request: pytest.FixtureRequest, kind: Dialect) -> S9Database:
    """A database with the tables of the layout, empty. Skips where there is no such server."""
    server = request.getfixturevalue("mariadb" if kind == "mysql" else "postgres")
    name = f"i2_{next(_names)}"
    server.create_database(name)
    connection = server.connect(name)
    create_tables(connection, kind)
    return S9Database(server, name, connection)


@pytest.fixture(params=DATABASES)
def i2(request: pytest.FixtureRequest) -> Iterator[S9Database]:
    """A database of the test's own, of each kind."""
    database = new_database(request, request.param)
    yield database
    database.connection.close()
    database.server.drop_database(database.name)


@pytest.fixture
def alone(tmp_path: Path, i2: S9Database, aws: EmbeddedAws, tables: TableNames) -> Operator:
    """An operator with an S9 of this layout of the test's own, empty."""
    return hire(tmp_path, i2, aws, tables).configure(source=LAYOUT)


@pytest.fixture(scope="module")
def planted() -> Sample:
    return sample()


@pytest.fixture(scope="module", params=DATABASES)
def done(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    aws: EmbeddedAws,
    planted: Sample,
) -> Operator:
    """The operator of a run over the sample that has ended. For reading only."""
    database = new_database(request, request.param)
    i2_data.fill(database.connection, planted)
    database.connection.close()
    desk = tmp_path_factory.mktemp("i2")
    operator = hire(desk, database, aws, DONE[request.param]).configure(source=LAYOUT)
    operator.run("--full").ended(5)
    return operator


def small_trade(i2: S9Database) -> None:
    """A buyer, a producer, two sales with a line each: all of it clean."""
    insert(i2.connection, "buyers", i2_data.buyer(1))
    insert(i2.connection, "producers", i2_data.producer(1))
    insert(i2.connection, "sales", i2_data.sale(10), _later(11))
    insert(i2.connection, "sale_lines", i2_data.line(1, 10), i2_data.line(2, 11))


def _later(number: int) -> i2_data.Row:
    """The next sale, of the next day, as the order of numbers wants it."""
    return i2_data.sale(number, reg_date=20240306, reg_date_input="2024-03-06")


def ids(operator: Operator, entity: str) -> set[str]:
    """The legacy ids of the transformed records."""
    items = operator.items(entity)
    return {item["legacyId"]["S"] for item in items if item["SK"]["S"] == "METADATA"}


def rules_warned_of(operator: Operator) -> set[str]:
    return {f["rule"] for f in operator.report("validation")["findings"]}


# A whole run over everything that is awkward


def test_the_target_holds_exactly_the_transformed_items_and_the_ledger_closes(
    done: Operator, dynamodb: DynamoDBClient, planted: Sample
) -> None:
    report = done.report("verification")
    assert report["passed"]
    found = scan_all(dynamodb, DONE[done.config["source"]["type"]])
    for entity in ENTITIES:
        assert found[entity] == by_key(done.items(entity))
        assert report["counts"][entity]["closes"]
        source = report["counts"][entity]["source"]["records"]
        assert source == len(getattr(planted, entity))


@pytest.mark.parametrize("entity", ENTITIES)
def test_exactly_what_was_planted_is_refused_and_warned_of(
    done: Operator, planted: Sample, entity: Any
) -> None:
    assert set(done.quarantine(entity)) == planted.keys(entity, "refused")
    findings = done.report("validation")["findings"]
    warned = {
        f["legacyId"] for f in findings if f["entity"] == entity and f["severity"] == "warning"
    }
    assert warned == planted.keys(entity, "warning")


def test_refusals_name_the_value_and_what_can_be_done(done: Operator) -> None:
    said = {
        (entity, entry["rule"]): entry["reason"]
        for entity in ENTITIES
        for entry in done.quarantine(entity).values()
    }
    for key, words in {
        ("buyers", "unknown-country"): ("'XYZ'",),
        ("producers", "unknown-country"): ("'QQQ'",),
        ("sales", "invalid-date"): ("20240230", "YYYYMMDD"),
        ("sales", "missing-party"): ("transformation.missingParty",),
        ("sales", "unknown-party"): ("9999",),
        ("sales", "suspicious-fraction"): ("above 1", "transformation.fractionsAboveOne"),
    }.items():
        assert all(word in said[key] for word in words), said[key]


def test_both_databases_give_the_same_bytes(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    aws: EmbeddedAws,
    tables: TableNames,
    planted: Sample,
) -> None:
    transformed = {}
    for kind in DATABASES:
        database = new_database(request, kind)
        i2_data.fill(database.connection, planted)
        (tmp_path / kind).mkdir()
        operator = hire(tmp_path / kind, database, aws, tables).configure(source=LAYOUT)
        operator.run("--phase", "extract").ended(0)
        operator.run("--phase", "transform").ended(5)
        transformed[kind] = operator.transformed()
        refused = {entity: set(operator.quarantine(entity)) for entity in ENTITIES}
        assert refused == {entity: planted.keys(entity, "refused") for entity in ENTITIES}
    assert transformed["mysql"] == transformed["postgresql"]


# Nothing is lost

# What the target wants in a certain form; every other column gets a value of its own.
VALUES: dict[str, object] = {
    **dict.fromkeys(("new_date",), "2021-02-03 04:05:06"),
    **dict.fromkeys(("reg_date_input",), "2021-02-03"),
    **dict.fromkeys(("reg_date", "payment_date", "po_date"), 20210203),
    **dict.fromkeys(("dn_date", "dn_date2", "dn_date3"), 20210204),
    **{"country": "CHE", "currency": "CHF", "lang": "de", "sector": "mining"},
    **{"automotive": "yes", "quantity": "small", "vatoff": "N9", "sdi_code": "ABC1234"},
    **{"discount": "0.1250", "price": "3.141593", "font_base": 7, "invoice_attach": 1, "pos": 3},
    **{"buyer_id": 1, "producer_id": 1, "sale_id": 1, "id": 1, "year": 2021, "revenue": "12.34"},
    **{"ship": "<s>v1</s>", "banks": "<s>v2</s>", "attachs": "<s>v3</s>", "vat_perc": 13},
    **{"operator_id": 321, "number": 4321, "ue": 5},
}
LINE_VALUES: dict[str, object] = {"vat": "0.0800", "vat_off": "N7", "standard": "DIN 933"}
# A value that the target holds in another form.
SHOWN = {
    "CHE": "CH", "20210203": "2021-02-03", "20210204": "2021-02-04", "0.1250": "12.5",
    "0.0800": "8", "2021-02-03 04:05:06": "2021-02-03T03:05:06.000Z",
}  # fmt: skip


def full_row(columns: dict[str, str], status: str, values: dict[str, object]) -> dict[str, object]:
    """A row with something in every column, different from column to column where it may be."""
    row: dict[str, object] = {}
    for number, (name, declared) in enumerate(columns.items(), start=1):
        made_up: object = f"v{number}x"
        if "dec" in declared:
            made_up = f"{number}.25"
        elif "int" in declared:
            made_up = 100 + number
        row[name] = values.get(name, made_up)
    return {**row, "status": status} if status else row


def texts_of(value: Any) -> Iterator[str]:
    """Every text and number within DynamoDB JSON."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    else:
        yield str(value)


def test_the_value_of_every_column_is_somewhere_in_the_target(
    alone: Operator, i2: S9Database
) -> None:
    rows = {
        "buyers": full_row(BUYERS.columns, "new", {**VALUES, "ue": "DE136695976"}),
        "producers": full_row(PRODUCERS.columns, "online", VALUES),
        "sales": full_row(SALES.columns, "sent", {**VALUES, "vat_off": "<s>v4</s>"}),
        "sale_lines": full_row(SALE_LINES.columns, "", {**VALUES, **LINE_VALUES}),
    }
    for table, row in rows.items():
        insert(i2.connection, table, row)
    alone.run("--phase", "extract").ended(0)
    alone.run("--phase", "transform").ended(0)
    alone.run("--phase", "validate").ended(0)
    items = {
        "buyers": alone.items("buyers")[0],
        "producers": alone.items("producers")[0],
        "sales": alone.items("sales")[0],
        "sale_lines": alone.items("sales")[1],
    }
    # These four have become ids, a status and a flag.
    became = {"status", "buyer_id", "producer_id", "sale_id", "invoice_attach"}
    for table, row in rows.items():
        held = set(texts_of(items[table]))
        numbers = {Decimal(text) for text in held if text.replace(".", "", 1).isdigit()}
        for column, value in row.items():
            shown = SHOWN.get(str(value), str(value))
            found = shown in held or (
                shown.replace(".", "", 1).isdigit() and Decimal(shown) in numbers
            )
            assert found or column in became, f"{table}.{column}: {shown}"


def test_the_mapping_report_says_what_becomes_of_every_column(done: Operator) -> None:
    entities = done.report("mapping")["entities"]
    assert done.report("mapping")["layout"] == "i2_speedex"
    for entity, table in (("buyers", BUYERS), ("producers", PRODUCERS), ("sales", SALES)):
        columns = entities[entity][table.name]["columns"]
        assert set(columns) == set(table.columns)
        assert all(columns.values())
    lines = entities["sales"]["sale_lines"]
    assert lines["columns"]["vat"] == "taxRate"
    assert lines["columns"]["sale_id"] == "saleId"
    assert lines["columns"]["lfz"] == "legacy.lfz"
    assert entities["sales"]["sales"]["columns"]["font_base"] == "pdfFontBase"
    assert entities["buyers"]["buyers"]["legacy"] == ["email_domain", "ship", "ue"]
    assert lines["missing"] == lines["unknown"] == []


def test_a_column_that_the_layout_does_not_know_is_carried_and_said(
    alone: Operator, i2: S9Database
) -> None:
    small_trade(i2)
    i2.execute("ALTER TABLE sale_lines ADD COLUMN loyalty varchar(8) DEFAULT 'gold'")
    i2.execute("ALTER TABLE sale_lines DROP COLUMN lfz")
    outcome = alone.run("--full").ended(0)
    assert "loyalty" in outcome.stderr
    lines = [item for item in alone.items("sales") if item["SK"]["S"] != "METADATA"]
    assert [line["legacy"]["M"]["loyalty"] for line in lines] == [{"S": "gold"}] * 2
    report = alone.report("mapping")["entities"]["sales"]["sale_lines"]
    assert report["columns"]["loyalty"] == "legacy.loyalty"
    assert report["unknown"] == ["loyalty"]
    assert report["missing"] == ["lfz"]


# Settings


@pytest.mark.parametrize(
    ("policy", "migrated"),
    [("exclude", {"1", "2"}), ("referenced", {"1", "2", "3"}), ("all", {"1", "2", "3", "4"})],
)
def test_disabled_parties_are_those_that_were_deleted(
    policy: str, migrated: set[str], alone: Operator, i2: S9Database
) -> None:
    small_trade(i2)
    deleted = {"status": " Deleted"}
    insert(i2.connection, "buyers", i2_data.buyer(2, status="offline"))
    insert(i2.connection, "buyers", i2_data.buyer(3, **deleted), i2_data.buyer(4, **deleted))
    insert(i2.connection, "sales", i2_data.sale(12, buyer_id=3))
    insert(i2.connection, "sale_lines", i2_data.line(3, 12))
    alone.configure(extraction={"disabledParties": policy})
    for phase in ("extract", "transform", "validate"):
        outcome = alone.run("--phase", phase)
    outcome.ended(5 if policy == "exclude" else 0)
    assert ids(alone, "buyers") == migrated
    status = {item["legacyId"]["S"]: item["status"]["S"] for item in alone.items("buyers")}
    assert {key for key in status if status[key] == "active"} == {"1"}
    assert set(alone.quarantine("sales")) == ({"12"} if policy == "exclude" else set())


@on_one
def test_a_party_stands_in_on_sales_that_name_none_and_everything_arrives(
    alone: Operator, i2: S9Database
) -> None:
    small_trade(i2)
    insert(i2.connection, "buyers", i2_data.buyer(900, name="Cliente sconosciuto"))
    i2.execute("UPDATE sales SET buyer_id = NULL WHERE id = 10")
    i2.execute("UPDATE sales SET producer_id = 0 WHERE id = 11")
    nobody = {"id": 900, "name": "Cliente sconosciuto", "country": "DEU"}
    alone.configure(transformation={"missingParty": "placeholder", "placeholderBuyer": nobody})
    alone.run("--full").ended(5)
    # Nobody stands in for producers.
    assert {key: q["rule"] for key, q in alone.quarantine("sales").items()} == {
        "11": "missing-party"
    }
    alone.configure(transformation={"placeholderProducer": {"id": 1, "name": "Viterie 1 spa"}})
    alone.run("retry-quarantine").ended(0)
    assert alone.report("verification")["passed"]
    heads = [item for item in alone.items("sales") if item["SK"]["S"] == "METADATA"]
    assert heads[0]["buyerName"] == {"S": "Cliente sconosciuto"}
    buyer = next(item for item in alone.items("buyers") if item["legacyId"]["S"] == "900")
    assert heads[0]["buyerId"] == buyer["buyerId"]
    assert rules_warned_of(alone) == {"placeholder-party"}


@on_one
def test_a_stand_in_that_is_not_migrated_is_a_reference_to_nobody(
    alone: Operator, i2: S9Database
) -> None:
    small_trade(i2)
    i2.execute("UPDATE sales SET buyer_id = NULL WHERE id = 10")
    alone.configure(transformation={"missingParty": "placeholder", "placeholderBuyer": {"id": 900}})
    alone.run("--full").ended(5)
    assert alone.quarantine("sales")["10"]["rule"] == "reference"


@on_one
def test_fractions_above_one_can_be_taken_as_percent(alone: Operator, i2: S9Database) -> None:
    small_trade(i2)
    i2.execute("UPDATE sale_lines SET discount = 25, vat = 22 WHERE id = 1")
    alone.configure(migration={"continueOnError": False})
    alone.run("--full").ended(3)
    alone.configure(transformation={"fractionsAboveOne": "percent"})
    alone.run("--full").ended(0)
    lines = {item["legacyId"]["S"]: item for item in alone.items("sales") if "lineId" in item}
    for name in ("discount", "taxRate", "netAmount", "totalAmount"):
        assert lines["1"][name] == lines["2"][name]
    assert rules_warned_of(alone) == {"suspicious-fraction"}


@on_one
def test_in_strict_mode_what_is_doubtful_is_refused(alone: Operator, i2: S9Database) -> None:
    small_trade(i2)
    i2.execute("UPDATE sales SET attachs = '<a>' WHERE id = 10")
    alone.configure(validation={"strictMode": True})
    alone.run("--full").ended(5)
    assert {key: q["rule"] for key, q in alone.quarantine("sales").items()} == {"10": "broken-xml"}
    assert alone.report("verification")["passed"]


@on_one
def test_another_layout_is_another_source(alone: Operator, i2: S9Database) -> None:
    small_trade(i2)
    alone.run("--phase", "extract").ended(0)
    alone.configure(source={"layout": "s9"})
    alone.run("--phase", "extract").failed(2, "layout was i2_speedex and is s9")
    alone.configure(data={"directory": "elsewhere"}, migration={"continueOnError": False})
    alone.run("--phase", "extract").failed(1, "msg_anag", "source.layout")


# Everything else of the tool


@on_one
def test_a_dry_run_writes_nothing_to_the_target(
    alone: Operator, i2: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    small_trade(i2)
    alone.run("--dry-run").ended(0)
    assert not exists(dynamodb, tables.sales)
    assert alone.rehearsal.report("mapping")["layout"] == "i2_speedex"
    alone.run("--full").ended(0)
    assert alone.rehearsal.transformed() == alone.transformed()


def test_records_mended_in_s9_arrive(alone: Operator, i2: S9Database) -> None:
    small_trade(i2)
    i2.execute("UPDATE sales SET reg_date = 20240230 WHERE id = 11")
    i2.execute("UPDATE sales SET status = 'boh' WHERE id = 10")
    alone.run("--full").ended(5)
    assert set(alone.quarantine("sales")) == {"10", "11"}
    i2.execute("UPDATE sales SET reg_date = 20240229, status = 'paid'")
    alone.run("retry-quarantine").ended(0)
    assert ids(alone, "sales") == {"10", "11"}
    assert alone.report("verification")["passed"]


@on_one
def test_a_second_run_changes_no_byte(alone: Operator, i2: S9Database) -> None:
    i2_data.fill(i2.connection, sample(5))
    alone.run("--full").ended(5)
    files = alone.files()
    alone.run("--full").ended(5)
    assert alone.files() == files


def test_killed_anywhere_and_resumed_to_the_same_bytes(
    alone: Operator, i2: S9Database, dynamodb: DynamoDBClient, tables: TableNames
) -> None:
    i2_data.fill(i2.connection, sample(30))
    alone.configure(migration={"batchSize": 10, "workers": 2}, checkpoint={"interval": 5})
    tool = SabotagedOperator.like(alone)
    happened = events(tool, "--full")
    expected = Result.of(tool, dynamodb, tables)
    start_over(tool, dynamodb, tables)
    command = "--full"
    for kill in seeded_kills(random.Random(SEED), happened, 5):
        tool.killed(command, **kill)
        command = "--resume"
    tool.run("--resume").ended(5)
    assert Result.of(tool, dynamodb, tables) == expected


def test_the_money_adds_up_from_s9_to_the_target(
    request: pytest.FixtureRequest, done: Operator, dynamodb: DynamoDBClient
) -> None:
    kind, name = (done.config["source"][key] for key in ("type", "database"))
    server = request.getfixturevalue("mariadb" if kind == "mysql" else "postgres")
    rows = table_of(done.data)
    assert column_of_table(rows, "Difference") == {}
    assert column_of_table(rows, "Target") == of_target(dynamodb, DONE[kind])
    queries = (
        "SELECT currency, id, amount, vat, total FROM sales",
        "SELECT sale_id, count(*) FROM sale_lines GROUP BY sale_id",
    )
    database = S9Database(server, name, server.connect(name))
    in_s9 = column_of_table(rows, "S9 (SQL)", by=("currency",))
    assert in_s9 == of_source(database, queries)
    database.connection.close()
