"""Northwind's real trade through the whole migration, judged by SQL of its own and by hand.

What is expected is computed from Northwind's own tables, not from the views that S9 is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import S9Database, TableNames
from tests.scenarios.conftest import hire
from tests.support.operators.operator import Operator, Outcome, scan_all
from tests.support.records.reconciled import column_of_table, of_target, table_of
from tests.support.s9.northwind import USERS, northwind_in
from utils.embedded.aws import EmbeddedAws
from utils.embedded.postgresql import EmbeddedPostgres

TABLES = TableNames("northwind-Sales", "northwind-Buyers", "northwind-Producers")

# The views know no code for this country, and no S9 word for a late order.
FORGOTTEN = "Venezuela"
LATE = "shipped_date IS NULL AND required_date <= DATE '1998-05-06'"

# Every line's amounts as the Sale Module computes them, in exact numerics: net = q·p − q·p·d,
# tax = net·rate, each rounded once to cents, halves up. At a half the module's doubles decide.
AMOUNTS = f"""
WITH lines AS (
    SELECT o.order_id, p.supplier_id, d.product_id,
        d.quantity * d.unit_price * (1 - d.discount) AS net,
        CASE WHEN o.ship_country = 'Italy' THEN 22 ELSE 0 END AS rate,
        d.quantity::float8 * d.unit_price::float8
            - d.quantity::float8 * d.unit_price::float8 * (d.discount * 100)::float8 / 100 AS double
    FROM nw_order_details d JOIN nw_orders o USING (order_id) JOIN nw_products p USING (product_id)
    JOIN nw_customers c USING (customer_id)
    WHERE c.country <> '{FORGOTTEN}' AND NOT ({LATE})
), both_ways AS (
    SELECT *, net * rate / 100 AS tax, net * (100 + rate) / 100 AS total,
        double * rate / 100 AS double_tax, double + double * rate / 100 AS double_total
    FROM lines
), stored AS (
    SELECT order_id, supplier_id, product_id,
        CASE WHEN mod(net * 100, 1) = 0.5 THEN floor(double * 100 + 0.5)::numeric
            ELSE floor(net * 100 + 0.5) END / 100 AS net,
        CASE WHEN mod(tax * 100, 1) = 0.5 THEN floor(double_tax * 100 + 0.5)::numeric
            ELSE floor(tax * 100 + 0.5) END / 100 AS tax,
        CASE WHEN mod(total * 100, 1) = 0.5 THEN floor(double_total * 100 + 0.5)::numeric
            ELSE floor(total * 100 + 0.5) END / 100 AS total
    FROM both_ways
)
"""


@dataclass(frozen=True)
class Migrated:
    """Northwind after its migration; `items` are what a scan of each table finds."""

    s9: S9Database
    operator: Operator
    outcome: Outcome
    items: dict[str, list[dict[str, Any]]]

    def item(self, entity: str, legacy_id: int, kind: str = "METADATA") -> dict[str, Any]:
        """The one item with a legacy id whose sort key starts with `kind`, without type marks."""
        (found,) = [
            item
            for item in self.items[entity]
            if item["legacyId"]["S"] == str(legacy_id) and item["SK"]["S"].startswith(kind)
        ]
        return {name: next(iter(value.values())) for name, value in found.items()}

    @property
    def sales(self) -> list[dict[str, Any]]:
        return [item for item in self.items["sales"] if item["SK"]["S"] == "METADATA"]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [item for item in self.items["sales"] if item["SK"]["S"] != "METADATA"]


@pytest.fixture(scope="module")
def northwind(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: EmbeddedPostgres,
    aws: EmbeddedAws,
    dynamodb: DynamoDBClient,
) -> Iterator[Migrated]:
    with northwind_in(postgres, "northwind") as s9:
        operator = hire(tmp_path_factory.mktemp("northwind"), s9, aws, TABLES)
        operator.configure(transformation={"userMapping": USERS})
        outcome = operator.run("--full")
        found = {name: [*items.values()] for name, items in scan_all(dynamodb, TABLES).items()}
        yield Migrated(s9, operator, outcome, found)


def total(items: list[dict[str, Any]], attribute: str) -> Decimal:
    return sum((Decimal(item[attribute]["N"]) for item in items), Decimal(0))


def column(northwind: Migrated, query: str) -> list[Any]:
    return [value for (value,) in northwind.s9.rows(query)]


def test_it_ends_with_records_in_quarantine_and_a_ledger_that_closes(northwind: Migrated) -> None:
    northwind.outcome.ended(5)
    verified = northwind.operator.report("verification")
    assert verified["passed"], verified["problems"]
    stations = verified["counts"]
    assert {name: stations[name]["source"]["records"] for name in stations} == {
        "buyers": 91,
        "producers": 29,
        "sales": 2076,
    }
    assert stations["sales"]["source"]["items"] == 2076 + 2155
    for entity in stations.values():
        assert entity["closes"]
        assert entity["loaded"] == entity["target"] == entity["transformed"]
    assert all(not pattern["failures"] for pattern in verified["accessPatterns"])


def test_in_quarantine_is_what_the_views_forgot_and_nothing_else(northwind: Migrated) -> None:
    buyers = column(
        northwind,
        "SELECT first_id FROM nw_customers JOIN nw_customer_keys USING (customer_id) "
        f"WHERE country = '{FORGOTTEN}'",
    )
    sales = column(
        northwind,
        "SELECT DISTINCT o.order_id * 100 + p.supplier_id FROM nw_orders o "
        "JOIN nw_customers c USING (customer_id) JOIN nw_order_details USING (order_id) "
        f"JOIN nw_products p USING (product_id) WHERE c.country = '{FORGOTTEN}' OR ({LATE})",
    )
    assert len(buyers) == 4
    assert set(northwind.operator.quarantine("buyers")) == {str(key) for key in buyers}
    assert northwind.operator.quarantine("producers") == {}
    refused = northwind.operator.quarantine("sales")
    assert set(refused) == {str(key) for key in sales}
    late = [entry for entry in refused.values() if entry["rule"] == "unknown-status"]
    assert {entry["record"]["po_number"] for entry in late} == {"11008"}
    assert "in ritardo" in late[0]["reason"]
    assert "statusMapping" in late[0]["reason"]


def test_every_order_line_arrived_or_is_in_quarantine(northwind: Migrated) -> None:
    arrived = [int(item["legacyId"]["S"]) for item in northwind.lines]
    refused = [
        line["id"]
        for entry in northwind.operator.quarantine("sales").values()
        for line in entry["record"]["lines"]
    ]
    wanted = column(northwind, "SELECT order_id * 100 + product_id FROM nw_order_details")
    assert sorted(arrived + refused) == sorted(wanted)
    assert len(wanted) == 2155
    assert len(arrived) == northwind.s9.rows(f"{AMOUNTS} SELECT count(*) FROM stored")[0][0]


def test_the_sums_of_money_are_those_of_sql(northwind: Migrated) -> None:
    ((net, tax, gross),) = northwind.s9.rows(
        f"{AMOUNTS} SELECT sum(net), sum(tax), sum(total) FROM stored"
    )
    sums = [total(northwind.lines, name) for name in ("netAmount", "taxAmount", "totalAmount")]
    assert sums == [net, tax, gross]
    assert [total(northwind.sales, name) for name in ("subtotal", "taxAmount", "total")] == sums
    assert isinstance(net, Decimal)
    assert Decimal(1_100_000) < net < Decimal(1_300_000)


def test_each_sale_is_the_sum_of_its_lines_by_sql(northwind: Migrated) -> None:
    rows = northwind.s9.rows(
        f"{AMOUNTS} SELECT (order_id * 100 + supplier_id)::text, sum(net), sum(tax), sum(total), "
        "count(*) FROM stored GROUP BY 1"
    )
    wanted = {row[0]: row[1:] for row in rows}
    found = {
        item["legacyId"]["S"]: (
            *(Decimal(item[name]["N"]) for name in ("subtotal", "taxAmount", "total")),
            int(item["linesCount"]["N"]),
        )
        for item in northwind.sales
    }
    assert found == wanted


def test_a_sale_with_several_suppliers_by_hand(northwind: Migrated) -> None:
    """Order 10248: 12 Queso Cabrales at 14, of supplier 5; two more lines of 20 and of 14."""
    cheese = northwind.item("sales", 1024805)
    buyer = northwind.item("buyers", 1085)
    producer = northwind.item("producers", 5)
    expected = {
        "saleNumber": "1",
        "saleDate": "1996-07-04",
        "status": "invoiced",
        "invoiceGenerated": True,
        "docType": "invoice",
        "GSI1PK": "STATUS#invoiced",
        "GSI2PK": f"BUYER#{buyer['buyerId']}",
        "GSI3PK": f"PRODUCER#{producer['producerId']}",
        "GSI4PK": "SALE",
        "GSI4SK": "1996-07-04",
        "buyerId": buyer["buyerId"],
        "buyerName": "Vins et alcools Chevalier",
        "buyerCity": "Reims",
        "buyerCountry": "FR",
        "producerId": producer["producerId"],
        "producerName": "Cooperativa de Quesos 'Las Cabras'",
        "producerProvince": "Asturias",
        "producerCountry": "ES",
        "subtotal": "168",
        "taxAmount": "0",
        "total": "168",
        "currency": "USD",
        "ivaPercentage": "0",
        "linesCount": "1",
        "deliveryMethod": "Federal Shipping",
        "deliveryDate": "1996-07-16",
        "deliveryNote": "59 rue de l'Abbaye, Reims, 51100, France",
        "poNumber": "10248",
        "year": "1996",
        "createdAt": "1996-07-04T08:15:00.000Z",
        "updatedAt": "1996-07-16T16:30:00.000Z",
        "createdBy": "s.buchanan@northwind.example",
    }
    assert {name: cheese.get(name) for name in expected} == expected
    assert "buyerProvince" not in cheese
    assert northwind.item("sales", 1024814)["total"] == "174"
    assert northwind.item("sales", 1024820)["total"] == "98"


@pytest.mark.parametrize(
    ("line", "amounts"),
    [
        # order 10248: 12 at 14
        (1024811, "1 Queso Cabrales|12|14|0|0|168|0|0|168"),
        # order 10250: 35 at 42.40 less 15 %, 15 at 16.80 less 15 %
        (1025051, "1 Manjimup Dried Apples|35|42.4|15|222.6|1261.4|0|0|1261.4"),
        (1025065, "1 Louisiana Fiery Hot Pepper Sauce|15|16.8|15|37.8|214.2|0|0|214.2"),
        # order 10275, to Italy: 22 % of 41.04 is 9.0288, 22 % of 250.80 is 55.176
        (1027524, "1 Guaraná Fantástica|12|3.6|5|2.16|41.04|22|9.03|50.07"),
        (1027559, "1 Raclette Courdavault|6|44|5|13.2|250.8|22|55.18|305.98"),
        # order 10643: 15 at 45.60 less 25 %
        (1064328, "1 Rössle Sauerkraut|15|45.6|25|171|513|0|0|513"),
    ],
)
def test_lines_by_hand(northwind: Migrated, line: int, amounts: str) -> None:
    item = northwind.item("sales", line, "LINE#")
    names = ("discount", "discountAmount", "netAmount", "taxRate", "taxAmount", "totalAmount")
    found = [item["quantity"], item["unitPrice"], *(item[name] for name in names)]
    assert "|".join([f"{item['lineNumber']} {item['productDescription']}", *found]) == amounts
    assert "GSI1PK" not in item


def test_parties_by_hand(northwind: Migrated) -> None:
    ana = northwind.item("buyers", 1002)
    expected = {
        "companyName": "Ana Trujillo Emparedados y helados",
        "code": "ANATR",
        "address": "Avda. de la Constitución 2222",
        "city": "México D.F.",
        "province": "",
        "postalCode": "05021",
        "country": "MX",
        "vatNumber": "",
        "fiscalCode": "",
        "status": "active",
        "phone": "(5) 555-4729",
        "mainContact": "Ana Trujillo",
        "GSI1PK": "STATUS#active",
        "GSI1SK": "Ana Trujillo Emparedados y helados",
        "GSI2PK": "COUNTRY#MX",
        "createdAt": "2026-01-30T08:00:00.000Z",
    }
    assert {name: ana.get(name) for name in expected} == expected
    cajun = northwind.item("producers", 2)
    assert (cajun["code"], cajun["website"], cajun["country"]) == ("2", "#CAJUN.HTM#", "US")
    assert "fax" not in cajun
    assert northwind.item("producers", 14)["country"] == "IT"
    assert northwind.item("producers", 15)["country"] == "NO"


def test_numbers_start_anew_every_year_and_the_next_is_found(northwind: Migrated) -> None:
    numbers: dict[str, set[int]] = {}
    for item in northwind.sales:
        year = numbers.setdefault(item["saleDate"]["S"][:4], set())
        assert int(item["saleNumber"]["N"]) not in year
        year.add(int(item["saleNumber"]["N"]))
    assert set(numbers) == {"1996", "1997", "1998"}
    assert all(min(year) == 1 for year in numbers.values())


def test_columns_are_recognised_and_the_stranger_is_reported(northwind: Migrated) -> None:
    columns = northwind.operator.manifest()["phases"]["extract"]["sales"]["result"]["columns"]
    assert columns["msg"]["unmapped"] == ["nolo"]
    assert columns["msg_line"]["unmapped"] == []
    assert set(columns["msg_line"]["missing"]) == {"notes", "created_at", "updated_at"}
    freight = {row["po_number"]: row["nolo"] for row in northwind.operator.extracted("sales")}
    assert freight["10248"] == "32.38"


def test_the_money_adds_up_from_s9_to_the_target(
    northwind: Migrated, dynamodb: DynamoDBClient
) -> None:
    rows = table_of(northwind.operator.data)
    assert column_of_table(rows, "Difference") == {}
    assert column_of_table(rows, "Target") == of_target(dynamodb, TABLES)
    [(sales,)] = northwind.s9.rows("SELECT count(*) FROM msg WHERE enabled = true")
    in_s9 = column_of_table(rows, "S9 (SQL)", by=("year",))
    assert sum(value for key, value in in_s9.items() if key[3] == "sales") == sales
