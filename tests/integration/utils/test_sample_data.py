"""The sample database holds what its report says: so many rows, this dirt, and no other."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from typing import Any

import pytest
from stdnum import iban
from stdnum.eu import vat as european_vat
from stdnum.it import codicefiscale

from tests.conftest import SAMPLE_SIZE, S9Database, Sample
from utils.demo.sample.data import SampleReport, SampleSize, generate
from utils.demo.sample.dirty import MINIMUM, catalogue
from utils.demo.sample.schema import TABLES, create_tables
from utils.embedded.postgresql import EmbeddedPostgres

BUYERS = "kind IN (2, 3) AND enabled"
PRODUCERS = "kind = 1 AND enabled"

# How each kind of dirt is found by asking the database, without the generator's help.
_OTHER_PARTY = "EXISTS (SELECT 1 FROM msg_anag o WHERE o.first_id <> p.first_id AND o.enabled"
PARTY_DIRT = {
    "blank-strings": "sub_name = '  '",
    "padded-text": "name ~ '^ \\S.*  $'",
    "upper-case-accents": "name LIKE 'L''ACCIAIERIA%'",
    "vat-without-prefix": "vat_number ~ '^[0-9]{11}$'",
    "control-characters": "notes LIKE E'%\\t%'",
    "timestamp-in-clock-gap": "created_at::time = '02:30' AND extract(month FROM created_at) = 3",
    "timestamp-in-repeated-hour": "created_at::time = '02:30'"
    " AND extract(month FROM created_at) = 10",
    "alpha-3-country": "country = 'ITA'",
    "phone-with-slashes": "phone LIKE '%/%'",
    "tax-code-in-vat-column": "vat_number ~ '^[A-Z]{6}'",
    "several-emails": "email LIKE '%;%'",
    "double-decoded-text": "name LIKE '%Ã%'",
    "bad-vat-checksum": "fiscal_code IS NULL AND vat_number LIKE 'IT%' AND NOT "
    f"{_OTHER_PARTY} AND o.vat_number = p.vat_number)",
    "blank-name": "coalesce(trim(name), '') = ''",
    "unknown-country": "country IN ('ZZ', 'XQ1')",
    "city-too-long": "length(city) > 100",
    "timestamp-year-1": "created_at < '1000-01-01'",
    "timestamp-infinity": "updated_at IN ('infinity', '-infinity')",
    "revenue-percentage-outside-0-100": "revenue_percentage NOT BETWEEN 0 AND 100",
}
_LINE = "EXISTS (SELECT 1 FROM msg_line l WHERE l.msg_id = s.first_id AND"
_PARTY = "SELECT 1 FROM msg_anag p WHERE p.first_id ="
SALE_DIRT = {
    "quantity-zero": f"{_LINE} l.quantity = 0)",
    "padded-status": "doc_type = ' invoice '",
    "blank-strings": "reg_number = '   '",
    "control-characters": "notes LIKE E'%\\t%'",
    "timestamp-in-clock-gap": "created_at::time = '02:15:00.25'",
    "sale-without-lines": f"NOT {_LINE} true)",
    "line-without-description": f"{_LINE} l.product_description IS NULL)",
    "line-without-description-and-code": f"{_LINE} trim(l.product_description) = '')",
    "date-year-1": "delivery_date < '1000-01-01'",
    "date-year-9999": "sale_date = '9999-12-31'",
    "double-decoded-text": "notes LIKE '%Ã%'",
    "total-is-not-the-sum": "total = subtotal + tax_amount + 2",
    "draft-lines-do-not-add-up": "status = 'bozza' AND subtotal = 10 + "
    "(SELECT sum(net_amount) FROM msg_line l WHERE l.msg_id = s.first_id)",
    "unknown-status": "status IN ('sospeso', 'in lavorazione', 'archived')",
    "empty-status": "coalesce(trim(status), '') = ''",
    "no-sale-number": "sale_number IS NULL",
    "no-sale-date": "sale_date IS NULL",
    "buyer-deleted": f"buyer_id IS NOT NULL AND NOT EXISTS ({_PARTY} buyer_id)",
    "buyer-disabled": f"EXISTS ({_PARTY} buyer_id AND NOT p.enabled)",
    "buyer-missing": "buyer_id IS NULL",
    "producer-deleted": f"NOT EXISTS ({_PARTY} producer_id)",
    "producer-disabled": f"EXISTS ({_PARTY} producer_id AND NOT p.enabled)",
    "date-infinity": "sale_date IN ('infinity', '-infinity')",
    "timestamp-year-1": "created_at < '1000-01-01'",
    "line-discount-over-100": f"{_LINE} l.discount > 100)",
    "line-tax-rate-outside-0-100": f"{_LINE} l.tax_rate NOT BETWEEN 0 AND 100)",
    "notes-too-long": "length(notes) > 1000",
}


def planted(report: SampleReport, entity: str, kind: str) -> set[str]:
    return {row.legacy_id for row in report.planted if (row.entity, row.kind) == (entity, kind)}


def party_keys(s9: S9Database, rows: str, where: str) -> set[str]:
    found = s9.rows(f"SELECT first_id FROM msg_anag p WHERE {rows} AND ({where})")
    return {str(key) for (key,) in found}


def sale_keys(s9: S9Database, where: str) -> set[str]:
    found = s9.rows(f"SELECT first_id FROM msg s WHERE enabled AND ({where})")
    return {str(key) for (key,) in found}


def dictionaries(s9: S9Database, table: str, where: str) -> list[dict[str, Any]]:
    with s9.connection, s9.connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} WHERE {where}")
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_queries_of_a_migration_find_as_many_rows_as_asked_for(sample: Sample) -> None:
    s9 = sample.s9
    assert s9.rows(f"SELECT count(*) FROM msg_anag WHERE {BUYERS}") == [(SAMPLE_SIZE.buyers,)]
    assert s9.rows(f"SELECT count(*) FROM msg_anag WHERE {PRODUCERS}") == [(SAMPLE_SIZE.producers,)]
    assert s9.rows("SELECT count(*) FROM msg WHERE enabled") == [(SAMPLE_SIZE.sales,)]
    lines = "SELECT count(*) FROM msg_line l JOIN msg s ON s.first_id = l.msg_id WHERE s.enabled"
    assert s9.rows(lines) == [(sample.report.lines,)]
    assert s9.rows("SELECT count(*) FROM msg WHERE NOT enabled") == [
        (sample.report.disabled_sales,)
    ]
    assert s9.rows("SELECT count(*) FROM msg_anag WHERE NOT enabled") == [
        (sample.report.disabled_buyers + sample.report.disabled_producers,)
    ]


@pytest.mark.parametrize("kind", sorted(PARTY_DIRT))
def test_dirt_of_parties_is_where_the_report_says_and_nowhere_else(
    sample: Sample, kind: str
) -> None:
    for entity, rows in (("buyers", BUYERS), ("producers", PRODUCERS)):
        found = party_keys(sample.s9, rows, PARTY_DIRT[kind])
        assert found == planted(sample.report, entity, kind)


@pytest.mark.parametrize("kind", sorted(SALE_DIRT))
def test_dirt_of_sales_is_where_the_report_says_and_nowhere_else(sample: Sample, kind: str) -> None:
    found = sale_keys(sample.s9, SALE_DIRT[kind])
    assert found
    assert found == planted(sample.report, "sales", kind)


@pytest.mark.parametrize("entity", ["buyers", "producers"])
def test_a_vat_number_is_shared_by_the_planted_pairs_only(sample: Sample, entity: str) -> None:
    rows = BUYERS if entity == "buyers" else PRODUCERS
    pairs = sample.s9.rows(
        f"SELECT array_agg(first_id::text) FROM msg_anag WHERE {rows} AND vat_number IS NOT NULL "
        "GROUP BY vat_number HAVING count(*) > 1"
    )
    shared = {key for (keys,) in pairs for key in keys}  # type: ignore[attr-defined]
    expected = [row for row in sample.report.planted if row.kind == "shared-vat-number"]
    assert shared == {
        key for row in expected if row.entity == entity for key in (row.legacy_id, row.partner)
    }


def test_a_sale_number_is_shared_by_the_planted_pairs_only(sample: Sample) -> None:
    pairs = sample.s9.rows(
        "SELECT array_agg(first_id::text) FROM msg WHERE enabled AND sale_number IS NOT NULL "
        "GROUP BY year, sale_number HAVING count(*) > 1"
    )
    shared = {key for (keys,) in pairs for key in keys}  # type: ignore[attr-defined]
    expected = [row for row in sample.report.planted if row.kind == "shared-sale-number"]
    assert shared
    assert shared == {key for row in expected for key in (row.legacy_id, row.partner)}


@pytest.mark.parametrize("role", ["buyer", "producer"])
def test_sales_of_refused_parties_are_dependent_and_no_other_needs_one(
    sample: Sample, role: str
) -> None:
    refused = sample.report.keys(f"{role}s", "refused")
    found = sample.s9.rows(
        f"SELECT first_id FROM msg WHERE enabled AND {role}_id::text = ANY(%s)", sorted(refused)
    )
    assert {str(key) for (key,) in found} == planted(sample.report, "sales", f"{role}-refused")


def test_tax_numbers_and_ibans_are_right_except_where_planted(sample: Sample) -> None:
    wrong: Counter[str] = Counter()
    for party in dictionaries(sample.s9, "msg_anag", "enabled"):
        number = str(party["vat_number"]).strip()
        number = f"IT{number}" if number[:1].isdigit() else number
        if not number.startswith("CHE") and not european_vat.is_valid(number):
            wrong[f"vat {party['first_id']}"] += 1
        if party["fiscal_code"] and not codicefiscale.is_valid(party["fiscal_code"]):
            wrong[f"fiscal code {party['first_id']}"] += 1
    for sale in dictionaries(sample.s9, "msg", "trim(co_bank_iban) <> ''"):
        if not iban.is_valid(sale["co_bank_iban"]):
            wrong[f"iban {sale['first_id']}"] += 1
    report = sample.report
    expected = {
        *(f"vat {key}" for key in planted(report, "buyers", "bad-vat-checksum")),
        *(f"vat {key}" for key in planted(report, "buyers", "tax-code-in-vat-column")),
        *(f"fiscal code {key}" for key in planted(report, "buyers", "bad-fiscal-code")),
        *(f"iban {key}" for key in planted(report, "sales", "bad-iban")),
    }
    assert set(wrong) == expected


def test_amounts_add_up_except_where_planted(sample: Sample) -> None:
    cents = "floor(({}) * 100 + 0.5) / 100"
    found = sample.s9.rows(
        f"""
        WITH exact AS (
            SELECT s.first_id, coalesce(l.quantity, 1) * l.unit_price AS gross,
                   coalesce(l.discount, 0) AS percent, discount_amount, net_amount,
                   coalesce(l.tax_rate, s.iva_percentage, 22) AS rate, l.tax_amount, total_amount
            FROM msg s JOIN msg_line l ON l.msg_id = s.first_id WHERE s.enabled
        ), worth AS (
            SELECT *, {cents.format("gross * percent / 100")} AS off,
                   {cents.format("gross - gross * percent / 100")} AS net,
                   {cents.format("(gross - gross * percent / 100) * rate / 100")} AS tax,
                   {cents.format("(gross - gross * percent / 100) * (1 + rate / 100)")} AS due
            FROM exact
        ), sums AS (
            SELECT first_id, sum(net) AS net, sum(tax) AS tax, sum(due) AS due,
                   bool_and(coalesce(discount_amount, off) = off AND coalesce(net_amount, net) = net
                       AND coalesce(tax_amount, tax) = tax AND coalesce(total_amount, due) = due
                       AND net + tax = due) AS right_lines
            FROM worth GROUP BY first_id
        )
        SELECT s.first_id FROM msg s JOIN sums USING (first_id)
        WHERE NOT right_lines OR coalesce(s.subtotal, net) <> net
           OR coalesce(s.tax_amount, tax) <> tax OR coalesce(s.total, due) <> due
        """
    )
    assert {str(key) for (key,) in found} == {
        *planted(sample.report, "sales", "draft-lines-do-not-add-up"),
        *planted(sample.report, "sales", "total-is-not-the-sum"),
    }


def test_amounts_are_partly_given_and_partly_left_to_compute(sample: Sample) -> None:
    given = "SELECT count(net_amount), count(*) FROM msg_line"
    filled, lines = sample.s9.rows(given)[0]
    assert isinstance(filled, int)
    assert isinstance(lines, int)
    assert 0.3 < filled / lines < 0.95
    assert sale_keys(sample.s9, "total < 0")
    assert sale_keys(sample.s9, "total IS NULL")


def test_sales_are_spread_over_the_years_and_numbered_within_each(sample: Sample) -> None:
    rows = sample.s9.rows(
        "SELECT year, min(sale_date), count(DISTINCT sale_number), max(sale_number) FROM msg "
        "WHERE sale_date BETWEEN '2000-01-01' AND '2100-01-01' GROUP BY year ORDER BY year"
    )
    assert rows[0][0] == 2015
    assert all(isinstance(row[1], date) and row[1].year == row[0] for row in rows)
    assert {row[0] for row in rows} >= set(range(2015, 2026))


def test_every_address_on_the_internet_is_reserved_for_examples(sample: Sample) -> None:
    for party in dictionaries(sample.s9, "msg_anag", "true"):
        hosts = re.findall(r"[@/]([\w.-]+\.[a-z]+)", f"{party['email']} {party['website']}")
        hosts += re.findall(r"@(\S+)", party["pec"] or "")
        assert hosts
        assert all(re.search(r"\.example\.(com|net|org)$", host) for host in hosts)


def test_the_same_seed_gives_the_same_rows_under_either_kind_of_names(
    postgres: EmbeddedPostgres,
) -> None:
    contents = []
    for number, (seed, names) in enumerate([(1, "english"), (1, "italian"), (2, "english")]):
        name = f"seeded_{number}"
        postgres.create_database(name)
        connection = postgres.connect(name)
        create_tables(connection, "italian" if names == "italian" else "english")
        size = SampleSize(20, 8, 60)
        generate(connection, size, seed, "italian" if names == "italian" else "english")
        with connection.cursor() as cursor:
            rows = []
            for table in TABLES:
                cursor.execute(f"SELECT * FROM {table.name} ORDER BY 1")
                rows.append(cursor.fetchall())
        contents.append(rows)
        connection.close()
        postgres.drop_database(name)
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_the_minimum_contains_every_kind_once(s9: S9Database) -> None:
    report = generate(s9.connection, SampleSize(*MINIMUM))
    kinds = Counter((row.entity, row.kind, row.expectation) for row in report.planted)
    assert set(kinds) == {(kind.entity, kind.key, kind.expectation) for kind in catalogue()}
    assert set(kinds.values()) == {1}


@pytest.mark.parametrize("size", [(1, 1, 0), (1, 1, 1), (2, 2, 5), (5, 3, 100), (19, 7, 39)])
def test_smaller_samples_leave_dirt_out_and_nothing_else(
    s9: S9Database, size: tuple[int, int, int]
) -> None:
    report = generate(s9.connection, SampleSize(*size))
    assert s9.rows("SELECT count(*) FROM msg WHERE enabled") == [(size[2],)]
    assert s9.rows(f"SELECT count(*) FROM msg_anag WHERE {BUYERS}") == [(size[0],)]
    assert len(report.planted) < sum(size)


def test_a_sample_without_parties_is_refused(s9: S9Database) -> None:
    with pytest.raises(ValueError, match="at least one buyer"):
        generate(s9.connection, SampleSize(0, 1, 1))
