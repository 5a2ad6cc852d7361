"""What is not in the target as S9 has it although all is in order, and that somebody accepts it.

`Open` is one such thing: a record in quarantine, one that the application has changed or that stays
although S9 has it no more, a sale outside the numbering. The tool lists all of them in
data/reports/cutover_acceptance.json, each with "accepted": false; who may decide sets that to true
in a copy, and says at its top who they are. What was accepted counts as long as it is the same: the
same record, for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from utils.error_handler import ArtifactError, ConfigurationError
from utils.files.artifacts import sha256_of
from utils.files.storage import storage_errors, write_atomically
from utils.files.workspace import Workspace
from utils.wording.figures import counted
from utils.wording.terminal import printable

NAME = "cutover_acceptance"
QUARANTINED, CHANGED, LEFT, NUMBERED, LEFT_OUT = (
    "inQuarantine",
    "changedByApplication",
    "leftS9",
    "outOfNumbering",
    "leftOut",
)
_LONGEST = 200


@dataclass(frozen=True)
class Open:
    """Something to be accepted: the record (entity, its key in S9, "" where it has none, and PK),
    what it is, and why, in words without personal values."""

    entity: str
    key: str
    pk: str
    what: str
    why: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What it is about: for one of these there is one reason."""
        return self.entity, self.key, self.pk, self.what

    def __str__(self) -> str:
        return printable(f"{self.entity} {self.key or self.pk} ({self.what}: {self.why})")

    def as_json(self, *, accepted: bool = False) -> dict[str, Any]:
        return {
            "entity": self.entity,
            "key": self.key,
            "PK": self.pk,
            "what": self.what,
            "why": self.why,
            "accepted": accepted,
        }


@dataclass(frozen=True)
class Judgement:
    """What an acceptance is worth: what is open and not in it, what is in it for another reason,
    what is in it and not accepted; and what was accepted and is not open any more."""

    missing: tuple[Open, ...] = ()
    other: tuple[Open, ...] = ()
    refused: tuple[Open, ...] = ()
    surplus: tuple[Open, ...] = ()

    @property
    def is_enough(self) -> bool:
        return not (self.missing or self.other or self.refused)

    def lines(self) -> Iterator[str]:
        """What keeps the gate shut, by name."""
        for words, found in (
            ("not in the file", self.missing),
            ("accepted for another reason than it is open for", self.other),
            ("not accepted", self.refused),
        ):
            yield from (f"{words}: {each}" for each in found)


@dataclass(frozen=True)
class Accepted:
    """A file that somebody has accepted: who, what of it, and its SHA-256."""

    by: str
    entries: Mapping[Open, bool]
    sha256: str

    def judged(self, open_: Sequence[Open]) -> Judgement:
        """What it is worth for what is open."""
        places = {each.place for each in self.entries}
        due = set(open_)
        return Judgement(
            tuple(each for each in open_ if each.place not in places),
            tuple(each for each in open_ if each.place in places and each not in self.entries),
            tuple(each for each in open_ if self.entries.get(each) is False),
            tuple(each for each in self.entries if each not in due and self.entries[each]),
        )


def list_of(files: Workspace) -> Path:
    """Where the list of what is open is."""
    return files.reports / f"{NAME}.json"


def write_open(
    files: Workspace, head: Mapping[str, Any], cutover: str, open_: Iterable[Open]
) -> Path:
    """Write the list of what is open, nothing of it accepted; returns its path."""
    path = list_of(files)
    listed = [each.as_json() for each in open_]
    document = {
        **head,
        "cutover": cutover,
        "acceptedBy": "",
        "open": listed,
        "count": len(listed),
    }
    write_atomically(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def read_open(files: Workspace, sha256: str) -> tuple[Open, ...]:
    """What the list of this SHA-256 has. Raises ArtifactError when it is not that list any more."""
    path = list_of(files)
    with storage_errors(path):
        if not path.is_file() or sha256_of(path) != sha256:
            raise ArtifactError(
                f"{path} is not the list that was written when the target was verified",
                remedy="edit a copy of it, never the list itself",
            )
        return tuple(_entries(orjson.loads(path.read_bytes())))


def read_accepted(path: Path) -> Accepted:
    """What a file accepts. Raises ConfigurationError for one that is no such file, or does not say
    who has accepted it."""
    with storage_errors(path):
        if not path.is_file():
            raise ConfigurationError(f"there is no file {path}", remedy="name the edited copy")
        text, digest = path.read_bytes(), sha256_of(path)
    try:
        document = orjson.loads(text)
        by, entries = document["acceptedBy"], _entries(document)
        if not isinstance(by, str):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no list of what is accepted",
            remedy=f"copy {NAME}.json of the reports, set acceptedBy and what is accepted, and "
            "leave the rest as it is",
        ) from error
    if not by.strip():
        raise ConfigurationError(
            f"{path} does not say who has accepted it: acceptedBy is empty",
            remedy="write the name of whoever answers for it into acceptedBy",
        )
    return Accepted(printable(by.strip())[:_LONGEST], entries, digest)


def _entries(document: Mapping[str, Any]) -> dict[Open, bool]:
    found: dict[Open, bool] = {}
    for each in document["open"]:
        values = [each[name] for name in ("entity", "key", "PK", "what", "why")]
        if not all(isinstance(value, str) for value in values):
            raise ValueError
        place = Open(*values)
        found[place] = each["accepted"] is True and found.get(place, True)
    return found


def by_kind(open_: Iterable[Open]) -> str:
    """How much is open, by kind: "2 in quarantine, 1 changed by the application"."""
    words = {
        QUARANTINED: ("record in quarantine", "records in quarantine"),
        CHANGED: ("record changed by the application", "records changed by the application"),
        LEFT: ("record that has left S9", "records that have left S9"),
        NUMBERED: ("number outside the index", "numbers outside the index"),
        LEFT_OUT: ("setting that leaves rows out", "settings that leave rows out"),
    }
    found = [each.what for each in open_]
    return ", ".join(
        counted(found.count(what), *each) for what, each in words.items() if what in found
    )
