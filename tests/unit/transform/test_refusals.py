"""A refusal says where in S9 each reason is, what stands there, and which record it comes from."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.records.i2_rows import SCOPE
from tests.support.records.i2_rows import sale_row as i2_sale_row
from tests.support.records.rows import line_row, party_copy, rules, sale_row
from transform.items.attributes import Row
from transform.refusals import refusal_of_rejected
from transform.rejections import RejectedRecord
from transform.row_to_texts import all_targets, texts_of
from transform.rules import TransformRules
from transform.unreadable import refusal_of_unreadable
from utils.files.findings import Cause, Finding
from utils.findings.source_names import SourceNames, TableNames

S9 = {
    "": ("msg", {"status": "stato", "buyer_id": "cliente_id", "notes": "note", "total": "totale"}),
    "lines": ("msg_line", {"unit_price": "prezzo", "quantity": "quantita", "notes": "note"}),
    "buyer": ("msg_anag", {"country": "nazione", "name": "ragione_sociale"}),
    "producer": ("msg_anag", {"country": "nazione"}),
}
I2 = {
    "": ("sales", {"sale_date": "reg_date", "status": "status"}),
    "lines": ("sale_lines", {"discount": "discount", "tax_rate": "vat"}),
    "buyer": ("buyers", {"country": "country"}),
}


def names_with(tables: Any, chosen: TransformRules) -> SourceNames:
    targets = all_targets("sales", chosen)
    return SourceNames(
        "sales",
        {
            part: TableNames(table, columns, {}, targets[part or "sales"])
            for part, (table, columns) in tables.items()
        },
    )


def refused(row: Row, tables: Any = None, chosen: TransformRules | None = None) -> list[Finding]:
    """The findings of a row that cannot be converted."""
    chosen = chosen or rules()
    with pytest.raises(RejectedRecord) as rejected:
        texts_of("sales", chosen)(row, chosen)
    names = names_with(tables or S9, chosen)
    line = orjson.dumps(row)
    refusal = refusal_of_rejected(row, line, rejected.value, names, "SALE#{}".format)
    assert (refusal.record, refusal.key) == (line, f"SALE#{row['first_id']}")
    return list(refusal.findings)


def place(finding: Finding) -> tuple[str, str, str, str]:
    return finding.table, finding.column, finding.key, finding.value


def test_a_column_of_the_record() -> None:
    (finding,) = refused(sale_row(status="perso", lines=[line_row()]))
    assert place(finding) == ("msg", "stato", "5", "perso")
    assert finding.message.startswith("stato 'perso' is not known")
    assert finding.cause is None


def test_a_column_of_a_line_with_the_keys_of_both() -> None:
    good, bad = line_row(key=34), line_row(key=35, line_number=2, unit_price=None)
    (finding,) = refused(sale_row(lines=[good, bad]))
    assert place(finding) == ("msg_line", "prezzo", "35", "")
    assert (finding.legacy_id, finding.field) == ("5", "lines[2].unit_price")
    assert finding.message.startswith("line 35: prezzo is missing")


def test_what_is_copied_of_a_party_is_the_partys() -> None:
    row = sale_row(buyer_id=12, buyer=party_copy(country="XYZ"), lines=[line_row()])
    (finding,) = refused(row)
    assert place(finding) == ("msg_anag", "nazione", "12", "XYZ")
    assert finding.cause == Cause("buyers", "12", "copied", "unknown-country")


def test_a_party_that_is_not_there() -> None:
    (finding,) = refused(sale_row(buyer_id=99, buyer=None, buyer_name="Rossi", lines=[line_row()]))
    assert place(finding) == ("msg", "cliente_id", "5", "99")
    assert finding.cause == Cause("buyers", "99", "absent")
    nobody = refused(sale_row(buyer_id=None, buyer=None, buyer_name="Rossi", lines=[line_row()]))
    assert [(each.rule, each.value, each.cause) for each in nobody] == [("missing-party", "", None)]


def test_what_may_be_personal_is_masked_and_amounts_are_not() -> None:
    row = sale_row(total="Rossi Maria", lines=[line_row(quantity="1,5")])
    found = {each.column: each for each in refused(row)}
    assert found["totale"].value.startswith("Ro…~")
    assert found["quantita"].value == "1,5"


def test_another_layout_names_its_own_columns() -> None:
    chosen = rules(layout="i2_speedex", id_scope=SCOPE)
    line = {"id": 3, "msg_id": 5, "line_number": 1, "unit_price": "1", "tax_rate": "22"}
    found = refused(i2_sale_row(line, sale_date=20241301), I2, chosen)
    assert [place(each) for each in found] == [
        ("sales", "reg_date", "5", "20241301"),
        ("sale_lines", "vat", "3", "22"),
    ]


def test_bytes_that_are_no_text_are_named_by_their_column() -> None:
    row = sale_row(notes="caf?", lines=[line_row(key=34, notes="caf?")])
    line = orjson.dumps(row).replace(b"caf?", b"caf\xe9")
    found = refusal_of_unreadable(line, names_with(S9, rules())).findings
    assert {place(each)[:3] for each in found} == {("msg", "note", "5"), ("msg_line", "note", "34")}
    assert found[0].message.startswith("note holds bytes")
