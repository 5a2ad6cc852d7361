"""data/reports/load_report.json: what the load wrote, how fast, and at what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from load.writing.batch_writer import Outcome
from utils.files.storage import write_atomically
from utils.run.run import Run


@dataclass(frozen=True)
class EntityLoad:
    """The figures of one entity. `sent_bytes` are those of the items in the transformed file,
    `consumed_units` write units as DynamoDB counts them, indexes included; `retries` counts
    repeated requests by their reason."""

    items: int
    sent_bytes: int
    batches: int
    retries: Mapping[str, int]
    consumed_units: float
    seconds: float

    @classmethod
    def of(cls, outcome: Outcome, seconds: float) -> EntityLoad:
        return cls(
            outcome.items,
            outcome.sent_bytes,
            outcome.batches,
            dict(outcome.retries),
            outcome.units,
            seconds,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "sentBytes": self.sent_bytes,
            "batches": self.batches,
            "retries": dict(self.retries),
            "consumedWriteUnits": self.consumed_units,
            "seconds": round(self.seconds, 3),
            "itemsPerSecond": round(self.items / self.seconds, 1) if self.seconds else None,
        }


def write_load_report(run: Run) -> None:
    """Write the report from what the manifest knows of every loaded entity."""
    entries = run.manifest.phases.get("load", {})
    document = {
        **run.report_head(),
        "entities": {name: {"at": e.at, **e.result} for name, e in entries.items()},
    }
    path = run.workspace.report("load")
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
