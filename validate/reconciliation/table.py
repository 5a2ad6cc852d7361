"""data/reports/reconciliation.csv, the reconciliation as a table for an accountant, and
reconciliation_report.json, the same for programs (of many rows the first)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, TextIO

import orjson

from utils.files.artifacts import sha256_of
from utils.files.storage import partial_of, publish, storage_errors, write_atomically
from utils.reports.spreadsheet import SEPARATOR, cell, spreadsheet
from utils.run.run import Run
from validate.reconciliation.lines import by_figure, write_row
from validate.reconciliation.reconciliation import Reconciliation
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
    label_text,
)
from validate.sums.figures import plain

LISTED = 1_000  # rows that a list of the report holds at most; its count is always whole
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
            documents[each.entity] = _written(each, stream)
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


def _written(found: Reconciliation, stream: TextIO) -> dict[str, Any]:
    """Put the rows of an entity into the table; returns what the report says of it."""
    writer = csv.writer(stream, delimiter=SEPARATOR)
    rows: list[dict[str, Any]] = []
    differing: list[dict[str, Any]] = []
    count = 0
    for by, group in groupby(found.rows.in_order(), key=lambda each: each.key.by):
        totals = found.totals_by(by)
        for each in group:
            count += 1
            stream.write(each.table)
            if each.is_plain and len(rows) >= LISTED:
                continue
            key, row = each.key, each.row
            total = totals[label_text(key.currency)]
            new = [each for each in row.sales if each not in total.sales]  # one may be in two rows
            total.names(new, len(new) + row.count - len(row.sales))
            if len(rows) < LISTED:
                rows.append(_as_json(found, key, row))
            if len(differing) < LISTED and not row.difference(found.amounts).is_nothing:
                differing.append(_as_json(found, key, row))
        for currency, row in totals.items():
            write_row(found.entity, writer, RowKey(by, TOTAL, currency), TOTAL, row)
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


def _figures(found: Reconciliation, row: Row) -> Iterator[dict[str, str]]:
    for name, values in by_figure(found.entity, row):
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
