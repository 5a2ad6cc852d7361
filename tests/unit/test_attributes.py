"""A column is declared where it is read, where it becomes an attribute, and in the schema of its
item: nothing else has to be told of it, and what has been forgotten is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest

from extract.entities import entities_of
from extract.s9_tables import PARTY_COPY
from tests.support.places import ROOT
from tests.support.records.rows import (
    buyer_row,
    line_row,
    party_copy,
    producer_row,
    rules,
    sale_row,
)
from transform import transform_sales
from transform.items.attributes import Attribute, Item, Row
from transform.row_to_texts import column_targets, texts_of
from transform.transform_sales import sale_to_texts
from transform.values.text import text
from utils.dynamodb.item_content import written_order
from utils.item_schemas import KINDS, LEGACY, declared
from validate.fast.forms import without_form
from validate.fast.sales import facts_if_clean

OF_KIND = {"buyer": "buyers", "producer": "producers", "sale": "sales", "sale_line": "lines"}
# Of each kind of value, something that S9 may hold.
VALUES: dict[str, Any] = {
    **dict.fromkeys(("text", "textOrEmpty"), "Società 7"),
    **dict.fromkeys(("amount", "percent"), "10.5"),
    **dict.fromkeys(("integer", "count", "position", "legacyId"), 7),
    **dict.fromkeys(("saleId", "buyerId", "producerId", "lineId"), 7),
    **{"date": "2024-03-05", "timestamp": "2024-03-05T10:00:00", "flag": True},
    **{"country": "IT", "currency": "EUR", "language": "it"},
}
OWN_VALUES = {"year": 2024, "coBankIban": "IT60X0542811101000000123456", "sdi": "ABC1234"}
# What is in the Sale Module's items and in no row of S9.
WITHOUT_COLUMN = {
    "buyer": {"totalSales", "totalRevenue", "lastSaleDate"},
    "producer": {"totalSales", "lastSaleDate"},
    "sale": {"invoiceGeneratedAt", "attachInvoice", "pdfFontBase"},
    "sale_line": set(),
}


def full_row(kind: str) -> Row:
    """A row that has something in every column that has a place in the target."""
    targets = column_targets(OF_KIND[kind], rules())
    return {column: value_for(kind, names.split(",")[0]) for column, names in targets.items()}


def value_for(kind: str, name: str) -> Any:
    if name not in declared(kind):
        return "a text"
    attribute = declared(kind)[name]
    words = attribute.form.get("enum", [None])
    return OWN_VALUES.get(name) or words[-1] or VALUES.get(attribute.value, "a text")


def full_sale() -> Row:
    """A sale with a line that all has every column, and adds up."""
    copied = {column: "Forlì 1" for column in PARTY_COPY if column not in ("kind", "enabled")}
    party = party_copy(**{**copied, "country": "IT"})
    amounts = {
        **dict.fromkeys(("quantity", "unit_price", "total_amount", "net_amount"), "1"),
        **dict.fromkeys(("discount", "discount_amount", "tax_rate", "tax_amount"), "0"),
    }
    line = {**line_row(), **full_row("sale_line"), **amounts, "product_code": "A"}
    sums = {"subtotal": "1", "tax_amount": "0", "total": "1"}
    return {**full_row("sale"), **sale_row(buyer=party, producer=party), **sums, "lines": [line]}


def full_items() -> dict[str, Item]:
    """An item of each kind that has every attribute that a row can give it."""
    chosen = rules()
    rows = {
        "buyers": {**full_row("buyer"), **buyer_row()},
        "producers": {**full_row("producer"), **producer_row()},
        "sales": full_sale(),
    }
    texts = chain.from_iterable(texts_of(name, chosen)(row, chosen) for name, row in rows.items())
    items = [orjson.loads(text)["Item"] for text in texts]
    return dict(zip(("buyer", "producer", "sale", "sale_line"), items, strict=True))


def forgotten() -> Iterator[str]:
    """What is not declared where it has to be."""
    children = entities_of("s9")["sales"].children
    assert children is not None
    tables = {name: entity.table for name, entity in entities_of("s9").items()}
    tables["lines"] = children.table
    for kind, item in full_items().items():
        place = f"utils/schemas/{kind}.json"
        read = {column.name for column in tables[OF_KIND[kind]].columns}
        for column in column_targets(OF_KIND[kind], rules()):
            if column not in read | {"created_by", "updated_by"}:
                yield f"extract/s9_tables.py reads no column {column} of {OF_KIND[kind]}"
        known = declared(kind)
        yield from (f"{place} has no attribute {name}" for name in item if name not in known)
        for name in known:
            if name not in item and name not in WITHOUT_COLUMN[kind] | {LEGACY}:
                yield f"{place} has {name}, and no column becomes it"
        if [*item] != written_order(item):
            yield f"transform writes the attributes of a {kind} in another order than it should"
        for name in without_form(kind):
            if name in item:
                yield f"validate/fast/forms.py knows no form of {name} (_FORMS)"


def test_what_is_declared_of_an_attribute_in_one_place_is_declared_in_the_others() -> None:
    assert list(forgotten()) == []


def test_a_sale_with_every_column_is_beyond_doubt() -> None:
    lines = [line.encode() for line in sale_to_texts(full_sale(), rules())]
    assert facts_if_clean(lines) is not None


@pytest.mark.parametrize(
    ("added", "missing"),
    [
        (
            Attribute("warehouse", "warehouse", text),
            [
                "extract/s9_tables.py reads no column warehouse of sales",
                "utils/schemas/sale.json has no attribute warehouse",
            ],
        ),
        (
            Attribute("pdfFontBase", "reg_number", lambda _: {"N": "7"}),
            [
                "validate/fast/forms.py knows no form of pdfFontBase (_FORMS)",
            ],
        ),
    ],
)
def test_what_has_been_forgotten_of_an_attribute_is_named(
    monkeypatch: pytest.MonkeyPatch, added: Attribute, missing: list[str]
) -> None:
    declared_ones = transform_sales.sale_attributes
    monkeypatch.setattr(
        transform_sales, "sale_attributes", lambda rules: (*declared_ones(rules), added)
    )
    fresh = partial(transform_sales.SaleTransform, rules())
    monkeypatch.setattr(transform_sales, "_transform", lambda _rules: fresh())
    assert list(forgotten()) == missing


# In a copy of the tool, as a contributor would add them: each with the line that it comes behind.
NEW = {
    "extract/s9_tables.py": [
        ('            "pa_cig_number cig",\n', '            "warehouse magazzino",\n'),
        ('            "unit_of_measure um",\n', '            "weight peso",\n'),
        ('        "fax",\n', '        "mobile cellulare",\n'),
    ],
    "transform/transform_sales.py": [
        (
            '        Attribute("paCigNumber", "pa_cig_number", text),\n',
            '        Attribute("warehouse", "warehouse", text, repeats=True),\n',
        ),
    ],
    "transform/items/sale_lines.py": [
        (
            '    Attribute("unitOfMeasure", "unit_of_measure", text, repeats=True),\n',
            '    Attribute("weight", "weight", decimal, repeats=True),\n',
        ),
        ("from transform.values.money import MAX_INTEGER, ", "decimal, "),
    ],
    "transform/items/parties.py": [
        (
            '        Attribute("fax", "fax", text),\n',
            '        Attribute("mobile", "mobile", text),\n',
        ),
    ],
}
SCHEMA_LINES = {
    "sale": ("paCigNumber", "warehouse", "text"),
    "sale_line": ("unitOfMeasure", "weight", "amount"),
    "buyer": ("fax", "mobile", "text"),
    "producer": ("fax", "mobile", "text"),
}


def copy_with_new_columns(root: Path) -> None:
    """The packages of the tool, with three columns more."""
    for name in ("extract", "transform", "load", "validate", "utils"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, additions in NEW.items():
        path = root / name
        code = path.read_text(encoding="utf-8")
        for before, line in additions:
            assert code.count(before) == 1, (name, before)
            code = code.replace(before, before + line)
        path.write_text(code, encoding="utf-8")
    for kind, (before, name, value) in SCHEMA_LINES.items():
        path = root / "utils" / "schemas" / f"{kind}.json"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (place,) = (n for n, line in enumerate(lines) if line.lstrip().startswith(f'"{before}":'))
        line = f'    "{name}": {{"title": "new", "$ref": "values.json#/$defs/{value}"}},\n'
        lines.insert(place + 1, line)
        path.write_text("".join(lines), encoding="utf-8")


EVERYWHERE = """
import orjson
from extract.declaration import recognise
from extract.s9_tables import LINES, PARTIES, SALES
from load.writing.conditions import unchanged
from load.writing.known_attributes import types_of
from transform.row_to_texts import column_targets, fast_way_of, texts_of
from transform.rules import TransformRules
from utils.dynamodb.item_content import differing_attributes
from validate.fast.sales import facts_if_clean
from validate.gate.record_checks import Policy, check_chunk

rules = TransformRules(
    generate_ids=True, preserve_timestamps=True, default_currency="EUR", default_language="it",
    migration_user="m", migration_timestamp="2026-01-30T14:30:15.000Z", user_mapping={},
    status_mapping={}, timezone="Europe/Rome",
)
party = {"name": "Rossi", "kind": 2, "enabled": True, "country": None}
line = {
    "id": 34, "msg_id": 5, "line_number": 1, "unit_price": "10.000000", "weight": "12.50",
    "product_description": "Bolt",
}
sale = {
    "first_id": 5, "enabled": True, "sale_number": 41, "sale_date": "2024-03-05", "buyer_id": 12,
    "producer_id": 7, "status": "confermato", "warehouse": "North", "buyer": party,
    "producer": party, "lines": [line],
}
buyer = {"first_id": 12, "kind": 2, "enabled": True, "name": "Rossi", "mobile": "347 1"}

for table, other, name in ((SALES, "magazzino", "warehouse"), (LINES, "PESO", "weight"),
                           (PARTIES, "cellulare", "mobile")):
    assert recognise(table.columns, [other]).recognised == {other: name}
for entity, name in (("sales", "warehouse"), ("lines", "weight"), ("buyers", "mobile"),
                     ("producers", "mobile")):
    assert column_targets(entity, rules)[name] == name

extracted = orjson.dumps(sale)
quickly = fast_way_of("sales", rules, [extracted]).texts(extracted)
assert quickly == [text.encode() for text in texts_of("sales", rules)(sale, rules)]
items = [orjson.loads(text)["Item"] for text in quickly]
assert items[0]["warehouse"] == {"S": "North"} and items[1]["weight"] == {"N": "12.5"}
assert facts_if_clean(quickly) is not None
texts = [text.encode() for text in texts_of("buyers", rules)(buyer, rules)]
items.append(orjson.loads(texts[0])["Item"])
assert check_chunk(texts, "buyers", Policy()).findings == []
for item, name, entity, kind in ((items[0], "warehouse", "sales", "S"),
                                 (items[1], "weight", "sales", "N"),
                                 (items[2], "mobile", "buyers", "S")):
    without = {key: value for key, value in item.items() if key != name}
    assert types_of(entity, name) == {kind}
    for each in (item, without):
        assert name in unchanged(each).as_request()["ExpressionAttributeNames"].values()
    assert differing_attributes(item, without) == [name]
print("everywhere")
"""


def test_a_new_column_is_known_everywhere_once_it_is_declared(tmp_path: Path) -> None:
    """In a sale, its lines and its parties; in the quick ways, too (trial F2)."""
    copy_with_new_columns(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", EVERYWHERE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("everywhere", "")


def test_every_kind_of_item_is_looked_at() -> None:
    assert set(OF_KIND) == set(KINDS)
