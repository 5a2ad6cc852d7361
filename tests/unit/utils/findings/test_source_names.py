"""Where in this S9 an attribute of an item, or a column of an extracted row, comes from."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from utils.findings.source_names import SourceNames, names_of
from utils.run.manifest import Manifest, PhaseEntry

PARTY = {"first_id": "first_id", "ragione_sociale": "name", "nazione": "country", "vat": "vat"}
SALE = {"id": "first_id", "cliente_id": "buyer_id", "stato": "status", "numero": "sale_number"}
LINE = {"id": "id", "prezzo": "unit_price", "extra": "extra"}
TARGETS = {
    "sales": {"first_id": "legacyId,saleId", "buyer_id": "buyerId", "status": "status"}
    | {"sale_number": "saleNumber", "total": "total", "buyer_name": "buyerName"},
    "lines": {"id": "legacyId,lineId", "unit_price": "unitPrice"},
    "buyer": {"name": "buyerName", "country": "buyerCountry"},
    "producer": {"name": "producerName", "country": "producerCountry"},
}


def extracted(**tables: Any) -> PhaseEntry:
    columns = {
        table: {"rows": rows, "read": read, "unmapped": [], "missing": []}
        for table, (rows, read) in tables.items()
    }
    return PhaseEntry("complete", "", {}, "", {"columns": columns})


@pytest.fixture
def names() -> SourceNames:
    manifest = Manifest.new()
    manifest.record("extract", "buyers", extracted(msg_anag=("buyers", PARTY)))
    manifest.record("extract", "sales", extracted(msg=("sales", SALE), msg_line=("lines", LINE)))
    entry = PhaseEntry("complete", "", {}, "", {"targets": TARGETS})
    manifest.record("transform", "sales", entry)
    found = names_of(manifest, "sales")
    assert pickle.loads(pickle.dumps(found)) == found
    return found


@pytest.mark.parametrize(
    ("path", "table", "column", "number"),
    [
        ("status", "msg", "stato", 0),
        ("lines[3].unitPrice", "msg_line", "prezzo", 3),
        ("lines[3]", "msg_line", "", 3),
        ("lines[2].SK", "msg_line", "id", 2),
        ("PK", "msg", "id", 0),
        ("buyerId", "msg", "cliente_id", 0),
        # The sale has no name of its own here: it is the party's.
        ("buyerName", "msg_anag", "ragione_sociale", 0),
        ("buyerCountry", "msg_anag", "nazione", 0),
        ("producerCountry", "", "", 0),
        ("total", "msg", "", 0),
        ("lines[1].legacy.extra", "msg_line", "extra", 1),
        ("legacy.stato", "msg", "stato", 0),
        ("linesCount", "msg", "", 0),
        ("", "msg", "", 0),
        ("others[1].x", "msg", "", 0),
    ],
)
def test_of_an_attribute(
    names: SourceNames, path: str, table: str, column: str, number: int
) -> None:
    origin = names.of_attribute(path)
    assert (origin.table, origin.column, origin.number) == (table, column, number)


@pytest.mark.parametrize(
    ("path", "table", "column", "attribute"),
    [
        ("status", "msg", "stato", "status"),
        ("lines[3].unit_price", "msg_line", "prezzo", "unitPrice"),
        ("buyer.country", "msg_anag", "nazione", "buyerCountry"),
        ("buyer_id", "msg", "cliente_id", "buyerId"),
        ("lines", "msg", "", ""),
        ("a.b", "msg", "", ""),
    ],
)
def test_of_a_column(
    names: SourceNames, path: str, table: str, column: str, attribute: str
) -> None:
    origin = names.of_column(path)
    assert (origin.table, origin.column, origin.attribute) == (table, column, attribute)


def test_where_nobody_knows_there_is_no_place() -> None:
    for names in (SourceNames("sales"), names_of(Manifest.new(), "sales")):
        for path in ("status", "lines[1].x", "buyer.name", "PK", ""):
            assert names.of_attribute(path).table == names.of_column(path).table == ""
