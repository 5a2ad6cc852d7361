"""Buyers and producers: every attribute of their items, and what refuses a record."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.records.rows import MIGRATION_TIME, buyer_row, producer_row, rules
from transform.items.attributes import Item, Row
from transform.rejections import RejectedRecord
from transform.transform_buyers import buyer_to_items
from transform.transform_producers import producer_to_items
from transform.values.ids import NAMESPACE

BUYER_12 = str(uuid.uuid5(NAMESPACE, "buyer:12"))
PRODUCER_7 = str(uuid.uuid5(NAMESPACE, "producer:7"))


def buyer(**changes: Any) -> Item:
    (item,) = buyer_to_items(buyer_row(**changes), rules())
    return item


def producer(**changes: Any) -> Item:
    (item,) = producer_to_items(producer_row(**changes), rules())
    return item


def refusals(row: Row) -> list[tuple[str, str]]:
    with pytest.raises(RejectedRecord) as rejected:
        buyer_to_items(row, rules())
    return [(rejection.field, rejection.rule) for rejection in rejected.value.rejections]


COMMON = [
    # column, value, attribute, stored
    ("code", " C-0012 ", "code", {"S": "C-0012"}),
    ("code", "  ", "code", {"S": "{key}"}),
    ("code", None, "code", {"S": "{key}"}),
    ("name", "SOCIETÀ DELL'ACQUA S.R.L. ", "companyName", {"S": "SOCIETÀ DELL'ACQUA S.R.L."}),
    ("sub_name", "c/o Uff. acquisti", "subName", {"S": "c/o Uff. acquisti"}),
    ("sub_name", "", "subName", None),
    ("vat_number", " 01234567890", "vatNumber", {"S": "01234567890"}),
    ("vat_number", "IT01234567890", "vatNumber", {"S": "IT01234567890"}),
    ("vat_number", None, "vatNumber", {"S": ""}),
    ("fiscal_code", "RSSMRA80A01F205X", "fiscalCode", {"S": "RSSMRA80A01F205X"}),
    ("fiscal_code", " ", "fiscalCode", {"S": ""}),
    ("sdi_code", "M5UXCR1", "sdi", {"S": "M5UXCR1"}),
    ("sdi_code", " ", "sdi", None),
    ("pec", "ditta@pec.it", "pec", {"S": "ditta@pec.it"}),
    ("address", "Via Roma, 1", "address", {"S": "Via Roma, 1"}),
    ("address", None, "address", {"S": ""}),
    ("po_box", "CP 12", "poBox", {"S": "CP 12"}),
    ("city", "Forlì", "city", {"S": "Forlì"}),
    ("city", " ", "city", {"S": ""}),
    ("province", "FC", "province", {"S": "FC"}),
    ("province", None, "province", {"S": ""}),
    ("postal_code", "47121", "postalCode", {"S": "47121"}),
    ("postal_code", "", "postalCode", {"S": ""}),
    ("country", "CHE", "country", {"S": "CH"}),
    ("country", "", "country", {"S": "IT"}),
    ("country", None, "country", {"S": "IT"}),
    ("email", "a@b.it; c@d.it", "email", {"S": "a@b.it; c@d.it"}),
    ("phone", "0543/123456", "phone", {"S": "0543/123456"}),
    ("fax", "0543/123457", "fax", {"S": "0543/123457"}),
    ("website", "www.ditta.it", "website", {"S": "www.ditta.it"}),
    ("main_contact", "Sig.ra Bruna", "mainContact", {"S": "Sig.ra Bruna"}),
    ("notes", "chiamare\ndopo le 10", "notes", {"S": "chiamare\ndopo le 10"}),
    ("bank_details", "Banca Intesa", "bankDetails", {"S": "Banca Intesa"}),
    ("preferred_language", "DE", "preferredLanguage", {"S": "de"}),
    ("preferred_language", "  ", "preferredLanguage", {"S": "it"}),
    ("default_operator", "rossi ", "defaultOperator", {"S": "mario.rossi@example.com"}),
    ("default_operator", "verdi", "defaultOperator", {"S": "verdi"}),
    ("default_operator", None, "defaultOperator", None),
    ("enabled", True, "status", {"S": "active"}),
    ("enabled", 1, "status", {"S": "active"}),
    ("enabled", False, "status", {"S": "inactive"}),
    ("created_at", "2019-07-04T10:11:12.5", "createdAt", {"S": "2019-07-04T08:11:12.500Z"}),
    ("updated_at", "2019-07-04T10:11:12", "updatedAt", {"S": "2019-07-04T08:11:12.000Z"}),
    ("created_by", " rossi ", "createdBy", {"S": "mario.rossi@example.com"}),
    ("created_by", "verdi", "createdBy", {"S": "migration@system"}),
    ("created_by", "", "createdBy", {"S": "migration@system"}),
    ("updated_by", "rossi", "updatedBy", {"S": "mario.rossi@example.com"}),
    ("updated_by", None, "updatedBy", {"S": "migration@system"}),
]
BUYERS_ONLY = [
    ("payment_method", "Ri.Ba.", "defaultPaymentMethod", {"S": "Ri.Ba."}),
    ("payment_terms", "60 gg d.f.", "defaultPaymentTerms", {"S": "60 gg d.f."}),
    ("currency", "chf", "currency", {"S": "CHF"}),
    ("currency", " ", "currency", None),
    ("vat_exempt", "split payment", "vatExempt", {"S": "split_payment"}),
    ("vat_exempt", "", "vatExempt", None),
    ("industrial_group", "Gruppo Nord", "industrialGroup", {"S": "Gruppo Nord"}),
    ("sector", "Edilizia", "sector", {"S": "construction"}),
    ("sector", None, "sector", None),
]
PRODUCERS_ONLY = [
    ("revenue_percentage", "12.50", "revenuePercentage", {"N": "12.5"}),
    ("revenue_percentage", "0.00", "revenuePercentage", {"N": "0"}),
    ("revenue_percentage", None, "revenuePercentage", None),
    ("quality_assurance", "ISO 9001", "qualityAssurance", {"S": "ISO 9001"}),
    ("production_area", "Lecco", "productionArea", {"S": "Lecco"}),
    ("markets", "UE", "markets", {"S": "UE"}),
    ("materials", "acciaio; ottone", "materials", {"S": "acciaio; ottone"}),
    ("products", "viti", "products", {"S": "viti"}),
    ("standard_products", "DIN 933", "standardProducts", {"S": "DIN 933"}),
    ("diameter_range", "M3-M30", "diameterRange", {"S": "M3-M30"}),
    ("max_length", "200 mm", "maxLength", {"S": "200 mm"}),
    ("quantity", "Medie", "quantity", {"S": "medium"}),
    ("quantity", " ", "quantity", None),
]
Case = tuple[str, Any, str, "dict[str, Any] | None"]


def expected(stored: dict[str, Any] | None, key: int) -> dict[str, Any] | None:
    return {"S": str(key)} if stored == {"S": "{key}"} else stored


@pytest.mark.parametrize("case", [*COMMON, *BUYERS_ONLY])
def test_every_column_of_a_buyer_has_its_attribute(case: Case) -> None:
    column, value, attribute, stored = case
    assert buyer(**{column: value}).get(attribute) == expected(stored, 12)


@pytest.mark.parametrize("case", [*COMMON, *PRODUCERS_ONLY])
def test_every_column_of_a_producer_has_its_attribute(case: Case) -> None:
    column, value, attribute, stored = case
    assert producer(**{column: value}).get(attribute) == expected(stored, 7)


def test_the_least_buyer_is_complete() -> None:
    assert buyer() == {
        "PK": {"S": f"BUYER#{BUYER_12}"},
        "SK": {"S": "METADATA"},
        "GSI1PK": {"S": "STATUS#active"},
        "GSI1SK": {"S": "Ferramenta Bianchi"},
        "GSI2PK": {"S": "COUNTRY#IT"},
        "GSI2SK": {"S": "Ferramenta Bianchi"},
        "buyerId": {"S": BUYER_12},
        "legacyId": {"S": "12"},
        "code": {"S": "12"},
        "companyName": {"S": "Ferramenta Bianchi"},
        "country": {"S": "IT"},
        "status": {"S": "active"},
        "vatNumber": {"S": ""},
        "fiscalCode": {"S": ""},
        "address": {"S": ""},
        "city": {"S": ""},
        "province": {"S": ""},
        "postalCode": {"S": ""},
        "preferredLanguage": {"S": "it"},
        "createdAt": {"S": MIGRATION_TIME},
        "updatedAt": {"S": MIGRATION_TIME},
        "createdBy": {"S": "migration@system"},
        "updatedBy": {"S": "migration@system"},
    }


def test_a_producer_has_its_own_keys() -> None:
    item = producer(country="DEU", enabled=False)
    assert item["PK"] == {"S": f"PRODUCER#{PRODUCER_7}"}
    assert item["producerId"] == {"S": PRODUCER_7}
    assert item["GSI1PK"] == {"S": "STATUS#inactive"}
    assert item["GSI2PK"] == {"S": "COUNTRY#DE"}
    assert item["GSI1SK"] == item["GSI2SK"] == item["companyName"]
    assert "buyerId" not in item


def test_a_producer_has_no_attribute_of_a_buyer() -> None:
    item = producer(**{column: value for column, value, _, _ in BUYERS_ONLY})
    assert not {attribute for _, _, attribute, _ in BUYERS_ONLY} & set(item)


def test_attributes_stand_in_one_order_whatever_the_row_holds() -> None:
    full = list(buyer(**{column: value for column, value, _, found in COMMON if found}))
    for least in (buyer(), buyer(code="C1"), buyer(notes="x", pec="y")):
        assert list(least) == [name for name in full if name in least]
    assert full[:6] == ["PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"]


def test_without_generated_ids_keys_are_readable() -> None:
    (item,) = buyer_to_items(buyer_row(), rules(generate_ids=False))
    assert item["PK"] == {"S": "BUYER#BUYER12"}
    assert item["buyerId"] == {"S": "BUYER12"}


@pytest.mark.parametrize(
    ("created", "updated", "stored"),
    [
        (None, None, (MIGRATION_TIME, MIGRATION_TIME)),
        ("2019-01-04T10:00:00", None, ("2019-01-04T09:00:00.000Z", "2019-01-04T09:00:00.000Z")),
        (None, "2019-01-04T10:00:00", ("2019-01-04T09:00:00.000Z", "2019-01-04T09:00:00.000Z")),
        (
            "2019-01-04T10:00:00",
            "2020-01-04T10:00:00",
            ("2019-01-04T09:00:00.000Z", "2020-01-04T09:00:00.000Z"),
        ),
    ],
)
def test_a_missing_timestamp_is_taken_from_the_other_or_the_migration(
    created: str | None, updated: str | None, stored: tuple[str, str]
) -> None:
    item = buyer(created_at=created, updated_at=updated)
    assert (item["createdAt"]["S"], item["updatedAt"]["S"]) == stored


def test_timestamps_that_are_not_preserved_are_not_even_read() -> None:
    row = buyer_row(created_at="infinity", updated_at="2019-01-04T10:00:00")
    (item,) = buyer_to_items(row, rules(preserve_timestamps=False))
    assert item["createdAt"] == item["updatedAt"] == {"S": MIGRATION_TIME}


def test_defaults_come_from_the_rules() -> None:
    (item,) = buyer_to_items(
        buyer_row(), rules(default_language="en", migration_user="m", timezone="UTC")
    )
    assert item["preferredLanguage"] == {"S": "en"}
    assert item["createdBy"] == {"S": "m"}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("first_id", None, "required"),
        ("first_id", "A12", "invalid-integer"),
        ("first_id", True, "invalid-integer"),
        ("name", " ", "required"),
        ("name", "caff\ud800", "invalid-text"),
        ("enabled", None, "required"),
        ("enabled", "forse", "invalid-boolean"),
        ("country", "ZZ", "unknown-country"),
        ("preferred_language", "es", "unknown-language"),
        ("created_at", "infinity", "invalid-timestamp"),
        ("updated_at", "0001-01-01T00:00:00", "invalid-timestamp"),
        ("created_by", ["rossi"], "invalid-text"),
        ("currency", "€", "invalid-currency"),
        ("sector", "boh", "unknown-sector"),
        ("vat_exempt", "boh", "unknown-vat-exemption"),
        ("notes", {"a": 1}, "invalid-text"),
    ],
)
def test_what_cannot_be_converted_refuses_the_record(column: str, value: Any, rule: str) -> None:
    assert refusals(buyer_row(**{column: value})) == [(column, rule)]


def test_all_mistakes_of_a_record_are_reported() -> None:
    row = buyer_row(name=None, country="ZZ", sector="boh", created_at="infinity")
    assert refusals(row) == [
        ("name", "required"),
        ("country", "unknown-country"),
        ("sector", "unknown-sector"),
        ("created_at", "invalid-timestamp"),
    ]


def test_a_reason_never_quotes_a_personal_value() -> None:
    with pytest.raises(RejectedRecord) as rejected:
        buyer_to_items(buyer_row(name="Mario\ud800", email=1.5, fiscal_code=["RSSMRA"]), rules())
    assert len(rejected.value.rejections) == 3
    assert "Mario" not in str(rejected.value)
    assert "RSSMRA" not in str(rejected.value)


def test_columns_that_nobody_maps_change_nothing() -> None:
    assert buyer(colore="blu", deleted_at=None, ttl=1) == buyer()
