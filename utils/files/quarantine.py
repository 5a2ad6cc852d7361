"""Quarantine: the records that the tool refused, each whole, with the reason.

data/quarantine/{entity}.json has one JSON object a line:
{"entity", "legacyId", "PK", "phase", "rule", "field", "reason", "findings": [...], "record": {...}}
where `record` is the extracted row as it was, and `findings` every reason there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from utils.files.extracted_rows import ROW_KEY
from utils.files.findings import Finding
from utils.files.parts import opened_here


@dataclass(frozen=True)
class Refusal:
    """One refused record. `items` is how many items the record would have become; `record` is
    the JSON text of the extracted row, `key` the partition key that its items have or would have
    ("" where it has none)."""

    entity: str
    legacy_id: str
    phase: str
    findings: tuple[Finding, ...]
    items: int
    record: bytes
    key: str = ""

    def as_line(self) -> bytes:
        """The line of the quarantine file; the first finding is the headline."""
        first = self.findings[0]
        return (
            orjson.dumps(
                {
                    "entity": self.entity,
                    "legacyId": self.legacy_id,
                    "PK": self.key,
                    "phase": self.phase,
                    "rule": first.rule,
                    "field": first.field,
                    "reason": first.message,
                    "items": self.items,
                    "findings": [finding.as_json() for finding in self.findings],
                    "record": orjson.Fragment(self.record),
                }
            )
            + b"\n"
        )


def read_quarantine(path: Path, phases: Sequence[str] = ()) -> Iterator[Refusal]:
    """The refusals in a quarantine file (none when it is absent), of `phases` if given."""
    if not path.exists():
        return
    with path.open("rb") as handle:
        for line in handle:
            refusal = parse_refusal(orjson.loads(line))
            if not phases or refusal.phase in phases:
                yield refusal


def quarantined_keys(path: Path) -> frozenset[str]:
    """The legacy ids of the records in a quarantine file."""
    return frozenset(refusal.legacy_id for refusal in read_quarantine(path))


def source_rows(extracted: Path, legacy_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The extracted rows with these keys, as (legacy id, JSON text), in the file's order."""
    wanted = {legacy_id.encode(): legacy_id for legacy_id in legacy_ids}
    with opened_here(extracted) as handle:
        for line in handle:
            # A column that holds such text itself is told apart by parsing the few candidates.
            if any(match in wanted for match in ROW_KEY.findall(line)):
                legacy_id = str(orjson.loads(line)["first_id"])
                if legacy_id.encode() in wanted:
                    yield legacy_id, line.rstrip(b"\n")


def parse_refusal(entry: dict[str, Any]) -> Refusal:
    """The refusal that a quarantine line (already parsed) describes."""
    findings = tuple(map(Finding.of_json, entry["findings"]))
    return Refusal(
        entity=entry["entity"],
        legacy_id=entry["legacyId"],
        phase=entry["phase"],
        findings=findings,
        items=entry["items"],
        record=orjson.dumps(entry["record"]),
        key=entry.get("PK", ""),
    )
