"""Items as the Sale Module wants them, for the tests of the gate to spoil one thing at a time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import orjson

from utils.dynamodb.item_content import line_of

Item = dict[str, Any]

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_STAMPS = {
    "createdAt": {"S": "2024-03-04T09:11:12.000Z"},
    "updatedAt": {"S": "2024-03-05T09:11:12.500Z"},
    "createdBy": {"S": "migration@system"},
    "updatedBy": {"S": "migration@system"},
}
VALID_VAT_NUMBERS = ("00743110157", "01234567897", "07643520567")


def identifier(kind: str, legacy_id: int) -> str:
    """A version 5 UUID, as the transform makes them."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{legacy_id}"))


def texts(**values: str) -> Item:
    """Attributes of type S."""
    return {name: {"S": value} for name, value in values.items()}


def numbers(**values: str) -> Item:
    """Attributes of type N."""
    return {name: {"N": value} for name, value in values.items()}


def party(kind: str, legacy_id: int, **changes: str | None) -> Item:
    """A buyer or producer without a fault; `changes` are texts, None takes an attribute away.

    Index keys follow the changes of what they repeat.
    """
    values: dict[str, str | None] = {
        "companyName": f"FERRAMENTA ROSSI & FIGLI S.R.L. {legacy_id}",
        "code": f"C{legacy_id:05}",
        "address": "Via dell'Artigianato 12",
        "city": "Nibbiano",
        "province": "PC",
        "postalCode": "29031",
        "country": "IT",
        "vatNumber": "",
        "fiscalCode": "00743110157",
        "status": "active",
        "email": "info@ferramentarossi.it",
        **changes,
    }
    identity = identifier(kind, legacy_id)
    name = values["companyName"] or ""
    return {
        **texts(
            PK=f"{kind.upper()}#{identity}",
            SK="METADATA",
            GSI1PK=f"STATUS#{values['status']}",
            GSI1SK=name,
            GSI2PK=f"COUNTRY#{values['country']}",
            GSI2SK=name,
            legacyId=str(legacy_id),
        ),
        f"{kind}Id": {"S": identity},
        **texts(**{key: value for key, value in values.items() if value is not None}),
        **_STAMPS,
    }


def sale(legacy_id: int, *, lines: int, buyer: int = 1, producer: int = 2, **changes: Any) -> Item:
    """The METADATA item of a sale of `lines` lines as `line` makes them, without a fault: number 7
    is of 4 March 2024, and dates rise with numbers."""
    identity, day = identifier("sale", legacy_id), str(date(2024, 2, 26) + timedelta(legacy_id))
    amounts = [line(legacy_id, position) for position in range(1, lines + 1)]
    status = changes.get("status", {"S": "confirmed"})
    dated = changes.get("saleDate", {"S": day})
    return {
        **texts(
            PK=f"SALE#{identity}",
            SK="METADATA",
            GSI1PK=f"STATUS#{status['S']}",
            GSI1SK=dated["S"],
            GSI2PK=f"BUYER#{identifier('buyer', buyer)}",
            GSI2SK=dated["S"],
            GSI3PK=f"PRODUCER#{identifier('producer', producer)}",
            GSI3SK=dated["S"],
            GSI4PK="SALE",
            GSI4SK=dated["S"],
            saleId=identity,
            legacyId=str(legacy_id),
            saleDate=day,
            buyerId=identifier("buyer", buyer),
            buyerName="FERRAMENTA ROSSI & FIGLI S.R.L.",
            buyerCountry="IT",
            producerId=identifier("producer", producer),
            producerName="ACCIAIERIE DEL NORD S.P.A.",
            producerCountry="IT",
            currency="EUR",
            status="confirmed",
        ),
        **numbers(
            saleNumber=str(legacy_id),
            subtotal=_sum(amounts, "netAmount"),
            taxAmount=_sum(amounts, "taxAmount"),
            total=_sum(amounts, "totalAmount"),
            linesCount=str(lines),
            year=day[:4],
        ),
        "invoiceGenerated": {"BOOL": False},
        **_STAMPS,
        **changes,
    }


def line(sale_id: int, position: int, **changes: Any) -> Item:
    """A line of a sale, without a fault: 250 pieces at 0.145, 10 % off, 22 % VAT."""
    legacy_id = sale_id * 1000 + position
    return {
        **texts(
            PK=f"SALE#{identifier('sale', sale_id)}",
            SK=f"LINE#{identifier('line', legacy_id)}",
            saleId=identifier("sale", sale_id),
            lineId=identifier("line", legacy_id),
            legacyId=str(legacy_id),
            productCode=f"TE-5739-{position}",
            productDescription="Vite TE UNI 5739 8.8 zincata M12x60",
            unitOfMeasure="PZ",
        ),
        **numbers(
            lineNumber=str(position),
            quantity="250",
            unitPrice="0.145",
            discount="10",
            discountAmount="3.63",
            netAmount="32.63",
            taxRate="22",
            taxAmount="7.18",
            totalAmount="39.8",
        ),
        **_STAMPS,
        **changes,
    }


def sale_record(legacy_id: int, *, lines: int = 2, **changes: Any) -> list[Item]:
    """A sale and its lines, without a fault but for `changes` of the METADATA item."""
    items = [line(legacy_id, position) for position in range(1, lines + 1)]
    return [sale(legacy_id, lines=lines, **changes), *items]


def as_lines(items: Sequence[Item]) -> list[bytes]:
    """The lines of a transformed file that hold these items."""
    return [orjson.dumps({"Item": item}) + b"\n" for item in items]


def as_written(items: Sequence[Item]) -> list[bytes]:
    """The same as the transform writes them: attributes in its order."""
    return [line_of(item) + b"\n" for item in items]


def _sum(amounts: Sequence[Item], name: str) -> str:
    cents = sum(round(float(item[name]["N"]) * 100) for item in amounts)
    return f"{cents / 100:.2f}".rstrip("0").rstrip(".")
