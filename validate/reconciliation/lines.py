"""A row of the reconciliation as lines of the table for an accountant."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from utils.entities import shape_of
from utils.reports.spreadsheet import cell, number_cell
from utils.sums.source_sums import measures_of
from validate.reconciliation.rows import COLUMNS, Row, RowKey, label_text
from validate.sums.figures import ZERO

_DECIMALS = 2
_NOTHING = number_cell(ZERO, _DECIMALS)


def write_row(entity: str, writer: Any, key: RowKey, label: str, row: Row) -> None:
    """Put a row into the table: a line for each figure. `label` is what it says as its value."""
    named = [entity, key.by, label, row.key, label_text(key.currency)]
    cells = [*map(cell, named)]
    for name, values in by_figure(entity, row):
        sales = ""
        if values[-1]:
            sales = cell(", ".join(row.sales) + (" …" if row.count > len(row.sales) else ""))
        writer.writerow([*cells, name, *map(_number, values), sales])


def _number(value: int | Decimal) -> str:
    """A figure as the table has it. Most are nothing, of columns to which nobody contributes."""
    if value is ZERO:
        return _NOTHING
    return number_cell(value, _DECIMALS) if isinstance(value, Decimal) else str(value)


def by_figure(entity: str, row: Row) -> Iterator[tuple[str, list[int | Decimal]]]:
    """Each figure, with what the columns have of it, and the difference."""
    shape = shape_of(entity)
    amounts = len(measures_of(shape).amounts)
    columns = [row.column(name, amounts) for name in COLUMNS]
    columns.append(row.difference(amounts))
    yield shape.name, [each.records for each in columns]
    if shape.children:
        yield shape.children.name, [each.lines for each in columns]
    for place, name in enumerate(measures_of(shape).amounts):
        yield name, [each.amounts[place] for each in columns]
