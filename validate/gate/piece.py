"""What a piece of a transformed file gives, in whatever process it is checked.

Findings, and what is compared between records. Of that there is a little of every record, which
travels between processes, waits in the journal and goes into buckets: so it is text, a line of
which costs a small part of what an object would, and only where something is found it is looked at
line by line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from utils.entities import Shape, is_referenced, shape_of
from utils.files.findings import Finding
from utils.files.pieces import ByteRange, records_at
from validate.gate.duplicates import entries_of, without
from validate.gate.numbering import Outline
from validate.gate.record_checks import ChunkFindings, Policy, check_chunk
from validate.rules.record_facts import Facts
from validate.unchanged.passed_before import NONE, Earlier, passed_in


class Compared(NamedTuple):
    """What the records of a piece are compared by: texts that have a line for each of them, which
    is empty for one with errors.

    `legacy_ids` are their keys in S9, `named` by attribute the ids of the records that they name,
    `keys` their partition keys, if others may name them ("" otherwise). `shared` is what they
    should share with no other (validate/gate/duplicates.py).
    """

    legacy_ids: str
    named: dict[str, str]
    keys: str
    shared: str

    @classmethod
    def of(cls, facts: Sequence[Facts], shape: Shape) -> Compared:
        """What is compared, of the facts of the records of a piece."""
        attributes = [each.attribute for each in shape.references]
        nothing = tuple((attribute, "") for attribute in attributes)
        references = [each.references or nothing for each in facts]
        named = {
            attribute: _text([each[number][1] for each in references])
            for number, attribute in enumerate(attributes)
        }
        return cls(
            _text([each.legacy_id if each.key else "" for each in facts]),
            named,
            _text([each.key for each in facts]) if is_referenced(shape.name) else "",
            entries_of(facts),
        )

    def legacy_id(self, number: int) -> str:
        """S9's key of a record without errors."""
        return _lines(self.legacy_ids)[number]

    def references(self) -> Iterator[tuple[str, list[str]]]:
        """The attributes that name other records, with the id that stands in each record."""
        for attribute, text in self.named.items():
            yield attribute, _lines(text)

    def partition_keys(self) -> list[str]:
        """Those of all records, "" for one with errors; none if no others name them."""
        return _lines(self.keys)

    def without(self, numbers: Collection[int]) -> Compared:
        """The same without the records at these places, which have errors after all."""
        if not numbers:
            return self
        keys = ["" if n in numbers else key for n, key in enumerate(self.partition_keys())]
        return self._replace(keys=_text(keys), shared=without(self.shared, numbers))


def _text(lines: Sequence[str]) -> str:
    return "\n".join([*lines, ""])


def _lines(text: str) -> list[str]:
    return text.split("\n")[:-1]


@dataclass
class PieceFindings:
    """The outcome of a piece of a file: `findings`, each with its record's place in the piece, what
    its `records` are compared by, and what the numbering needs. `identities` has the partition keys
    of records with errors, if others may name them."""

    place: ByteRange
    records: int
    findings: list[tuple[int, Finding]]
    identities: dict[int, str]
    compared: Compared
    outline: Outline

    def as_json(self) -> list[Any]:
        """It as values of JSON."""
        findings = [(number, finding.as_json()) for number, finding in self.findings]
        identities, compared = [*self.identities.items()], [*self.compared]
        outline = self.outline.as_json()
        return [[*self.place], self.records, findings, identities, compared, outline]

    @classmethod
    def of_json(cls, stored: list[Any]) -> PieceFindings:
        """An outcome from what `as_json` has given."""
        place, records, findings, identities, compared, outline = stored
        return cls(
            ByteRange(*place),
            records,
            [(number, Finding.of_json(finding)) for number, finding in findings],
            dict(identities),
            Compared(*compared),
            Outline.of_json(outline),
        )


def check_piece(
    place: ByteRange, path: Path, entity: str, policy: Policy, earlier: Earlier | None = None
) -> PieceFindings:
    """Check the records that begin in a piece of a transformed file; of those that have passed
    `earlier`, as they are now, only what is compared is asked."""
    lines = records_at(path, place)
    passed = NONE if earlier is None else passed_in(earlier, path, place, lines)
    return findings_of(place, check_chunk(lines, entity, policy, passed), entity)


def findings_of(place: ByteRange, outcome: ChunkFindings, entity: str) -> PieceFindings:
    """The same, from what its records gave."""
    facts = outcome.facts
    return PieceFindings(
        place,
        len(facts),
        outcome.findings,
        {number: each.identity for number, each in enumerate(facts) if each.identity},
        Compared.of(facts, shape_of(entity)),
        outcome.outline,
    )
