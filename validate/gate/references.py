"""Which records are migrated that others name, which of these name one that is not, and why it is
not.

Where the records of a part are checked, their keys and the names that stand in them go to buckets
on disk, each name once. What is missed in a bucket tells in which parts there is something to be
found; these are gone through a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from utils.entities import Reference, Shape, is_referenced, shape_of
from utils.files.artifacts import split_records, starts_record
from utils.files.extracted_rows import RowsByKey
from utils.files.findings import Cause, Finding
from utils.files.pieces import ByteRange, places, records_at, rows_at
from utils.files.quarantine import read_quarantine
from utils.files.spill import Keyed, Runs, Spill, ranges, read_buckets, read_lines
from utils.findings.sentences import because
from utils.findings.source_names import SourceNames, TableNames
from utils.run.run import Run
from validate.gate.finding_spool import findings_in, read_places, write_places
from validate.rules.catalogue import Note
from validate.rules.record_facts import Facts

_REMEMBERED = 100_000  # parties whose keys in S9 have been looked up, and names of a part
_DISABLED, _NO = "disabled", frozenset({"false", "0"})


def key_entries(entity: str, keys: Iterable[str], first: int) -> Iterator[Keyed]:
    """What others may name consecutive records of a part by, of their partition keys, "" for one
    with errors: lines with the place in the part; `first` is that of the first of them."""
    for place, key in enumerate(keys, first):
        if key:
            name = _name(entity, key.partition("#")[2])
            yield name, b"%b\t%d" % (name, place)


def _name(entity: str, identifier: str) -> bytes:
    return f"{entity} {identifier}".encode()


class Names:
    """Gathers whom the records of a part name; runs go below `directory`. A name may be there
    more than once, but seldom is."""

    def __init__(self, directory: Path, entity: str) -> None:
        self._spill = Spill(directory)
        self._named = [(each.entity, set[str]()) for each in shape_of(entity).references]

    def add(self, facts: Iterable[Facts]) -> None:
        """Take further records."""
        references = [each.references for each in facts if each.references]
        for number, (_, named) in enumerate(self._named):
            named.update([each[number][1] for each in references])
            if len(named) > _REMEMBERED:
                self._write()

    def finish(self) -> Runs:
        """All names, in runs."""
        self._write()
        return self._spill.finish()

    def _write(self) -> None:
        for entity, named in self._named:
            if named:
                text = f"{entity} " + f"\n{entity} ".join(named)
                names = text.encode().split(b"\n")
                self._spill.add(zip(names, names, strict=True))
                named.clear()


@dataclass(frozen=True)
class KeysPass:
    """Reads which records there are in parts of a transformed file that others may name; what is
    found goes below `directory`."""

    path: Path
    entity: str
    directory: Path

    def __call__(self, part: tuple[int, ByteRange]) -> Runs:
        """The keys of the part with this number, in these bytes."""
        spill, records = Spill(self.directory), 0
        _, (start, end) = part
        for place in places(end, start=start):
            lines = filter(starts_record, rows_at(self.path, place))
            keys = [orjson.loads(line)["Item"]["PK"]["S"] for line in lines]
            spill.add(key_entries(self.entity, keys, records))
            records += len(keys)
        return spill.finish()


class Keys(NamedTuple):
    """The keys of the records of a part, and the places of those that are refused all the same, if
    there are any."""

    runs: Runs
    refused: Path | None = None


def identifiers_of(keys: Runs) -> dict[int, str]:
    """By their places in a part, the ids by which others may name its records."""
    found = {}
    for numbers in ranges(keys):
        for name, _, place in (
            line.partition(b"\t") for lines in read_buckets(keys, numbers) for line in lines
        ):
            found[int(place)] = name.decode().partition(" ")[2]
    return found


class MigratedRecords:
    """The records that others may name and that pass the gate: where their keys are, by parts. And
    those that are refused, in some hundred bytes for each, with their keys in S9 and the rule that
    refused them."""

    def __init__(self) -> None:
        self._refused: dict[str, dict[str, tuple[str, str]]] = {}
        self._keys: dict[str, tuple[Keys, ...]] = {}

    def refuse(self, entity: str, key: str, legacy_id: str, rule: str) -> None:
        """A record with this partition key is refused, or was. Of an entity that nobody names there
        is nothing to take."""
        if key and is_referenced(entity):
            known = self._refused.setdefault(entity, {})
            known.setdefault(key.partition("#")[2], (legacy_id, rule))

    def refused(self, entity: str, identifier: str) -> tuple[str, str] | None:
        """S9's key of a refused record, and the rule that refused it; None for any other."""
        return self._refused.get(entity, {}).get(identifier)

    def read_refused(self, entity: str, path: Path) -> None:
        """Take the records in a quarantine file."""
        for refusal in read_quarantine(path):
            self.refuse(entity, refusal.key, refusal.legacy_id, refusal.findings[0].rule)

    def add(self, entity: str, keys: Iterable[Keys]) -> None:
        """Take the keys of all records of an entity."""
        self._keys[entity] = tuple(keys)

    def knows(self, entity: str) -> bool:
        """Whether the keys of an entity are there."""
        return entity in self._keys

    def named_by(self, entity: str) -> tuple[Keys, ...]:
        """The keys of all records that those of an entity may name, which have been taken."""
        return tuple(keys for name in shape_of(entity).needs for keys in self._keys[name])


@dataclass(frozen=True)
class MissingPass:
    """Looks up whom the records of parts name; what is missed goes below `scratch`."""

    parts: tuple[Runs, ...]
    keys: tuple[Keys, ...]
    scratch: Path

    def __call__(self, portion: Sequence[range]) -> dict[int, Runs]:
        """The names in some buckets that are nobody's, of each part that has any."""
        found: dict[int, Runs] = {}
        for numbers in portion:
            known = [read_buckets(each.runs, numbers) for each in self.keys]
            refused = [read_places(each.refused) for each in self.keys]
            named = [read_buckets(each, numbers) for each in self.parts]
            missing: list[set[bytes]] = [set() for _ in self.parts]
            for _ in numbers:
                ids = set[bytes]().union(*map(_left, map(next, known), refused))
                for lines, own in zip(map(next, named), missing, strict=True):
                    own.update(set(lines).difference(ids))
            for part, names in enumerate(missing):
                if names:
                    spill = Spill(self.scratch, count=1)
                    spill.add((b"", name) for name in names)
                    found[part] = found.get(part, ()) + spill.finish()
        return found


def _left(lines: Sequence[bytes], refused: frozenset[int]) -> list[bytes]:
    """The names that stand in lines of keys, without those of refused records."""
    parted = [line.partition(b"\t") for line in lines]
    return [name for name, _, place in parted if not refused or int(place) not in refused]


class Dangling(NamedTuple):
    """A record, by its `place` in a part and its key in S9, names one that is not migrated."""

    place: int
    legacy_id: str
    attribute: str
    identifier: str


class DanglingPart(NamedTuple):
    """What dangles in a part: in runs (`dangling_in`), how many `records` it is in, and their
    `places`."""

    runs: Runs
    records: int
    places: Path


class Doubtful(NamedTuple):
    """A part in which names are missed: its bytes, what was found in it when it was checked (the
    names in records with errors are of no interest), and the names."""

    part: ByteRange
    found: Runs
    missing: Runs


@dataclass(frozen=True)
class DanglingPass:
    """Finds the records of an entity's file at `path` that name such as are missed; what is found
    goes below `scratch`."""

    path: Path
    entity: str
    scratch: Path

    def __call__(self, doubtful: tuple[int, Doubtful]) -> DanglingPart:
        """What dangles in the part with this number."""
        _, (part, found, missing) = doubtful
        refused = {each.place for each in findings_in(found) if each.finding.severity == "error"}
        names = frozenset(read_lines(missing))
        spill, records = Spill(self.scratch, count=1), list[int]()
        first = 0
        for piece in places(part.end, start=part.start):
            lines = records_at(self.path, piece)
            for record in split_records(lines):
                if first not in refused and (dangling := self._dangling(first, record[0], names)):
                    spill.add((b"", orjson.dumps([*each])) for each in dangling)
                    records.append(first)
                first += 1
        return DanglingPart(spill.finish(), len(records), write_places(self.scratch, records))

    def _dangling(self, place: int, line: bytes, missing: Set[bytes]) -> list[Dangling]:
        item = orjson.loads(line)["Item"]
        named = [(each, item[each.attribute]["S"]) for each in shape_of(self.entity).references]
        return [
            Dangling(place, item["legacyId"]["S"], reference.attribute, identifier)
            for reference, identifier in named
            if _name(reference.entity, identifier) in missing
        ]


def dangling_in(runs: Runs, entity: str) -> Iterator[tuple[Dangling, Note]]:
    """What dangles in a part of an entity's file, in the order of the records, and what there is to
    note of it."""
    references = {each.attribute: each.entity for each in shape_of(entity).references}
    for line in read_lines(runs):
        dangling = Dangling(*orjson.loads(line))
        attribute, named = dangling.attribute, references[dangling.attribute]
        text = f"{attribute} {dangling.identifier} is not among the migrated {named}: "
        yield dangling, Note(attribute, "reference", text + shape_of(named).absent)


class Causes:
    """Why a record names one that is not migrated: that one is refused, or was not selected. That
    S9 has none at all the transform has said.

    What the items no longer say, S9's key of the one that is named, is in the extracted row.
    """

    def __init__(
        self, run: Run, names: SourceNames, migrated: MigratedRecords, rows: RowsByKey
    ) -> None:
        self._run = run
        self._shape = shape_of(names.entity)
        self._columns = names.parts.get("", TableNames()).attributes
        self._migrated = migrated
        self._rows = rows
        self._known: dict[tuple[str, str], Cause] = {}

    def explained(self, finding: Finding, identifier: str) -> Finding:
        """A finding about a reference that dangles, to the record with this id; with its cause."""
        cause = self._cause(self._reference_to(finding.field), identifier, finding.legacy_id)
        if not cause.key:
            return replace(finding, cause=cause)
        message = f"its {shape_of(cause.entity).singular} is not migrated, because {because(cause)}"
        return replace(finding, message=message, value=cause.key, cause=cause)

    def keyed(self, finding: Finding) -> Finding:
        """A finding about a copied value, with the key that its party has in S9."""
        if finding.cause is None or finding.cause.why != "copied":
            return finding
        entity, identifier = finding.cause.entity, finding.cause.key
        reference = next(each for each in self._shape.references if each.entity == entity)
        cause = self._cause(reference, identifier, finding.legacy_id)
        return replace(finding, key=cause.key, cause=replace(finding.cause, key=cause.key))

    def _reference_to(self, attribute: str) -> Reference:
        return next(each for each in self._shape.references if each.attribute == attribute)

    def _cause(self, reference: Reference, identifier: str, legacy_id: str) -> Cause:
        entity = reference.entity
        if found := self._migrated.refused(entity, identifier):
            key, rule = found
            return Cause(entity, key, "refused", rule)
        if (entity, identifier) not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[entity, identifier] = self._looked_up(reference, legacy_id)
        return self._known[entity, identifier]

    def _looked_up(self, reference: Reference, legacy_id: str) -> Cause:
        """What the row of the record says of the one that it names."""
        named = shape_of(reference.entity)
        found = self._rows.row(int(legacy_id)) if legacy_id.lstrip("-").isdecimal() else None
        row = found or {}
        key = row.get(self._columns.get(reference.attribute, ""), "")
        if key in (None, 0, "0"):
            return self._placeholder(named)
        reason = self._why_not_selected(named.name, row.get(named.singular))
        return Cause(named.name, str(key), "not-selected", reason)

    def _placeholder(self, named: Shape) -> Cause:
        setting = f"placeholder_{named.singular}"
        party = getattr(self._run.config.transformation, setting, None)
        key = getattr(party, "id", None)
        return Cause(
            named.name,
            "" if key is None else str(key),
            "not-selected",
            f"the configured placeholder (transformation.placeholder{named.singular.capitalize()})",
        )

    def _why_not_selected(self, entity: str, party: Any) -> str:
        """As the extract has counted what it left out, and as the copy of the party says."""
        known = str(party.get("enabled")).lower() if isinstance(party, dict) else "none"
        if known in _NO:
            return f"{_DISABLED} (extraction.disabledParties)"
        done = self._run.manifest.phase("extract", entity)
        table = done.result.get("table") or {} if done else {}
        elsewhere = done.result.get("elsewhere", ()) if done else ()
        left_out = {_DISABLED, *elsewhere} if known != "none" else {*elsewhere}
        return " or ".join(each for each in table.get("notSelected", {}) if each not in left_out)
