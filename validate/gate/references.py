"""Which records are migrated that others name, which of these name one that is not, and why it is
not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from utils.entities import ENTITY_NAMES, Reference, Shape, is_referenced, shape_of
from utils.files.artifacts import lines_of, starts_record
from utils.files.extracted_rows import RowsByKey
from utils.files.findings import Cause, Finding
from utils.files.quarantine import read_quarantine
from utils.findings.sentences import because
from utils.findings.source_names import SourceNames, TableNames
from utils.run.run import Run
from validate.rules.catalogue import Note

_REMEMBERED = 100_000  # parties whose keys in S9 have been looked up
_DISABLED, _NO = "disabled", frozenset({"false", "0"})


class MigratedRecords:
    """The ids of the records that others name and that pass the gate, in some hundred bytes for
    each; and of those that are refused, with their keys in S9 and the rule that refused them."""

    def __init__(self) -> None:
        self._refused: dict[str, dict[str, tuple[str, str]]] = {}
        self._places: dict[str, list[str]] = {
            name: [] for name in filter(is_referenced, ENTITY_NAMES)
        }
        self._ids: dict[str, set[str]] = {}

    def add(self, entity: str, keys: Iterable[str]) -> None:
        """Take the partition keys of the next records of a file, "" for one with errors. Of an
        entity that nobody names there is nothing to take."""
        if entity in self._places:
            self._places[entity] += [key.partition("#")[2] for key in keys]

    def refuse(self, entity: str, key: str, legacy_id: str, rule: str) -> None:
        """A record with this partition key is refused, or was."""
        if entity in self._places and key:
            known = self._refused.setdefault(entity, {})
            known.setdefault(key.partition("#")[2], (legacy_id, rule))

    def refused(self, entity: str, identifier: str) -> tuple[str, str] | None:
        """S9's key of a refused record, and the rule that refused it; None for any other."""
        return self._refused.get(entity, {}).get(identifier)

    def read_refused(self, entity: str, path: Path) -> None:
        """Take the records in a quarantine file."""
        for refusal in read_quarantine(path):
            self.refuse(entity, refusal.key, refusal.legacy_id, refusal.findings[0].rule)

    def remove(self, entity: str, places: Iterable[int]) -> None:
        """All of an entity are taken: the records at `places` of its file are refused after all.
        Once they have left the file, further ones may be."""
        if entity not in self._places:
            return
        taken = self._places[entity]
        for place in places:
            taken[place] = ""
        self._places[entity] = [identifier for identifier in taken if identifier]
        self._ids[entity] = set(self._places[entity])

    def read(self, entity: str, path: Path) -> None:
        """Take every record of a transformed file, unless that is done."""
        if entity in self._ids:
            return
        self._ids[entity] = {
            orjson.loads(line)["Item"]["PK"]["S"].partition("#")[2]
            for line in filter(starts_record, lines_of(path))
        }

    def referred(self, entity: str) -> Referred:
        """What the records of an entity may name. All that they name have been taken."""
        references = shape_of(entity).references
        return Referred(
            {each.attribute: (each.entity, self._ids[each.entity]) for each in references}
        )


class Dangling(NamedTuple):
    """A record, by its place among others, that names one which is not migrated."""

    number: int
    identifier: str
    note: Note


class Referred:
    """The ids that may stand in the attributes of a record which name others."""

    def __init__(self, known: dict[str, tuple[str, set[str]]]) -> None:
        self._known = known
        self._ids = {attribute: ids for attribute, (_, ids) in known.items()}

    def dangling(self, references: Iterable[tuple[str, Sequence[str]]]) -> list[Dangling]:
        """The references of some records to such as are not migrated, record by record.
        `references` has for each attribute the id that stands in each record, "" for none."""
        found = []
        for attribute, identifiers in references:
            missing = set(identifiers).difference(self._ids[attribute], [""])
            if missing:
                found += [
                    Dangling(number, identifier, self._note(attribute, identifier))
                    for number, identifier in enumerate(identifiers)
                    if identifier in missing
                ]
        return sorted(found, key=itemgetter(0))

    def _note(self, attribute: str, identifier: str) -> Note:
        entity, _ = self._known[attribute]
        text = f"{attribute} {identifier} is not among the migrated {entity}: "
        return Note(attribute, "reference", text + shape_of(entity).absent)


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
