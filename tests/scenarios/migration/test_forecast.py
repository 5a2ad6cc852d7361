"""Plan against fact: what is forecast of a load is what the load's report says afterwards."""

from __future__ import annotations

from tests.support.operators.foretold import foretold
from tests.support.operators.operator import ENTITIES, Operator


def test_items_bytes_and_write_units_are_those_of_the_load(finished: Operator) -> None:
    loaded, tables = finished.report("load")["entities"], foretold(finished).tables
    for table in tables:
        fact = loaded[table.entity]
        assert table.records == fact["records"] > 10
        assert table.items == table.new == fact["items"]
        assert table.sent_bytes == fact["sentBytes"]
        assert table.write_units == fact["consumedWriteUnits"]
        assert table.write_units > table.items
    assert [table.entity for table in tables] == list(ENTITIES)
