"""What two runs of the same migration have left, as far as it must be the same whoever did the
work: artifacts, every report, the differences, the items of the tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

from tests.conftest import TableNames
from tests.support.operators.operator import Operator, scan_all

_MASK = re.compile("(…~)[0-9a-f]{8}".encode())  # its key is that of the data directory
_MOMENT = re.compile(rb"((?:added up in S9|compared with the target) at;)[0-9TZ:.-]+")
_SHA = re.compile(rb"(;SHA-256) [0-9a-f]{64}")  # of files with masks, too
# When it was, how long it took, in how many requests; and the digests of files, which are compared
# themselves.
_ITS_OWN = {
    *("runId", "at", "addedUpAt", "snapshot", "seconds", "itemsPerSecond"),
    *("batches", "consumedWriteUnits", "retries", "readUnits", "sentBytes", "sha256"),
}
_NOT_ALIKE = {".log", ".html", ".properties"}  # for people, with times; and Spark's own


@dataclass(frozen=True)
class Left:
    """What a run has left: files byte for byte, reports without what is this run's own, items."""

    artifacts: dict[str, bytes]
    reports: dict[str, Any]
    items: dict[str, dict[tuple[str, str], dict[str, Any]]]

    @classmethod
    def of(cls, operator: Operator, dynamodb: DynamoDBClient, tables: TableNames) -> Left:
        """What there is now. `tables` are named alike in the reports of all."""
        found = {
            path.name: _said(path, tables)
            for name in ("reports", "differences")
            for path in sorted((operator.data / name).iterdir())
            if path.suffix not in _NOT_ALIKE
        }
        return cls(operator.files(), found, scan_all(dynamodb, tables))


def _said(path: Path, tables: TableNames) -> Any:
    text = path.read_bytes()
    for own in (_MASK, _MOMENT, _SHA):
        text = own.sub(b"\\1", text)
    for name in ("sales", "buyers", "producers"):
        text = text.replace(getattr(tables, name).encode(), name.encode())
    if path.suffix == ".json" and path.parent.name == "reports":
        return _without_its_own(orjson.loads(text))
    return sorted(text.splitlines())


def _without_its_own(document: Any) -> Any:
    if isinstance(document, dict):
        return {
            name: _without_its_own(value)
            for name, value in document.items()
            if name not in _ITS_OWN
        }
    return [*map(_without_its_own, document)] if isinstance(document, list) else document
