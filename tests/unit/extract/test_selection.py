"""Planning an extract: which columns are read under which names, and how lines join their sale."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from extract.declaration import Column, recognise
from extract.entities import entities_of
from extract.reading.records import merge
from extract.s9_tables import LINES, PARTIES, SALES
from extract.selection import SourceColumn, plan
from utils.config import EntityExtraction
from utils.error_handler import SourceError

ENTITIES = entities_of("s9")


class Catalog:
    """A source whose tables have the given columns; every query on a table has all of them."""

    def __init__(self, **tables: list[str]) -> None:
        self._tables = tables

    def columns(self, query: str) -> list[SourceColumn]:
        table = next(name for name in ("msg_line", "msg_anag", "msg") if f"FROM {name}" in query)
        return [
            SourceColumn(name, is_integer=name.endswith("id"), is_decimal=False)
            for name in self._tables[table]
        ]

    def quote(self, identifier: str) -> str:
        return f'"{identifier}"'

    def table(self, name: str) -> str:
        return name

    def listed(self, _table: str) -> list[str]:
        return []

    def first_of(self, columns: Sequence[SourceColumn]) -> tuple[str, str]:
        raise AssertionError(f"there are several of {columns}")


ENGLISH = {
    "msg_anag": [column.name for column in PARTIES.columns],
    "msg": [column.name for column in SALES.columns],
    "msg_line": [column.name for column in LINES.columns],
}
ITALIAN = {
    table.name: [column.names[-1] for column in table.columns] for table in (PARTIES, SALES, LINES)
}


def test_the_first_name_that_is_present_is_taken_whatever_its_case() -> None:
    known = [Column("name", ("ragione_sociale",)), Column("city", ("citta",))]
    mapping = recognise(known, ["RAGIONE_SOCIALE", "name", "Citta", "extra"])
    assert dict(mapping.recognised) == {"name": "name", "Citta": "city"}
    assert mapping.unmapped == ("RAGIONE_SOCIALE", "extra")
    assert mapping.missing == ()


def test_one_column_never_stands_for_two() -> None:
    known = [Column("currency", ("valuta",)), Column("notes", ("valuta",))]
    mapping = recognise(known, ["valuta"])
    assert dict(mapping.recognised) == {"valuta": "currency"}
    assert mapping.missing == ("notes",)


@pytest.mark.parametrize("names", [ENGLISH, ITALIAN], ids=["english", "italian"])
@pytest.mark.parametrize("entity", ENTITIES)
def test_every_column_of_s9_is_read_under_its_canonical_name(
    names: dict[str, list[str]], entity: str
) -> None:
    planned = plan(ENTITIES[entity], "exclude", EntityExtraction(), Catalog(**names))
    table = ENTITIES[entity].table
    assert {field.name for field in planned.records.fields} == {c.name for c in table.columns}
    assert all(not m.unmapped and not m.missing for m in planned.columns.values())


def test_referenced_parties_are_found_by_the_installations_own_column_name() -> None:
    planned = plan(ENTITIES["buyers"], "referenced", EntityExtraction(), Catalog(**ITALIAN))
    assert 'SELECT "anag_id" FROM msg WHERE enabled = true' in planned.records.query


def test_condition_limit_and_keys_narrow_the_query_in_this_order() -> None:
    settings = EntityExtraction(where="city = 'Brescia'", limit=5)
    catalog = Catalog(**ENGLISH)
    planned = plan(ENTITIES["buyers"], "exclude", settings, catalog, only={7, 3})
    query = planned.records.query
    assert query.index("Brescia") < query.index("LIMIT 5") < query.index('"first_id" IN (3, 7)')
    nothing = plan(ENTITIES["buyers"], "exclude", settings, catalog, only=set())
    assert "IN (NULL)" in nothing.records.query


def test_a_missing_column_that_no_record_can_do_without_stops_with_its_names() -> None:
    names = {**ENGLISH, "msg": [name for name in ENGLISH["msg"] if name != "status"]}
    with pytest.raises(SourceError, match="status or stato"):
        plan(ENTITIES["sales"], "exclude", EntityExtraction(), Catalog(**names))


def test_an_unmapped_column_keeps_its_name_unless_it_would_hide_another() -> None:
    names = {**ENGLISH, "msg": [*ENGLISH["msg"], "colour", "lines"]}
    planned = plan(ENTITIES["sales"], "exclude", EntityExtraction(), Catalog(**names))
    carried = {field.column.name: field.name for field in planned.records.fields}
    assert carried["colour"] == "colour"
    assert carried["lines"] == "lines_s9"
    assert planned.columns["msg"].unmapped == ("colour", "lines")


def test_lines_are_spliced_into_their_sale_in_order() -> None:
    sales = [(b"1", b'{"a":1}'), (b"2", b'{"a":2}'), (b"10", b'{"a":3}')]
    lines = [(b"1", b'{"l":1}'), (b"1", b'{"l":2}'), (b"10", b'{"l":3}')]
    assert list(merge(iter(sales), iter(lines), "lines")) == [
        (b"1", 3, b'{"a":1,"lines":[{"l":1},{"l":2}]}\n'),
        (b"2", 1, b'{"a":2,"lines":[]}\n'),
        (b"10", 2, b'{"a":3,"lines":[{"l":3}]}\n'),
    ]


def test_a_configured_query_may_end_in_a_semicolon_or_a_comment() -> None:
    catalog = Catalog(**ENGLISH)
    for ending in (";", " ; ", " -- all of them"):
        settings = EntityExtraction(query=f"SELECT * FROM msg_anag{ending}", limit=3)
        query = plan(ENTITIES["buyers"], "exclude", settings, catalog).records.query
        assert ";" not in query
        assert query.index("\n") < query.index("AS q")
