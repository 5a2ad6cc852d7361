"""The two parties of a sale: the references to them, and what the sale copies of them.

A copy is the party's value at the time of the migration. It is absent where the party has none:
only the parties themselves keep an empty text for what is unknown. The country is always there.
The name is the one that S9 printed on the document, else the party's.
"""

from __future__ import annotations

from transform.attributes import EMPTY, Attribute, AttributeValue, Item, Row, fill
from transform.columns import legacy_key
from transform.countries import HOME, country
from transform.ids import party_id
from transform.memo import remembered
from transform.parties import PartyKind
from transform.rejections import Rejections, Unconvertible
from transform.text import text

# A party comes back from sale to sale.
_phrase = remembered(text)
_country = remembered(country)


class SaleParty:
    """The buyer or the producer of sales. `row[kind]` is the joined party, None if unknown."""

    def __init__(self, kind: PartyKind, generate_ids: bool, id_scope: str = "") -> None:
        self._kind: PartyKind = kind
        self._generate_ids = generate_ids
        self._id_scope = id_scope
        self._key_column = f"{kind}_id"
        self._name_column = f"{kind}_name"
        self._name_attribute = f"{kind}Name"
        self._copies = (
            Attribute(f"{kind}VatNumber", "vat_number", _phrase),
            Attribute(f"{kind}FiscalCode", "fiscal_code", _phrase),
            Attribute(f"{kind}Address", "address", _phrase),
            Attribute(f"{kind}City", "city", _phrase),
            Attribute(f"{kind}Province", "province", _phrase),
            Attribute(f"{kind}PostalCode", "postal_code", _phrase),
            Attribute(f"{kind}Country", "country", _country, default={"S": HOME}),
        )

    def reference(self, row: Row, rejections: Rejections) -> str:
        """Return the party's id; "" when S9 names none (then it is noted)."""
        if row.get(self._key_column) in (None, ""):
            reason = (
                f"the sale has no {self._kind}: give it one in S9, or name one that stands in "
                f"(transformation.missingParty, placeholder{self._kind.capitalize()})"
            )
            rejections.add(self._key_column, "missing-party", reason)
            return ""
        key = legacy_key(row, self._key_column, rejections)
        if key is None:
            return ""
        if not isinstance(row.get(self._kind), dict):
            reason = f"{self._kind} {key} does not exist in S9"
            rejections.add(self._key_column, "unknown-party", reason)
        return party_id(self._kind, key, self._generate_ids, self._id_scope)

    def copy(self, item: Item, row: Row, rejections: Rejections) -> None:
        """Put the party's name and its copied columns into the sale's `item`."""
        party = row.get(self._kind)
        if not isinstance(party, dict):
            return  # noted by `reference`
        item[self._name_attribute] = self._name(row, party, rejections)
        fill(item, party, self._copies, rejections, path=f"{self._kind}.")

    def _name(self, row: Row, party: Row, rejections: Rejections) -> AttributeValue:
        try:
            name = text(row.get(self._name_column)) or text(party.get("name"))
        except Unconvertible as problem:
            rejections.add_value(self._name_column, problem)
            return EMPTY
        if name is None:
            rejections.add_missing(self._name_column)
            return EMPTY
        return name
