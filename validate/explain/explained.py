"""What `explain` has to tell of a record, as values: its stations, the differences between them,
and the verdict.

Texts of S9 and of the target are in here as they may be shown (utils/findings/shown_records.py).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from utils.error_handler import ExitCode
from utils.files.findings import Finding
from utils.findings.shown_records import Shown


class State(enum.Enum):
    """How a station stands with what was to be expected of it."""

    FINE = "ok"
    DIFFERS = "differs"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Place(enum.Enum):
    """The stations, in their order; the value is their name in the document."""

    SOURCE = "source"
    EXTRACTED = "extracted"
    TRANSFORMED = "transformed"
    QUARANTINE = "quarantine"
    LOAD = "load"
    TARGET = "target"


@dataclass(frozen=True)
class Station:
    """One station: what is to be said of it in `words`, and what to type where nothing can be
    (`next`). `values` are those of the record there, `lines` how many rows or items belong to it,
    and `first_lines` those that are shown."""

    place: Place
    state: State
    words: str
    next: str = ""
    values: Shown = field(default_factory=dict)
    lines: int | None = None
    first_lines: Sequence[Shown] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "words": self.words,
            "next": self.next,
            "values": dict(self.values),
            "lines": self.lines,
            "firstLines": [dict(each) for each in self.first_lines],
            **self.facts,
        }


@dataclass(frozen=True)
class AttributeDifference:
    """An attribute of one item (`sort_key`) on the three sides: None where the item or the
    attribute is absent, or nobody could look. `differs`: it is not the same everywhere."""

    sort_key: str
    attribute: str
    differs: bool
    source: str | None
    file: str | None
    target: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "SK": self.sort_key,
            "attribute": self.attribute,
            "differs": self.differs,
            "source": self.source,
            "file": self.file,
            "target": self.target,
        }


@dataclass(frozen=True)
class Verdict:
    """The sentence that an operator needs; `kind` is a word for programs."""

    kind: str
    code: ExitCode
    sentence: str
    next: str = ""

    def as_json(self) -> dict[str, str]:
        return {"kind": self.kind, "sentence": self.sentence, "next": self.next}


@dataclass(frozen=True)
class Explained:
    """All of it. `attributes` are the main ones of the record, and the first of all those that
    differ (`differing`); `sides` says who could be asked of them: S9, the file, the table."""

    entity: str
    asked: str
    key: int | None
    partition_key: str
    number: str
    run: str
    stations: Sequence[Station]
    findings: Sequence[Finding]
    attributes: Sequence[AttributeDifference]
    differing: int
    sides: tuple[bool, bool, bool]
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "entity": self.entity,
            "asked": self.asked,
            "legacyId": None if self.key is None else str(self.key),
            "PK": self.partition_key,
            "number": self.number,
            "runId": self.run,
            "stations": {each.place.value: each.as_json() for each in self.stations},
            "findings": [each.as_json() for each in self.findings],
            "attributes": [each.as_json() for each in self.attributes],
            "differing": self.differing,
            "verdict": self.verdict.as_json(),
            "exitCode": int(self.verdict.code),
        }
