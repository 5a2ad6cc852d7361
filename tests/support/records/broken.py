"""A record that breaks a rule, and one that nearly does, for every rule about one record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.records.items import (
    Item,
    numbers,
    party,
    sale_record,
    texts,
)

Record = tuple[str, list[Item]]
Change = Callable[[list[Item]], Any]
FROZEN: dict[str, Any] = {"invoiceGenerated": {"BOOL": True}}


def buyer(**changes: str | None) -> Record:
    return "buyers", [party("buyer", 1, **changes)]


def producer(**changes: str | None) -> Record:
    return "producers", [party("producer", 1, **changes)]


def buyer_with(change: Callable[[Item], Any]) -> Record:
    item = party("buyer", 1)
    change(item)
    return "buyers", [item]


def sale(change: Change = id, *, lines: int = 2, **changes: Any) -> Record:
    items = sale_record(7, lines=lines, **changes)
    change(items)
    return "sales", items


def put(number: int, **attributes: Any) -> Change:
    """Change attributes of an item of the sale: 0 is METADATA, then its lines."""
    return lambda items: items[number].update(attributes)


def drop(number: int, *names: str) -> Change:
    return lambda items: [items[number].pop(name) for name in names]


def put_doubt(column: str, sentence: str) -> Callable[[Item], Any]:
    """Say in an item that the conversion of a column is in doubt."""
    doubts = {"doubts": {"M": {column: {"S": sentence}}}}
    return lambda item: item.update(legacy={"M": doubts})


def doubted(number: int, column: str, sentence: str) -> Change:
    """The same in an item of the sale."""
    return lambda items: put_doubt(column, sentence)(items[number])


def nested(levels: int) -> Item:
    value: Item = {"S": "inside"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


def ids(line: Item) -> dict[str, str]:
    return {name: line[name]["S"] for name in ("SK", "lineId")}


IBAN = "IT60X0542811101000000123456"
BROKEN: list[tuple[str, Record]] = [
    ("broken-xml", buyer_with(put_doubt("ship", "broken-xml: no element found"))),
    (
        "suspicious-fraction",
        sale(doubted(2, "vat", "suspicious-fraction: 22")),
    ),
    (
        "placeholder-party",
        sale(doubted(0, "buyer_id", "placeholder-party: 9")),
    ),
    ("taxed-exemption", sale(doubted(1, "vat_off", "taxed-exemption: N4"))),
    ("text-cut", buyer_with(put_doubt("banks", "text-cut: long"))),
    ("doubtful-value", buyer_with(put_doubt("colour", "faded: a rule of another layout"))),
    ("doubtful-value", buyer_with(put_doubt("colour", "email: not a rule for doubts"))),
    ("attribute-type", buyer_with(lambda item: item.update(legacy={"S": "x"}))),
    ("attribute-value", buyer_with(lambda item: item.update(legacy={"M": {"x": {"N": "1.5"}}}))),
    ("attribute-value", buyer_with(lambda item: item.update(legacy={"M": {"x": {"L": []}}}))),
    ("attribute-value", buyer_with(lambda item: item.update(legacy={"M": {}}))),
    ("attribute-length", buyer_with(lambda item: item.update(legacy={"M": {"x": {"S": ""}}}))),
    ("not-an-item", sale(lambda items: items.append({}))),
    ("not-an-item", ("buyers", [party("buyer", 1), {**party("buyer", 1), "SK": {"S": "LINE#"}}])),
    ("attribute-missing", buyer(city=None)),
    ("attribute-missing", buyer(fiscalCode=None)),
    ("attribute-missing", sale(drop(0, "total"))),
    ("attribute-missing", sale(drop(1, "discount"))),
    ("attribute-missing", sale(drop(2, "lineNumber"))),
    ("attribute-missing", sale(drop(0, "legacyId"))),
    ("attribute-unknown", buyer(deletedAt="2024-03-04T09:11:12.000Z")),
    ("attribute-unknown", producer(currency="EUR")),
    ("attribute-unknown", sale(put(0, ttl={"N": "1700000000"}))),
    ("attribute-unknown", sale(put(1, **texts(GSI1PK="STATUS#draft", GSI1SK="2024-03-04")))),
    ("attribute-type", buyer_with(lambda item: item.update(notes={"NULL": True}))),
    ("attribute-type", sale(put(0, total={"S": "79.6"}))),
    ("attribute-type", sale(put(0, saleNumber={"S": "7"}))),
    ("attribute-type", sale(put(0, invoiceGenerated={"S": "true"}))),
    ("attribute-length", buyer(companyName="X" * 201)),
    ("attribute-length", buyer(companyName="")),
    ("attribute-length", buyer(notes="")),
    ("attribute-length", sale(put(1, productDescription={"S": "x" * 501}))),
    ("attribute-value", buyer(country="ITA")),
    ("attribute-value", buyer(status="enabled")),
    ("attribute-value", buyer(sdi="ABC123")),
    ("attribute-value", sale(put(1, unitPrice={"N": "0.1450"}))),
    ("attribute-value", sale(put(1, unitPrice={"N": "1.45E-1"}))),
    ("attribute-value", sale(put(1, discount={"N": "100.5"}))),
    ("attribute-value", sale(put(1, lineNumber={"N": "0"}))),
    ("attribute-value", sale(put(0, ivaPercentage={"N": "-1"}))),
    ("attribute-value", sale(put(0, saleDate={"S": "2024-03-04T00:00:00.000Z"}))),
    ("attribute-value", sale(put(0, deliveryDate={"S": "2023-02-29"}))),
    ("attribute-value", sale(put(0, createdAt={"S": "2024-03-04T24:00:00.000Z"}))),
    ("attribute-value", sale(put(0, buyerId={"S": "12"}))),
    ("dynamodb-item-size", buyer(notes="è" * 205_000)),
    ("dynamodb-key", buyer(companyName="🏭" * 300)),
    ("dynamodb-number", sale(put(1, unitPrice={"N": "1" * 39}))),
    ("dynamodb-nesting", buyer_with(lambda item: item.update(notes=nested(32)))),
    ("dynamodb-set", buyer_with(lambda item: item.update(notes={"SS": []}))),
    ("identity", buyer_with(lambda item: item.update(buyerId=party("buyer", 2)["buyerId"]))),
    ("identity", buyer_with(lambda item: item.update(texts(PK="BUYER#BUYER2", buyerId="BUYER2")))),
    ("identity", sale(put(1, saleId=sale_record(8)[0]["saleId"]))),
    ("identity", sale(put(1, lineId=sale_record(8)[1]["lineId"]))),
    ("index-key", buyer_with(lambda item: item.update(status={"S": "inactive"}))),
    ("index-key", buyer_with(lambda item: item.update(companyName={"S": "VERDI SPA"}))),
    ("index-key", sale(put(0, status={"S": "paid"}))),
    ("index-key", sale(put(0, GSI2SK={"S": "2024-03-05"}))),
    ("index-key", sale(put(0, GSI4SK={"S": "2024-03-05"}))),
    ("index-key", sale(put(0, producerId=party("producer", 9)["producerId"]))),
    ("numbering-index", sale(put(0, docType={"S": "proforma"}))),
    ("numbering-index", sale(put(0, **texts(status="cancelled", GSI1PK="STATUS#cancelled")))),
    ("numbering-index", sale(drop(0, "GSI4PK"))),
    ("numbering-index", sale(drop(0, "GSI4SK"))),
    ("lines-count", sale(put(0, linesCount={"N": "3"}))),
    ("line-order", sale(put(2, lineNumber={"N": "1"}))),
    ("duplicate-key", sale(lambda items: items[2].update(texts(**ids(items[1]))))),
    ("country", buyer(country="XX")),
    ("country", sale(put(0, producerCountry={"S": "ZZ"}))),
    ("currency", buyer(currency="XYZ")),
    ("currency", sale(put(0, currency={"S": "ITL"}))),
    ("vat-number", buyer(vatNumber="00743110158")),
    ("vat-number", buyer(vatNumber="IT1234")),
    ("vat-number", buyer(country="DE", vatNumber="DE136695977", fiscalCode="")),
    ("vat-number", buyer(country="CH", vatNumber="CHE-107.787.578 IVA", fiscalCode="")),
    ("vat-number", buyer(vatNumber="DE136695976")),
    ("tax-code-as-vat-number", buyer(vatNumber="RCCMNL83S18D969H")),
    ("fiscal-code", buyer(fiscalCode="RCCMNL83S18D969X")),
    ("fiscal-code", buyer(fiscalCode="12345")),
    ("province", buyer(province="Piacenza")),
    ("province", producer(province="XX")),
    ("email", buyer(email="info@ferramentarossi")),
    ("email", buyer(email="nobody")),
    ("email", buyer(pec="rossi@@pec.it")),
    ("email-several", buyer(email="info@rossi.it; sales@rossi.it")),
    ("email-several", producer(pec="a@pec.it,b@pec.it")),
    ("iban", sale(put(0, coBankIban={"S": "IT60X0542811101000000123457"}))),
    ("iban", buyer(bankDetails="BPM Piacenza IT61 X054 2811 1010 0000 0123 456 sede")),
    ("line-amounts", sale(put(1, discountAmount={"N": "3.6"}), status=texts(s="paid")["s"])),
    ("line-amounts", sale(put(1, **numbers(quantity="251")))),
    ("line-amounts", sale(put(1, taxRate={"N": "10"}))),
    ("line-amounts", sale(put(1, totalAmount={"N": "39.83"}), **FROZEN)),
    ("sale-sums", sale(put(0, **numbers(subtotal="65.28", total="79.64")))),
    ("sale-sums", sale(put(0, **numbers(taxAmount="14.34", total="79.6")))),
    ("draft-sums", sale(put(0, **numbers(subtotal="65.27", total="79.61")), status={"S": "draft"})),
    ("draft-sums", sale(put(0, **numbers(total="79.61")), status={"S": "draft"})),
    ("sale-sums", sale(put(0, **numbers(subtotal="65.28", total="79.64")), **FROZEN)),
    ("sale-sums", sale(put(0, **numbers(subtotal="65.25")))),
    ("sale-sums", sale(put(0, **numbers(taxAmount="14.35")))),
    ("sale-sums", sale(put(0, **numbers(total="79.61")))),
    ("sale-total", sale(put(0, total={"N": "81.6"}))),
    ("sale-total", sale(put(0, total={"N": "81.6"}), **FROZEN)),
    ("implausible-date", sale(saleDate={"S": "1989-12-31"}, year={"N": "1989"})),
    ("implausible-date", sale(saleDate={"S": "9999-12-31"}, year={"N": "9999"})),
    ("implausible-date", sale(put(0, deliveryDate={"S": "0001-01-01"}))),
    ("implausible-date", sale(put(0, dnDate3={"S": "2101-01-01"}))),
    ("sale-year", sale(put(0, year={"N": "2023"}))),
    ("no-lines", sale(lines=0)),
    ("no-description", sale(put(1, productDescription={"S": "-"}))),
    ("no-description", sale(put(1, productDescription={"S": "TE-5739-1"}))),
    ("garbled-text", buyer(notes="SocietÃ\xa0 per azioni")),
    ("garbled-text", sale(put(1, notes={"S": "vite Ã¨ zincata"}))),
    ("control-characters", buyer(city="Nibbiano\x07")),
    ("control-characters", buyer(companyName="ROSSI\nFIGLI")),
    ("control-characters", sale(put(2, notes={"S": "a\x85b"}))),
]
SOUND: list[tuple[str, Record]] = [
    ("not-an-item", sale()),
    ("attribute-missing", buyer(code=None, email=None)),
    ("attribute-missing", buyer(address="", city="", province="", postalCode="")),
    ("attribute-missing", sale(drop(1, "productCode", "unitOfMeasure"))),
    ("attribute-unknown", buyer(currency="EUR", sector="mining", vatExempt="exempt")),
    ("attribute-unknown", producer(quantity="any", markets="DE")),
    ("attribute-type", sale(put(0, attachInvoice={"BOOL": True}))),
    ("attribute-length", buyer(companyName="È" * 200, website="w" * 500, phone="0" * 50)),
    ("attribute-length", sale(put(0, notes={"S": "x" * 1000}, printedNote={"S": "x" * 2000}))),
    ("attribute-value", sale(put(0, **numbers(ivaPercentage="0")))),
    ("attribute-value", sale(put(0, **numbers(ivaPercentage="100", pdfFontBase="20")))),
    ("attribute-value", sale(put(0, deliveryDate={"S": "2024-02-29"}))),
    ("attribute-value", buyer(sdi="0000000", preferredLanguage="de")),
    ("dynamodb-item-size", buyer(notes="è" * 150_000)),
    ("dynamodb-key", buyer(companyName="🏭" * 200)),
    ("dynamodb-nesting", buyer(notes="[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[")),
    ("identity", buyer_with(lambda item: item.update(texts(PK="BUYER#BUYER1", buyerId="BUYER1")))),
    ("index-key", buyer(status="inactive", country="SM", vatNumber="", fiscalCode="")),
    ("numbering-index", sale(drop(0, "GSI4PK", "GSI4SK"), docType={"S": "proforma"})),
    ("numbering-index", sale(drop(0, "GSI4PK", "GSI4SK"), status={"S": "cancelled"})),
    ("numbering-index", sale(docType={"S": "invoice"})),
    ("lines-count", sale(lines=12)),
    ("line-order", sale(put(2, lineNumber={"N": "70"}))),
    ("country", buyer(country="XK", fiscalCode="")),
    ("currency", sale(put(0, currency={"S": "CHF"}))),
    ("vat-number", buyer(vatNumber="IT00743110157")),
    ("vat-number", buyer(vatNumber="it 00743110157")),
    ("vat-number", buyer(vatNumber="")),
    ("vat-number", buyer(country="DE", vatNumber="DE136695976", fiscalCode="")),
    ("vat-number", buyer(country="DE", vatNumber="136 695 976", fiscalCode="")),
    ("vat-number", buyer(country="GR", vatNumber="EL 094259216", fiscalCode="")),
    ("vat-number", buyer(country="CH", vatNumber="CHE-107.787.577 MWST", fiscalCode="")),
    ("vat-number", buyer(country="CH", vatNumber="CHE-107.787.577", fiscalCode="")),
    ("vat-number", buyer(country="GB", vatNumber="GB980780684", fiscalCode="")),
    ("vat-number", buyer(country="US", vatNumber="anything", fiscalCode="")),
    ("fiscal-code", buyer(fiscalCode="RCCMNL83S18D969H")),
    ("fiscal-code", buyer(fiscalCode="")),
    ("fiscal-code", buyer(country="FR", fiscalCode="12345")),
    ("province", buyer(province="AO")),
    ("province", buyer(province="")),
    ("province", buyer(country="FR", province="Provence", fiscalCode="")),
    ("email", buyer(email="mario.rossi+ordini@ferramenta-rossi.co.uk")),
    ("email", buyer(email="info@società.it")),
    ("iban", sale(put(0, coBankIban={"S": "IT60 X054 2811 1010 0000 0123 456"}))),
    ("iban", buyer(bankDetails=f"IBAN {IBAN}, BPM")),
    ("iban", buyer(bankDetails="ABI 05428 CAB 11101 C/C 123456 IT60")),
    ("line-amounts", sale(put(1, **numbers(discountAmount="3.62")))),
    ("line-amounts", sale(put(1, **numbers(totalAmount="39.81")), **FROZEN)),
    ("sale-sums", sale(put(0, **numbers(subtotal="65.25")), **FROZEN)),
    ("draft-sums", sale(status={"S": "draft"})),
    ("sale-total", sale(put(0, total={"N": "79.61"}), **FROZEN)),
    ("implausible-date", sale(saleDate={"S": "1990-01-01"}, year={"N": "1990"})),
    ("implausible-date", sale(put(0, paymentDate={"S": "2100-12-31"}))),
    ("sale-year", sale(drop(0, "year"))),
    ("doubtful-value", sale(put(0, legacy={"M": {"stamp": {"N": "1"}, "vat_on": {"N": "0"}}}))),
    ("doubtful-value", sale(put(2, legacy={"M": {"test": {"BOOL": True}, "lfz": {"S": "a: b"}}}))),
    ("no-lines", sale(lines=1)),
    ("no-description", sale(put(1, productDescription={"S": "TE-5739"}))),
    ("garbled-text", buyer(companyName="CAFFÈ» À LA CRÈME “SÃO PAULO”")),
    ("garbled-text", buyer(notes='Ñandú, Ærø, 25 °C, ½", β-test, 工場 🏭')),
    ("control-characters", buyer(notes="prima riga\r\nseconda\triga")),
    ("control-characters", sale(put(1, productDescription={"S": 'Tubo 1/2" \\ flangia\nDN 25'}))),
]


def named(value: object) -> str:
    return value if isinstance(value, str) else ""
