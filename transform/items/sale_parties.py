"""The two parties of a sale: the references to them, and what the sale copies of them.

A copy is the party's value at the time of the migration. It is absent where the party has none:
only the parties themselves keep an empty text for what is unknown. The country is always there.
The name is the one that S9 printed on the document, else the party's.
"""

from __future__ import annotations

from types import NoneType

from transform.items.attribute_text import Texts, written
from transform.items.attributes import Attribute, ColumnTargets, Row
from transform.items.columns import legacy_key
from transform.items.parties import PartyKind
from transform.rejections import Rejections, Unconvertible
from transform.values.countries import HOME, country
from transform.values.ids import party_id
from transform.values.memo import Memo
from transform.values.text import text

_COPIED = {
    "vat_number": "VatNumber",
    "fiscal_code": "FiscalCode",
    "address": "Address",
    "city": "City",
    "province": "Province",
    "postal_code": "PostalCode",
}
REMEMBERED_PARTIES = 32_768  # in fifty megabytes
Copies = tuple[str, str]
"""The texts of what a sale copies of a party: those before the id of it, and those after."""

_NOTHING: Copies = ("", "")
_NOBODY: tuple[Row | None, Copies] = (None, _NOTHING)


def copied_targets(kind: PartyKind) -> ColumnTargets:
    """The attributes of a sale that columns of its buyer or its producer become."""
    copied = {column: f"{kind}{name}" for column, name in _COPIED.items()}
    return {"name": f"{kind}Name", **copied, "country": f"{kind}Country"}


class SaleParty:
    """The buyer or the producer of sales. `row[kind]` is the joined party, None if unknown, and
    the number of the parties when several have the key."""

    def __init__(self, kind: PartyKind, generate_ids: bool, id_scope: str = "") -> None:
        self._kind: PartyKind = kind
        self._generate_ids = generate_ids
        self._id_scope = id_scope
        self._key_column = f"{kind}_id"
        self._name_column = f"{kind}_name"
        self._name_attribute = f"{kind}Name"
        # A party comes back from sale to sale.
        self._names = Memo(self._named)
        self._seen: dict[int, tuple[Row | None, Copies]] = {}
        texts = (
            Attribute(f"{kind}{name}", column, text, repeats=True)
            for column, name in _COPIED.items()
        )
        land = Attribute(f"{kind}Country", "country", country, default={"S": HOME}, repeats=True)
        copied = sorted((*texts, land), key=lambda each: each.name)
        self._copies = Texts(copied, path=f"{kind}.", remember=False)
        self._before_id = sum(each.name < f"{kind}Id" for each in copied)

    def reference(self, row: Row, rejections: Rejections) -> str:
        """Return the party's id; "" when S9 names none (then it is noted)."""
        if row.get(self._key_column) in (None, ""):
            reason = (
                f"the sale has no {self._kind}: give it one in S9, or configure a placeholder "
                f"(transformation.missingParty, placeholder{self._kind.capitalize()})"
            )
            rejections.add(self._key_column, "missing-party", reason)
            return ""
        key = legacy_key(row, self._key_column, rejections)
        if key is None:
            return ""
        party = row.get(self._kind)
        if isinstance(party, int):
            reason = (
                f"{party} {self._kind}s of S9 have the key {key}, and it cannot be known which "
                "one is meant: give each a key of its own in S9, or say which one counts "
                f"(extraction.{self._kind}s.query)"
            )
            rejections.add(self._key_column, "ambiguous-party", reason)
        elif not isinstance(party, dict):
            reason = f"{self._kind} {key} does not exist in S9: no {self._kind} has this key"
            rejections.add(self._key_column, "unknown-party", reason)
        return party_id(self._kind, key, self._generate_ids, self._id_scope)

    def texts(self, row: Row, rejections: Rejections) -> Copies:
        """Return the party's name and its copied columns as texts of the sale's item."""
        party = row.get(self._kind)
        if not isinstance(party, dict):
            return _NOTHING  # noted by `reference`
        name = self._name(row, party, rejections)
        before, after = self._copy(row, party, rejections)
        return before, name + after

    def _copy(self, row: Row, party: Row, rejections: Rejections) -> Copies:
        """The copied columns; a party comes back from sale to sale, and is the same then."""
        key = row.get(self._key_column)
        if type(key) is not int:
            return self._copied(party, rejections)
        seen, copies = self._seen.get(key, _NOBODY)
        if seen == party:
            return copies
        before = len(rejections)
        copies = self._copied(party, rejections)
        if len(rejections) > before:
            return copies
        # Only texts, because 1 and True are equal and not the same.
        if all(isinstance(party.get(column), (str, NoneType)) for column in (*_COPIED, "country")):
            if len(self._seen) >= REMEMBERED_PARTIES:
                self._seen.clear()
            self._seen[key] = party, copies
        return copies

    def _copied(self, party: Row, rejections: Rejections) -> Copies:
        texts = self._copies.of(party, rejections)
        return "".join(texts[: self._before_id]), "".join(texts[self._before_id :])

    def _name(self, row: Row, party: Row, rejections: Rejections) -> str:
        for value in (row.get(self._name_column), party.get("name")):
            try:
                name = self._names[value] if type(value) is str else self._named(value)
            except Unconvertible as problem:
                rejections.add_value(self._name_column, problem)
                return ""
            if name:
                return name
        rejections.add_missing(self._name_column)
        return ""

    def _named(self, value: object) -> str:
        name = text(value)
        return written(self._name_attribute, name) if name else ""
