"""data/reports/reconciliation.csv, the reconciliation as a table for an accountant, and
reconciliation_report.json, the same for programs (of many rows the first)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

import orjson

from utils.entities import shape_of
from utils.files.artifacts import sha256_of
from utils.files.storage import partial_of, publish, storage_errors, write_atomically
from utils.reports.spreadsheet import SEPARATOR, cell, number_cell, spreadsheet
from utils.run.run import Run
from utils.sums.source_sums import measures_of
from validate.reconciliation.reconciliation import Reconciliation, label_text
from validate.reconciliation.rows import (
    APPLICATION,
    COLUMNS,
    COMPUTED,
    KEPT,
    QUARANTINE,
    REFUSED,
    S9,
    SINCE,
    TARGET,
    Row,
    RowKey,
)
from validate.sums.figures import ZERO, plain

LISTED = 1_000  # rows that a list of the report holds at most; its count is always whole
_DECIMALS = 2
_NOTHING = number_cell(ZERO, _DECIMALS)
_HEADINGS = {
    S9: "S9 (SQL)",
    QUARANTINE: "In quarantine",
    COMPUTED: "Computed, S9 has none",
    REFUSED: "Refused by the load",
    KEPT: "Kept by the load",
    APPLICATION: "Changed by the application",
    SINCE: "Changed in S9 since the load",
    TARGET: "Target",
}
HEADINGS = (
    *("Entity", "By", "Value", "Key in S9", "Currency", "Figure"),
    *(_HEADINGS[name] for name in COLUMNS),
    *("Difference", "Records that make it"),
)
TOTAL = "(total)"


def write_reconciliation(
    run: Run, head: Mapping[str, Any], found: Sequence[Reconciliation]
) -> None:
    """Write both files (`head` opens the report); without any reconciliation, those of an earlier
    one are set aside."""
    if not found:
        run.workspace.set_aside("reconciliation")
        return
    path = run.workspace.reconciliation
    partial = partial_of(path)
    documents = {}
    with storage_errors(partial), spreadsheet(partial) as stream:
        writer = csv.writer(stream, delimiter=SEPARATOR)
        writer.writerow(HEADINGS)
        for each in found:
            documents[each.entity] = _written(each, writer)
        for each in found:
            writer.writerow([each.entity, "added up in S9 at", cell(each.taken_at)])
            writer.writerow([each.entity, "compared with the target at", cell(str(head["at"]))])
            for name, sha256 in each.sources.items():
                writer.writerow([each.entity, "computed from", cell(name), f"SHA-256 {sha256}"])
    with storage_errors(path):
        publish(path)
    document = {
        **head,
        "passed": all(each.passed for each in found),
        "table": {"file": path.name, "sha256": sha256_of(path)},
        "entities": documents,
    }
    write_atomically(
        run.workspace.report("reconciliation"),
        orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n",
    )


def _written(found: Reconciliation, writer: Any) -> dict[str, Any]:
    """Put the rows of an entity into the table; returns what the report says of it."""
    rows: list[dict[str, Any]] = []
    differing: list[dict[str, Any]] = []
    count = 0
    for by, group in groupby(found.rows.in_order(), key=lambda each: each[0].by):
        totals: dict[str, Row] = {}
        for key, row in group:
            count += 1
            _write_row(found, writer, key, label_text(key.label), row)
            total = totals.setdefault(label_text(key.currency), Row())
            total.extend(Row(dict(row.columns)))
            new = [each for each in row.sales if each not in total.sales]  # one may be in two rows
            total.names(new, len(new) + row.count - len(row.sales))
            if len(rows) < LISTED:
                rows.append(_as_json(found, key, row))
            if len(differing) < LISTED and not row.difference(found.amounts).is_nothing:
                differing.append(_as_json(found, key, row))
        for currency, row in totals.items():
            _write_row(found, writer, RowKey(by, TOTAL, currency), TOTAL, row)
    return {
        "passed": found.passed,
        "problems": found.problems,
        "addedUpAt": found.taken_at,
        "readAgainAt": list(found.head.again),
        "computedFrom": [{"file": n, "sha256": sha} for n, sha in found.sources.items()],
        "totals": [
            {"currency": currency, "figures": list(_figures(found, row))}
            for currency, row in found.totals.items()
        ],
        "rows": {"count": count, "list": rows, "truncated": count > len(rows)},
        "differences": {
            "count": found.differing,
            "list": differing,
            "truncated": found.differing > len(differing),
        },
    }


def _write_row(found: Reconciliation, writer: Any, key: RowKey, label: str, row: Row) -> None:
    named = [found.entity, key.by, label, row.key, label_text(key.currency)]
    cells = [*map(cell, named)]
    for name, values in _by_figure(found, row):
        sales = ""
        if values[-1]:
            sales = cell(", ".join(row.sales) + (" …" if row.count > len(row.sales) else ""))
        writer.writerow([*cells, name, *map(_number, values), sales])


def _number(value: int | Decimal) -> str:
    """A figure as the table has it. Most are nothing, of columns to which nobody contributes."""
    if value is ZERO:
        return _NOTHING
    return number_cell(value, _DECIMALS) if isinstance(value, Decimal) else str(value)


def _by_figure(found: Reconciliation, row: Row) -> Iterator[tuple[str, list[int | Decimal]]]:
    """Each figure, with what the columns have of it, and the difference."""
    shape = shape_of(found.entity)
    columns = [row.column(name, found.amounts) for name in COLUMNS]
    columns.append(row.difference(found.amounts))
    yield shape.name, [each.records for each in columns]
    if shape.children:
        yield shape.children.name, [each.lines for each in columns]
    for place, name in enumerate(measures_of(shape).amounts):
        yield name, [each.amounts[place] for each in columns]


def _figures(found: Reconciliation, row: Row) -> Iterator[dict[str, str]]:
    for name, values in _by_figure(found, row):
        texts = [plain(Decimal(each)) for each in values]
        yield {"figure": name, **dict(zip((*COLUMNS, "difference"), texts, strict=True))}


def _as_json(found: Reconciliation, key: RowKey, row: Row) -> dict[str, Any]:
    return {
        "by": key.by,
        "value": label_text(key.label),
        "key": row.key or None,
        "currency": label_text(key.currency),
        "figures": list(_figures(found, row)),
        "records": {"count": row.count, "list": row.sales, "truncated": row.count > len(row.sales)},
    }
