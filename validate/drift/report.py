"""data/reports/drift_report.json and drift.csv: in what S9 and the target differ, and whose work
that is. Names of attributes, keys and times; no value."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from utils.files.storage import open_private, partial_of, publish, storage_errors
from utils.ownership import Ownership
from utils.reports.spreadsheet import SEPARATOR, cell, spreadsheet
from utils.run.run import Run
from validate.drift.listing import DAMAGED, Drift

NAME = "drift"
HEADINGS = ("Entity", "Key in S9", "PK", "What", "Item", "Attributes", "By", "When")


def write_drift(run: Run, inner: Run, owner: Ownership, drift: Drift) -> Path:
    """Write both; returns the path of the report. Raises StorageError."""
    path = run.workspace.report(NAME)
    head = {
        **inner.report_head(),
        "runId": run.manifest.run_id,
        "readAt": inner.manifest.snapshot.get("takenAt"),
        "owner": owner.owner,
        "switchedAt": owner.since or None,
        "damaged": drift.total(DAMAGED) > 0,
        "entities": drift.as_json(),
    }
    partial, count = partial_of(path), 0
    with storage_errors(path), open_private(partial, "wb") as out:
        out.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "records": [')
        for record in drift.records():
            out.write((b",\n    " if count else b"\n    ") + orjson.dumps(record))
            count += 1
        out.write(b'\n  ],\n  "count": %d\n}\n' % count)
        out.flush()
        os.fsync(out.fileno())
    publish(path)
    _write_table(run.workspace.drift, drift)
    return path


def _write_table(path: Path, drift: Drift) -> None:
    partial = partial_of(path)
    with storage_errors(partial), spreadsheet(partial) as stream:
        writer = csv.writer(stream, delimiter=SEPARATOR)
        writer.writerow(HEADINGS)
        for record in drift.records():
            writer.writerows([cell(text) for text in row] for row in _rows(record))
    with storage_errors(path):
        publish(path)


def _rows(record: dict[str, Any]) -> Iterator[list[str]]:
    """A row for each of its items."""
    for item in record["items"]:
        yield [
            record["entity"],
            record["legacyId"],
            str(record["PK"]),
            item["what"],
            str(item["SK"]),
            ", ".join(item["attributes"]),
            record["updatedBy"] or "",
            record["at"] or "",
        ]
